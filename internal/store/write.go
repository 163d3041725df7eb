package store

import (
	"cmp"
	"context"
	"slices"
	"time"

	"commerce.internal/orderctl/internal/queue"
)

// change is what one record does, and what was read for it.
type change struct {
	queue.Change
	index int
	seen  queue.Seen
}

// write does the changes of some records: all message rows in the order of their keys, then all orders in the order of
// their ids. So two workers that meet wait for each other one way only.
func (x *session) write(ctx context.Context, group string, changes []change) error {
	now := x.store.opts.Now()
	for _, w := range inKeyOrder(changes) {
		n, err := x.writeRow(ctx, group, w.Write, now)
		if err := x.compared(w.index, n, err); err != nil {
			return err
		}
	}
	for _, c := range inOrderOfOrders(changes) {
		n, err := x.writeOrder(ctx, group, c, now)
		if err := x.compared(c.index, n, err); err != nil {
			return err
		}
		if err := x.runEffect(ctx, c); err != nil {
			return x.blamed(c.index, err, true)
		}
	}
	return nil
}

// writeAll is write for a whole batch: where the database takes statements at once they wait for the commit, which goes
// with them.
func (x *session) writeAll(ctx context.Context, group string, changes []change) error {
	p, piped := x.store.dialect.(piper)
	if !piped {
		return x.write(ctx, group, changes)
	}
	for _, c := range changes {
		if c.Effect != nil && !c.Effect.Insert && c.seen.Stored == nil {
			return &recordError{index: c.index, err: queue.ErrRaced} // decided from an older look: there is no order to update
		}
	}
	x.queued = append(x.queued, p.writes(x.store.text, group, changes, x.store.opts.Now())...)
	if len(x.store.effect) > 0 {
		for _, c := range inOrderOfOrders(changes) {
			x.queued = append(x.queued, x.store.effects(c)...)
		}
	}
	return nil
}

type rowWrite struct {
	*queue.Write
	index int
}

func inKeyOrder(changes []change) []rowWrite {
	out := make([]rowWrite, 0, len(changes))
	for i := range changes {
		for n := range changes[i].Writes {
			out = append(out, rowWrite{&changes[i].Writes[n], changes[i].index})
		}
	}
	slices.SortStableFunc(out, func(a, b rowWrite) int {
		return cmp.Or(cmp.Compare(a.Row.MsgID, b.Row.MsgID), cmp.Compare(a.Row.Fingerprint, b.Row.Fingerprint))
	})
	return out
}

func inOrderOfOrders(changes []change) []*change {
	out := make([]*change, 0, len(changes))
	for i := range changes {
		if changes[i].Effect != nil {
			out = append(out, &changes[i])
		}
	}
	slices.SortStableFunc(out, func(a, b *change) int {
		return cmp.Compare(a.Effect.Order.OrderID, b.Effect.Order.OrderID)
	})
	return out
}

func (x *session) writeRow(ctx context.Context, group string, w *queue.Write, now time.Time) (int64, error) {
	switch w.Kind {
	case queue.Insert:
		return x.exec(ctx, x.store.text.insertRow, insertArgs(group, &w.Row, now)...)
	case queue.Control:
		return x.exec(ctx, x.store.text.controlRow, controlArgs(group, w, now)...)
	default:
		return x.exec(ctx, x.store.text.updateRow, updateArgs(group, w, now)...)
	}
}

// compared turns the answer to one of our own writes into an error: it must have changed exactly one row.
func (x *session) compared(index int, n int64, err error) error {
	switch {
	case err != nil:
		return x.blamed(index, err, false)
	case n != 1:
		return &recordError{index: index, err: queue.ErrRaced}
	}
	return nil
}

// blamed says whose an error of a write is. A UNIQUE key of our own tables that refuses a row is a lost compare: another
// process was first. A statement of the operator's that is wrong fails for this record only, as the others may not run
// it. What the connection is to blame for stays an error of the whole batch.
func (x *session) blamed(index int, err error, operators bool) error {
	f := meaning(x.store.dialect, err)
	switch {
	case f.busy:
		return err // nobody's: once more, all of it
	case f.unique && !operators:
		return &recordError{index: index, err: queue.ErrRaced}
	case f.class == queue.ClassFatal, f.class == queue.ClassRetryable, f.slow, f.ours && operators:
		return &recordError{index: index, err: failureOf(f, err)}
	}
	return err
}
