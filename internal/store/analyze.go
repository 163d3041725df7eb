package store

import (
	"context"
	"log/slog"
)

// learnt are the numbers of records after which the database is told to look at its tables. Until it has, PostgreSQL takes
// a group for a small part of them, and reads all of it for each batch; by itself it looks once a minute, and a plan that
// was made before stays. From then on that is often enough.
func learnt() []int64 { return []int64{500, 5_000, 50_000} }

// learn counts the records of a batch that is committed.
func (s *Store) learn(ctx context.Context, records int) {
	if !s.dialect.syntax().learns {
		return
	}
	now := s.applied.Add(int64(records))
	for _, n := range learnt() {
		if before := now - int64(records); before < n && now >= n {
			err := s.transact(ctx, "look at tables", func(x *session) error {
				_, err := x.exec(ctx, "ANALYZE orderctl_messages, orders")
				return err
			})
			if err != nil {
				s.opts.Log.DebugContext(ctx, "cannot analyze tables", slog.String("error", err.Error()))
			}
			return
		}
	}
}
