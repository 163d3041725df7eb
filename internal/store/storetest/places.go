package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/store"
)

func placeOnce(t *testing.T, w *world) {
	s := w.open(t)
	r := row("m1", "a", queue.StateDead, 1)
	r.Hop, r.At = 2, queue.Position{Topic: "orders.g.dlq", Partition: 3, Offset: -1}
	put(t, s, r)
	dlq := queue.Position{Topic: "orders.g.dlq", Partition: 3, Offset: 41}
	wantRaced(t, s.Place(t.Context(), group, r.RowKey, 1, dlq)) // the copy of an older hop
	wantRaced(t, s.Place(t.Context(), group, r.RowKey, 3, dlq))
	wantRaced(t, s.Place(t.Context(), group, queue.RowKey{MsgID: "m1", Fingerprint: "b"}, 2, dlq))
	wantRaced(t, s.Place(t.Context(), "another", r.RowKey, 2, dlq))
	if got := get(t, s, r.RowKey); got != r {
		t.Fatalf("row became %+v", got)
	}
	if err := s.Place(t.Context(), group, r.RowKey, 2, dlq); err != nil {
		t.Fatal(err)
	}
	second := dlq
	second.Offset++
	wantRaced(t, s.Place(t.Context(), group, r.RowKey, 2, second)) // the second copy is stale
	r.At = dlq
	if got := get(t, s, r.RowKey); got != r {
		t.Errorf("row is %+v, want %+v", got, r)
	}
}

func placeRace(t *testing.T, w *world) {
	stores := []*store.Store{w.open(t), w.open(t)}
	r := row("m1", "a", queue.StateDead, 1)
	r.Hop, r.At.Offset = 1, -1
	put(t, stores[0], r)
	var wg sync.WaitGroup
	errs := make([]error, 20)
	for i := range errs {
		wg.Go(func() { errs[i] = stores[i%2].Place(t.Context(), group, r.RowKey, 1, at(int64(100+i))) })
	}
	wg.Wait()
	winner := -1
	for i, err := range errs {
		if err == nil && winner >= 0 {
			t.Errorf("both %d and %d were first", winner, i)
		}
		if err == nil {
			winner = i
		} else {
			wantRaced(t, err)
		}
	}
	if got := get(t, stores[1], r.RowKey); winner < 0 || got.At != at(int64(100+winner)) {
		t.Errorf("position is %v, the winner was %d", got.At, winner)
	}
}

func orderView(t *testing.T, w *world) {
	s := w.open(t)
	if v, err := s.Order(t.Context(), group, "A-1"); err != nil || v.Found || len(v.Rows) != 0 || v.OrderID != "A-1" {
		t.Errorf("an order that is not there: %+v, %v", v, err)
	}
	late, early := row("m2", "a", queue.StateRetry, 20), row("m1", "a", queue.StateDead, 10)
	put(t, s, late, early)
	if v, err := s.Order(t.Context(), group, "A-1"); err != nil || v.Found || fmt.Sprint(v.Rows) != fmt.Sprint([]queue.Row{early, late}) {
		t.Errorf("an order without effect: %+v, %v", v, err)
	}
	before := time.Now().Truncate(time.Millisecond)
	wantNone(t, apply(t, s, run(sample("A-1", order.Created), 5)))
	v, err := s.Order(t.Context(), group, "A-1")
	if err != nil || !v.Found || v.Status != order.Created || v.Currency != "CNY" || v.TotalAmount != 200 || len(v.Rows) != 3 {
		t.Errorf("an applied order: %+v, %v", v, err)
	}
	if v.AppliedAt.Before(before) || v.AppliedAt.After(time.Now()) {
		t.Errorf("applied at %v, want now", v.AppliedAt)
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("ping: %v", err)
	}
}

func rowsByKey(t *testing.T, w *world) {
	s := w.open(t)
	var keys []queue.RowKey
	for i := range 70 { // more than one list of parameters
		r := row(fmt.Sprintf("m%02d", i), "a", queue.StateRetry, int64(i))
		put(t, s, r)
		keys = append(keys, r.RowKey)
	}
	put(t, s, row("m00", "b", queue.StateRetry, 99))
	rows, err := s.Rows(t.Context(), group, append(keys, queue.RowKey{MsgID: "m01", Fingerprint: "no"}))
	if err != nil || len(rows) != 70 || rows[keys[69]].Src.Offset != 69 {
		t.Errorf("%d rows, %v, want 70", len(rows), err)
	}
	if rows, err := s.Rows(t.Context(), group, nil); err != nil || len(rows) != 0 {
		t.Errorf("of no keys: %v, %v", rows, err)
	}
}

