package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"commerce.internal/orderctl/internal/queue"
)

// aloneTries is how often a record is read and decided by itself while others change its rows.
const aloneTries = 3

// recordError is what the database said to the writes of one record.
type recordError struct {
	index int
	err   error // queue.ErrRaced or a *queue.Failure
}

// Error implements error.
func (e *recordError) Error() string { return fmt.Sprintf("record %d: %v", e.index, e.err) }

// Unwrap returns the record's own error.
func (e *recordError) Unwrap() error { return e.err }

func ownOf(err error) *recordError {
	var own *recordError
	if errors.As(err, &own) {
		return own
	}
	return nil
}

// singly does the batch again with a savepoint around each record. A record that takes the whole transaction with it
// (an "OR ROLLBACK" of the operator's) is left out of the next round.
func (b *batch) singly(ctx context.Context) ([]error, error) {
	for bad := map[int]error{}; ; {
		err := b.store.transact(ctx, "apply batch", func(x *session) error { return b.each(ctx, x, bad) })
		own := ownOf(err)
		switch {
		case err == nil:
			return b.errs, nil
		case own != nil:
			bad[own.index] = own.err
		case b.refused(err) != nil:
			return b.apart(ctx)
		default:
			return nil, err
		}
	}
}

func (b *batch) each(ctx context.Context, x *session, bad map[int]error) error {
	for _, i := range b.inOrder() {
		b.errs[i] = bad[i]
		if bad[i] != nil {
			continue
		}
		own, err := b.alone(ctx, x, i)
		if err != nil {
			return err
		}
		b.errs[i] = own
	}
	return nil
}

// inOrder is the records by their orders: two workers that do the same ones by themselves wait for each other one way
// only. Those of one order stay as they came.
func (b *batch) inOrder() []int {
	indexes := make([]int, len(b.look))
	for i := range indexes {
		indexes[i] = i
	}
	slices.SortStableFunc(indexes, func(i, j int) int {
		if c := cmp.Compare(b.look[i].OrderID, b.look[j].OrderID); c != 0 || b.look[i].OrderID != "" {
			return c
		}
		return cmp.Compare(b.look[i].MsgID, b.look[j].MsgID)
	})
	return indexes
}

// alone does one record, and does it again after a lost compare: what it reads then is newer. The first result is the
// record's own error, undone by itself; the second ends the transaction.
func (b *batch) alone(ctx context.Context, x *session, i int) (own, err error) {
	for range aloneTries {
		own, err = b.inSavepoint(ctx, x, i)
		if err != nil || !errors.Is(own, queue.ErrRaced) {
			return own, err
		}
	}
	return own, nil
}

func (b *batch) inSavepoint(ctx context.Context, x *session, i int) (own, err error) {
	if _, err := x.exec(ctx, "SAVEPOINT one_record"); err != nil {
		return nil, err
	}
	err = b.one(ctx, x, i)
	r := ownOf(err)
	if err != nil && r == nil {
		return nil, err
	}
	if r != nil {
		if _, gone := x.exec(ctx, "ROLLBACK TO SAVEPOINT one_record"); gone != nil {
			return nil, r
		}
		own = r.err
	}
	_, err = x.exec(ctx, "RELEASE SAVEPOINT one_record")
	return own, err
}

// refused returns why the commit of all that was written was refused, where what was written is to blame: a deferred
// constraint of the operator's tables, that no savepoint meets.
func (b *batch) refused(err error) *queue.Failure {
	var c *commitError
	if !errors.As(err, &c) {
		return nil
	}
	f := meaning(b.store.dialect, c.err)
	if f.class != queue.ClassFatal {
		return nil
	}
	return failureOf(f, c)
}

// apart gives each record a transaction of its own, since only the commit tells which one is refused.
func (b *batch) apart(ctx context.Context) ([]error, error) {
	for i := range b.look {
		err := b.store.transact(ctx, "apply record", func(x *session) error { return b.one(ctx, x, i) })
		b.errs[i] = err // an outage too: what was committed before it stands
		if own := ownOf(err); own != nil {
			b.errs[i] = own.err
		} else if f := b.refused(err); f != nil {
			b.errs[i] = f
		}
	}
	return b.errs, nil
}
