package store_test

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/store/storetest"
)

// TestAnotherProcess is no test: the test binary is started again and killed here.
func TestAnotherProcess(t *testing.T) {
	t.Parallel()
	job := os.Getenv(storetest.ChildVariable)
	if job == "" {
		t.Skip("not a child")
	}
	storetest.Child(t, job, os.Stdout)
}

// child starts another process that applies one order after the other.
func child(t *testing.T, path, effect string) *exec.Cmd {
	t.Helper()
	job, err := json.Marshal(map[string]string{"Driver": "sqlite", "DSN": path, "EffectFile": effect, "Role": "apply"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestAnotherProcess$", "-test.v")
	cmd.Env = append(cmd.Environ(), storetest.ChildVariable+"="+string(job))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if lines.Text() == "ready" {
			return cmd
		}
	}
	t.Fatal("the other process said nothing")
	return nil
}
