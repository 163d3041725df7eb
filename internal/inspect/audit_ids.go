package inspect

import (
	"context"
	"fmt"
	"hash/maphash"
	"slices"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

// idSet knows the ids that a shop named, order ids or message ids, and which of them were on the topic. It keeps eight bytes
// and a bit of each, so that a file of millions fits; what it finds missing is read from the file again.
type idSet struct {
	seed   maphash.Seed
	hashes []uint64 // sorted
	seen   []bool
	left   int  // not seen
	asked  bool // the tail of the log was read for them
}

// loadIDs reads the ids for the first time.
func (a *auditor) loadIDs() error {
	if a.o.IDs == nil {
		return nil
	}
	s := &idSet{seed: maphash.MakeSeed()}
	err := a.o.IDs(func(id string) error {
		s.hashes = append(s.hashes, maphash.String(s.seed, id))
		return nil
	})
	if err != nil {
		return fmt.Errorf("read ids: %w", err)
	}
	slices.Sort(s.hashes)
	s.hashes = slices.Compact(s.hashes)
	s.seen, s.left = make([]bool, len(s.hashes)), len(s.hashes)
	a.ids = s
	return nil
}

// open reports whether ids are left that the log was not searched for to its end.
func (s *idSet) open() bool { return s != nil && s.left > 0 && !s.asked }

// mark notes that ids are on the topic. It reports whether one of them is new.
func (s *idSet) mark(ids ...string) bool {
	if s == nil || s.left == 0 {
		return false
	}
	fresh := false
	for _, id := range ids {
		if i, found := slices.BinarySearch(s.hashes, maphash.String(s.seed, id)); found && !s.seen[i] {
			s.seen[i], fresh = true, true
			s.left--
		}
	}
	return fresh
}

// tail reads what came after the ends that the audit began with, for ids that were not found before them; then it asks
// the database, which remembers what the log has let go. What is left is nowhere.
func (a *auditor) tail(ctx context.Context, stretches []stretch) error {
	if !a.ids.open() {
		return nil
	}
	a.ids.asked = true
	source := a.o.Names.Source
	for _, s := range stretches {
		now := placeOf(a.snap, source, s.partition)
		if s.problem != "" || now.problem != "" {
			continue // a partition that is not read is said to be
		}
		err := a.o.Log.Scan(ctx, source, s.partition, max(s.end, now.start), max(s.end, now.stable), func(r queue.Record) error {
			a.ids.mark(string(r.Key), queue.MessageIDOf(r, source))
			return nil
		})
		if ctx.Err() != nil {
			return fmt.Errorf("read %s/%d: %w", source, s.partition, context.Cause(ctx))
		}
		if err != nil {
			a.r.unread(s.partition, why(err))
		}
	}
	return a.nameIDs(ctx)
}

// nameIDs reads the ids again and names those that are on no record and in no row.
func (a *auditor) nameIDs(ctx context.Context) error {
	var batch []string
	err := a.o.IDs(func(id string) error {
		if !a.ids.mark(id) {
			return nil
		}
		if batch = append(batch, id); len(batch) < idsPage {
			return nil
		}
		err := a.unknown(ctx, batch)
		batch = batch[:0]
		return err
	})
	if err == nil {
		err = a.unknown(ctx, batch)
	}
	if err != nil {
		return fmt.Errorf("look for ids: %w", err)
	}
	a.r.Unresolved += int64(a.ids.left) // they were named the first time, and the second time they were not
	return nil
}

// unknown names the ids that are in no row either. An order id stands in rows with each status it may have.
func (a *auditor) unknown(ctx context.Context, ids []string) error {
	var ask []string
	for _, id := range ids {
		ask = append(ask, id)
		for _, s := range statuses() {
			ask = append(ask, order.Order{OrderID: id, Status: s}.MessageID())
		}
	}
	rows, err := a.byIDs(ctx, ask)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, r := range rows {
		known[r.MsgID], known[r.OrderID] = true, true
	}
	for _, id := range ids {
		switch {
		case known[id]:
		case len(a.r.Unread) > 0, int(*a.r.NotOnTopic) >= a.o.Most: // it may lie where we could not read
			a.r.Unresolved++
		default:
			a.r.notOnTopic(id)
		}
	}
	return nil
}

func statuses() []order.Status {
	return []order.Status{order.Created, order.Paid, order.Shipped, order.Completed, order.Cancelled, order.Refunded}
}
