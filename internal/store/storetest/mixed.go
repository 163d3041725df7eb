package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/store"
)

// mixedBatch: in one batch are new orders, known ones, rows that are inserted, updated and controlled.
func mixedBatch(t *testing.T, w *world) {
	s := w.open(t)
	for _, batch := range []int{1, 20} { // the second finds statements prepared
		var first, second []record
		name := func(kind string, i int) string { return fmt.Sprintf("%s-%d-%d", kind, batch, i) }
		for i := range batch {
			first = append(first, run(sample(name("known", i), order.Created), 1),
				insert(row(name("retry", i), "f", queue.StateRetry, 2)), insert(row(name("dead", i), "f", queue.StateDead, 3)))
		}
		wantNone(t, apply(t, s, first...))
		for i := range batch {
			retry, dead := row(name("retry", i), "f", queue.StateRetry, 2), row(name("dead", i), "f", queue.StateDead, 3)
			done, gone := retry, dead
			done.State, done.Outcome, gone.State, gone.Control = queue.StateDone, queue.Applied, queue.StateDiscarded, 7
			second = append(second, run(sample(name("known", i), order.Paid), 4), run(sample(name("new", i), order.Created), 5),
				write(queue.Write{Kind: queue.Update, Was: retry, Row: done}), write(queue.Write{Kind: queue.Control, Was: dead, Row: gone}))
		}
		wantNone(t, apply(t, s, second...))
		if n := w.db.Int(t, `SELECT count(*) FROM orders WHERE status = 'PAID' AND src_offset = 4`); n != int64(batch) {
			t.Errorf("%d known orders were changed, want %d", n, batch)
		}
		w.db.Exec(t, `DELETE FROM orders WHERE status = 'PAID'`)
	}
	if n := w.db.Int(t, `SELECT count(*) FROM orderctl_messages WHERE state = 'done' OR state = 'discarded' AND control_offset = 7`); n != 5*21 {
		t.Errorf("%d rows are done or discarded, want %d", n, 5*21)
	}
}

// unlikeRows: full and bare rows, long and short ones, in every sequence of the keys.
func unlikeRows(t *testing.T, w *world) {
	s := w.open(t)
	full, bare, done := fullRow(), row("bare", "f", queue.StateRetry, 1), row("done", "f", queue.StateDone, 2)
	bare.OrderID, bare.At.Offset, done.Outcome = "", -1, queue.Stale
	for n, kinds := range [][]queue.Row{
		{full, bare, done}, {bare, full, done}, {done, bare, full}, {bare, bare, full}, {full, full, bare}, {bare, bare}, {done},
	} {
		var rows []queue.Row
		var batch []record
		for i, r := range kinds {
			r.MsgID, r.Src.Offset = fmt.Sprintf("m-%d-%d", n, i), int64(10*n+i)
			r.Failure.Message += strings.Repeat("长", 150*i)
			rows, batch = append(rows, r), append(batch, insert(r))
		}
		wantNone(t, apply(t, s, batch...))
		for _, want := range rows {
			if got := get(t, s, want.RowKey); got != want {
				t.Errorf("batch %d: row is\n%+v, want\n%+v", n, got, want)
			}
		}
	}
	var batch []record
	for i, attributes := range []map[string]string{nil, {"a": "b"}, nil} {
		o := sample(fmt.Sprint("o-", i), order.Created)
		o.Attributes, o.Items[0].ProductID = attributes, strings.Repeat("\"产", 30*i+1)
		batch = append(batch, run(o, int64(100+i)))
	}
	wantNone(t, apply(t, s, batch...))
	if n := w.db.Int(t, `SELECT count(*) FROM orders WHERE attributes IS NULL`); n != 2 {
		t.Errorf("%d orders are without attributes, want 2", n)
	}
	if n := w.db.Int(t, `SELECT count(*) FROM orders WHERE items LIKE '[{"product_id":"%产","quantity":2,"unit_price":100}]'`); n != 3 {
		t.Errorf("%d orders have their items, want 3", n)
	}
}

// oneRacedOfMany: each kind of write that meets a changed row is raced alone.
func oneRacedOfMany(t *testing.T, w *world) {
	s := w.open(t)
	there, dead := row("there", "f", queue.StateRetry, 1), row("dead", "f", queue.StateDead, 2)
	put(t, s, there, dead)
	wantNone(t, apply(t, s, run(sample("A-1", order.Created), 3)))
	gone, older := there, dead
	gone.Hop++
	older.State, older.Control = queue.StateDiscarded, 9
	n := 0
	for name, bad := range map[string]record{
		"an insert that finds its row": insert(there),
		"an update of another hop":     write(queue.Write{Kind: queue.Update, Was: gone, Row: gone}),
		"a control of another state":   write(queue.Write{Kind: queue.Control, Was: older, Row: older}),
		"an order that is there":       forced(sample("A-1", order.Created), true),
		"an order that is not there":   forced(sample("A-9", order.Paid), false),
	} {
		n++
		errs := apply(t, s, run(sample(fmt.Sprint("B-", n), order.Created), 4), bad, run(sample(fmt.Sprint("C-", n), order.Created), 5))
		if errs[0] != nil || !errors.Is(errs[1], queue.ErrRaced) || errs[2] != nil {
			t.Errorf("%s: %v", name, errs)
		}
	}
	if n := w.db.Int(t, `SELECT count(*) FROM orders`); n != 11 {
		t.Errorf("%d orders, want 11", n)
	}
}

// forced is the record of an order that inserts or updates whatever was read.
func forced(o order.Order, insert bool) record {
	r := run(o, 6)
	return record{r.look, func(queue.Seen) queue.Change {
		c := r.decide(queue.Seen{})
		c.Writes[0].Row.MsgID += fmt.Sprint("-forced-", insert)
		c.Effect.Insert = insert
		return c
	}}
}

// overlappingBatches: workers whose batches share orders, each in another sequence, wait for each other one way only, and
// where they do not, once more.
func overlappingBatches(t *testing.T, w *world) {
	stores := []*store.Store{w.open(t), w.open(t)}
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			for round := range 15 {
				var records []record
				for i := range 20 {
					records = append(records, run(sample(fmt.Sprintf("O-%d-%d", round, i), order.Created), int64(i)))
				}
				if n%2 == 1 {
					slices.Reverse(records)
				}
				look := make([]queue.Lookup, len(records))
				for i, r := range records {
					look[i] = r.look
				}
				errs, err := stores[n%2].Apply(t.Context(), group, look, func(i int, seen queue.Seen) queue.Change { return records[i].decide(seen) })
				if err != nil {
					t.Errorf("worker %d, round %d: %v", n, round, err)
				}
				for _, err := range errs {
					if err != nil {
						t.Errorf("worker %d, round %d: %v", n, round, err)
					}
				}
			}
		})
	}
	wg.Wait()
	if orders, rows := w.db.Int(t, `SELECT count(*) FROM orders`), w.db.Int(t, `SELECT count(*) FROM orderctl_messages`); orders != 300 || rows != 300 {
		t.Errorf("%d orders and %d rows, want 300 each", orders, rows)
	}
}
