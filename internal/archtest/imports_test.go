package archtest

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "commerce.internal/orderctl"

// leaves may be imported by anyone.
var leaves = []string{"internal/obs", "internal/text", "internal/failpoint"}

// owners says which packages alone may import a foreign module (or a package of it).
var owners = map[string][]string{
	"github.com/IBM/sarama":             {"internal/kafka", "internal/kafka/", "test/bench"},
	"github.com/twmb/franz-go":          {"internal/broker", "internal/broker/brokertest", "test/kraft", "test/e2e"},
	"github.com/gin-gonic/gin":          {"internal/serve"},
	"github.com/charmbracelet/":         {"internal/tui", "internal/tui/termguard"},
	"github.com/spf13/cobra":            {"cmd/orderctl"},
	"github.com/spf13/viper":            {"internal/config"},
	"github.com/olekukonko/tablewriter": {"internal/out"},
	"github.com/itchyny/gojq":           {"internal/dlq"},
	"modernc.org/sqlite":                {"internal/store", "test/e2e"},
	"github.com/jackc/pgx":              {"internal/store", "internal/store/dbtest"},
	"github.com/go-sql-driver/mysql":    {"internal/store", "internal/store/dbtest"},
	"github.com/standard-webhooks/":     {"internal/webhook"},
	"code.dny.dev/ssrf":                 {"internal/webhook"},
	"database/sql":                      {"internal/store", "internal/store/dbtest"},
	"log":                               {},
	"math/rand":                         {},
}

// ours says what of our own a package may import beside the leaves. A package that is not here fails: the picture must
// name it first.
var ours = map[string][]string{
	"cmd/orderctl": {"internal/"},

	"internal/order": {"internal/order/orderpb"}, "internal/order/orderpb": {}, "internal/queue": {"internal/order"},

	"internal/serve":              {"internal/order", "internal/queue", "internal/inspect/"},
	"internal/consume":            {"internal/order", "internal/queue"},
	"internal/produce":            {"internal/order", "internal/queue"},
	"internal/dlq":                {"internal/order", "internal/queue", "internal/inspect/"},
	"internal/inspect":            {"internal/order", "internal/queue", "internal/inspect/lag"},
	"internal/inspect/lag":        {"internal/order", "internal/queue"},
	"internal/inspect/lag/export": {"internal/order", "internal/queue", "internal/inspect/lag"},
	"internal/tui":                {"internal/order", "internal/queue", "internal/inspect/", "internal/tui/termguard"},
	"internal/tui/termguard":      {},
	"internal/setup":              {"internal/order", "internal/queue", "internal/inspect/"},

	"internal/kafka":           {"internal/order", "internal/queue"},
	"internal/kafka/publish":   {"internal/order", "internal/queue", "internal/kafka"},
	"internal/kafka/group":     {"internal/order", "internal/queue", "internal/kafka"},
	"internal/kafka/observe":   {"internal/order", "internal/queue", "internal/kafka", "internal/inspect/lag"},
	"internal/kafka/read":      {"internal/order", "internal/queue", "internal/kafka"},
	"internal/kafka/admin":     {"internal/order", "internal/queue", "internal/kafka"},
	"internal/store":           {"internal/order", "internal/queue"},
	"internal/store/storetest": {"internal/order", "internal/queue", "internal/store"},
	"internal/store/dbtest":    {},

	"internal/broker":            {"internal/order", "internal/queue"},
	"internal/broker/brokertest": {"internal/order", "internal/queue", "internal/broker"},

	"internal/config": {}, "internal/out": {}, "internal/ops": {},
	"internal/obs": {}, "internal/text": {}, "internal/failpoint": {}, "internal/archtest": {},
	"internal/webhook": {"internal/order", "internal/queue"},
	"test/bench":       {"internal/"},
	"test/kraft":       {}, "test/e2e": {"internal/", "test/kraft"}, "test/crash": {"internal/", "test/kraft"},
}

