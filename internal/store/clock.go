package store

import (
	"context"
	"database/sql"
	"time"
)

// Clock returns what the clock of the database server says. A file has no clock of its own: the time is zero.
func (s *Store) Clock(ctx context.Context) (time.Time, error) {
	question := map[string]string{
		"postgres": "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint",
		"mysql":    "SELECT CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)",
	}[s.opts.Driver]
	if question == "" {
		return time.Time{}, nil
	}
	var ms int64
	err := s.look(ctx, "ask the clock of the database", func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, question).Scan(&ms)
	})
	if err != nil {
		return time.Time{}, err
	}
	return time.UnixMilli(ms).UTC(), nil
}
