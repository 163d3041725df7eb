package config_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/config"
)

func TestTheOrderOfPrecedence(t *testing.T) {
	t.Parallel()
	const file = "kafka:\n  brokers: [file:1]\ncontexts:\n  - name: prod\n    brokers: [context:1]\n"
	env, inContext := "ORDERCTL_KAFKA_BROKERS=env:1", flag("context", "--context", "prod")
	brokers := flag("kafka.brokers", "--brokers", "flag:1")
	for _, row := range []struct {
		name   string
		file   string
		env    []string
		flags  []config.Flag
		value  string
		origin string // FILE stands for the path
	}{
		{"default", "", nil, nil, "localhost:9092", "default"},
		{"file beats default", file, nil, nil, "file:1", "FILE:2"},
		{"context beats file", file, nil, []config.Flag{inContext}, "context:1", "context prod (FILE:5)"},
		{"env beats context", file, []string{env}, []config.Flag{inContext}, "env:1", "env ORDERCTL_KAFKA_BROKERS"},
		{"flag beats env", file, []string{env}, []config.Flag{inContext, brokers}, "flag:1", "flag --brokers"},
		{"an empty variable is unset", file, []string{"ORDERCTL_KAFKA_BROKERS="}, nil, "file:1", "FILE:2"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			in := input(t, row.file, row.env...)
			in.Flags = row.flags
			e := entry(t, must(t, in), "kafka.brokers")
			if got := strings.ReplaceAll(e.Origin.String(), in.Path, "FILE"); e.Value != row.value || got != row.origin {
				t.Errorf("got %s from %s, want %s from %s", e.Value, got, row.value, row.origin)
			}
		})
	}
}

func TestEveryKeyCanComeFromEachSource(t *testing.T) {
	t.Parallel()
	for _, k := range config.Keys() {
		text := sampleValue(k)
		if text == "" {
			continue
		}
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			in := config.Input{Environ: []string{k.Env + "=" + text, "HOME=" + t.TempDir()}}
			fromEnv, err := config.Load(in)
			if err == nil {
				if e := entry(t, fromEnv, k.Name); e.Value != text || e.Origin.Kind != config.FromEnv {
					t.Errorf("env: got %q from %s, want %q", e.Value, e.Origin, text)
				}
			} else if !strings.Contains(err.Error(), k.Env) {
				t.Errorf("env: %v does not name %s", err, k.Env)
			}
			if err != nil { // a rule between keys, which other tests hold; it has shown that the value arrived
				return
			}
			sections := strings.Split(k.Name, ".")
			file := ""
			for i, s := range sections {
				file += strings.Repeat("  ", i) + s + ":"
				if i < len(sections)-1 {
					file += "\n"
				}
			}
			l := must(t, input(t, file+" "+quoted(k, text)+"\n"))
			if e := entry(t, l, k.Name); e.Value != text || e.Origin.Kind != config.FromFile || e.Origin.Line != len(sections) {
				t.Errorf("file: got %q from %s, want %q from line %d", e.Value, e.Origin, text, len(sections))
			}
			l = must(t, config.Input{Flags: []config.Flag{flag(k.Name, "--x", text)}, Environ: []string{"HOME=" + t.TempDir()}})
			if e := entry(t, l, k.Name); e.Value != text || e.Origin.String() != "flag --x" {
				t.Errorf("flag: got %q from %s, want %q", e.Value, e.Origin, text)
			}
		})
	}
}

func quoted(k config.Key, text string) string {
	switch k.Type {
	case "string", "list":
		return `"` + text + `"`
	}
	return text
}

// sampleValue is a value of the key that is not its default.
func sampleValue(k config.Key) string {
	switch {
	case k.Secret || k.Type == "blocks" || k.Type == "dsn" || k.Name == "context":
		return ""
	case len(k.Enum) > 0:
		i := slices.IndexFunc(k.Enum, func(s string) bool { return s != "" && s != k.Default })
		return k.Enum[i]
	}
	switch k.Type {
	case "bool":
		return map[string]string{"true": "false", "false": "true"}[k.Default]
	case "duration":
		return "1s"
	case "int":
		return "3"
	case "size":
		return "2MiB"
	case "rate":
		return "7/s"
	case "ratio":
		return "0.25"
	case "durations":
		return "7s,9m"
	case "list":
		return "a:1,b:2"
	}
	return "abc"
}

