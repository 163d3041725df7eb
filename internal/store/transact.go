package store

import (
	"context"
	"log/slog"
	"time"
)

// A database that another process holds is asked again at once, so often and so long; each question waits by itself
// (busy_timeout). Nothing of it is counted: no order is to blame.
const (
	busyTries = 10
	busyTotal = 5 * time.Second
)

// transact runs fn in one transaction and commits it. Whatever fails, nothing is left behind, and the connection is
// fit for the next transaction or closed. An error that is not a record's own is a failure of the whole batch.
func (s *Store) transact(ctx context.Context, doing string, fn func(*session) error) error {
	began := time.Now()
	fresh := false
	for try := 1; ; try++ {
		stale, err := s.attempt(ctx, fn)
		if err == nil {
			return nil
		}
		if stale && !fresh {
			fresh = true
			continue
		}
		if try < busyTries && time.Since(began) < busyTotal && meaning(s.dialect, err).busy {
			continue
		}
		if ownOf(err) != nil {
			return err
		}
		return whole(s.dialect, doing, err)
	}
}

// attempt does it once. Stale says that the connection had died since it was used last, before anything was asked of it
// now: no outage yet, the next one tells.
func (s *Store) attempt(ctx context.Context, fn func(*session) error) (stale bool, err error) {
	x, err := s.take(ctx)
	if err != nil {
		return false, err
	}
	defer s.give(x)
	defer x.rollback(ctx) // before give, and also when fn panics
	err = x.run(ctx, fn)
	lost := s.abandon(ctx, x.link, err)
	return lost && x.used && !x.answered, err
}

// abandon gives up the connections after an error that leaves them useless. The next call opens new ones, so nobody has
// to restart anything when the database is back.
func (s *Store) abandon(ctx context.Context, l *link, err error) (lost bool) {
	if err == nil || ownOf(err) != nil || !meaning(s.dialect, err).lost {
		return false
	}
	if err := s.hangUp(l); err != nil {
		s.opts.Log.DebugContext(ctx, "cannot close database", slog.String("error", err.Error()))
	}
	return true
}

func (x *session) run(ctx context.Context, fn func(*session) error) error {
	if err := x.begin(ctx); err != nil {
		return err
	}
	if err := fn(x); err != nil {
		return err
	}
	if err := x.commit(ctx); err != nil {
		return err
	}
	return x.link.still() // a commit into a file that was taken away since take is no commit
}

// commitError says that everything was written and only the end of the transaction was refused.
type commitError struct{ err error }

func (e *commitError) Error() string { return "commit: " + e.err.Error() }
func (e *commitError) Unwrap() error { return e.err }