func counts(t *testing.T, w *world) {
	s := w.open(t)
	for i, state := range []queue.State{queue.StateDead, queue.StateDead, queue.StateRetry, queue.StateDone, queue.StateDiscarded} {
		put(t, s, row(fmt.Sprint(i), "a", state, int64(i)))
	}
	got, err := s.Counts(t.Context(), group)
	want := map[queue.State]int64{queue.StateDead: 2, queue.StateRetry: 1, queue.StateParked: 0, queue.StateDiscarded: 1}
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("counts are %v, %v, want %v", got, err, want)
	}
}

func expiry(t *testing.T, w *world) {
	s := w.open(t)
	old := func(id string, state queue.State, src int64, live queue.Position) queue.Row {
		r := row(id, "a", state, src)
		r.At, r.UpdatedAt = live, time.UnixMilli(1_000).UTC()
		return r
	}
	tier := queue.Position{Topic: "orders.g.retry.5s", Partition: 3, Offset: 7}
	elsewhere := queue.Position{Topic: "orders.g.retry.9s", Partition: 3, Offset: 7}
	young := old("young", queue.StateDone, 1, at(1))
	young.UpdatedAt = time.UnixMilli(2_000).UTC()
	put(t, s, old("gone 1", queue.StateDone, 1, at(1)), old("gone 2", queue.StateDone, 2, tier),
		old("gone 3", queue.StateDone, 3, queue.Position{Offset: -1}), old("above", queue.StateDone, 10, at(10)),
		old("in the tier", queue.StateDone, 4, queue.Position{Topic: tier.Topic, Partition: 3, Offset: 8}),
		old("unknown commit", queue.StateDone, 5, elsewhere), old("dead", queue.StateDead, 6, at(6)),
		old("discarded", queue.StateDiscarded, 7, at(7)), old("retry", queue.StateRetry, 8, at(8)), young)
	committed := []queue.Position{at(10), {Topic: tier.Topic, Partition: 3, Offset: 8}}
	n, err := s.Expire(t.Context(), "another", time.UnixMilli(2_000), committed)
	if err != nil || n != 0 {
		t.Errorf("another group: %d, %v", n, err)
	}
	if n, err = s.Expire(t.Context(), group, time.UnixMilli(2_000), committed); err != nil || n != 3 {
		t.Errorf("%d messages were forgotten, %v, want 3", n, err)
	}
	if n := w.db.Int(t, `SELECT count(*) FROM orderctl_messages WHERE msg_id LIKE 'gone%'`); n != 0 {
		t.Errorf("%d of those that may go are there", n)
	}
	if n := w.db.Int(t, `SELECT count(*) FROM orderctl_messages`); n != 7 {
		t.Errorf("%d messages are left, want 7", n)
	}
}

// expiryGoesOn: a thousand rows that must stay do not hide those behind them, and one call has its bound.
func expiryGoesOn(t *testing.T, w *world) {
	s := w.open(t)
	var records []record
	for i := range 2_300 {
		r := row(fmt.Sprintf("m%04d", i), "a", queue.StateDone, int64(i))
		if r.OrderID = r.MsgID; i < 1_100 {
			r.At.Topic = "orders.g.retry.9s"
		}
		records = append(records, insert(r))
	}
	wantNone(t, apply(t, s, records...))
	for _, want := range []int{1_000, 200, 0} {
		if n, err := s.Expire(t.Context(), group, time.Now(), []queue.Position{at(2_300)}); err != nil || n < want || want == 0 && n > 0 {
			t.Fatalf("%d messages were forgotten, %v, want %d", n, err, want)
		}
	}
	if n := w.db.Int(t, `SELECT count(*) FROM orderctl_messages`); n != 1_100 {
		t.Errorf("%d messages are left, want those of the tier", n)
	}
}

func groupsApart(t *testing.T, w *world) {
	s := w.open(t)
	put(t, s, row("m1", "a", queue.StateDone, 1))
	look := []queue.Lookup{{MsgID: "m1", OrderID: "A-1"}}
	errs, err := s.Apply(t.Context(), "another", look, func(_ int, seen queue.Seen) queue.Change {
		if len(seen.Message)+len(seen.Order) != 0 {
			t.Errorf("another group saw %+v", seen)
		}
		return queue.Change{Writes: []queue.Write{{Kind: queue.Insert, Row: row("m1", "a", queue.StateDone, 1)}}}
	})
	if err != nil || errs[0] != nil {
		t.Errorf("the same message in another group: %v, %v", errs, err)
	}
}