func TestANullSectionIsAsIfItWereNotThere(t *testing.T) {
	t.Parallel()
	in := input(t, "kafka:\nserve: ~\nlog: null\n", "ORDERCTL_KAFKA_TIMEOUT=7s")
	in.Flags = []config.Flag{flag("kafka.brokers", "--brokers", "flag:1")}
	l := must(t, in)
	if k := l.Config.Kafka; k.Timeout != 7*time.Second || !slices.Equal(k.Brokers, []string{"flag:1"}) || !k.Idempotent {
		t.Errorf("kafka: %+v", k)
	}
	if l.Config.Serve.Addr != ":8080" || l.Config.Log.Level != "info" {
		t.Errorf("defaults vanished: %q, %q", l.Config.Serve.Addr, l.Config.Log.Level)
	}
}

func TestASectionInTheFileKeepsTheDefaultsOfTheRest(t *testing.T) {
	t.Parallel()
	l := must(t, input(t, "kafka:\n  name: x\n"))
	if l.Config.Kafka.Timeout != 10*time.Second || !l.Config.Kafka.Idempotent {
		t.Errorf("got %+v", l.Config.Kafka)
	}
}

func TestListsAreSplitTrimmedAndFreedOfEmptyParts(t *testing.T) {
	t.Parallel()
	want := []string{"a:1", "b:1"}
	fromEnv := must(t, config.Input{Environ: []string{"ORDERCTL_KAFKA_BROKERS= a:1 , b:1,", "HOME=" + t.TempDir()}})
	if got := fromEnv.Config.Kafka.Brokers; !slices.Equal(got, want) {
		t.Errorf("env: %q", got)
	}
	for _, file := range []string{
		"kafka:\n  brokers: [a:1, 'b:1', '']\n", "kafka:\n  brokers: a:1,,b:1\n", "kafka:\n  brokers:\n    - a:1\n    - b:1\n",
	} {
		if got := must(t, input(t, file)).Config.Kafka.Brokers; !slices.Equal(got, want) {
			t.Errorf("%q: %q", file, got)
		}
	}
}

func TestNoTiers(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"consume: {retry: none}", "consume: {retry: [none]}", "consume: {retry: []}"} {
		if got := must(t, input(t, file)).Config.Consume.Retry; got == nil || len(got) != 0 {
			t.Errorf("%s: %v", file, got)
		}
	}
}

func TestTheFileIsFoundInItsPlaces(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	dir := filepath.Join(home, "xdg", "orderctl")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(path, []byte("log: {level: warn}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	environ := []string{"HOME=" + home, "XDG_CONFIG_HOME=" + filepath.Join(home, "xdg")}
	if l := must(t, config.Input{Environ: environ}); l.Path != path || l.Config.Log.Level != "warn" {
		t.Errorf("searched: %s, %s", l.Path, l.Config.Log.Level)
	}
	other := write(t, "log: {level: error}\n")
	environ = append(environ, "ORDERCTL_CONFIG="+other)
	if l := must(t, config.Input{Environ: environ}); l.Path != other || l.Config.Log.Level != "error" {
		t.Errorf("ORDERCTL_CONFIG: %s, %s", l.Path, l.Config.Log.Level)
	}
	third := write(t, "log: {level: debug}\n")
	if l := must(t, config.Input{Environ: environ, Path: third}); l.Path != third || l.Config.Log.Level != "debug" {
		t.Errorf("--config: %s, %s", l.Path, l.Config.Log.Level)
	}
	if got := config.Find(config.Input{Environ: environ}); got != other {
		t.Errorf("Find: %s", got)
	}
}

func TestAFileThatIsNamedMustExist(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "none.yaml")
	for _, in := range []config.Input{{Path: missing}, {Environ: []string{"ORDERCTL_CONFIG=" + missing}}} {
		p := problems(t, in)[0]
		if p.ExitCode() != 2 || !strings.Contains(p.Error(), missing) || !strings.Contains(p.Error(), "no such file") {
			t.Errorf("%v", p)
		}
	}
}

// dev writes the file that it tells users to export: the next dev may start before the file is there again.
func TestOnlyTheFileOfTheCommandItselfMayBeNamedAndMissing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	own, other := filepath.Join(dir, "orderctl.yaml"), filepath.Join(dir, "other.yaml")
	named := "ORDERCTL_CONFIG=" + dir + "/x/../orderctl.yaml" // spelled in another way
	for _, in := range []config.Input{{Path: own, Own: own}, {Environ: []string{named}, Own: own}} {
		if l, err := config.Load(in); err != nil || l.Path != "" || l.Config.Log.Level != "info" {
			t.Errorf("%q: %v", l.Path, err)
		}
	}
	for _, in := range []config.Input{{Path: other, Own: own}, {Environ: []string{"ORDERCTL_CONFIG=" + other}, Own: own}, {Path: own}} {
		if p := problems(t, in)[0]; p.ExitCode() != 2 || !strings.Contains(p.Error(), "no such file") {
			t.Errorf("%v", p)
		}
	}
	if err := os.WriteFile(own, []byte("log: {level: nonsense}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if p := problems(t, config.Input{Path: own, Own: own})[0]; p.ExitCode() != 2 {
		t.Errorf("a file that is there counts: %v", p)
	}
}

func TestContextsChooseInTheUsualOrder(t *testing.T) {
	t.Parallel()
	const file = `context: file
contexts:
  - {name: file, brokers: [file:1]}
  - {name: env, brokers: [env:1]}
  - name: flag
    brokers: [flag:1]
    group: flag-worker
    tls: {enabled: true}
    store: {dsn: /tmp/flag.db}
`
	for _, row := range []struct {
		name  string
		env   []string
		flags []config.Flag
		want  string
	}{
		{"the file", nil, nil, "file"},
		{"the variable beats the file", []string{"ORDERCTL_CONTEXT=env"}, nil, "env"},
		{"the flag beats the variable", []string{"ORDERCTL_CONTEXT=env"}, []config.Flag{flag("context", "--context", "flag")}, "flag"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			in := input(t, file, row.env...)
			in.Flags = row.flags
			c := must(t, in).Config
			if c.Cluster() != row.want || c.Kafka.Brokers[0] != row.want+":1" || len(c.Contexts) != 3 {
				t.Errorf("cluster %s, brokers %v, %d contexts", c.Cluster(), c.Kafka.Brokers, len(c.Contexts))
			}
			if row.want == "flag" && (c.Consume.Group != "flag-worker" || !c.Kafka.TLS.Enabled || c.Store.DSN.Reveal() != "/tmp/flag.db") {
				t.Errorf("the context was not laid over everything: %+v %+v %s", c.Consume.Group, c.Kafka.TLS, c.Store.DSN)
			}
		})
	}
}

