package store

import (
	"context"
	"database/sql"
	"time"
)

// runsKept is how long the start of a process is remembered.
const runsKept = 7 * 24 * time.Hour

// BeginRun notes that the process called instance starts to work for a group. Of an earlier run under the same name that
// has no end nobody needs to be told more: it ended uncleanly, before this one began.
func (s *Store) BeginRun(ctx context.Context, group, instance string, at time.Time) error {
	return s.transact(ctx, "note the start of a run", func(x *session) error {
		_, err := x.exec(ctx, render(s.text.syntax, `DELETE FROM orderctl_runs
			WHERE consumer_group = ? AND started_at < ?`), group, at.Add(-runsKept).UnixMilli())
		if err != nil {
			return err
		}
		_, err = x.exec(ctx, render(s.text.syntax, `INSERT INTO orderctl_runs (consumer_group, instance, started_at)
			VALUES (?, ?, ?)`), group, instance, at.UnixMilli())
		return err
	})
}

// EndRun notes that the run which began at that time has ended as it should.
func (s *Store) EndRun(ctx context.Context, group, instance string, began, at time.Time) error {
	return s.transact(ctx, "note the end of a run", func(x *session) error {
		_, err := x.exec(ctx, render(s.text.syntax, `UPDATE orderctl_runs SET ended_at = ?
			WHERE consumer_group = ? AND instance = ? AND started_at = ?`),
			at.UnixMilli(), group, instance, began.UnixMilli())
		return err
	})
}

// UncleanEnds counts the runs of a group that ended without saying so and whose successor, the next run of the same
// instance, began after a time. When a process is killed is not known; when it comes back is.
func (s *Store) UncleanEnds(ctx context.Context, group string, since time.Time) (int, error) {
	n := 0
	err := s.look(ctx, "count unclean ends", func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, render(s.text.syntax, `SELECT count(*) FROM orderctl_runs r
			WHERE r.consumer_group = ? AND r.ended_at IS NULL AND (SELECT min(n.started_at) FROM orderctl_runs n
				WHERE n.consumer_group = r.consumer_group AND n.instance = r.instance AND n.started_at > r.started_at) > ?`),
			group, since.UnixMilli()).Scan(&n)
	})
	return n, err
}
