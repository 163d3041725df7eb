package storetest

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/queue"
)

// pending sums up what is not done, with the newest of the dead of each class.
func pending(t *testing.T, w *world) {
	s := w.open(t)
	if sums, err := s.Pending(t.Context(), group); err != nil || len(sums) != 0 {
		t.Errorf("of nothing: %v, %v", sums, err)
	}
	ms := func(n int64) time.Time { return time.UnixMilli(1_700_000_000_000 + n).UTC() }
	tier := queue.Position{Topic: "orders.g.retry.5s", Partition: 3, Offset: 7}
	waiting := func(id string, due int64) queue.Row {
		r := row(id, "a", queue.StateRetry, due)
		r.At, r.DueAt, r.Failure = tier, ms(due), queue.Failure{Class: queue.ClassTimeout, Code: "x"}
		return r
	}
	dead := func(id, order string, class queue.Class, at int64) queue.Row {
		r := row(id, "a", queue.StateDead, at)
		r.OrderID, r.Attempts, r.LastFailure, r.FirstFailure, r.Failure = order, 5, ms(at), ms(0), queue.Failure{Class: class, Code: "x"}
		return r
	}
	put(t, s, waiting("r1", 30), waiting("r2", 20), row("p", "a", queue.StateParked, 5), row("d", "a", queue.StateDone, 6),
		dead("x1", "A-1", queue.ClassExhausted, 50), dead("x2", "A-2", queue.ClassExhausted, 60), dead("y", "", queue.ClassDecode, 40))
	sums, err := s.Pending(t.Context(), group)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(sums, func(a, b queue.PendingSum) int {
		return cmp.Or(cmp.Compare(a.State, b.State), cmp.Compare(a.Class, b.Class))
	})
	want := []queue.PendingSum{
		{State: queue.StateDead, Class: queue.ClassDecode, Topic: at(1).Topic, Count: 1, Newest: ms(40), Attempts: 5},
		{State: queue.StateDead, Class: queue.ClassExhausted, Topic: at(1).Topic, Count: 2, Newest: ms(60), OrderID: "A-2", Attempts: 5},
		{State: queue.StateParked, Topic: at(1).Topic, Count: 1},
		{State: queue.StateRetry, Class: queue.ClassTimeout, Topic: tier.Topic, Count: 2, NextDue: ms(20)},
	}
	if fmt.Sprint(sums) != fmt.Sprint(want) {
		t.Errorf("sums\n%+v\nwant\n%+v", sums, want)
	}
	if sums, err := s.Pending(t.Context(), "another"); err != nil || len(sums) != 0 {
		t.Errorf("of another group: %v, %v", sums, err)
	}
}
