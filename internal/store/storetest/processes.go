package storetest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/store"
)

// ChildVariable is the environment variable that makes a test of the binary a child; its value is for Child.
const ChildVariable = "STORETEST_CHILD"

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

type childJob struct {
	Driver, DSN, EffectFile, Role string
}

// Child is another process on the database. The test that calls it gives it the value of ChildVariable and where to
// write, and skips itself where the variable is empty.
func Child(t *testing.T, job string, out io.Writer) {
	t.Helper()
	var j childJob
	if err := json.Unmarshal([]byte(job), &j); err != nil {
		t.Fatal(err)
	}
	o := store.Options{Driver: j.Driver, DSN: j.DSN, EffectFile: j.EffectFile, Log: slog.New(slog.DiscardHandler)}
	if j.Role == "migrate" {
		_, _ = fmt.Fprintln(out, "ready")
		if _, err := store.Migrate(t.Context(), o); err != nil {
			t.Fatalf("migrate: %v", err)
		}
		return
	}
	s := openStore(t, o)
	switch j.Role {
	case "stay in a transaction":
		second := run(sample("A-1", order.Paid), 2) // of the same order: decided after the first is written
		apply(t, s, run(sample("A-1", order.Created), 1), record{second.look, func(queue.Seen) queue.Change {
			_, _ = fmt.Fprintln(out, "written")
			<-t.Context().Done() // until it is killed
			return queue.Change{}
		}})
	case "tier":
		_, _ = fmt.Fprintln(out, "ready")
		inLanes(func(r int) { firstOfTwo(t, s, r) })
	case "apply":
		_, _ = fmt.Fprintln(out, "ready")
		applyAll(t, s)
	}
}

func applyAll(t testing.TB, s *store.Store) {
	t.Helper()
	for i := range raceOrders {
		wantNone(t, apply(t, s, run(sample(fmt.Sprintf("R-%d", i), order.Created), int64(i))))
	}
}

const raceOrders = 200

// child starts another process and waits for its first line.
func (w *world) child(t *testing.T, name string, o store.Options, role string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	job, err := json.Marshal(childJob{o.Driver, o.DSN, o.EffectFile, role})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience) // the child outlives the body of the test
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, exe, "-test.run=^"+name+"$", "-test.v")
	cmd.Env = append(cmd.Environ(), ChildVariable+"="+string(job))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if line := lines.Text(); line == "written" || line == "ready" {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return cmd
		}
	}
	t.Fatal("the other process said nothing")
	return nil
}

func killedInTransaction(child string) func(t *testing.T, w *world) {
	return func(t *testing.T, w *world) {
		s := w.openWith(t, journaled)
		o := w.db.Options
		o.EffectFile = effectFile(t, journaled)
		cmd := w.child(t, child, o, "stay in a transaction")
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // killed
		if n := w.db.Int(t, `SELECT count(*) FROM orders`) + w.db.Int(t, `SELECT count(*) FROM orderctl_messages`) +
			w.db.Int(t, `SELECT count(*) FROM journal`); n != 0 {
			t.Errorf("%d rows of the dead process are there", n)
		}
		wantNone(t, apply(t, s, run(sample("A-1", order.Created), 1), run(sample("A-1", order.Paid), 2)))
	}
}

func twoProcesses(child string) func(t *testing.T, w *world) {
	return func(t *testing.T, w *world) {
		s := w.openWith(t, journaled)
		o := w.db.Options
		o.EffectFile = effectFile(t, journaled)
		cmd := w.child(t, child, o, "apply")
		applyAll(t, s)
		if err := cmd.Wait(); err != nil {
			t.Fatalf("the other process: %v", err)
		}
		oneEffectEach(t, w)
	}
}

func twoStores(t *testing.T, w *world) {
	stores := []*store.Store{w.openWith(t, journaled)}
	o := w.db.Options
	o.EffectFile = effectFile(t, journaled)
	stores = append(stores, openStore(t, o))
	var wg sync.WaitGroup
	for _, s := range stores {
		wg.Go(func() {
			for i := range raceOrders {
				r := run(sample(fmt.Sprintf("R-%d", i), order.Created), int64(i))
				errs, err := s.Apply(t.Context(), group, []queue.Lookup{r.look}, func(_ int, seen queue.Seen) queue.Change { return r.decide(seen) })
				if err != nil || errs[0] != nil {
					t.Errorf("order %d: %v, %v", i, errs, err)
				}
			}
		})
	}
	wg.Wait()
	oneEffectEach(t, w)
}

func oneEffectEach(t *testing.T, w *world) {
	t.Helper()
	for _, table := range strings.Fields("orders orderctl_messages journal") {
		if n := w.db.Int(t, `SELECT count(*) FROM `+table); n != raceOrders {
			t.Errorf("%d rows in %s, want %d", n, table, raceOrders)
		}
	}
}
