package consume

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/text"
)

// draft is a row on its way to what it shall be.
type draft struct {
	policy
	m   *message
	now time.Time
	was *queue.Row // as it was read; nil: there was none
	cur queue.Row
}

// first is the row of a message that has none.
func (m *message) first() queue.Row {
	src := m.src
	if src.Offset < 0 {
		src = m.at // a place of its own, in no source: nothing of the same order is compared with it
	}
	return queue.Row{
		RowKey: m.key, Hop: m.hop, At: m.at, OrderID: m.orderID, Src: src,
		ReplayID: m.replayID, Control: -1, TraceID: m.traceID,
	}
}

// accept makes a replay the live copy of a dead message.
func (d *draft) accept() {
	d.cur.State, d.cur.Attempts, d.cur.Hop, d.cur.At, d.cur.ReplayID = queue.StateRetry, 0, d.m.hop, d.m.at, d.m.replayID
	d.cur.Starts, d.cur.Outcome, d.cur.BlockedBy, d.cur.DueAt = 0, "", "", time.Time{}
}

// maxStarts is how often a record may be found about to run before it is held to have killed the process.
const maxStarts = 3

// start is the row of a record on probation, which says that it is about to run. One that has ended the process so often
// does not run again.
func (d *draft) start() verdict {
	if d.cur.Starts >= maxStarts {
		return d.dead(11, queue.Failure{
			Class: queue.ClassCrash, Code: "process", Message: "the process ended " + strconv.Itoa(d.cur.Starts) + " times while this one ran",
		})
	}
	d.cur.State, d.cur.At, d.cur.Outcome = queue.StateRetry, d.m.at, ""
	d.cur.Starts++
	d.cur.Attempts -= d.m.tries // they are counted when the attempt is over
	return verdict{rule: 11, outcome: outcomeStarted, again: true, change: queue.Change{Writes: []queue.Write{d.write()}}, used: d.cur.Attempts}
}

// run is the effect of an order, or why there is none.
func (d *draft) run(stored *queue.StoredOrder) verdict {
	if d.posts && d.m.delivered {
		return d.post()
	}
	if d.maxAge > 0 && d.m.replayID == "" && d.now.Sub(d.m.entered) > d.maxAge {
		return d.dead(11, queue.Failure{Class: queue.ClassExpired, Code: "max-age", Message: "older than " + d.maxAge.String()})
	}
	if d.skipLoad && d.m.loadTest || !d.effect && !d.posts {
		return d.done(queue.Skipped, nil)
	}
	if d.posts {
		return d.post()
	}
	if stored != nil {
		switch order.Transition(stored.Status, d.m.order.Status) {
		case order.Late:
			return d.done(queue.Stale, nil)
		case order.Forbidden:
			return d.dead(11, queue.Failure{
				Class: queue.ClassIllegal, Code: string(stored.Status) + "-" + string(d.m.order.Status),
				Message: "an order that is " + string(stored.Status) + " cannot become " + string(d.m.order.Status),
			})
		}
	}
	return d.done(queue.Applied, &queue.Effect{
		Order: d.m.order, MessageID: d.cur.MsgID, Src: d.cur.Src,
		TraceID: d.cur.TraceID, Insert: stored == nil,
	})
}

// done ends the message, and with it dead messages of other content under the same id.
func (d *draft) done(outcome queue.Outcome, effect *queue.Effect) verdict {
	d.cur.State, d.cur.Outcome, d.cur.Starts = queue.StateDone, outcome, 0
	d.cur.DueAt, d.cur.BlockedBy = time.Time{}, ""
	return verdict{rule: 11, outcome: string(outcome), change: queue.Change{Writes: []queue.Write{d.write()}, Effect: effect}, used: d.cur.Attempts}
}

