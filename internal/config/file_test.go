package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/config"
)

func TestAFileThatIsNoFileIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fifo, loop, large, closed := filepath.Join(dir, "fifo"), filepath.Join(dir, "loop"), filepath.Join(dir, "large"), filepath.Join(dir, "closed")
	for _, err := range []error{
		syscall.Mkfifo(fifo, 0o600), os.Symlink(loop, loop), os.WriteFile(large, []byte(strings.Repeat("#", 1<<20+1)), 0o600),
		os.WriteFile(closed, nil, 0o000),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	rows := []struct{ name, path, text string }{
		{"a directory", dir, "not a regular file"},
		{"a named pipe without a writer", fifo, "not a regular file"},
		{"a device without an end", "/dev/zero", "not a regular file"},
		{"a loop of symbolic links", loop, "too many levels of symbolic links"},
		{"more than 1 MiB", large, "larger than 1 MiB"},
		{"a path through a file", filepath.Join(large, "x"), "not a directory"},
	}
	if os.Getuid() != 0 { // root reads everything
		rows = append(rows, struct{ name, path, text string }{"no permission", closed, "permission denied"})
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			p := problems(t, config.Input{Path: row.path})[0]
			if !strings.Contains(p.Error(), row.text) || p.ExitCode() != 2 {
				t.Errorf("%v", p)
			}
			if d := time.Since(start); d > time.Second {
				t.Errorf("took %s", d)
			}
		})
	}
}

func TestHarmlessOdditiesAreAccepted(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"byte order mark": "\xef\xbb\xbflog: {level: warn}\n", "CRLF": "log:\r\n  level: warn\r\n",
		"comments only": "# nothing\n", "empty": "", "null": "~\n", "an end mark": "log: {level: warn}\n...\n",
	} {
		l := must(t, input(t, text))
		if want := map[bool]string{true: "warn", false: "info"}[strings.Contains(text, "warn")]; l.Config.Log.Level != want {
			t.Errorf("%s: level %s, want %s", name, l.Config.Log.Level, want)
		}
	}
}

func TestANumberWhereATextBelongsIsThatText(t *testing.T) {
	t.Parallel()
	c := must(t, input(t, "kafka: {name: 007}\nconsume: {instance_id: 1e3}\n")).Config
	if c.Kafka.Name != "007" || c.Consume.InstanceID != "1e3" {
		t.Errorf("%q, %q", c.Kafka.Name, c.Consume.InstanceID)
	}
}

func TestALargeFileOfNonsenseIsAnsweredAtOnce(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"unknown keys": strings.Repeat("k: {a: b}\n", 1) + nonsense(30_000), "deep": strings.Repeat("{a: ", 30_000), "long list": "kafka: {brokers: [" + strings.Repeat("a,", 100_000) + "]}",
	} {
		start := time.Now()
		list := problems(t, input(t, text))
		if d := time.Since(start); d > 10*time.Second || len(list) > 21 {
			t.Errorf("%s: %d problems after %s", name, len(list), d)
		}
	}
}

func nonsense(keys int) string {
	var b strings.Builder
	for i := range keys {
		fmt.Fprintf(&b, "key%d: 1\n", i)
	}
	return b.String()
}

func TestPathsFollowXDG(t *testing.T) {
	t.Parallel()
	p := config.PathsOf([]string{"HOME=/home/a", "XDG_STATE_HOME=/state", "XDG_CACHE_HOME=relative"})
	want := config.Paths{
		Config: "/home/a/.config/orderctl", State: "/state/orderctl", Data: "/home/a/.local/share/orderctl", Cache: "/home/a/.cache/orderctl",
	}
	if p != want {
		t.Errorf("got %+v", p)
	}
}

// The file that is shipped says what the code does: each key, its default, and the text of `config init`.
func TestTheShippedFileIsTheDefaults(t *testing.T) {
	t.Parallel()
	const path = "../../configs/orderctl.yaml"
	l := must(t, config.Input{Path: path})
	for _, e := range l.Entries() {
		switch {
		case e.Secret:
		case e.Origin.Kind != config.FromFile && e.Type != "blocks":
			t.Errorf("%s is missing", e.Name)
		case e.Value != e.Default:
			t.Errorf("%s: the file says %q, the default is %q", e.Name, e.Value, e.Default)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != config.Template() {
		t.Error("the file is not what `orderctl config init` writes: write it anew with 'orderctl config init -'")
	}
	for line := range strings.Lines(string(text)) {
		if strings.TrimSpace(line) != "" && !strings.Contains(line, "#") {
			t.Errorf("no comment: %q", line)
		}
	}
}

func TestTheProductionFileIsValid(t *testing.T) {
	t.Parallel()
	l := must(t, config.Input{Path: "../../configs/production.yaml", Environ: []string{"ORDERCTL_KAFKA_SASL_PASSWORD=x"}})
	c := l.Config
	if c.Topics.ReplicationFactor != 3 || c.Topics.MinInsyncReplicas != 2 || c.Serve.PublicOps || !c.Kafka.TLS.Enabled {
		t.Errorf("got %+v, public_ops %v, tls %v", c.Topics, c.Serve.PublicOps, c.Kafka.TLS.Enabled)
	}
}

func TestEveryKeyIsDocumented(t *testing.T) {
	t.Parallel()
	for _, k := range config.Keys() {
		if k.Doc == "" {
			t.Errorf("%s has no comment", k.Name)
		}
	}
}
