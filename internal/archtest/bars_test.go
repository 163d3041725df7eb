package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	maxFileLines = 300
	maxFuncLines = 60
)

// source is what the bars measure: our own, hand-written, non-test code, and how much test code stands beside it.
type source struct {
	fset      *token.FileSet
	files     map[string]*ast.File // by path from the root of the project
	lines     map[string]int
	testLines int
	codeLines int
}

func readSource(t *testing.T) source {
	t.Helper()
	s := source{fset: token.NewFileSet(), files: map[string]*ast.File{}, lines: map[string]int{}}
	for _, root := range []string{"cmd", "internal", "test"} {
		err := filepath.WalkDir(filepath.Join("../..", root), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
				return err
			}
			return s.add(path)
		})
		if err != nil && !os.IsNotExist(err) {
			t.Fatalf("read %s: %v", root, err)
		}
	}
	if len(s.files) < 30 {
		t.Fatalf("found %d files: the bars would not be held against anything", len(s.files))
	}
	return s
}

func (s *source) add(path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	n := bytes.Count(raw, []byte("\n"))
	name := strings.TrimPrefix(filepath.ToSlash(path), "../../")
	if strings.HasSuffix(path, "_test.go") || strings.Contains(name, "test/") {
		s.testLines += n
		return nil
	}
	if generated(raw) {
		return nil
	}
	f, err := parser.ParseFile(s.fset, path, raw, parser.ParseComments)
	if err != nil {
		return err
	}
	s.files[name], s.lines[name] = f, n
	s.codeLines += n
	return nil
}

func generated(raw []byte) bool {
	head, _, _ := bytes.Cut(raw, []byte("\npackage "))
	return bytes.Contains(head, []byte("Code generated")) && bytes.Contains(head, []byte("DO NOT EDIT"))
}

func TestTheBarsOfTheCodeHold(t *testing.T) {
	t.Parallel()
	s := readSource(t)
	var funcs []int
	documented, exported := 0, 0
	for name, f := range s.files {
		if s.lines[name] > maxFileLines {
			t.Errorf("%s has %d lines, at most %d", name, s.lines[name], maxFileLines)
		}
		for _, d := range f.Decls {
			for _, problem := range s.check(name, d) {
				t.Error(problem)
			}
			if fn, ok := d.(*ast.FuncDecl); ok {
				funcs = append(funcs, s.length(fn))
			}
			e, doc := exports(d)
			exported, documented = exported+e, documented+doc
		}
	}
	t.Log(s.row(funcs, documented, exported))
}

// row is our line under the table of figures in CONTRIBUTING.md.
func (s source) row(funcs []int, documented, exported int) string {
	var files []int
	for _, n := range s.lines {
		files = append(files, n)
	}
	slices.Sort(files)
	slices.Sort(funcs)
	at := func(v []int, q float64) int { return v[int(q*float64(len(v)-1))] }
	return fmt.Sprintf("| orderctl | file %d/%d, max %d | function %d/%d/%d | test:code %.2f | globals 0 | init 0 | panic 0 | documented %d %% |",
		at(files, 0.5), at(files, 0.9), at(files, 1), at(funcs, 0.5), at(funcs, 0.9), at(funcs, 1),
		float64(s.testLines)/float64(s.codeLines), 100*documented/max(exported, 1))
}

func (s source) check(name string, d ast.Decl) []string {
	var problems []string
	say := func(n ast.Node, format string, args ...any) {
		problems = append(problems, fmt.Sprintf("%s:%d: ", name, s.fset.Position(n.Pos()).Line)+fmt.Sprintf(format, args...))
	}
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Name.Name == "init" && d.Recv == nil && !strings.HasPrefix(name, "internal/tui/termguard/") {
			say(d, "init: start where main can be read")
		}
		if n := s.length(d); n > maxFuncLines && !excused(d) {
			say(d, "%s has %d lines, at most %d", d.Name.Name, n, maxFuncLines)
		}
		ast.Inspect(d, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if id, ok := call.Fun.(*ast.Ident); ok && id.Name == "panic" {
					say(n, "panic: return an error")
				}
			}
			return true
		})
	case *ast.GenDecl:
		if d.Tok == token.VAR {
			for _, spec := range d.Specs {
				if v := spec.(*ast.ValueSpec); global(d, v) && name != "internal/failpoint/armed.go" {
					say(v, "global %s: pass it", v.Names[0].Name)
				}
			}
		}
	}
	if e, doc := exports(d); e != doc {
		say(d, "an exported name has no comment")
	}
	return problems
}

// excused: a longer function that reads straight down says so.
func excused(d *ast.FuncDecl) bool {
	return d.Doc != nil && slices.ContainsFunc(d.Doc.List, func(c *ast.Comment) bool { return strings.Contains(c.Text, "nolint:funlen //") })
}

func (s source) length(d *ast.FuncDecl) int {
	if d.Body == nil {
		return 0
	}
	return s.fset.Position(d.Body.Rbrace).Line - s.fset.Position(d.Pos()).Line - 1
}

// global reports whether a package-level variable is state. Errors, compiled expressions, embedded files and interface
// assertions are not.
func global(d *ast.GenDecl, v *ast.ValueSpec) bool {
	if v.Names[0].Name == "_" || strings.HasPrefix(strings.ToLower(v.Names[0].Name), "err") {
		return false
	}
	for _, doc := range []*ast.CommentGroup{d.Doc, v.Doc} {
		if doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed") }) {
			return false
		}
	}
	if len(v.Values) == 1 {
		if call, ok := v.Values[0].(*ast.CallExpr); ok {
			if sel, ok := call.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "MustCompile" {
				return false
			}
		}
	}
	return true
}

// exports counts the exported names of a declaration and those that have a comment: of their own, of their group, or at
// the end of their line.
func exports(d ast.Decl) (exported, documented int) {
	count := func(name *ast.Ident, docs ...*ast.CommentGroup) {
		if !name.IsExported() {
			return
		}
		exported++
		if slices.ContainsFunc(docs, func(c *ast.CommentGroup) bool { return c != nil }) {
			documented++
		}
	}
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil || receiverExported(d.Recv) {
			count(d.Name, d.Doc)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				count(spec.Name, spec.Doc, d.Doc, spec.Comment)
			case *ast.ValueSpec:
				for _, n := range spec.Names {
					count(n, spec.Doc, d.Doc, spec.Comment)
				}
			}
		}
	}
	return exported, documented
}

func receiverExported(r *ast.FieldList) bool {
	typ := r.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	id, ok := typ.(*ast.Ident)
	return !ok || id.IsExported()
}