// supersede adds the end of dead messages whose id is done by another content now.
func supersede(v verdict, rows []queue.Row, now time.Time) verdict {
	if len(v.change.Writes) != 1 || v.change.Writes[0].Row.State != queue.StateDone {
		return v
	}
	done := v.change.Writes[0].Row
	for _, r := range rows {
		if r.MsgID == done.MsgID && r.Fingerprint != done.Fingerprint && r.State == queue.StateDead {
			next := r
			next.State, next.Outcome, next.UpdatedAt = queue.StateDiscarded, queue.Superseded, now
			v.change.Writes = append(v.change.Writes, queue.Write{Kind: queue.Update, Was: r, Row: next})
		}
	}
	slices.SortFunc(v.change.Writes, func(a, b queue.Write) int { return cmp.Compare(a.Row.Fingerprint, b.Row.Fingerprint) })
	return v
}

// givenUp is what becomes of a message whose effect failed for the last time here.
func (d *draft) givenUp(f queue.Failure) verdict {
	if !retryable(f.Class) {
		return d.dead(11, f)
	}
	tier := d.tierAfter(f)
	if tiers := d.tiers(); tier < len(tiers) {
		d.fail(f)
		return d.hopTo(11, queue.StateRetry, tiers[tier])
	}
	f.Class = queue.ClassExhausted
	return d.dead(11, f)
}

// park lets a message wait where the nearest one in front of it waits.
func (d *draft) park(front queue.Row) verdict {
	delay := d.tiers()[0]
	for _, t := range d.tiers() {
		if front.At.Offset >= 0 && front.At.Topic == d.names.Retry(t) {
			delay = t
		}
	}
	d.cur.BlockedBy = front.MsgID
	return d.hopTo(10, queue.StateParked, delay)
}

func (d *draft) blocked(rule int, by string) verdict {
	d.cur.BlockedBy = by
	return d.dead(rule, queue.Failure{Class: queue.ClassBlocked, Code: "behind", Message: "behind " + by})
}

// dead is the first step of the hop to the dead letters.
func (d *draft) dead(rule int, f queue.Failure) verdict {
	d.fail(f)
	d.cur.DueAt = time.Time{}
	return d.hop(rule, queue.StateDead, d.names.DLQ())
}

func (d *draft) hopTo(rule int, state queue.State, delay time.Duration) verdict {
	d.cur.DueAt = d.now.Add(delay)
	return d.hop(rule, state, d.names.Retry(delay))
}

// hop is the first of its four steps: the row says where the copy will lie before there is one.
func (d *draft) hop(rule int, state queue.State, topic string) verdict {
	d.cur.State, d.cur.Outcome, d.cur.Starts = state, "", 0
	d.cur.Hop++
	d.cur.At = queue.Position{Topic: topic, Partition: d.m.at.Partition, Offset: -1}
	if state != queue.StateParked && d.cur.Failure.Class != queue.ClassBlocked {
		d.cur.BlockedBy = ""
	}
	w := d.write()
	return verdict{
		rule: rule, outcome: hopped(state), change: queue.Change{Writes: []queue.Write{w}}, hop: &w.Row,
		used: d.cur.Attempts, failure: d.cur.Failure,
	}
}

// fail notes why.
func (d *draft) fail(f queue.Failure) {
	f.RetryAfter = 0
	f.Message = queue.Cut(text.Safe(queue.Cut(f.Message, queue.MaxMessageBytes)), queue.MaxMessageBytes)
	d.cur.Failure, d.cur.LastFailure = f, d.now
	if d.cur.FirstFailure.IsZero() {
		d.cur.FirstFailure = d.now
	}
}

func (d *draft) write() queue.Write {
	d.cur.UpdatedAt = d.now
	if d.was == nil {
		return queue.Write{Kind: queue.Insert, Row: d.cur}
	}
	return queue.Write{Kind: queue.Update, Was: *d.was, Row: d.cur}
}

// tiers are where this worker lets messages wait. In the order of a partition they wait in place.
func (d *draft) tiers() []time.Duration {
	if d.ordering == ByPartition {
		return nil
	}
	return d.names.Tiers
}

// retryable reports whether a later attempt may succeed.
func retryable(c queue.Class) bool { return c == queue.ClassRetryable || c == queue.ClassTimeout }
