package archtest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	faultRow = regexp.MustCompile(`(?m)^\| (\d+) \|[^|]+\|([^|]+)\|([^|]+)\|$`)
	testName = regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)
)

// Each fault of the worker has tests, they exist, and it is said what has to hold.
func TestFaultsOfTheWorkerHaveTests(t *testing.T) {
	t.Parallel()
	tests := map[string]bool{}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		raw, err := os.ReadFile(path)
		for _, m := range testName.FindAllSubmatch(raw, -1) {
			tests[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile("../../docs/faults.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := faultRow.FindAllStringSubmatch(string(raw), -1)
	if len(rows) != 23 {
		t.Errorf("%d faults, want 23", len(rows))
	}
	for i, row := range rows {
		if row[1] != fmt.Sprint(i+1) || strings.TrimSpace(row[2]) == "" {
			t.Errorf("row %d: %q", i+1, row[0])
		}
		for _, name := range strings.Split(row[3], ",") {
			if name = strings.TrimSpace(name); !tests[name] {
				t.Errorf("fault %s: there is no test %q", row[1], name)
			}
		}
	}
}
