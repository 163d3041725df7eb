package consume

import (
	"context"
	"maps"
	"slices"
	"sync"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

// MemStore is a Store in memory that compares before it sets. Between the reads and the writes of a transaction it holds
// no lock: whoever changes a row meanwhile makes the other one lose.
type MemStore struct {
	mu     sync.Mutex
	rows   map[queue.RowKey]queue.Row
	index  map[string][]queue.RowKey // of rows: "m" and message id, "o" and order id
	status map[string]order.Status
	effect []queue.Effect

	Answer  func(ctx context.Context) error // the whole transaction fails with it
	Refuse  func(e queue.Effect) error      // the effect of one record fails with it
	Row     func(r queue.Row) error         // the writes of one record fail with it
	Between func()                          // runs between reads and writes
	Placed  func(queue.RowKey, int) error   // Place fails with it
	bugs    map[string]bool                 // what the simulation leaves out
}

// NewMemStore returns an empty store.
func NewMemStore() *MemStore {
	return &MemStore{rows: map[queue.RowKey]queue.Row{}, index: map[string][]queue.RowKey{}, status: map[string]order.Status{}}
}

// Apply implements Store.
func (s *MemStore) Apply(ctx context.Context, _ string, look []queue.Lookup, decide func(int, queue.Seen) queue.Change) ([]error, error) {
	if s.Answer != nil {
		if err := s.Answer(ctx); err != nil {
			return nil, err
		}
	}
	seen := s.read(look)
	changes := make([]queue.Change, len(look))
	for i := range look {
		changes[i] = decide(i, seen[i])
	}
	if s.Between != nil {
		s.Between()
	}
	errs := make([]error, len(look))
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, c := range changes {
		errs[i] = s.commit(c, seen[i].Stored)
	}
	return errs, nil
}

func (s *MemStore) read(look []queue.Lookup) []queue.Seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := make([]queue.Seen, len(look))
	for i, l := range look {
		for _, key := range s.index["m"+l.MsgID] {
			seen[i].Message = append(seen[i].Message, s.rows[key])
		}
		for _, key := range s.index["o"+l.OrderID] {
			if r := s.rows[key]; l.OrderID != "" && key.MsgID != l.MsgID && r.State != queue.StateDone {
				seen[i].Order = append(seen[i].Order, r)
			}
		}
		if status, ok := s.status[l.OrderID]; ok {
			seen[i].Stored = &queue.StoredOrder{Status: status}
		}
	}
	return seen
}

// commit does one change or nothing. The lock is held.
func (s *MemStore) commit(c queue.Change, stored *queue.StoredOrder) error {
	for _, w := range c.Writes {
		if s.Row != nil {
			if err := s.Row(w.Row); err != nil {
				return err
			}
		}
		if !s.holds(w) {
			return queue.ErrRaced
		}
	}
	if e := c.Effect; e != nil {
		if s.Refuse != nil {
			if err := s.Refuse(*e); err != nil {
				return err
			}
		}
		status, found := s.status[e.Order.OrderID]
		if found == e.Insert || stored != nil && stored.Status != status {
			return queue.ErrRaced
		}
		s.status[e.Order.OrderID] = e.Order.Status
		s.effect = append(s.effect, *e)
	}
	for _, w := range c.Writes {
		was, found := s.rows[w.Row.RowKey]
		row := w.Row
		switch {
		case w.Kind == queue.Control:
			row = was
			row.State, row.Outcome, row.Control = w.Row.State, w.Row.Outcome, w.Row.Control
		case found:
			row.Src, row.Control, row.OrderID = was.Src, was.Control, was.OrderID
		}
		s.rows[row.RowKey] = row
		if !found {
			s.index["m"+row.MsgID] = append(s.index["m"+row.MsgID], row.RowKey)
			s.index["o"+row.OrderID] = append(s.index["o"+row.OrderID], row.RowKey)
		}
	}
	return nil
}

// holds compares a write with what is there. A seeded bug leaves a part of it out.
func (s *MemStore) holds(w queue.Write) bool {
	row, found := s.rows[w.Row.RowKey]
	done := w.Row.State == queue.StateDone
	if done && !s.bugs["done-unique"] {
		for _, key := range s.index["m"+w.Row.MsgID] {
			if key != w.Row.RowKey && s.rows[key].State == queue.StateDone {
				return false
			}
		}
	}
	switch {
	case w.Kind == queue.Insert:
		return !found || s.bugs["insert-cas"]
	case w.Kind == queue.Control && (s.bugs["control-off"] || s.bugs["control-alone"] && row.Control < w.Row.Control):
		return found
	case w.Kind == queue.Control && row.Control >= w.Row.Control && !s.bugs["control-read"]:
		return false
	case s.bugs["update-cas"], done && s.bugs["done-cas"], w.Row.Hop > w.Was.Hop && s.bugs["hop-cas"],
		w.Row.Outcome == queue.Superseded && s.bugs["super-cas"]:
		return found
	}
	return found && (row.State == w.Was.State || s.bugs["cas-state"]) && (row.Hop == w.Was.Hop || s.bugs["cas-hop"]) &&
		(row.At == w.Was.At || s.bugs["cas-pos"])
}

// Place implements Store.
func (s *MemStore) Place(_ context.Context, _ string, key queue.RowKey, hop int, at queue.Position) error {
	if s.Placed != nil {
		if err := s.Placed(key, hop); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	row, ok := s.rows[key]
	if ok && (row.Hop == hop || s.bugs["pos-hop"]) && (row.At.Offset < 0 || s.bugs["pos-null"]) {
		row.At = at
		s.rows[key] = row
	}
	return nil
}

// Set changes the store's behaviour under its lock.
func (s *MemStore) Set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// Rows returns all rows by source offset.
func (s *MemStore) Rows() []queue.Row {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.rows), func(a, b queue.Row) int { return int(a.Src.Offset - b.Src.Offset) })
}

// Effects returns what was done to the orders table.
func (s *MemStore) Effects() []queue.Effect {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.effect)
}
