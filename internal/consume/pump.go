package consume

import (
	"context"
	"log/slog"
	"time"

	"commerce.internal/orderctl/internal/failpoint"
	"commerce.internal/orderctl/internal/obs"
	"commerce.internal/orderctl/internal/queue"
)

// revokeDrain bounds how long a partition that goes to another member waits for records in flight: half of the time that
// the group gives its members to come back.
const revokeDrain = 7500 * time.Millisecond

// own works one claim until its channel closes, then waits for what is in flight, but not for ever.
func (w *Worker) own(ctx context.Context, foreign Claim) {
	role, delay, ours := w.o.Names.Role(foreign.Topic())
	if !ours || role == queue.RoleDLQ || role == queue.RoleAudit {
		w.o.Log.ErrorContext(ctx, "topic is not for this worker: left alone", slog.String(obs.KeyTopic, foreign.Topic()))
		for range foreign.Records() { // an unread channel would hold up the whole broker
		}
		return
	}
	c := newClaim(foreign, role, delay, w.met)
	c.flood = newFlood(w.o.Flood, w.o.Now)
	c.Resume() // a pause outlives the assignment it was made in
	w.enlist(c)
	defer w.dismiss(c)
	w.pump(ctx, c)
	w.drain(ctx, c)
}

// pump always receives: a reader that waits holds up every partition of that broker, and a member that joins. What is not
// due yet stays here; only the first of it is looked at.
func (w *Worker) pump(ctx context.Context, c *claim) {
	due := time.NewTimer(time.Hour)
	defer due.Stop()
	var held []*item
	for {
		select {
		case rec, ok := <-c.Records():
			if !ok {
				return
			}
			if it := w.receive(ctx, c, rec); it != nil {
				held = append(held, it)
			}
		case <-due.C:
		}
		for len(held) > 0 {
			wait := w.untilDue(c, held[0])
			if wait > 0 {
				due.Reset(wait)
				break
			}
			w.start(held[0])
			held[0], held = nil, held[1:]
		}
	}
}

// receive reads a record into an item; nil: it was here before.
func (w *Worker) receive(ctx context.Context, c *claim, rec queue.Record) *item {
	if !c.receive(rec) {
		return nil
	}
	failpoint.Hit("fetched")
	now := w.o.Now()
	w.met.fetch(now)
	it := &item{claim: c, rec: rec, latest: now.Add(c.delay)}
	if err := w.read(it); err != nil {
		w.o.Log.ErrorContext(ctx, "reading a record panicked", slog.String(obs.KeyTopic, rec.Topic),
			slog.Int(obs.KeyPartition, int(rec.Partition)), slog.Int64(obs.KeyOffset, rec.Offset), slog.Any(obs.KeyError, err))
	}
	return it
}

// untilDue is how long a record of a tier must wait: until the time in its header, which is believed within the delay of
// the tier, else until its own time and the delay.
func (w *Worker) untilDue(c *claim, it *item) time.Duration {
	if c.delay == 0 {
		return 0
	}
	now := w.o.Now()
	due := it.msg.trail.NotBefore
	if due.IsZero() {
		due = it.rec.Time.Add(c.delay)
	}
	if due.After(it.latest) {
		due = it.latest
	}
	if wait := due.Sub(now); wait > 0 {
		c.restFor(due)
		return wait
	}
	w.met.late(it.rec.Topic, now.Sub(due))
	return 0
}

// start puts a record into its lane. Of the source, no more than were asked for.
func (w *Worker) start(it *item) {
	if it.claim.role == queue.RoleSource {
		w.limit.admit(it)
		return
	}
	w.enqueue(it)
}

func (w *Worker) enqueue(it *item) {
	key := it.msg.lane(it.rec.Key)
	switch w.o.Order {
	case ByPartition:
		key = partitionLane(it.rec.Partition)
	case Unordered:
		key = ""
	}
	w.lanes.push(key, it)
}

// drain ends a claim: nothing of it starts any more, what is in flight gets a while, then nothing of it is written.
func (w *Worker) drain(ctx context.Context, c *claim) {
	busy := c.close()
	failpoint.Hit("drain")
	w.limit.drop(c)
	for _, it := range w.lanes.drop(c) {
		w.limit.giveBack(it)
	}
	if busy {
		limit := min(w.o.DrainTimeout, revokeDrain)
		if ctx.Err() != nil {
			limit = w.o.DrainTimeout
		}
		w.await(ctx, c, limit)
	}
	c.leave()
}

func (w *Worker) await(ctx context.Context, c *claim, limit time.Duration) {
	t := time.NewTimer(limit)
	defer t.Stop()
	for !c.quiet() {
		select {
		case <-c.idle:
		case <-t.C:
			w.o.Log.WarnContext(ctx, "partition left with records in flight: they will be delivered again",
				slog.String(obs.KeyTopic, c.Topic()), slog.Int(obs.KeyPartition, int(c.Partition())))
			return
		}
	}
}
