package archtest

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	pathInText = regexp.MustCompile("`((?:cmd|internal|test|docs|configs)/[A-Za-z0-9_./-]*)`")
	stopInText = regexp.MustCompile("`((?:cmd|internal)/[A-Za-z0-9_./-]+\\.go)` `([A-Za-z]+)`")
)

func TestPathsAndSymbolsNamedInTheDocumentsExist(t *testing.T) {
	t.Parallel()
	src := readSource(t)
	for _, doc := range []string{"ARCHITECTURE.md", "CONTRIBUTING.md", "README.md"} {
		raw, err := os.ReadFile(filepath.Join("../..", doc))
		if err != nil {
			t.Fatalf("read %s: %v", doc, err)
		}
		for _, m := range pathInText.FindAllStringSubmatch(string(raw), -1) {
			if _, err := os.Stat(filepath.Join("../..", m[1])); err != nil {
				t.Errorf("%s names %s, which is not there", doc, m[1])
			}
		}
		for _, m := range stopInText.FindAllStringSubmatch(string(raw), -1) {
			if f, ok := src.files[m[1]]; !ok || !declares(f, m[2]) {
				t.Errorf("%s names %s in %s, which is not there", doc, m[2], m[1])
			}
		}
	}
}

func TestDocumentsKeepTheirLength(t *testing.T) {
	t.Parallel()
	limits := map[string]int{"README.md": 150, "ARCHITECTURE.md": 250}
	adrs, err := filepath.Glob("../../docs/adr/*.md")
	if err != nil || len(adrs) == 0 {
		t.Fatalf("find decisions: %v, %d found", err, len(adrs))
	}
	for _, a := range adrs {
		limits[strings.TrimPrefix(a, "../../")] = 40
	}
	for name, limit := range limits {
		raw, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			t.Fatalf("read %s: %v", name, err)
		}
		if n := strings.Count(string(raw), "\n"); n > limit {
			t.Errorf("%s has %d lines, at most %d", name, n, limit)
		}
	}
}

func declares(f *ast.File, name string) bool {
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Name.Name == name {
				return true
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				if ts, ok := s.(*ast.TypeSpec); ok && ts.Name.Name == name {
					return true
				}
			}
		}
	}
	return false
}