// testOnly is what test files may import beside what their package may.
var testOnly = []string{"internal/broker", "internal/broker/brokertest", "internal/store/storetest", "internal/store/dbtest"}

type pkg struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-tags", "e2e,crash", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = "../.."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	raw, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var all []pkg
	for dec := json.NewDecoder(bytes.NewReader(raw)); dec.More(); {
		var p pkg
		if err := dec.Decode(&p); err != nil {
			t.Fatalf("read go list: %v", err)
		}
		p.ImportPath = strings.TrimPrefix(p.ImportPath, module+"/")
		all = append(all, p)
	}
	if len(all) < 10 {
		t.Fatalf("go list found %d packages: the picture would not be held against anything", len(all))
	}
	return all
}

func TestImportsFollowThePicture(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if _, listed := ours[p.ImportPath]; !listed {
			t.Errorf("%s is not in the picture: add it to ours in imports_test.go and to ARCHITECTURE.md", p.ImportPath)
			continue
		}
		for _, imp := range p.Imports {
			if why := forbidden(p.ImportPath, imp, nil); why != "" {
				t.Errorf("%s imports %s: %s", p.ImportPath, imp, why)
			}
		}
		for _, imp := range append(slices.Clone(p.TestImports), p.XTestImports...) {
			if why := forbidden(p.ImportPath, imp, append(testOnly, p.ImportPath)); why != "" && !testTool(imp) {
				t.Errorf("a test of %s imports %s: %s", p.ImportPath, imp, why)
			}
		}
	}
}

// The table would be worthless if it let the plants through that it exists for.
func TestForbiddenImportsAreSeen(t *testing.T) {
	t.Parallel()
	for _, plant := range [][2]string{
		{"internal/serve", "github.com/IBM/sarama"},
		{"internal/serve", module + "/internal/store"},
		{"internal/store", module + "/internal/consume"},
		{"internal/consume", module + "/internal/inspect/lag"},
		{"internal/order", module + "/internal/queue"},
		{"internal/out", module + "/internal/queue"},
		{"internal/queue", "log"},
		{"internal/produce", "math/rand"},
	} {
		if forbidden(plant[0], plant[1], nil) == "" {
			t.Errorf("%s may import %s", plant[0], plant[1])
		}
	}
}

// forbidden says why from may not import imp; "" when it may. extra are packages of ours allowed on top.
func forbidden(from, imp string, extra []string) string {
	name, own := strings.CutPrefix(imp, module+"/")
	if !own {
		for foreign, allowed := range owners {
			if partOf(foreign, imp) && !slices.ContainsFunc(allowed, func(a string) bool { return covers(a, from) }) {
				return "only " + strings.Join(allowed, ", ") + " may"
			}
		}
		return ""
	}
	if slices.Contains(leaves, name) || slices.Contains(extra, name) {
		return ""
	}
	if slices.ContainsFunc(ours[from], func(a string) bool { return covers(a, name) }) {
		return ""
	}
	return "no such arrow in the picture"
}

// covers reports whether an arrow to root allows path: the package itself, or all below it where root ends in "/".
func covers(root, path string) bool {
	return path == root || strings.HasSuffix(root, "/") && strings.HasPrefix(path, root)
}

// partOf reports whether imp is the module or one of its packages. The standard library's names are exact: log is not
// log/slog.
func partOf(mod, imp string) bool {
	return imp == mod || strings.Contains(mod, ".") && strings.HasPrefix(imp, strings.TrimSuffix(mod, "/")+"/")
}

// testTool: what tests may use although the package itself may not.
func testTool(imp string) bool {
	return strings.HasPrefix(imp, "github.com/twmb/franz-go/") || imp == "database/sql" ||
		strings.HasPrefix(imp, "github.com/spf13/cobra/doc") || strings.HasPrefix(imp, "github.com/standard-webhooks/")
}
