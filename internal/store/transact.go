package store

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"commerce.internal/orderctl/internal/queue"
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
	for try := 1; ; try++ {
		err := s.attempt(ctx, fn)
		if err == nil {
			return nil
		}
		if try < busyTries && time.Since(began) < busyTotal && meaning(s.dialect, err).busy {
			continue
		}
		if own := (*recordError)(nil); errors.As(err, &own) {
			return err
		}
		return whole(s.dialect, doing, err)
	}
}

func (s *Store) attempt(ctx context.Context, fn func(*session) error) error {
	x, err := s.take(ctx)
	if err != nil {
		return err
	}
	defer s.give(x)
	defer x.rollback(ctx) // before give, and also when fn panics
	err = x.run(ctx, fn)
	if err != nil && s.broken(err) {
		// The connections are worth nothing any more. The next call opens new ones, so nobody has to restart
		// anything when the database is back.
		if err := s.hangUp(x.link); err != nil {
			s.opts.Log.DebugContext(ctx, "cannot close database", slog.String("error", err.Error()))
		}
	}
	return err
}

func (x *session) run(ctx context.Context, fn func(*session) error) error {
	if err := x.begin(ctx); err != nil {
		return err
	}
	if err := x.link.still(); err != nil {
		return err
	}
	if err := fn(x); err != nil {
		return err
	}
	if err := x.commit(ctx); err != nil {
		return &commitError{err}
	}
	return x.link.still() // a commit into a file that was taken away meanwhile is no commit
}

// broken reports whether an error of the driver leaves the connection useless.
func (s *Store) broken(err error) bool {
	if own := (*recordError)(nil); errors.As(err, &own) {
		return false
	}
	if known := (*failure)(nil); errors.As(err, &known) {
		return false // seen from outside: the connection itself has said nothing
	}
	f := meaning(s.dialect, err)
	return f.class == queue.ClassOutage && !f.busy
}

// commitError says that everything was written and only the end of the transaction was refused.
type commitError struct{ err error }

func (e *commitError) Error() string { return "commit: " + e.err.Error() }
func (e *commitError) Unwrap() error { return e.err }
