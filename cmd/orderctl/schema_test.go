package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// schemas are those of test/schema, by the name that answers carry.
func schemas(t *testing.T) map[string]*jsonschema.Schema {
	t.Helper()
	files, err := filepath.Glob("../../test/schema/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no schema: %v", err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	all := map[string]*jsonschema.Schema{}
	for _, file := range files {
		s, err := c.Compile(file)
		if err != nil {
			t.Fatal(err)
		}
		if want := strings.ReplaceAll(s.Title, "/", "-") + ".json"; filepath.Base(file) != want {
			t.Errorf("%s describes %s", file, s.Title)
		}
		all[s.Title] = s
	}
	return all
}

// Every member of every answer is in its schema, with the type that stands there, and no member is missing. null is only where
// something may be unknown.
func TestAnswersAreWhatTheirSchemaSays(t *testing.T) {
	t.Parallel()
	known, environ, seen := schemas(t), looked(t), map[string]bool{}
	valid := func(raw []byte, args []string) { seen[isValid(t, known, raw, args)] = true }
	saved := filepath.Join(t.TempDir(), "ids")
	if err := os.WriteFile(saved, []byte("X-1\nA-1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"lag"},
		{"lag", "-A"},
		{"lag", "订单组", "--slo", "1s"},
		{"lag", "nobody"},
		{"lag", "-A", "--watch=500ms", "--count", "3"},
		{"lag", "订单组", "--age", "off", "-t", "orders"},
		{"lag", "订单组", "--peek", "orders/3"},
		{"trace", "A-1"},
		{"trace", "订" + evil, "--show-body"},
		{"trace", "nobody"},
		{"audit", "-q", "--settle", "0s"},
		{"audit", "-q", "--settle", "0s", "--ids", saved, "--since", "1h"},
		{"doctor"},
		{"doctor", "-b", "127.0.0.1:1", "--timeout", "1s"},
		{"offsets", "show"},
		{"offsets", "show", "-g", "订单组"},
		{"offsets", "reset", "-g", "订单组", "-t", "orders", "--to", "latest", "-n"},
		{"offsets", "reset", "-g", "订单组", "-t", "orders", "--to", "+0", "-y"},
		{"topics", "plan"},
		{"topics", "plan", "-t", "other"},
		{"topics", "apply", "-y", "-t", "other"},
	} {
		for _, format := range []string{"json", "jsonl"} {
			if format == "json" && strings.Contains(strings.Join(args, " "), "--watch") {
				continue
			}
			p := newTestProcess(t, append(args, "-o", format)...)
			p.environ = environ
			code := run(p.env)
			if code == exitUsage || p.out.String() == "" && code != exitNotFound {
				t.Errorf("%v: exit %d, %s", args, code, p.err)
			}
			switch {
			case p.out.String() == "":
			case format == "json":
				valid([]byte(p.out.String()), args)
			default:
				for line := range strings.Lines(p.out.String()) {
					valid([]byte(line), args)
				}
			}
		}
	}
	for name := range known {
		if !seen[name] && !strings.HasPrefix(name, "orderctl.dlq.") {
			t.Errorf("no answer of %s was looked at", name)
		}
	}
	golden, err := os.ReadFile("../../internal/inspect/lag/testdata/report.json")
	if err != nil {
		t.Fatal(err)
	}
	valid(golden, []string{"the golden report"})
}

// isValid checks an answer and returns the name of its schema.
func isValid(t *testing.T, known map[string]*jsonschema.Schema, raw []byte, args []string) string {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, raw)
	}
	object, _ := doc.(map[string]any)
	name, _ := object["schema"].(string)
	schema, found := known[name]
	if !found {
		t.Errorf("%v: no schema for %q in\n%s", args, name, raw)
	} else if err := schema.Validate(doc); err != nil {
		t.Errorf("%v: %v\n%s", args, err, raw)
	}
	return name
}

// The same of what is said of dead letters, with those that change something.
func TestAnswersAboutDeadLettersAreWhatTheirSchemaSays(t *testing.T) {
	t.Parallel()
	known, seen := schemas(t), map[string]bool{}
	environ := []string{"HOME=" + t.TempDir(), "ORDERCTL_KAFKA_BROKERS=" + lettersOf(t, 30).Addr()}
	for _, args := range [][]string{
		{"topics", "apply", "-y"},
		{"dlq", "list", "--limit", "3"},
		{"dlq", "stats"},
		{"dlq", "stats", "--by", "hour"},
		{"dlq", "stats", "--by", "key"},
		{"dlq", "show", "0/0"},
		{"dlq", "export"},
		{"dlq", "plan", "--all", "--set", `/user_id="u"`},
		{"dlq", "discard", "1/0", "--reason", "r", "-y"},
		{"dlq", "discard", "1/0", "--undo", "--reason", "r", "-y"},
		{"dlq", "replay", "2/0", "--include", "still-invalid", "-y"},
		{"dlq", "replay", "3/0", "-y"},
		{"dlq", "list", "--state", "any"},
		{"dlq", "export", "--state", "any"},
		{"dlq", "stats", "--jobs"},
		{"db", "migrate"},
		{"dlq", "bury", "orders.orders-worker.replay/2@0", "--reason", "r", "-y"},
	} {
		format := "json"
		if args[1] == "export" || args[0] == "topics" {
			format = "jsonl"
		}
		p := newTestProcess(t, append(args, "-q", "-o", format)...)
		p.environ = environ
		code := run(p.env)
		if code != exitOK && code != exitPartial {
			t.Errorf("%v: exit %d, %s", args, code, p.err)
		}
		if args[0] == "db" {
			continue
		}
		if format == "json" {
			seen[isValid(t, known, []byte(p.out.String()), args)] = true
			continue
		}
		for line := range strings.Lines(p.out.String()) {
			seen[isValid(t, known, []byte(line), args)] = true
		}
	}
	for name := range known {
		if !seen[name] && strings.HasPrefix(name, "orderctl.dlq.") {
			t.Errorf("no answer of %s was looked at", name)
		}
	}
}
