package config_test

import (
	"os"
	"testing"

	"commerce.internal/orderctl/internal/config"
)

func TestTemplateLoadsAsTheDefaults(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/orderctl.yaml"
	if err := os.WriteFile(path, []byte(config.Template()), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := config.Load(config.Input{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range l.Entries() {
		if e.Value != e.Default {
			t.Errorf("%s: the template says %q, the default is %q", e.Name, e.Value, e.Default)
		}
	}
}
