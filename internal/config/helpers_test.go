package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"commerce.internal/orderctl/internal/config"
)

// write puts text into a file of its own and returns the path.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "orderctl.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// input is a file, an environment and no flags.
func input(t *testing.T, text string, environ ...string) config.Input {
	t.Helper()
	return config.Input{Path: write(t, text), Environ: environ}
}

func flag(key, name string, values ...string) config.Flag {
	return config.Flag{Key: key, Name: name, Values: values}
}

// must loads what must be right.
func must(t *testing.T, in config.Input) config.Loaded {
	t.Helper()
	l, err := config.Load(in)
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	return l
}

// problems loads what must be wrong and returns all that is.
func problems(t *testing.T, in config.Input) []*config.Problem {
	t.Helper()
	_, err := config.Load(in)
	if err == nil {
		t.Fatal("load: no error")
	}
	var list []*config.Problem
	collect(err, &list)
	if len(list) == 0 {
		t.Fatalf("load: %v is no problem", err)
	}
	return list
}

func collect(err error, list *[]*config.Problem) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			collect(e, list)
		}
		return
	}
	var p *config.Problem
	if errors.As(err, &p) {
		*list = append(*list, p)
	}
}

// entry returns the value and the origin of a key.
func entry(t *testing.T, l config.Loaded, key string) config.Entry {
	t.Helper()
	for _, e := range l.Entries() {
		if e.Name == key {
			return e
		}
	}
	t.Fatalf("no key %s", key)
	return config.Entry{}
}

func writeFile(path, text string) error { return os.WriteFile(path, []byte(text), 0o600) }
