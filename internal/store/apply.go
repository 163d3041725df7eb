package store

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"commerce.internal/orderctl/internal/queue"
)

// Decide says what record i does to the database, from what was read for it. It is called again after each new look,
// the last answer counts; it must not wait for anything.
type Decide = func(i int, seen queue.Seen) queue.Change

// Apply does what decide says, for all records of a batch in one transaction.
//
// Where a record has an error of its own, or meets a row that another process changed, the batch is rolled back and
// done again with a savepoint around each record: it alone is undone, the others are committed. The first result has
// one error per record: nil says committed, queue.ErrRaced that nothing was written and nothing counts, a
// *queue.Failure why it was refused. The second says that nothing at all was committed, for a reason that is nobody's
// order: a *queue.Failure of class outage or timeout.
func (s *Store) Apply(ctx context.Context, group string, look []queue.Lookup, decide Decide) ([]error, error) {
	odd := func(l queue.Lookup) bool { return !isText(l.MsgID) || !isText(l.OrderID) }
	if !slices.ContainsFunc(look, odd) {
		return s.apply(ctx, group, look, decide)
	}
	fit := slices.DeleteFunc(slices.Clone(look), odd)
	errs, at := make([]error, len(look)), []int{}
	for i, l := range look {
		if !odd(l) {
			at = append(at, i)
		} else {
			errs[i] = &queue.Failure{Class: queue.ClassFatal, Code: "no-text", Message: "an id is no text: it has a NUL, or bytes that are no UTF-8"}
		}
	}
	own, err := s.apply(ctx, group, fit, func(i int, seen queue.Seen) queue.Change { return decide(at[i], seen) })
	if err != nil {
		return nil, err
	}
	for i, err := range own {
		errs[at[i]] = err
	}
	return errs, nil
}

// isText reports whether every database can hold s. PostgreSQL would refuse the whole batch for one that is none.
func isText(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

func (s *Store) apply(ctx context.Context, group string, look []queue.Lookup, decide Decide) ([]error, error) {
	if len(look) == 0 {
		return nil, nil
	}
	b := &batch{store: s, group: group, look: look, decide: decide, errs: make([]error, len(look))}
	err := s.transact(ctx, "apply batch", func(x *session) error { return b.together(ctx, x) })
	if err == nil {
		return b.errs, nil
	}
	if ownOf(err) == nil && b.refused(err) == nil {
		return nil, err
	}
	return b.singly(ctx)
}

// batch is one call of Apply.
type batch struct {
	store  *Store
	group  string
	look   []queue.Lookup
	decide Decide
	errs   []error
}

// together reads for all records, decides, and writes in the order of the keys. Two records of one message or one
// order are not looked up at once: the second has to see what the first did.
func (b *batch) together(ctx context.Context, x *session) error {
	for _, wave := range waves(b.look) {
		changes, err := b.decided(ctx, x, wave)
		if err != nil {
			return err
		}
		if err := x.writeAll(ctx, b.group, changes); err != nil {
			return err
		}
	}
	return nil
}

// one does a record by itself, so that each error is its own.
func (b *batch) one(ctx context.Context, x *session, index int) error {
	changes, err := b.decided(ctx, x, []int{index})
	if err != nil {
		return err
	}
	return x.write(ctx, b.group, changes)
}

// decided reads for the records with these indexes, and decides.
func (b *batch) decided(ctx context.Context, x *session, indexes []int) ([]change, error) {
	look := make([]queue.Lookup, len(indexes))
	for n, i := range indexes {
		look[n] = b.look[i]
	}
	seen, err := x.seen(ctx, b.group, look)
	if err != nil {
		return nil, err
	}
	changes := make([]change, len(indexes))
	for n, i := range indexes {
		changes[n] = change{index: i, seen: seen[n], Change: b.decide(i, seen[n])}
	}
	return changes, nil
}

// waves splits a batch so that no message id and no order occurs twice in one part. Mostly it is one.
func waves(look []queue.Lookup) [][]int {
	var out [][]int
	ids, orderIDs := make(map[string]int, len(look)), make(map[string]int, len(look)) // how often each has occurred
	for i, l := range look {
		n := ids[l.MsgID]
		if l.OrderID != "" {
			n = max(n, orderIDs[l.OrderID])
			orderIDs[l.OrderID] = n + 1
		}
		ids[l.MsgID] = n + 1
		if n == len(out) {
			out = append(out, make([]int, 0, len(look)-i))
		}
		out[n] = append(out[n], i)
	}
	return out
}
