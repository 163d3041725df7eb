package text_test

import (
	"os"
	"os/exec"
	"testing"

	"commerce.internal/orderctl/internal/text"
)

// The library decides on the width of "…" once, from the environment, so a process of its own must ask.
func TestWidthDoesNotDependOnTheEnvironment(t *testing.T) {
	t.Parallel()
	if os.Getenv("TEXT_WIDTH_CHILD") != "" {
		if w := text.Width("…─°"); w != 3 {
			t.Errorf("Width = %d under RUNEWIDTH_EASTASIAN=%s LANG=%s, want 3", w, os.Getenv("RUNEWIDTH_EASTASIAN"), os.Getenv("LANG"))
		}
		if got := text.Truncate("订单号码", 5); got != "订单…" {
			t.Errorf("Truncate = %q", got)
		}
		return
	}
	for _, env := range [][]string{{"RUNEWIDTH_EASTASIAN=1"}, {"LANG=zh_CN.GBK", "LC_ALL=zh_CN.GBK"}, {"LANG=C.UTF-8"}} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^"+t.Name()+"$")
		cmd.Env = append(append(os.Environ(), "TEXT_WIDTH_CHILD=1"), env...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %v\n%s", env, err, out)
		}
	}
}
