package consume

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"commerce.internal/orderctl/internal/obs"
	"commerce.internal/orderctl/internal/queue"
)

const (
	countEvery  = 15 * time.Second // messages by state
	runsEvery   = 30 * time.Second // unclean ends
	expireEvery = 10 * time.Minute
	askTimeout  = 10 * time.Second
	expireMost  = 50 // calls of one clean-up: the rest has time
)

// Keeper looks after what the store remembers.
type Keeper interface {
	// Counts returns how many messages are in each state but done.
	Counts(ctx context.Context, group string) (map[queue.State]int64, error)
	// Expire forgets messages that were done before a time and lie below the commits; it returns how many.
	Expire(ctx context.Context, group string, before time.Time, committed []queue.Position) (int, error)
}

// keep asks the store now and then, until ctx ends.
func (w *Worker) keep(ctx context.Context) {
	if w.o.Keeper == nil && w.o.Runs == nil {
		return
	}
	count, runs := time.NewTicker(countEvery), time.NewTicker(runsEvery)
	expire := time.NewTimer(time.Minute + rand.N(expireEvery)) // workers that begin together clean up one by one
	defer func() { count.Stop(); runs.Stop(); expire.Stop() }()
	w.census(ctx)
	for {
		select {
		case <-count.C:
			w.census(ctx)
		case <-runs.C:
			within, cancel := context.WithTimeout(ctx, askTimeout)
			w.lookForCrashes(within)
			cancel()
		case <-expire.C:
			w.expire(ctx)
			expire.Reset(expireEvery)
		case <-ctx.Done():
			return
		}
	}
}

// census asks how many messages are not done. What is not known is not shown.
func (w *Worker) census(ctx context.Context) {
	if w.o.Keeper == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	counts, err := w.o.Keeper.Counts(ctx, w.o.Names.Group)
	if err != nil {
		counts = nil
	}
	w.counts.Store(&counts)
}

// expire forgets what is done and old. A message at or above a commit may come again, so it stays.
func (w *Worker) expire(ctx context.Context) {
	if w.o.KeepDone <= 0 || w.o.Keeper == nil || w.o.Committed == nil {
		return
	}
	within, cancel := context.WithTimeout(ctx, askTimeout)
	committed, err := w.o.Committed(within)
	cancel()
	total := 0
	for range expireMost {
		if err != nil || ctx.Err() != nil {
			break
		}
		var n int
		within, cancel := context.WithTimeout(ctx, askTimeout)
		n, err = w.o.Keeper.Expire(within, w.o.Names.Group, w.o.Now().Add(-w.o.KeepDone), committed)
		cancel()
		if total += n; n == 0 {
			break
		}
	}
	if err != nil && ctx.Err() == nil {
		w.o.Log.WarnContext(ctx, "old messages are not forgotten yet", slog.Any(obs.KeyError, err))
	}
	if total > 0 {
		w.o.Log.InfoContext(ctx, "old messages that are done are forgotten", slog.Int(obs.KeyCount, total))
	}
}
