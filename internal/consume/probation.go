package consume

import (
	"context"
	"log/slog"
	"time"

	"commerce.internal/orderctl/internal/failpoint"
	"commerce.internal/orderctl/internal/obs"
)

// So many unclean ends of a group within so long put its workers on probation, until there was none for so long.
const (
	uncleanEnds   = 3
	uncleanWithin = 10 * time.Minute
)

// Runs remembers when processes of a group began and ended.
type Runs interface {
	BeginRun(ctx context.Context, group, instance string, at time.Time) error
	EndRun(ctx context.Context, group, instance string, began, at time.Time) error
	// UncleanEnds counts the runs that ended without saying so, since a time.
	UncleanEnds(ctx context.Context, group string, since time.Time) (int, error)
}

// beginRun notes that this process has begun. Without a database to note it in the worker begins all the same.
func (w *Worker) beginRun(ctx context.Context) (end func(context.Context)) {
	if w.o.Runs == nil {
		return func(context.Context) {}
	}
	began := w.o.Now()
	within, cancel := context.WithTimeout(ctx, placeTimeout)
	defer cancel()
	if err := w.o.Runs.BeginRun(within, w.o.Names.Group, w.o.Slot, began); err != nil && ctx.Err() == nil {
		w.o.Log.WarnContext(ctx, "the start of this run is not noted", slog.Any(obs.KeyError, err))
	}
	w.lookForCrashes(within)
	return func(ctx context.Context) {
		// The run has ended, and with it its context; what is noted now is that it ended well.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), placeTimeout)
		defer cancel()
		if err := w.o.Runs.EndRun(ctx, w.o.Names.Group, w.o.Slot, began, w.o.Now()); err != nil {
			w.o.Log.WarnContext(ctx, "the end of this run is not noted", slog.Any(obs.KeyError, err))
		}
	}
}

// lookForCrashes puts the worker on probation, or ends it.
func (w *Worker) lookForCrashes(ctx context.Context) {
	if w.o.Runs == nil {
		return
	}
	n, err := w.o.Runs.UncleanEnds(ctx, w.o.Names.Group, w.o.Now().Add(-uncleanWithin))
	switch {
	case err != nil:
		w.o.Log.DebugContext(ctx, "unclean ends are not known", slog.Any(obs.KeyError, err))
	case n >= uncleanEnds && !w.probation.Swap(true):
		w.o.Log.WarnContext(ctx, "processes of this group do not end as they should: one record at a time, to find the one that kills them",
			slog.Int(obs.KeyCount, n))
	case n == 0 && w.probation.Swap(false):
		w.o.Log.InfoContext(ctx, "no process was killed for a while: records run side by side again")
	}
}

// share is how many records the next attempt may have. On probation it is one, and no other attempt runs beside it until
// done is called.
func (w *Worker) share(ctx context.Context) (limit int, done func(), err error) {
	if !w.probation.Load() {
		return w.batch, func() {}, nil
	}
	select {
	case w.solo <- struct{}{}:
		return 1, func() { <-w.solo }, nil
	case <-ctx.Done():
		return 0, nil, ctx.Err()
	}
}

// startAgain runs a record whose row says now that it is about to run, before any other.
func (w *Worker) startAgain(ctx context.Context, it *item) {
	it.msg.started = true
	failpoint.Hit("running")
	w.settle(ctx, []*item{it})
}
