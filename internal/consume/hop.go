package consume

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"time"

	"commerce.internal/orderctl/internal/failpoint"
	"commerce.internal/orderctl/internal/obs"
	"commerce.internal/orderctl/internal/queue"
)

const (
	placeTimeout             = 5 * time.Second
	hopRetryMin, hopRetryMax = 250 * time.Millisecond, 5 * time.Second
	reasonTooLarge           = "too-large"
	shortMessage             = 64 // bytes of an error message in a letter that was too large
)

// hop moves a record to a tier or to the dead letters, in four steps of which the first, the row, is committed. Whatever
// step a crash cuts off: the record comes again and meets the row.
func (w *Worker) hop(ctx context.Context, it *item) {
	if failpoint.Bug("hop-unacked") {
		acknowledge(it)
	}
	failpoint.Hit("before-hop")
	row, began := *it.verdict.hop, w.o.Now()
	at, ok := w.produce(ctx, it, row) // step 2: the copy, on all in-sync replicas
	if !ok {
		w.abandon(it)
		return
	}
	failpoint.Hit("hop-produced")
	w.met.hop(it, row, w.o.Now().Sub(began))
	w.place(ctx, it, row, at) // step 3: the position
	failpoint.Hit("hop-written")
	if row.State == queue.StateDead {
		w.letters.Add(1)
	}
	w.done(ctx, it) // step 4
}

// produce writes the copy, again and again until it is written: a hop that fails never skips. false: the partition is
// gone, or the time to stop has come.
func (w *Worker) produce(ctx context.Context, it *item, row queue.Row) (queue.Position, bool) {
	held := false
	defer func() {
		if held {
			it.claim.release(pausedHop)
		}
	}()
	c := w.copyOf(it, row)
	for pause := hopRetryMin; ; pause = min(2*pause, hopRetryMax) {
		c.message.Time = w.o.Now()
		ack, err := w.publish(ctx, it.claim, c.message)
		if err == nil {
			return ack.Position, true
		}
		if ctx.Err() != nil || closed(it.claim.gone) {
			return queue.Position{}, false
		}
		reason := w.hopFailed(ctx, it, row, err, held)
		if reason == reasonTooLarge && c.shrink(it, w.o.OnTooLarge == TooLargePointer && row.State == queue.StateDead) {
			pause = hopRetryMin / 2
			continue
		}
		if !held {
			held = true
			it.claim.hold(pausedHop)
		}
		if sleep(ctx, pause, it.claim.gone) != nil || closed(it.claim.gone) {
			return queue.Position{}, false
		}
	}
}

// publish waits for the answer to one message, or until the claim is gone.
func (w *Worker) publish(ctx context.Context, c *claim, m queue.Message) (queue.Ack, error) {
	if closed(c.gone) {
		return queue.Ack{}, context.Canceled
	}
	type answer struct {
		ack queue.Ack
		err error
	}
	answered := make(chan answer, 1)
	if err := w.o.Publisher.Publish(m, func(a queue.Ack, err error) { answered <- answer{a, err} }); err != nil {
		return queue.Ack{}, err
	}
	select {
	case a := <-answered:
		return a.ack, a.err
	case <-c.gone:
		return queue.Ack{}, context.Canceled
	case <-ctx.Done():
		return queue.Ack{}, ctx.Err()
	}
}

// place writes where the copy lies. It is a best effort: without it, the first copy that is met is the live one.
func (w *Worker) place(ctx context.Context, it *item, row queue.Row, at queue.Position) {
	if at.Offset < 0 || closed(it.claim.gone) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, placeTimeout)
	defer cancel()
	if err := w.o.Store.Place(ctx, w.o.Names.Group, row.RowKey, row.Hop, at); err != nil {
		w.met.hopFailures.WithLabelValues("position").Inc()
		w.o.Log.LogAttrs(ctx, slog.LevelDebug, "position of a copy not written", append(it.attrs(), slog.Any(obs.KeyError, err))...)
	}
}

func (w *Worker) hopFailed(ctx context.Context, it *item, row queue.Row, err error, known bool) string {
	reason := "unknown"
	var p *queue.PublishError
	if errors.As(err, &p) && p.Reason != "" {
		reason = p.Reason
	}
	w.met.hopFailures.WithLabelValues(reason).Inc()
	if !known { // once a hop
		w.o.Log.LogAttrs(ctx, slog.LevelError, "copy not written: partition waits", append(it.attrs(),
			slog.String(obs.KeyTarget, row.At.Topic), slog.String(obs.KeyReason, reason), slog.Any(obs.KeyError, err))...)
	}
	return reason
}

// replica is a copy of a record that is being made.
type replica struct {
	message queue.Message
	trail   queue.Trail
	user    []queue.Header
}

// copyOf makes the copy that a row speaks of: key, value and the user's headers byte for byte, and what the row says. A
// hop that is repeated after a crash gives the same one.
func (w *Worker) copyOf(it *item, row queue.Row) *replica {
	t := it.msg.trail.Follow(row, w.o.Names, w.o.Instance, it.msg.entered)
	c := &replica{trail: t, user: it.rec.Headers}
	c.message = queue.Message{
		Topic: row.At.Topic, Partition: row.At.Partition, Key: it.rec.Key, Value: it.rec.Value, Headers: t.Append(c.user),
	}
	return c
}

// shrink makes a copy smaller that the topic refused: first its error message, then, where a pointer is allowed, the value
// for its hash. false: there is nothing to take off.
func (c *replica) shrink(it *item, pointer bool) bool {
	switch {
	case len(c.trail.Message) > shortMessage:
		c.trail.Message = queue.Cut(c.trail.Message, shortMessage)
	case c.trail.Message != "":
		c.trail.Message = ""
	case pointer && c.message.Value != nil:
		sum := sha256.Sum256(it.rec.Value)
		c.trail.Pointer, c.message.Value = hex.EncodeToString(sum[:]), nil
	default:
		return false
	}
	c.message.Headers = c.trail.Append(c.user)
	return true
}
