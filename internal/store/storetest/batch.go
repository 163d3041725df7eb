package storetest

import (
	"context"
	"fmt"
	"testing"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

func seenIsComplete(t *testing.T, w *world) {
	s := w.open(t)
	mine, mine2 := row("m3", "a", queue.StateDead, 30), row("m3", "b", queue.StateRetry, 31)
	retry, parked, dead := row("m1", "a", queue.StateRetry, 10), row("m0", "z", queue.StateParked, 11), row("m2", "a", queue.StateDead, 12)
	done, discarded, other := row("m4", "a", queue.StateDone, 13), row("m5", "a", queue.StateDiscarded, 14), row("m6", "a", queue.StateRetry, 15)
	other.OrderID = "B-1"
	put(t, s, mine2, dead, mine, parked, done, discarded, other, retry)
	wantNone(t, apply(t, s, run(sample("A-1", order.Created), 1)))
	var seen queue.Seen
	wantNone(t, apply(t, s, record{queue.Lookup{MsgID: "m3", OrderID: "A-1"}, func(got queue.Seen) queue.Change {
		seen = got
		return queue.Change{}
	}}))
	if fmt.Sprint(seen.Message) != fmt.Sprint([]queue.Row{mine, mine2}) {
		t.Errorf("contents of the message are %+v", seen.Message)
	}
	if fmt.Sprint(seen.Order) != fmt.Sprint([]queue.Row{retry, parked, dead}) {
		t.Errorf("unfinished messages of the order are %+v", seen.Order)
	}
	if seen.Stored == nil || seen.Stored.Status != order.Created {
		t.Errorf("stored order is %+v", seen.Stored)
	}
	wantNone(t, apply(t, s, record{queue.Lookup{MsgID: "new"}, func(got queue.Seen) queue.Change {
		if len(got.Message)+len(got.Order) != 0 || got.Stored != nil {
			t.Errorf("of a new message without an order %+v was read", got)
		}
		return queue.Change{}
	}}))
}

func sameOrderInOneBatch(t *testing.T, w *world) {
	s := w.open(t)
	paid := run(sample("A-1", order.Paid), 2)
	wantNone(t, apply(t, s, run(sample("A-1", order.Created), 1), record{paid.look, func(seen queue.Seen) queue.Change {
		if seen.Stored == nil || seen.Stored.Status != order.Created {
			t.Errorf("the second message of the order saw %+v", seen.Stored)
		}
		return paid.decide(seen)
	}}, run(sample("A-1", order.Created), 3), run(sample("B-1", order.Created), 4)))
	if v, err := s.Order(t.Context(), group, "A-1"); err != nil || v.Status != order.Paid || len(v.Rows) != 2 {
		t.Errorf("order is %+v, %v", v, err)
	}
}

func largeBatch(t *testing.T, w *world) {
	s := w.open(t)
	var records []record
	calls := make([]int, 300)
	for i := range calls {
		r := run(sample(fmt.Sprintf("A-%d", i%299), order.Created), int64(i)) // the last is the first again
		records = append(records, record{r.look, func(seen queue.Seen) queue.Change {
			calls[i]++
			return r.decide(seen)
		}})
	}
	wantNone(t, apply(t, s, records...))
	for i, n := range calls {
		if n != 1 {
			t.Fatalf("record %d was decided %d times", i, n)
		}
	}
	if n := w.db.Int(t, `SELECT count(*) FROM orders`); n != 299 {
		t.Errorf("%d orders, want 299", n)
	}
}

// journaled is how the shop sees effects: one line for each, and none for a user that its table refuses.
const journaled = `INSERT INTO journal (message_id, user_id) VALUES (:message_id, :user_id);`

func oneBadOf64(t *testing.T, w *world) {
	s := w.openWith(t, journaled)
	var records []record
	for i := range 64 {
		o := sample(fmt.Sprintf("A-%02d", i), order.Created)
		if i == 40 {
			o.UserID = "refused"
		}
		records = append(records, run(o, int64(i)))
	}
	records = append(records, write(queue.Write{Kind: queue.Update, Was: row("gone", "f", queue.StateRetry, 1), Row: row("gone", "f", queue.StateDone, 1)}))
	for i, err := range apply(t, s, records...) {
		switch i {
		case 40:
			wantClass(t, err, queue.ClassFatal)
		case 64:
			wantRaced(t, err)
		default:
			wantNone(t, []error{err})
		}
	}
	if rows, orders, lines := w.db.Int(t, `SELECT count(*) FROM orderctl_messages`), w.db.Int(t, `SELECT count(*) FROM orders`),
		w.db.Int(t, `SELECT count(*) FROM journal`); rows != 63 || orders != 63 || lines != 63 {
		t.Errorf("%d rows, %d orders, %d effects, want 63 each", rows, orders, lines)
	}
}

func allBad(t *testing.T, w *world) {
	s := w.openWith(t, journaled)
	var records []record
	for i := range 5 {
		o := sample(fmt.Sprintf("A-%d", i), order.Created)
		o.UserID = "refused"
		records = append(records, run(o, int64(i)))
	}
	for _, err := range apply(t, s, records...) {
		wantClass(t, err, queue.ClassFatal)
	}
	if n := w.db.Int(t, `SELECT count(*) FROM orders`) + w.db.Int(t, `SELECT count(*) FROM orderctl_messages`); n != 0 {
		t.Errorf("%d rows were left behind", n)
	}
}

func emptyChange(t *testing.T, w *world) {
	s := w.open(t)
	wantNone(t, apply(t, s, record{queue.Lookup{MsgID: "m1", OrderID: "A-1"}, func(queue.Seen) queue.Change { return queue.Change{} }}))
	if errs, err := s.Apply(t.Context(), group, nil, nil); errs != nil || err != nil {
		t.Errorf("a batch of nothing: %v, %v", errs, err)
	}
	if n := w.db.Int(t, `SELECT count(*) FROM orderctl_messages`); n != 0 {
		t.Errorf("%d rows were written", n)
	}
}

func panickingDecision(t *testing.T, w *world) {
	s := w.open(t)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		var nothing *queue.Row
		apply(t, s, run(sample("A-1", order.Created), 1), run(sample("B-1", order.Created), 2), record{
			queue.Lookup{MsgID: "again", OrderID: "A-1"}, // looked up after the others were written
			func(queue.Seen) queue.Change { return queue.Change{Writes: []queue.Write{{Row: *nothing}}} },
		})
	}()
	if n := w.db.Int(t, `SELECT count(*) FROM orders`); n != 0 {
		t.Errorf("%d orders were left behind", n)
	}
	wantNone(t, apply(t, s, run(sample("A-1", order.Created), 1)))
}

func deadlinePassed(t *testing.T, w *world) {
	s := w.open(t)
	ctx, cancel := context.WithCancel(t.Context())
	a, b := sample("A-1", order.Created), sample("A-1", order.Paid)
	_, err := s.Apply(ctx, group, []queue.Lookup{{MsgID: a.MessageID(), OrderID: "A-1"}, {MsgID: b.MessageID(), OrderID: "A-1"}},
		func(i int, seen queue.Seen) queue.Change {
			if i == 1 {
				cancel() // the first is written by now
			}
			return run([]order.Order{a, b}[i], int64(i)).decide(seen)
		})
	wantClass(t, err, queue.ClassTimeout)
	if n := w.db.Int(t, `SELECT count(*) FROM orders`); n != 0 {
		t.Errorf("%d orders were left behind", n)
	}
	wantNone(t, apply(t, s, run(a, 1)))
}
