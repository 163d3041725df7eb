package store_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/store"
)

// stores are one of each kind, as far as there are servers.
func stores(t testing.TB) map[string]func(testing.TB) *store.Store {
	t.Helper()
	return map[string]func(testing.TB) *store.Store{
		"sqlite":   func(t testing.TB) *store.Store { return open(t, options(filepath.Join(t.TempDir(), "orders.db"))) },
		"postgres": func(t testing.TB) *store.Store { return open(t, postgresDatabase(t).Options) },
		"mysql":    func(t testing.TB) *store.Store { return open(t, mysqlDatabase(t).Options) },
	}
}

// BenchmarkApply is one new order at a time, in transactions of so many. ns/op is the time of one order.
func BenchmarkApply(b *testing.B) {
	for kind, start := range stores(b) {
		for _, size := range []int{1, 10, 64, 256} {
			b.Run(fmt.Sprintf("%s/batch=%d", kind, size), func(b *testing.B) {
				s := start(b)
				offset := int64(0)
				b.ReportAllocs()
				b.ResetTimer()
				for left := b.N; left > 0; left -= size {
					applyNew(b, s, min(size, left), &offset)
				}
			})
		}
	}
}

func applyNew(b *testing.B, s *store.Store, n int, offset *int64) {
	b.Helper()
	look := make([]queue.Lookup, n)
	orders := make([]order.Order, n)
	for i := range look {
		orders[i] = sample(fmt.Sprintf("bench-%d", *offset+int64(i)))
		look[i] = queue.Lookup{MsgID: orders[i].MessageID(), OrderID: orders[i].OrderID}
	}
	first := *offset
	*offset += int64(n)
	errs, err := s.Apply(b.Context(), "g", look, func(i int, seen queue.Seen) queue.Change {
		at := queue.Position{Topic: "orders", Offset: first + int64(i)}
		return queue.Change{
			Writes: []queue.Write{{Kind: queue.Insert, Row: queue.Row{
				RowKey: queue.RowKey{MsgID: look[i].MsgID, Fingerprint: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
				State:  queue.StateDone, Outcome: queue.Applied, At: at, Src: at, OrderID: look[i].OrderID, Control: -1,
			}}},
			Effect: &queue.Effect{Order: orders[i], MessageID: look[i].MsgID, Src: at, Insert: seen.Stored == nil},
		}
	})
	if err != nil {
		b.Fatal(err)
	}
	for _, err := range errs {
		if err != nil {
			b.Fatal(err)
		}
	}
}

// A batch of 64 costs at most a third of 64 batches of one. It is measured some times, as the machine has other work.
func TestABatchIsWorthIt(t *testing.T) {
	t.Parallel()
	for kind, start := range stores(t) {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			best := 0.0
			for round := 0; round < 8 && best < 3; round++ {
				began := time.Now()
				for _, id := range names(fmt.Sprint("one-", round), 64) {
					mustApply(t, s, id)
				}
				single := time.Since(began)
				began = time.Now()
				mustApply(t, s, names(fmt.Sprint("all-", round), 64)...)
				best = max(best, float64(single)/float64(time.Since(began)))
			}
			if best < 3 {
				t.Errorf("a batch of 64 is %.1f times as fast as single orders, want 3", best)
			}
		})
	}
}
