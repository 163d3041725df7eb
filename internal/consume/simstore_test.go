package consume

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/queue"
)

// simStore is a store taken apart: what a transaction reads, and what it writes later. So another process may come between
// any two of its statements.
type simStore interface {
	message(l queue.Lookup) []queue.Row
	order(l queue.Lookup) ([]queue.Row, *queue.StoredOrder)
	write(l queue.Lookup, c queue.Change) bool // false: a compare is lost
	place(key queue.RowKey, hop int, at queue.Position)
	row(key queue.RowKey) queue.Row
	rows() []queue.Row // of both orders
}

// simMemory is the store in memory, with or without seeded bugs.
type simMemory struct{ mem *MemStore }

func (s simMemory) message(l queue.Lookup) []queue.Row {
	var found []queue.Row
	for _, key := range s.mem.index["m"+l.MsgID] {
		found = append(found, s.mem.rows[key])
	}
	return found
}

func (s simMemory) order(l queue.Lookup) ([]queue.Row, *queue.StoredOrder) {
	seen := s.mem.read([]queue.Lookup{l})[0]
	return seen.Order, seen.Stored
}

func (s simMemory) write(l queue.Lookup, c queue.Change) bool {
	if e := c.Effect; e != nil { // the order row is read and locked with the write
		status, found := s.mem.status[e.Order.OrderID]
		if found == e.Insert {
			return false
		}
		return s.mem.commit(c, &queue.StoredOrder{Status: status}) == nil
	}
	return s.mem.commit(c, nil) == nil
}

func (s simMemory) place(key queue.RowKey, hop int, at queue.Position) {
	_ = s.mem.Place(context.Background(), "g", key, hop, at)
}

func (s simMemory) row(key queue.RowKey) queue.Row { return s.mem.rows[key] }
func (s simMemory) rows() []queue.Row              { return s.mem.Rows() }

// sqlStore is what a real store has for the simulation.
type sqlStore interface {
	Store
	Rows(ctx context.Context, group string, keys []queue.RowKey) (map[queue.RowKey]queue.Row, error)
	Order(ctx context.Context, group, id string) (queue.OrderView, error)
}

// simDatabase is a real store. What it is told to write was decided from an older look: its own compares have to notice.
type simDatabase struct {
	t     testing.TB
	db    sqlStore
	group string
}

func (s *simDatabase) apply(l queue.Lookup, decide func(queue.Seen) queue.Change) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	errs, err := s.db.Apply(ctx, s.group, []queue.Lookup{l}, func(_ int, seen queue.Seen) queue.Change { return decide(seen) })
	if err == nil {
		err = errs[0]
	}
	if err != nil && !errors.Is(err, queue.ErrRaced) {
		s.t.Errorf("the database says %v", err)
	}
	return err
}

func (s *simDatabase) read(l queue.Lookup) (found queue.Seen) {
	_ = s.apply(l, func(seen queue.Seen) queue.Change {
		found = seen
		return queue.Change{}
	})
	return found
}

func (s *simDatabase) message(l queue.Lookup) []queue.Row { return s.read(l).Message }

func (s *simDatabase) order(l queue.Lookup) ([]queue.Row, *queue.StoredOrder) {
	seen := s.read(l)
	return seen.Order, seen.Stored
}

func (s *simDatabase) write(l queue.Lookup, c queue.Change) bool {
	return s.apply(l, func(queue.Seen) queue.Change { return c }) == nil
}

func (s *simDatabase) place(key queue.RowKey, hop int, at queue.Position) {
	if err := s.db.Place(context.Background(), s.group, key, hop, at); err != nil && !errors.Is(err, queue.ErrRaced) {
		s.t.Errorf("the database says %v", err)
	}
}

func (s *simDatabase) row(key queue.RowKey) queue.Row {
	rows, err := s.db.Rows(context.Background(), s.group, []queue.RowKey{key})
	if err != nil {
		s.t.Errorf("the database says %v", err)
	}
	return rows[key]
}

func (s *simDatabase) rows() []queue.Row {
	var all []queue.Row
	for _, id := range []string{"A0", "A1"} {
		v, err := s.db.Order(context.Background(), s.group, id)
		if err != nil {
			s.t.Errorf("the database says %v", err)
		}
		all = append(all, v.Rows...)
	}
	slices.SortFunc(all, func(a, b queue.Row) int { return int(a.Src.Offset - b.Src.Offset) })
	return all
}
