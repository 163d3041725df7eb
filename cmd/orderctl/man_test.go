package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

const manDir = "../../docs/man"

// TestDocsForManAreWhatTheProgramSays compares docs/man with the commands. After a change:
// go test ./cmd/orderctl -run TestDocs -update
func TestDocsForManAreWhatTheProgramSays(t *testing.T) {
	t.Parallel()
	want := manPages(t)
	if *update {
		writePages(t, manDir, want)
	}
	comparePages(t, manDir, want)
}

// manPages returns the text of each page.
func manPages(t *testing.T) map[string]string {
	t.Helper()
	pages := map[string]string{}
	everyCommand(t, func(t *testing.T, c *cobra.Command) {
		if c.Annotations[annotationTopic] != "" {
			return
		}
		c.DisableAutoGenTag = true
		name := strings.ReplaceAll(c.CommandPath(), " ", "-")
		day := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) // fixed: else the pages would change every day
		var b bytes.Buffer
		if err := doc.GenMan(c, &doc.GenManHeader{Title: strings.ToUpper(name), Section: "1", Date: &day, Source: "orderctl", Manual: "orderctl"}, &b); err != nil {
			t.Fatal(err)
		}
		pages[name+".1"] = b.String() + manExits(c)
	})
	return pages
}

// manExits is the section that cobra does not know.
func manExits(c *cobra.Command) string {
	lines := strings.Split(strings.TrimSpace(c.Annotations[annotationExits]), "\n")
	if lines[0] == "" {
		return ""
	}
	var b strings.Builder
	b.WriteString("\n.SH EXIT STATUS\n")
	for _, line := range lines {
		code, text, _ := strings.Cut(line, " ")
		fmt.Fprintf(&b, ".TP\n%s\n%s\n", code, strings.ReplaceAll(text, "-", `\-`))
	}
	return b.String()
}

// comparePages finds pages that are missing, that differ, and that describe nothing.
func comparePages(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	for name, text := range want {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Errorf("%s is missing: run the test with -update", name)
		} else if string(got) != text {
			t.Errorf("%s is not what the program says: run the test with -update", name)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, ok := want[e.Name()]; !ok {
			t.Errorf("%s describes nothing that is there", e.Name())
		}
	}
}

// writePages puts the pages in the place of all that the directory had.
func writePages(t *testing.T, dir string, pages map[string]string) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range pages {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
