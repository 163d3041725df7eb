package store_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/store"
)

// lock takes the right to write away from everybody else until the returned function is called.
func lock(t testing.TB, path string) (unlock func()) {
	t.Helper()
	conn, err := raw(t, path).Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	statement := func(q string) {
		if _, err := conn.ExecContext(t.Context(), q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	statement("BEGIN IMMEDIATE")
	return func() { statement("COMMIT"); conn.Close() }
}

func TestALockedDatabaseIsAnOutage(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "orders.db")
	s := open(t, options(path))
	mustApply(t, s, "before")
	unlock := lock(t, path)
	began := time.Now()
	_, err := applyOrders(t, s, sample("A"))
	refused(t, err, queue.ClassOutage, "5")
	if took := time.Since(began); took < 4*time.Second || took > 12*time.Second {
		t.Errorf("it waited %v, want about 5 s", took)
	}
	mustFind(t, s, true, "before") // readers do not wait for the writer
	unlock()
	mustFind(t, s, false, "A")
	mustApply(t, s, "A")
}

func TestALockThatIsGivenBackInTimeIsNoFailure(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "orders.db")
	s := open(t, options(path))
	unlock := lock(t, path)
	var wg sync.WaitGroup
	wg.Go(func() { after(t, 300*time.Millisecond); unlock() })
	mustApply(t, s, "A")
	wg.Wait()
}

func TestTheDeadlineEndsTheWaitForALock(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "orders.db")
	s := open(t, options(path))
	unlock := lock(t, path)
	defer unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := s.Apply(ctx, "g", []queue.Lookup{{MsgID: "m"}}, nil)
	refused(t, err, queue.ClassTimeout, "deadline")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v does not show its cause", err)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it waited %v", took)
	}
}

func TestAFullDiskIsAnOutage(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "orders.db")
	o := options("file:" + path + "?_pragma=max_page_count(120)")
	s := open(t, o)
	execute(t, path, "CREATE TABLE filler (x)", "INSERT INTO filler VALUES (zeroblob(390000))")
	var err error
	n := 0
	for ; err == nil && n < 1000; n++ {
		_, err = applyOrders(t, s, sample(fmt.Sprint("A-", n)))
	}
	refused(t, err, queue.ClassOutage, "13")
	mustFind(t, s, false, fmt.Sprint("A-", n-1))
	execute(t, path, "DELETE FROM filler")
	mustApply(t, s, fmt.Sprint("A-", n-1), "after")
	if rows, orders := count(t, path, "SELECT count(*) FROM orderctl_messages"), count(t, path, "SELECT count(*) FROM orders"); rows != n+1 || orders != n+1 {
		t.Errorf("%d rows and %d orders, want %d", rows, orders, n+1)
	}
}

func TestTablesThatWentMissingAreAnOutage(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "orders.db")
	s := open(t, options(path))
	mustApply(t, s, "before")
	execute(t, path, "ALTER TABLE orders RENAME TO lost")
	_, err := applyOrders(t, s, sample("A"), sample("B"))
	refused(t, err, queue.ClassOutage, "1")
	execute(t, path, "ALTER TABLE lost RENAME TO orders")
	mustApply(t, s, "A", "B")
}

func TestReadersSeeOneMoment(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		readersSeeOneMoment(t, open(t, options(filepath.Join(t.TempDir(), "orders.db"))))
	})
	onServers(t, func(t *testing.T, e engine) { readersSeeOneMoment(t, open(t, e.database(t).Options)) })
}

func readersSeeOneMoment(t *testing.T, s *store.Store) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	torn := make(chan error, 1)
	go func() {
		defer close(torn)
		for i := 0; ctx.Err() == nil; i = (i + 1) % 20 {
			v, err := s.Order(ctx, "g", fmt.Sprint("A-", i))
			if err == nil && v.Found != (len(v.Rows) == 1) {
				torn <- fmt.Errorf("order %+v", v)
				return
			}
		}
	}()
	for i := range 20 {
		mustApply(t, s, fmt.Sprint("A-", i))
	}
	cancel()
	if err := <-torn; err != nil {
		t.Error(err)
	}
}

// A process is killed at any moment, again and again: an order, its row and the shop's line are there together or not.
func TestKilledAtAnyMoment(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "orders.db")
	open(t, options(path))
	execute(t, path, "CREATE TABLE journal (message_id, user_id)")
	effect := effectFile(t, "INSERT INTO journal (message_id, user_id) VALUES (:message_id, :user_id)")
	for round := range 6 {
		cmd := child(t, path, effect)
		waitFor(t, func() bool { return count(t, path, "SELECT count(*) FROM orders") >= round*30+7 })
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // killed
		orders, rows := count(t, path, "SELECT count(*) FROM orders"), count(t, path, "SELECT count(*) FROM orderctl_messages WHERE state = 'done'")
		lines, ids := count(t, path, "SELECT count(*) FROM journal"), count(t, path, "SELECT count(DISTINCT message_id) FROM journal")
		if orders != rows || rows != lines || lines != ids {
			t.Fatalf("round %d: %d orders, %d rows, %d effects of %d messages", round, orders, rows, lines, ids)
		}
	}
	var sound string
	if err := raw(t, path).QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&sound); err != nil || sound != "ok" {
		t.Errorf("integrity: %s, %v", sound, err)
	}
}

func waitFor(t testing.TB, done func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("it did not come")
		}
	}
}

// after returns when so much time has passed.
func after(t testing.TB, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}
