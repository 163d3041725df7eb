package consume

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"commerce.internal/orderctl/internal/failpoint"
	"commerce.internal/orderctl/internal/obs"
	"commerce.internal/orderctl/internal/queue"
)

// attemptTimeout bounds one transaction.
const attemptTimeout = 10 * time.Second

// pool works batches one after the other until run ends. What it began it finishes under work.
func (w *Worker) pool(run, work context.Context) error {
	for {
		turn, err := w.enter(run)
		if err != nil {
			return nil //nolint:nilerr // the end of run is the way to stop
		}
		limit, done, err := w.share(run)
		if err == nil {
			err = w.one(run, work, limit, turn)
			done()
		}
		w.leave(turn)
		if err != nil {
			return nil //nolint:nilerr // as above
		}
	}
}

// one takes a batch of at most limit records and processes it.
func (w *Worker) one(run, work context.Context, limit int, t turn) error {
	batch, err := w.lanes.take(run, limit, t.probe())
	if err == nil {
		err = w.pace(run, batch)
	}
	if err == nil {
		w.process(work, batch, t)
	}
	return err
}

// process takes one batch through the rules: one transaction over all of it, then what follows for each record.
func (w *Worker) process(ctx context.Context, batch []*item, t turn) {
	batch = slices.DeleteFunc(batch, func(it *item) bool { return !w.begin(ctx, it, t) })
	if len(batch) > 0 {
		w.settle(ctx, batch)
	}
}

// settle does that for records in flight.
func (w *Worker) settle(ctx context.Context, batch []*item) {
	if failpoint.Bug("done-first") {
		acknowledge(batch...)
	}
	failpoint.Hit("before-db")
	errs, err := w.apply(ctx, batch)
	failpoint.Hit("after-db")
	w.judge(ctx, errs, err)
	for i, it := range batch {
		if err == nil {
			w.follow(ctx, it, errs[i])
			continue
		}
		it.alone.Store(true)
		w.failed(ctx, it, err, len(batch) == 1)
	}
}

// follow does what a record's part of the transaction asks for.
func (w *Worker) follow(ctx context.Context, it *item, err error) {
	switch {
	case closed(it.claim.gone):
		w.abandon(it)
	case errors.Is(err, queue.ErrRaced):
		w.raced(ctx, it)
	case err != nil:
		it.alone.Store(true)
		w.failed(ctx, it, err, true)
	case it.panicked != nil:
		w.failed(ctx, it, it.panicked, true)
	case it.verdict.held:
		it.claim.end(it)
		w.lanes.hold(it)
	case it.verdict.again:
		w.startAgain(ctx, it)
	case it.verdict.post:
		w.deliver(ctx, it)
	case it.verdict.hop != nil:
		w.bg.Go(func() { w.hop(ctx, it) })
	default:
		w.done(ctx, it)
	}
}

// begin takes a record into flight. One that could not be read is read again.
func (w *Worker) begin(ctx context.Context, it *item, t turn) bool {
	it.since, it.probe = w.o.Now(), t.sink
	if !it.claim.begin(it) {
		w.abandon(it)
		return false
	}
	if it.unread {
		if err := w.read(it); err != nil && it.msg.failure == nil {
			w.failed(ctx, it, err, true)
			return false
		}
	}
	return true
}

// apply runs the rules over a batch in one transaction.
func (w *Worker) apply(ctx context.Context, batch []*item) (errs []error, err error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	defer w.dog.begin(w.o.Now().Add(attemptTimeout))()
	look := make([]queue.Lookup, len(batch))
	for i, it := range batch {
		look[i] = queue.Lookup{MsgID: it.msg.key.MsgID, OrderID: it.msg.orderID}
	}
	w.met.begin(len(batch))
	defer w.met.end(len(batch))
	err = guard(func() (err error) {
		errs, err = w.o.Store.Apply(ctx, w.o.Names.Group, look, func(i int, seen queue.Seen) queue.Change {
			return w.decide(batch[i], seen)
		})
		return err
	})
	if err == nil && len(errs) != len(batch) {
		err = errors.New("store answered for another number of records")
	}
	return errs, err
}

// decide asks the rules about one record. What panics writes nothing, nor does what belongs to somebody else by now.
func (w *Worker) decide(it *item, seen queue.Seen) queue.Change {
	it.verdict, it.panicked = verdict{}, nil
	if closed(it.claim.gone) {
		return queue.Change{}
	}
	it.panicked = guard(func() error {
		p := w.policy
		p.probation = w.probation.Load()
		it.verdict = p.decide(it.msg, seen, w.o.Now())
		return nil
	})
	if fateOf(it.verdict) == fateLetter && !it.claim.flood.mayDie(it) {
		it.verdict = verdict{held: true}
	}
	failpoint.Hit("in-db")
	return it.verdict.change
}

// judge tells the breaker how the target did.
func (w *Worker) judge(ctx context.Context, errs []error, err error) {
	if ctx.Err() != nil {
		return // it was we who ended it
	}
	if len(errs) > 1 && slices.ContainsFunc(errs, func(e error) bool { return e != nil && !errors.Is(e, queue.ErrRaced) }) {
		w.met.fallbacks.Inc()
	}
	if err == nil && len(errs) > 0 && !slices.ContainsFunc(errs, func(e error) bool { return !away(e) }) {
		err = errs[0]
	}
	if !away(err) {
		if w.breaker.success() {
			w.suspend()
			w.o.Log.InfoContext(ctx, "database answers again: worker goes on")
		}
		return
	}
	opened := w.breaker.failure()
	w.suspend()
	if opened {
		w.o.Log.ErrorContext(ctx, "database is away: worker waits, nothing is counted", slog.Any(obs.KeyError, err))
	}
}

// done ends a record: it may be committed.
func (w *Worker) done(ctx context.Context, it *item) {
	v := it.verdict
	if v.outcome == string(queue.Skipped) && w.o.Handler == Log {
		if err := w.print(it); err != nil {
			w.halt(err)
		}
	}
	w.met.done(it, v.outcome, w.o.Now())
	w.report(ctx, it)
	failpoint.Hit("before-commit")
	it.claim.finish(it)
	failpoint.Hit("after-commit")
	w.lanes.finish(it)
	it.claim.end(it)
	w.limit.finish(it)
	w.judged(ctx, it, fateOf(v))
	w.skipped(ctx, it)
}

// abandon lets go of a record whose partition belongs to somebody else: it will be delivered again.
func (w *Worker) abandon(it *item) {
	w.limit.giveBack(it)
	w.met.abandon(it)
	w.lanes.finish(it)
	it.claim.end(it)
	if _, _, release := it.claim.flood.settle(it, fateNothing); release {
		w.lanes.release()
	}
}

// again puts a record back in front of its lane.
func (w *Worker) again(it *item) {
	it.claim.end(it)
	w.lanes.again(it)
}
