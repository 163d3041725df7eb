package failpoint_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// victim builds the program in testdata.
func victim(t *testing.T, tags string) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "victim")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-tags", tags, "-o", bin, "./testdata/victim").CombinedOutput()
	if err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return bin
}

// run returns what it printed, and whether it was killed.
func run(t *testing.T, bin string, env ...string) (string, bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), bin)
	cmd.Env = env
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		status, ok := exit.Sys().(syscall.WaitStatus)
		return string(out), ok && status.Signaled() && status.Signal() == syscall.SIGKILL
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(out), false
}

const whole = "deed 0\ndeed 1\ndeed 2\nothers go on\nbug: false\n"

func TestAReleaseHasNoFailpoints(t *testing.T) {
	t.Parallel()
	bin := victim(t, "")
	log := filepath.Join(t.TempDir(), "log")
	out, killed := run(t, bin, "FAILPOINT=before-the-deed:1", "FAILPOINT_BUG=wrong-deed", "FAILPOINT_LOG="+log)
	if killed || out != whole {
		t.Errorf("killed %v, printed %q", killed, out)
	}
	if _, err := os.Stat(log); err == nil {
		t.Error("places are logged")
	}
	raw, err := os.ReadFile(bin)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"before-the-deed", "on-the-way", "the-very-end", "wrong-deed", "FAILPOINT"} {
		if bytes.Contains(raw, []byte(name)) {
			t.Errorf("the binary holds %q", name)
		}
	}
}

func TestAnArmedBinary(t *testing.T) {
	t.Parallel()
	bin := victim(t, "failpoint")
	for _, tt := range []struct {
		name   string
		env    []string
		killed bool
		out    string
	}{
		{"nothing asked for: it runs through", nil, false, whole},
		{"dies at the first hit", []string{"FAILPOINT=before-the-deed:1"}, true, ""},
		{"dies at the third hit", []string{"FAILPOINT=before-the-deed:3"}, true, "deed 0\ndeed 1\n"},
		{"fewer hits than asked for: it runs through", []string{"FAILPOINT=before-the-deed:4"}, false, whole},
		{"without a number: at the first", []string{"FAILPOINT=before-the-deed"}, true, ""},
		{"another place", []string{"FAILPOINT=elsewhere:1"}, false, whole},
		{"a bug is armed", []string{"FAILPOINT_BUG=other,wrong-deed"}, false, strings.Replace(whole, "false", "true", 1)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if out, killed := run(t, bin, tt.env...); killed != tt.killed || out != tt.out {
				t.Errorf("killed %v, printed %q", killed, out)
			}
		})
	}
}

// While one waits for its death the others go on, for longer than offsets take to be committed.
func TestOthersGoOnBeforeTheDeath(t *testing.T) {
	t.Parallel()
	bin, begin := victim(t, "failpoint"), time.Now()
	out, killed := run(t, bin, "FAILPOINT=on-the-way:1")
	if !killed || !strings.Contains(out, "others go on") {
		t.Errorf("killed %v, printed %q", killed, out)
	}
	if took := time.Since(begin); took < 1400*time.Millisecond {
		t.Errorf("dead after %v", took)
	}
}

func TestPlacesThatWereReachedAreLogged(t *testing.T) {
	t.Parallel()
	bin, log := victim(t, "failpoint"), filepath.Join(t.TempDir(), "log")
	run(t, bin, "FAILPOINT_LOG="+log)
	raw, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for name, times := range map[string]int{"before-the-deed\n": 3, "on-the-way\n": 1, "the-very-end\n": 1} {
		if n := strings.Count(string(raw), name); n != times {
			t.Errorf("%q is logged %d times, not %d:\n%s", name, n, times, raw)
		}
	}
}
