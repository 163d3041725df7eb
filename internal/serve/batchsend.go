package serve

import (
	"sync"
	"time"
)

// batchWindow is how many orders of one batch may be under way in one partition: a batch never takes all its permits.
const batchWindow = 256

// reasonEarlier: an earlier message of the same order was not accepted, so this one was not sent: it must not overtake.
const reasonEarlier = "earlier-failed"

// reasonTime: the time of the batch was up before this order was sent.
const reasonTime = "no-time"

// batch is the state of the orders of one request, shared between its handler and the publisher.
type batch struct {
	mu       sync.Mutex
	outcomes []outcome
	known    []bool
	left     int           // not known yet
	inFlight []int         // by partition
	want     func() bool   // what the handler waits for; nil: it does not
	wake     chan struct{} // one token when want holds
}

// sendBatch sends in order and waits for all outcomes, but not longer than the publish timeout.
func (k *call) sendBatch(parcels []parcel, in form, now time.Time, room *lease) []outcome {
	b := &batch{
		outcomes: make([]outcome, len(parcels)), known: make([]bool, len(parcels)), left: len(parcels),
		inFlight: make([]int, k.s.o.Partitions), wake: make(chan struct{}, 1),
	}
	flights := make([]*flight, len(parcels))
	last := make(map[string]int, len(parcels)) // order id: the place of its newest message
	timer := time.NewTimer(k.s.o.Timeouts.Publish)
	defer timer.Stop()
	inTime := true
	for i, p := range parcels {
		before, again := last[p.order.OrderID]
		last[p.order.OrderID] = i
		inTime = inTime && b.wait(timer, func() bool {
			return b.inFlight[p.partition] < batchWindow && (!again || b.known[before])
		})
		switch {
		case !inTime:
			b.settle(i, outcome{kind: notSent, offset: -1, reason: reasonTime})
		case again && b.outcomes[before].kind != accepted:
			b.settle(i, outcome{kind: notSent, offset: -1, reason: reasonEarlier})
		default:
			flights[i] = k.launch(b, i, p, in, now, room)
		}
	}
	if !inTime || !b.wait(timer, func() bool { return b.left == 0 }) {
		b.giveUp(flights)
	}
	return b.outcomes
}

// launch sends one order of the batch; what is known at once is settled at once.
func (k *call) launch(b *batch, i int, p parcel, in form, now time.Time, room *lease) *flight {
	line := k.s.lineOf(k.audit(), p)
	line.bytes = p.bytes
	f := &flight{
		s: k.s, line: line, partition: p.partition, lease: room.split(int64(p.bytes)),
		land: func(o outcome) { b.landed(i, p.partition, o) },
	}
	b.mu.Lock()
	b.inFlight[p.partition]++
	b.mu.Unlock()
	k.enqueued = true
	if out, sent := k.s.send(f, k.message(p, now, in.loadTest)); !sent {
		b.landed(i, p.partition, out)
		return nil
	}
	return f
}

// wait waits until cond holds; it reports false when the time is up first.
func (b *batch) wait(timer *time.Timer, cond func() bool) bool {
	b.mu.Lock()
	select {
	case <-b.wake: // of an earlier wait that its timer ended
	default:
	}
	if cond() {
		b.mu.Unlock()
		return true
	}
	b.want = cond
	b.mu.Unlock()
	select {
	case <-b.wake:
		return true
	case <-timer.C:
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.want = nil
	return cond()
}

func (b *batch) settle(i int, o outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.set(i, o)
}

// landed takes the outcome of an order that was under way. It does not block, and wakes the handler only when what it waits
// for holds.
func (b *batch) landed(i int, partition int32, o outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.inFlight[partition]--
	b.set(i, o)
}

func (b *batch) set(i int, o outcome) {
	b.outcomes[i], b.known[i] = o, true
	b.left--
	if b.want != nil && b.want() {
		b.want = nil
		b.wake <- struct{}{} // capacity 1, and want is set once a wait
	}
}

// giveUp ends the wait: what has not landed is unknown. What lands at this very moment still counts.
func (b *batch) giveUp(flights []*flight) {
	forever := new(time.Timer) // never fires: the publisher is already in landed
	for i, f := range flights {
		switch {
		case f == nil:
		case f.expire():
			b.settle(i, outcome{kind: unknown, offset: -1, reason: "no-answer"})
		default:
			b.wait(forever, func() bool { return b.known[i] })
		}
	}
}
