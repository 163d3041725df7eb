package store_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/store"
	"commerce.internal/orderctl/internal/store/storetest"
)

func opened(t *testing.T, d storetest.Database) *store.Store {
	t.Helper()
	o := d.Options
	o.Migrate = true
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestAFileHasNoClock(t *testing.T) {
	t.Parallel()
	s := opened(t, sqliteDatabase(filepath.Join(t.TempDir(), "orders.db")))
	if at, err := s.Clock(t.Context()); err != nil || !at.IsZero() {
		t.Errorf("%v, %v", at, err)
	}
}

func TestAServerHasAClock(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, e engine) {
		s := opened(t, e.database(t))
		before := time.Now().Add(-time.Millisecond)
		at, err := s.Clock(t.Context())
		if err != nil || at.Before(before) || at.After(time.Now().Add(time.Millisecond)) { // it runs on this host
			t.Errorf("%v, %v", at, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if at, err := s.Clock(ctx); err == nil || !at.IsZero() {
			t.Errorf("called off: %v, %v", at, err)
		}
	})
}

// The statement of ForgetControls in the words of each server; what it means stands in control_test.go.
func TestServersForgetControls(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, e engine) {
		s := opened(t, e.database(t))
		key := queue.RowKey{MsgID: "a", Fingerprint: "f"}
		row := queue.Row{
			RowKey: key, State: queue.StateDiscarded, Outcome: queue.ByOperator, Hop: 1, Control: 9, OrderID: "A-1",
			Src: queue.Position{Topic: "orders", Partition: 1, Offset: 3}, At: queue.Position{Topic: "orders.g.dlq", Partition: 1, Offset: 7},
		}
		errs, err := s.Apply(t.Context(), "g", []queue.Lookup{{MsgID: "a"}}, func(int, queue.Seen) queue.Change {
			return queue.Change{Writes: []queue.Write{{Kind: queue.Insert, Row: row}}}
		})
		if err != nil || errs[0] != nil {
			t.Fatal(errs, err)
		}
		for try, want := range []int64{1, 0} {
			if n, err := s.ForgetControls(t.Context(), "g", []string{"orders", "orders.g.replay"}, 1); n != want || err != nil {
				t.Errorf("call %d: %d, %v; want %d", try, n, err, want)
			}
		}
		rows, err := s.Rows(t.Context(), "g", []queue.RowKey{key})
		if err != nil || rows[key].Control != -1 || rows[key].State != queue.StateDiscarded {
			t.Errorf("%+v, %v", rows, err)
		}
	})
}