func TestAContextLeavesAloneWhatItDoesNotSay(t *testing.T) {
	t.Parallel()
	in := input(t, "kafka: {brokers: [base:1], tls: {enabled: true}}\ncontexts: [{name: a, brokers: [], group: ''}, {name: b, tls: {enabled: false}}]\n")
	in.Flags = []config.Flag{flag("context", "--context", "a")}
	c := must(t, in).Config
	if c.Kafka.Brokers[0] != "base:1" || c.Consume.Group != "orders-worker" || !c.Kafka.TLS.Enabled {
		t.Errorf("empty values replaced others: %+v", c.Kafka)
	}
	in.Flags = []config.Flag{flag("context", "--context", "b")}
	if must(t, in).Config.Kafka.TLS.Enabled {
		t.Error("a false that stands in a context was taken for nothing")
	}
}

func TestAVariableThatBeatsTheContextWarns(t *testing.T) {
	t.Parallel()
	in := input(t, "context: prod\ncontexts: [{name: prod, brokers: [p:1]}]\n", "ORDERCTL_KAFKA_BROKERS=e:1")
	l := must(t, in)
	if len(l.Warnings) != 1 || !strings.Contains(l.Warnings[0], "ORDERCTL_KAFKA_BROKERS") || !strings.Contains(l.Warnings[0], "context prod") {
		t.Errorf("got %q", l.Warnings)
	}
	if l := must(t, input(t, "kafka: {brokers: [p:1]}\n", "ORDERCTL_KAFKA_BROKERS=e:1")); len(l.Warnings) != 0 {
		t.Errorf("without a context: %q", l.Warnings)
	}
}

func TestTheNameOfTheCluster(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"": "localhost", "kafka: {brokers: ['k-1:9092', 'k-2:9092']}": "k-1", "kafka: {name: shop}": "shop",
		"kafka: {name: shop}\ncontext: prod\ncontexts: [{name: prod}]": "prod",
	} {
		if got := must(t, input(t, file)).Config.Cluster(); got != want {
			t.Errorf("%q: %s, want %s", file, got, want)
		}
	}
}

func TestDefaultsAreValid(t *testing.T) {
	t.Parallel()
	if err := config.Defaults().Validate(); err != nil {
		t.Error(err)
	}
}
