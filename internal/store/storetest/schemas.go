package storetest

import (
	"errors"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/store"
)

func migrateTwice(t *testing.T, w *world) {
	o := w.db.Options
	before, err := store.Status(t.Context(), o)
	if err != nil || before.Have != 0 || before.Want == 0 || len(before.Pending) != int(before.Want) {
		t.Fatalf("status of an empty database: %+v, %v", before, err)
	}
	first, err := store.Migrate(t.Context(), o)
	if err != nil || len(first) != len(before.Pending) {
		t.Fatalf("first migration: %+v, %v", first, err)
	}
	for i, m := range first {
		want := before.Pending[i]
		if m.Version != want.Version || m.Name != want.Name || m.SQL != want.SQL || m.Took <= 0 {
			t.Errorf("applied %+v, pending was %+v", m, want)
		}
		if !strings.Contains(m.SQL, ";") || strings.Contains(m.SQL, "+goose") {
			t.Errorf("SQL of %s is not what a person would run:\n%s", m.Name, m.SQL)
		}
	}
	second, err := store.Migrate(t.Context(), o)
	if err != nil || len(second) != 0 {
		t.Errorf("second migration: %+v, %v", second, err)
	}
	after, err := store.Status(t.Context(), o)
	if err != nil || after.Have != after.Want || len(after.Pending) != 0 {
		t.Errorf("status afterwards: %+v, %v", after, err)
	}
}

func migrateAtOnce(t *testing.T, w *world) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	applied := 0
	for range 8 {
		wg.Go(func() {
			list, err := store.Migrate(t.Context(), w.db.Options)
			if err != nil {
				t.Errorf("migrate: %v", err)
			}
			mu.Lock()
			applied += len(list)
			mu.Unlock()
		})
	}
	wg.Wait()
	if s, err := store.Status(t.Context(), w.db.Options); err != nil || applied != int(s.Want) {
		t.Errorf("%d migrations were applied, want %d; %v", applied, s.Want, err)
	}
	w.open(t)
}

func migrateInProcesses(child string) func(t *testing.T, w *world) {
	return func(t *testing.T, w *world) {
		var all []*exec.Cmd
		for range 3 {
			all = append(all, w.child(t, child, w.db.Options, "migrate"))
		}
		for _, cmd := range all {
			if err := cmd.Wait(); err != nil {
				t.Errorf("a process that migrates: %v", err)
			}
		}
		w.db.Options.Migrate = false
		w.open(t)
		if n := w.db.Int(t, `SELECT count(*) FROM orderctl_store`); n != 1 {
			t.Errorf("%d names of the database, want 1", n)
		}
	}
}

func newerSchema(t *testing.T, w *world) {
	s := w.open(t)
	w.db.Exec(t, `INSERT INTO orderctl_schema (version_id, is_applied) VALUES (99, true)`)
	for _, migrates := range []bool{true, false} {
		o := w.db.Options
		o.Migrate = migrates
		_, err := store.Open(t.Context(), o)
		wantSchemaError(t, err, "database schema is at 99, this binary needs ", "newer orderctl")
	}
	_, err := store.Migrate(t.Context(), w.db.Options)
	wantSchemaError(t, err, "database schema is at 99", "orderctl db migrate")
	if status, err := store.Status(t.Context(), w.db.Options); err != nil || status.Have != 99 || len(status.Pending) != 0 {
		t.Errorf("status: %+v, %v", status, err)
	}
	wantNone(t, apply(t, s, run(sample("A-1", order.Created), 1))) // who is connected goes on
}

func olderSchema(t *testing.T, w *world) {
	w.migrate(t)
	w.db.Exec(t, `DELETE FROM orderctl_schema WHERE version_id > 0`)
	o := w.db.Options
	o.Migrate = false
	_, err := store.Open(t.Context(), o)
	wantSchemaError(t, err, "database schema is at 0, this binary needs ", "run: orderctl db migrate")
}

func wantSchemaError(t *testing.T, err error, text, hint string) {
	t.Helper()
	var e interface {
		ExitCode() int
		Hint() string
	}
	if !errors.As(err, &e) || e.ExitCode() != 2 || !strings.Contains(err.Error(), text) || !strings.Contains(e.Hint(), hint) {
		t.Errorf("error is %v, want exit 2, %q and the hint %q", err, text, hint)
	}
}

func closedStore(t *testing.T, w *world) {
	s := w.open(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := s.Apply(t.Context(), group, []queue.Lookup{{MsgID: "m"}}, nil)
	wantClass(t, err, queue.ClassOutage)
	wantClass(t, s.Ping(t.Context()), queue.ClassOutage)
	if err := s.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
}

func closeWaits(t *testing.T, w *world) {
	s, err := store.Open(t.Context(), w.db.Options)
	if err != nil {
		t.Fatal(err)
	}
	r := run(sample("A-1", order.Created), 1)
	inside, goOn := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		errs, err := s.Apply(t.Context(), group, []queue.Lookup{r.look}, func(_ int, seen queue.Seen) queue.Change {
			close(inside)
			<-goOn
			return r.decide(seen)
		})
		if err != nil || errs[0] != nil {
			t.Errorf("apply: %v, %v", errs, err)
		}
	})
	<-inside
	closed := make(chan error, 1)
	wg.Go(func() { closed <- s.Close() })
	for s.Ping(t.Context()) == nil { // until the store has begun to close
		if t.Context().Err() != nil {
			t.Fatal("it does not close")
		}
	}
	select {
	case err := <-closed:
		close(goOn)
		t.Fatalf("it was closed in the middle of a transaction: %v", err)
	default:
	}
	close(goOn)
	wg.Wait()
	if err := <-closed; err != nil {
		t.Errorf("close: %v", err)
	}
	if n := w.db.Int(t, `SELECT count(*) FROM orders`); n != 1 {
		t.Errorf("%d orders, want the one of the transaction", n)
	}
}
