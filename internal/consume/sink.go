package consume

import (
	"context"
	"log/slog"
	"time"

	"commerce.internal/orderctl/internal/failpoint"
	"commerce.internal/orderctl/internal/obs"
	"commerce.internal/orderctl/internal/queue"
)

// Sink takes an order to another service, outside of any transaction. The id is the same in every attempt, and after a
// crash it may have had the order already. An error that is no *queue.Failure may pass by itself.
type Sink interface {
	Deliver(ctx context.Context, id string, order []byte) error
}

// turn says for which target the next batch is the probe.
type turn struct{ database, sink bool }

func (t turn) probe() bool { return t.database || t.sink }

// enter waits while a target is away.
func (w *Worker) enter(ctx context.Context) (t turn, err error) {
	if w.sink != nil {
		if t.sink, err = w.sink.enter(ctx); err != nil {
			return t, err
		}
	}
	if t.database, err = w.breaker.enter(ctx); err == nil && t.probe() {
		w.suspend()
	}
	return t, err
}

func (w *Worker) leave(t turn) {
	w.breaker.leave(t.database)
	if w.sink != nil {
		w.sink.leave(t.sink)
	}
}

// deliver takes an order to the sink: the rules have said that it may run, and nothing of it is written yet. The answer goes
// through the rules again, so that a row which somebody else has changed meanwhile is seen. Only so many are on their way
// at once; a probe is waited for, since it is what the others wait for.
func (w *Worker) deliver(ctx context.Context, it *item) {
	if it.probe || w.probation.Load() {
		w.attempt(ctx, it)
		return
	}
	select {
	case w.slots <- struct{}{}:
	case <-it.claim.closing:
		w.abandon(it)
		return
	case <-ctx.Done():
		w.abandon(it)
		return
	}
	if state, _ := w.sink.open(); state != breakerClosed {
		<-w.slots
		w.again(it)
		return
	}
	w.bg.Go(func() {
		defer func() { <-w.slots }()
		w.attempt(ctx, it)
	})
}

// attempt is one delivery, and the row of one that was taken.
func (w *Worker) attempt(ctx context.Context, it *item) {
	if closed(it.claim.gone) {
		w.abandon(it)
		return
	}
	end := w.dog.begin(w.o.Now().Add(sinkTimeout))
	err := guard(func() error { return w.o.Sink.Deliver(ctx, it.msg.key.MsgID, it.msg.order.AppendJSON(nil)) })
	end()
	if err != nil && ctx.Err() != nil {
		w.abandon(it) // it was we who ended it
		return
	}
	w.judgeSink(ctx, err)
	if err != nil {
		w.undelivered(ctx, it, err)
		return
	}
	failpoint.Hit("webhook-2xx")
	it.msg.delivered = true
	w.settle(ctx, []*item{it})
}

// judgeSink tells the breaker of the sink how it did. Any answer but that of an overloaded one says that it is there.
func (w *Worker) judgeSink(ctx context.Context, err error) {
	if err == nil || sinkAway(failureOf(err)) == "" {
		if w.sink.success() {
			w.suspend()
			w.o.Log.InfoContext(ctx, "webhook answers again: worker goes on")
		}
		return
	}
	opened := w.sink.failure()
	w.suspend()
	if opened {
		w.o.Log.ErrorContext(ctx, "webhook is away: worker waits, nothing is counted", slog.Any(obs.KeyError, err))
	}
}

// undelivered says what happens to an order that was not taken. Nobody's order is to blame for a sink that is away.
func (w *Worker) undelivered(ctx context.Context, it *item, err error) {
	it.alone.Store(true)
	f := failureOf(err)
	w.met.failed(f)
	w.logFailure(ctx, it, f, err)
	if class := sinkAway(f); class != "" && !it.sinkDoubt.blame(class, w.sink.successes()) {
		w.later(ctx, it, w.jitter(1))
		return
	}
	w.count(ctx, it, f, err)
}

// sinkAway says as what a failure counts for the breaker; "": the sink did answer. The answers of a gateway in front of a
// service that is away are like none in time.
func sinkAway(f queue.Failure) queue.Class {
	switch {
	case f.Class == queue.ClassOutage, f.Class == queue.ClassTimeout:
		return f.Class
	case f.Code == "502", f.Code == "503", f.Code == "504":
		return queue.ClassTimeout
	}
	return ""
}

// doubt is what speaks for and against a record whose target did not answer.
type doubt struct {
	outages, timeouts   int
	okOutage, okTimeout int64 // what had succeeded here at its first outage, its last timeout
}

// blame reports whether it is the record and not the target, of which ok attempts have succeeded. One outage says nothing;
// many of one record, while others succeeded here, do. A timeout counts once something else has succeeded since the one
// before.
func (d *doubt) blame(class queue.Class, ok int64) bool {
	if class == queue.ClassTimeout {
		counts := d.timeouts > 0 && ok > d.okTimeout
		d.timeouts, d.okTimeout = d.timeouts+1, ok
		return counts
	}
	if d.outages == 0 {
		d.okOutage = ok
	}
	d.outages++
	return d.outages >= maxOutages && ok-d.okOutage >= othersSucceed
}

// asked is how long a record waits here: what its target asks for, if that is longer.
func asked(f queue.Failure, wait time.Duration) time.Duration { return max(f.RetryAfter, wait) }

// longWait reports whether a target asks for a wait that is better spent in a tier.
func (w *Worker) longWait(f queue.Failure) bool {
	return retryable(f.Class) && f.RetryAfter > w.o.Local.Cap && w.o.Order != ByPartition && len(w.o.Names.Tiers) > 0
}

// post is the verdict on an order that goes to a sink: first that it may, then that it is there.
func (d *draft) post() verdict {
	if d.m.delivered {
		return d.done(queue.Delivered, nil)
	}
	return verdict{rule: 11, outcome: string(queue.Delivered), post: true, used: d.cur.Attempts}
}

// tierAfter is the tier of the next attempt: the policy's, or the first one that is as long as the target asks for.
func (d *draft) tierAfter(f queue.Failure) int {
	tier, tiers := max(0, d.cur.Attempts-d.attempts), d.tiers()
	for tier < len(tiers)-1 && tiers[tier] < f.RetryAfter {
		tier++
	}
	return tier
}
