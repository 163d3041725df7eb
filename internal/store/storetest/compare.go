package storetest

import (
	"errors"
	"fmt"
	"testing"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

func insertFindsRow(t *testing.T, w *world) {
	s := w.open(t)
	first := row("m1", "a", queue.StateRetry, 1)
	put(t, s, first)
	second := first
	second.State, second.Hop = queue.StateDead, 9
	wantRaced(t, apply(t, s, insert(second))[0])
	if got := get(t, s, first.RowKey); got != first {
		t.Errorf("row became %+v", got)
	}
}

func updateCompares(t *testing.T, w *world) {
	s := w.open(t)
	none := queue.Position{Topic: "orders", Partition: 3, Offset: -1}
	for i, c := range []struct {
		name string
		has  queue.Position
		was  func(*queue.Row)
		hits bool
	}{
		{"all as read", at(5), func(*queue.Row) {}, true},
		{"another state", at(5), func(r *queue.Row) { r.State = queue.StateDead }, false},
		{"an older hop", at(5), func(r *queue.Row) { r.Hop-- }, false},
		{"a newer hop", at(5), func(r *queue.Row) { r.Hop++ }, false},
		{"another topic", at(5), func(r *queue.Row) { r.At.Topic = "other" }, false},
		{"another partition", at(5), func(r *queue.Row) { r.At.Partition++ }, false},
		{"another offset", at(5), func(r *queue.Row) { r.At.Offset++ }, false},
		{"no offset read, one there", at(5), func(r *queue.Row) { r.At.Offset = -1 }, false},
		{"no offset there, one read", none, func(r *queue.Row) { r.At.Offset = 5 }, false},
		{"no offset, as read", none, func(*queue.Row) {}, true},
		{"no position at all, as read", queue.Position{Offset: -1}, func(*queue.Row) {}, true},
		{"another message", at(5), func(r *queue.Row) { r.MsgID = "nobody" }, false},
		{"another content", at(5), func(r *queue.Row) { r.Fingerprint = "nobody" }, false},
	} {
		have := row(string(rune('a'+i)), "f", queue.StateRetry, 1)
		have.Hop, have.At = 4, c.has
		put(t, s, have)
		was := have
		c.was(&was)
		to := was
		to.State, to.Hop, to.At = queue.StateParked, 5, at(99)
		err := apply(t, s, write(queue.Write{Kind: queue.Update, Was: was, Row: to}))[0]
		got := get(t, s, have.RowKey)
		switch {
		case c.hits && (err != nil || got != to):
			t.Errorf("%s: %v, row is %+v, want %+v", c.name, err, got, to)
		case !c.hits && got != have:
			t.Errorf("%s: row became %+v", c.name, got)
		case !c.hits:
			wantRaced(t, err)
		}
	}
}

func updateLeavesIdentity(t *testing.T, w *world) {
	s := w.open(t)
	have := fullRow()
	put(t, s, have)
	to := have
	to.State, to.Src, to.Control, to.Attempts = queue.StateRetry, at(1), 999, 0
	wantNone(t, apply(t, s, write(queue.Write{Kind: queue.Update, Was: have, Row: to})))
	want := to
	want.Src, want.Control = have.Src, have.Control
	if got := get(t, s, have.RowKey); got != want {
		t.Errorf("row is\n%+v, want\n%+v", got, want)
	}
}

func controlCompares(t *testing.T, w *world) {
	s := w.open(t)
	have := row("m1", "a", queue.StateDead, 1)
	have.Hop, have.Attempts, have.ReplayID = 3, 6, "job"
	put(t, s, have)
	control := func(was queue.Row, state queue.State, offset int64) error {
		to := was
		to.State, to.Outcome, to.Control = state, queue.ByOperator, offset
		to.Hop, to.Attempts, to.ReplayID, to.At = 77, 0, "not written", at(77)
		return apply(t, s, write(queue.Write{Kind: queue.Control, Was: was, Row: to}))[0]
	}
	wantNone(t, []error{control(have, queue.StateDiscarded, 10)})
	want := have
	want.State, want.Outcome, want.Control = queue.StateDiscarded, queue.ByOperator, 10
	if got := get(t, s, have.RowKey); got != want {
		t.Fatalf("row is\n%+v, want\n%+v", got, want)
	}
	wantRaced(t, control(want, queue.StateDead, 10)) // the same record, delivered again
	wantRaced(t, control(want, queue.StateDead, 9))  // an older one
	wantRaced(t, control(have, queue.StateDead, 11)) // decided from an older look
	if got := get(t, s, have.RowKey); got != want {
		t.Errorf("row became %+v", got)
	}
	wantNone(t, []error{control(want, queue.StateDead, 11)})
}

func oneContentDone(t *testing.T, w *world) {
	s := w.open(t)
	a, b, c := row("m1", "a", queue.StateDone, 1), row("m1", "b", queue.StateRetry, 2), row("m1", "c", queue.StateDone, 3)
	put(t, s, a, b)
	wantRaced(t, apply(t, s, insert(c))[0])
	done := b
	done.State = queue.StateDone
	wantRaced(t, apply(t, s, write(queue.Write{Kind: queue.Update, Was: b, Row: done}))[0])
	if got := get(t, s, b.RowKey); got != b {
		t.Errorf("row became %+v", got)
	}
	if n := w.db.Int(t, `SELECT count(*) FROM orderctl_messages WHERE done_id = 'm1'`); n != 1 {
		t.Errorf("%d contents of one message id are done", n)
	}
}

func deadRowsShareID(t *testing.T, w *world) {
	s := w.open(t)
	a, b := row("m1", "a", queue.StateDead, 1), row("m1", "b", queue.StateDead, 2)
	put(t, s, a, b, row("m2", "a", queue.StateDone, 3))
	done, superseded := b, a
	done.State, done.Outcome = queue.StateDone, queue.Applied
	superseded.State, superseded.Outcome = queue.StateDiscarded, queue.Superseded
	wantNone(t, apply(t, s, record{queue.Lookup{MsgID: "m1", OrderID: "A-1"}, func(seen queue.Seen) queue.Change {
		if len(seen.Message) != 2 {
			t.Errorf("%d contents of m1 were read, want 2", len(seen.Message))
		}
		return queue.Change{Writes: []queue.Write{
			{Kind: queue.Update, Was: b, Row: done}, {Kind: queue.Update, Was: a, Row: superseded},
		}}
	}}))
	if got := get(t, s, a.RowKey); got != superseded {
		t.Errorf("row is %+v, want %+v", got, superseded)
	}
}

func lostCompareIsReadAgain(t *testing.T, w *world) {
	s := w.open(t)
	have := row("m1", "a", queue.StateRetry, 1)
	put(t, s, have)
	calls := 0
	errs := apply(t, s, run(sample("B-1", order.Created), 5), record{queue.Lookup{MsgID: "m1", OrderID: "A-1"}, func(seen queue.Seen) queue.Change {
		calls++
		was := seen.Message[0]
		if calls == 1 {
			was.Hop = 17 // as if another process had written in between
		}
		to := seen.Message[0]
		to.State = queue.StateDone
		return queue.Change{Writes: []queue.Write{{Kind: queue.Update, Was: was, Row: to}}}
	}})
	wantNone(t, errs)
	if calls != 2 {
		t.Errorf("decided %d times, want 2", calls)
	}
	if got := get(t, s, have.RowKey); got.State != queue.StateDone {
		t.Errorf("row is %+v", got)
	}
}

// alwaysRaced: a record that loses every time ends as raced, and keeps nobody else from being committed.
func alwaysRaced(t *testing.T, w *world) {
	s := w.open(t)
	have := row("m1", "a", queue.StateRetry, 1)
	put(t, s, have)
	for _, c := range []struct{ lost, calls int }{{3, 4}, {4, 4}} {
		calls := 0
		errs := apply(t, s, run(sample(fmt.Sprint(c.lost), order.Created), 5), record{queue.Lookup{MsgID: "m1", OrderID: "A-1"}, func(seen queue.Seen) queue.Change {
			to := seen.Message[0]
			to.Attempts = 9
			was := to
			if calls++; calls <= c.lost {
				was.State = queue.StateDead
			}
			return queue.Change{Writes: []queue.Write{{Kind: queue.Update, Was: was, Row: to}}}
		}})
		wantNone(t, errs[:1])
		if calls != c.calls || errors.Is(errs[1], queue.ErrRaced) != (c.lost == 4) {
			t.Errorf("lost %d times: decided %d times, %v", c.lost, calls, errs[1])
		}
	}
	if n := w.db.Int(t, `SELECT count(*) FROM orders`); n != 2 {
		t.Errorf("%d orders of the others, want 2", n)
	}
}
