package store_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/store"
)

// applyOrders does one batch of new orders as the worker would, and returns what Apply returns.
func applyOrders(t testing.TB, s *store.Store, orders ...order.Order) ([]error, error) {
	t.Helper()
	look := make([]queue.Lookup, len(orders))
	for i, o := range orders {
		look[i] = queue.Lookup{MsgID: o.MessageID(), OrderID: o.OrderID}
	}
	return s.Apply(t.Context(), "g", look, func(i int, seen queue.Seen) queue.Change {
		if len(seen.Message) > 0 {
			return queue.Change{}
		}
		at := queue.Position{Topic: "orders", Offset: int64(i)}
		return queue.Change{
			Writes: []queue.Write{{Kind: queue.Insert, Row: queue.Row{
				RowKey: queue.RowKey{MsgID: look[i].MsgID, Fingerprint: "f"}, State: queue.StateDone, Outcome: queue.Applied,
				At: at, Src: at, OrderID: look[i].OrderID, Control: -1,
			}}},
			Effect: &queue.Effect{
				Order: orders[i], Value: []byte("{}"), MessageID: look[i].MsgID, Src: at, Insert: seen.Stored == nil,
			},
		}
	})
}

func mustApply(t testing.TB, s *store.Store, ids ...string) {
	t.Helper()
	orders := make([]order.Order, len(ids))
	for i, id := range ids {
		orders[i] = sample(id)
	}
	errs, err := applyOrders(t, s, orders...)
	if err != nil {
		t.Fatalf("apply %v: %v", ids, err)
	}
	if err := errors.Join(errs...); err != nil {
		t.Fatalf("apply %v: %v", ids, err)
	}
}

// refused checks that nothing was committed for a reason that is nobody's order, and that the reason is named.
func refused(t testing.TB, err error, class queue.Class, code string) {
	t.Helper()
	var f *queue.Failure
	if !errors.As(err, &f) || f.Class != class || f.Code != code {
		t.Fatalf("error is %v, want %s %s", err, class, code)
	}
}

func mustFind(t testing.TB, s *store.Store, found bool, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if v, err := s.Order(t.Context(), "g", id); err != nil || v.Found != found || (len(v.Rows) == 1) != found {
			t.Errorf("order %s: %+v, %v, want found %t", id, v, err, found)
		}
	}
}

func count(t testing.TB, path, query string) int {
	t.Helper()
	var n int
	if err := raw(t, path).QueryRowContext(t.Context(), query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

func execute(t testing.TB, path string, queries ...string) {
	t.Helper()
	db := raw(t, path)
	for _, q := range queries {
		if _, err := db.ExecContext(t.Context(), q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
}

// move renames the files of a database.
func move(t testing.TB, from, to string) {
	t.Helper()
	for _, end := range []string{"", "-wal", "-shm"} {
		if err := os.Rename(from+end, to+end); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

func effectFile(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "effect.sql")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func names(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s-%d", prefix, i)
	}
	return out
}
