package termguard_test

import (
	"go/parser"
	"go/token"
	"reflect"
	"testing"

	"github.com/charmbracelet/lipgloss"

	_ "commerce.internal/orderctl/internal/tui/termguard"
)

// mark makes the path of this package known to the test, wherever the module is called what.
type mark struct{}

// Packages whose imports are ready are initialised in the order of their paths. The guard has to come before bubbletea.
func TestThePathSortsBeforeBubbletea(t *testing.T) {
	t.Parallel()
	path := reflect.TypeFor[mark]().PkgPath()
	if path >= "github.com/charmbracelet/bubbletea" {
		t.Errorf("%s is initialised after bubbletea: every command would wait for the terminal", path)
	}
}

// An import more would let the guard wait for something else.
func TestItImportsLipglossAlone(t *testing.T) {
	t.Parallel()
	f, err := parser.ParseFile(token.NewFileSet(), "termguard.go", nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Imports) != 1 || f.Imports[0].Path.Value != `"github.com/charmbracelet/lipgloss"` {
		t.Errorf("imports %v", f.Imports)
	}
}

func TestTheBackgroundIsKnown(t *testing.T) {
	t.Parallel()
	if !lipgloss.HasDarkBackground() {
		t.Error("the background is not set")
	}
}
