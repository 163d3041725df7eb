package store_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/store"
	"commerce.internal/orderctl/internal/store/storetest"
)

// eachStore runs a test on a store of every database that there is.
func eachStore(t *testing.T, test func(t *testing.T, s *store.Store)) {
	t.Parallel()
	for name, fresh := range map[string]func(t testing.TB) storetest.Database{
		"sqlite":   func(t testing.TB) storetest.Database { return sqliteDatabase(filepath.Join(t.TempDir(), "orders.db")) },
		"postgres": postgresDatabase,
		"mysql":    mysqlDatabase,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t, fresh(t).Options))
		})
	}
}

// remember inserts rows as they are.
func remember(t testing.TB, s *store.Store, group string, rows ...queue.Row) {
	t.Helper()
	look := make([]queue.Lookup, len(rows))
	for i, r := range rows {
		look[i] = queue.Lookup{MsgID: r.MsgID}
	}
	errs, err := s.Apply(t.Context(), group, look, func(i int, _ queue.Seen) queue.Change {
		return queue.Change{Writes: []queue.Write{{Kind: queue.Insert, Row: rows[i]}}}
	})
	if err := errors.Join(append(errs, err)...); err != nil {
		t.Fatalf("insert rows: %v", err)
	}
}

func messageAt(id string, partition int32, offset int64, state queue.State) queue.Row {
	src := queue.Position{Topic: "orders", Partition: partition, Offset: offset}
	return queue.Row{
		RowKey: queue.RowKey{MsgID: id, Fingerprint: "f"}, State: state, Src: src, At: src, OrderID: "A-" + id, Control: -1,
	}
}

// pages walks through a partition in pages and returns what came, as "id@offset".
func pages(t testing.TB, read func(after queue.Row) ([]queue.Row, error), from int64, limit int) []string {
	t.Helper()
	after := queue.Row{Src: queue.Position{Topic: "orders", Partition: 1, Offset: from}}
	var all []string
	for {
		page, err := read(after)
		if err != nil || len(page) > limit {
			t.Fatalf("%d rows on a page of %d, %v", len(page), limit, err)
		}
		for _, r := range page {
			all = append(all, fmt.Sprintf("%s@%d", r.MsgID, r.Src.Offset))
		}
		if len(page) < limit {
			return all
		}
		after = page[len(page)-1]
	}
}

func TestPagesOfASourcePartition(t *testing.T) { eachStore(t, pagesOfASourcePartition) }

func pagesOfASourcePartition(t *testing.T, s *store.Store) {
	t.Helper()
	remember(t, s, "g",
		messageAt("e", 1, 9, queue.StateDead), messageAt("a", 1, 3, queue.StateDone), messageAt("c", 1, 5, queue.StateDead),
		messageAt("b", 1, 5, queue.StateDone), messageAt("d", 1, 5, queue.StateRetry), messageAt("z", 1, 12, queue.StateDone),
		messageAt("x", 2, 4, queue.StateDead))
	remember(t, s, "other", messageAt("o", 1, 4, queue.StateDead))
	for limit := 1; limit <= 6; limit++ {
		sourced := func(after queue.Row) ([]queue.Row, error) { return s.Sourced(t.Context(), "g", after, 12, limit) }
		dead := func(after queue.Row) ([]queue.Row, error) { return s.Dead(t.Context(), "g", after, 12, limit) }
		for _, tt := range []struct {
			name string
			got  []string
			want []string
		}{
			{"all below the end, several at one offset apart", pages(t, sourced, 0, limit), []string{"a@3", "b@5", "c@5", "d@5", "e@9"}},
			{"from an offset on", pages(t, sourced, 5, limit), []string{"b@5", "c@5", "d@5", "e@9"}},
			{"from the end on", pages(t, sourced, 12, limit), nil},
			{"the dead ones", pages(t, dead, 0, limit), []string{"c@5", "e@9"}},
		} {
			if !slices.Equal(tt.got, tt.want) {
				t.Errorf("%s, %d on a page: %v, want %v", tt.name, limit, tt.got, tt.want)
			}
		}
	}
}

func TestARowOfAnAuditSaysWhatBecameOfTheMessage(t *testing.T) {
	eachStore(t, aRowOfAnAuditSaysWhatBecameOfTheMessage)
}

func aRowOfAnAuditSaysWhatBecameOfTheMessage(t *testing.T, s *store.Store) {
	t.Helper()
	dead := messageAt("a", 1, 3, queue.StateDead)
	dead.Hop, dead.ReplayID, dead.Failure = 4, "r-1", queue.Failure{Class: queue.ClassBlocked}
	dead.At = queue.Position{Topic: "orders.g.dlq", Partition: 1, Offset: -1}
	done := messageAt("b", 1, 4, queue.StateDone)
	done.Outcome = queue.Stale
	bare := messageAt("c", 1, 5, queue.StateDone)
	bare.OrderID, bare.Outcome = "", queue.Applied
	want := []queue.Row{dead, done, bare}
	remember(t, s, "g", want...)
	got, err := s.Sourced(t.Context(), "g", queue.Row{Src: queue.Position{Topic: "orders", Partition: 1}}, 100, 10)
	if err != nil || len(got) != len(want) {
		t.Fatalf("%+v, %v", got, err)
	}
	for i := range want {
		want[i].Control = 0 // not read
		if got[i] != want[i] {
			t.Errorf("row %d\n got %+v\nwant %+v", i, got[i], want[i])
		}
	}
}

func TestRowsOfManyMessageIDs(t *testing.T) { eachStore(t, rowsOfManyMessageIDs) }

func rowsOfManyMessageIDs(t *testing.T, s *store.Store) {
	t.Helper()
	var rows []queue.Row
	var ids []string
	for i := range 700 {
		r := messageAt(fmt.Sprintf("m-%03d", i), 1, int64(i), queue.StateDone)
		rows, ids = append(rows, r), append(ids, r.MsgID)
	}
	other := messageAt("m-007", 1, 800, queue.StateDead) // another content of the same id
	other.Fingerprint = "g"
	remember(t, s, "g", append(rows, other)...)
	remember(t, s, "other", messageAt("o", 1, 4, queue.StateDead))
	asked := append([]string{"unknown", "o", "m-000"}, ids...)
	given := slices.Clone(asked)
	found, err := s.Messages(t.Context(), "g", asked)
	if err != nil || len(found) != 701 {
		t.Fatalf("%d rows, %v; want 701", len(found), err)
	}
	if !slices.Equal(asked, given) {
		t.Error("the list of ids was changed")
	}
	seen := map[queue.RowKey]int{}
	for _, r := range found {
		seen[r.RowKey]++
	}
	if len(seen) != 701 || seen[other.RowKey] != 1 {
		t.Errorf("%d different rows, want 701", len(seen))
	}
	if none, err := s.Messages(t.Context(), "g", nil); err != nil || len(none) != 0 {
		t.Errorf("of no id: %v, %v", none, err)
	}
}
