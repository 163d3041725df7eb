package consume

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"commerce.internal/orderctl/internal/obs"
	"commerce.internal/orderctl/internal/queue"
)

const (
	maxPanics     = 3  // of one record, then it is dead
	maxOutages    = 10 // of one record, while others succeed: then it is the record
	othersSucceed = 20
	maxRaces      = 3 // at once; then it waits between
)

// panicError is a recovered panic: it may be the record, and it may be us.
type panicError struct {
	value any
	stack []byte
}

// Error implements error.
func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// guard runs f and returns its panic as an error.
func guard(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{value: v, stack: debug.Stack()}
		}
	}()
	return f()
}

// read reads the record of an item. When that panics, the message still has an identity, and the item is unread.
func (w *Worker) read(it *item) error {
	now := w.o.Now()
	err := guard(func() error {
		it.msg = w.parse(it.rec, now)
		return nil
	})
	it.unread = err != nil
	if err != nil && it.msg == nil {
		it.msg = w.reader.unreadable(it.rec)
	}
	return err
}

// failureOf classes an error of an attempt; what nobody knows may succeed later.
func failureOf(err error) queue.Failure {
	var f *queue.Failure
	var p *panicError
	switch {
	case errors.As(err, &f):
		return *f
	case errors.As(err, &p):
		return queue.Failure{Class: queue.ClassRetryable, Code: "panic", Message: p.Error()}
	case errors.Is(err, context.DeadlineExceeded):
		return queue.Failure{Class: queue.ClassTimeout, Code: "deadline", Message: err.Error()}
	case errors.Is(err, context.Canceled):
		return queue.Failure{Class: queue.ClassOutage, Code: "canceled", Message: err.Error()}
	}
	return queue.Failure{Class: queue.ClassRetryable, Code: "unknown", Message: err.Error()}
}

// away reports whether an error says that the target did not answer.
func away(err error) bool {
	if err == nil || errors.Is(err, queue.ErrRaced) {
		return false
	}
	c := failureOf(err).Class
	return c == queue.ClassOutage || c == queue.ClassTimeout
}

// failed says what happens to a record after an attempt that did not succeed. Nobody's record is to blame for a target
// that is away, nor for a batch that failed as a whole: that is not counted.
func (w *Worker) failed(ctx context.Context, it *item, err error, its bool) {
	f := failureOf(err)
	w.met.failed(f)
	w.logFailure(ctx, it, f, err)
	if !its || away(err) && !it.doubt.blame(f.Class, w.breaker.successes()) {
		w.later(ctx, it, w.jitter(1))
		return
	}
	w.count(ctx, it, f, err)
}

// count counts a failed attempt and says what comes next: another one here, or the rules give the effect up.
func (w *Worker) count(ctx context.Context, it *item, f queue.Failure, err error) {
	if it.msg.failure != nil { // even the row of its letter is refused: it stays, and is never skipped
		w.o.Log.LogAttrs(ctx, slog.LevelError, "record can neither be done nor given up", append(it.attrs(), slog.Any(obs.KeyError, err))...)
		w.later(ctx, it, w.o.Local.Cap)
		return
	}
	if f.Class == queue.ClassOutage {
		f.Class = queue.ClassRetryable
	}
	var p *panicError
	if errors.As(err, &p) {
		if it.panics++; it.panics >= maxPanics {
			f.Class = queue.ClassCrash
		}
	}
	it.msg.tries++
	used := it.verdict.used + 1
	switch {
	case retryable(f.Class) && used < w.o.Local.Attempts && !w.longWait(f):
		w.later(ctx, it, asked(f, w.jitter(it.msg.tries)))
	case retryable(f.Class) && w.o.Order == ByPartition && used-w.o.Local.Attempts < len(w.o.Names.Tiers):
		w.later(ctx, it, asked(f, w.o.Names.Tiers[used-w.o.Local.Attempts]))
	default:
		it.msg.failure = &f
		w.again(it)
	}
}

// raced lets a record whose rows somebody else has changed read again.
func (w *Worker) raced(ctx context.Context, it *item) {
	w.met.races.Inc()
	if it.races++; it.races <= maxRaces {
		w.again(it)
		return
	}
	w.later(ctx, it, w.jitter(1))
}

// later lets a record wait in front of its lane; the others go on.
func (w *Worker) later(ctx context.Context, it *item, d time.Duration) {
	it.claim.restFor(w.o.Now().Add(d))
	w.bg.Go(func() {
		if err := sleep(ctx, d, it.claim.closing); err != nil || closed(it.claim.closing) {
			w.abandon(it)
			return
		}
		w.again(it)
	})
}

// jitter is the wait before the next local attempt: anything up to the doubled base.
func (w *Worker) jitter(attempt int) time.Duration {
	l := w.o.Local
	return 1 + rand.N(min(l.Cap, l.Base<<min(attempt-1, 20)))
}

func (w *Worker) logFailure(ctx context.Context, it *item, f queue.Failure, err error) {
	attrs := append(it.attrs(), slog.String(obs.KeyClass, string(f.Class)), slog.String(obs.KeyCode, f.Code),
		slog.Int(obs.KeyAttempt, it.verdict.used+1), slog.String(obs.KeyError, queue.Cut(f.Message, queue.MaxMessageBytes)))
	level := slog.LevelDebug
	var p *panicError
	if errors.As(err, &p) {
		level = slog.LevelError
		attrs = append(attrs, slog.String(obs.KeyStack, string(p.stack)))
	}
	w.o.Log.LogAttrs(ctx, level, "attempt failed", attrs...)
}
