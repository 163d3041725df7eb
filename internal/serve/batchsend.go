package serve

import (
	"sync"
	"time"

	"commerce.internal/orderctl/internal/queue"
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
	left     int   // not known yet
	inFlight []int // by partition
	want     *need // what the handler waits for; nil: it does not
	wake     chan struct{}
	cut      <-chan struct{} // closed: the drain is over, as if the time were up
}

// need is what must hold before a handler goes on.
type need struct {
	room  int32 // this partition has room; below 0: does not matter
	known int   // this order has an outcome; below 0: does not matter
	all   bool  // every order has one
}

func (b *batch) met(n *need) bool {
	return (n.room < 0 || b.inFlight[n.room] < batchWindow) && (n.known < 0 || b.known[n.known]) && (!n.all || b.left == 0)
}

// sendBatch sends in order and waits for all outcomes, but not longer than the publish timeout.
func (k *call) sendBatch(parcels []parcel, in form, now time.Time, room *lease) []outcome {
	b := &batch{
		outcomes: make([]outcome, len(parcels)), known: make([]bool, len(parcels)), left: len(parcels),
		inFlight: make([]int, k.s.o.Partitions), wake: make(chan struct{}, 1), cut: k.s.cut,
	}
	flights := make([]flight, len(parcels))
	lists := make([]queue.Header, len(parcels)*headerCount)
	last := make(map[string]int, len(parcels)) // order id: the place of its newest message
	timer := time.NewTimer(k.s.o.Timeouts.Publish)
	defer timer.Stop()
	inTime := true
	for i := range parcels {
		p := &parcels[i]
		before, again := last[p.order.OrderID]
		last[p.order.OrderID] = i
		if !again {
			before = -1
		}
		inTime = inTime && b.wait(timer, need{room: p.partition, known: before})
		switch {
		case !inTime:
			b.settle(i, outcome{kind: notSent, offset: -1, reason: reasonTime})
		case again && b.outcomes[before].kind != accepted:
			b.settle(i, outcome{kind: notSent, offset: -1, reason: reasonEarlier})
		default:
			flights[i].batch, flights[i].index = b, i
			k.launch(&flights[i], p, k.message(p, now, in.loadTest, headerList(lists, i)), room)
		}
	}
	if !inTime || !b.wait(timer, need{room: -1, known: -1, all: true}) {
		b.giveUp(flights)
	}
	return b.outcomes
}

// launch sends one order of the batch; what is known at once is settled at once.
func (k *call) launch(f *flight, p *parcel, m queue.Message, room *lease) {
	f.s, f.partition, f.lease = k.s, p.partition, room.split(int64(p.bytes))
	f.line = k.s.lineOf(k.audit(), p)
	f.line.bytes = p.bytes
	f.batch.mu.Lock()
	f.batch.inFlight[p.partition]++
	f.batch.mu.Unlock()
	k.enqueued = true
	if out, sent := k.s.send(f, m); !sent {
		f.state.Store(landed)
		f.land(out)
	}
}

// wait waits until n is met; it reports false when the time is up first.
func (b *batch) wait(timer *time.Timer, n need) bool {
	b.mu.Lock()
	select {
	case <-b.wake: // of an earlier wait that its timer ended
	default:
	}
	if b.met(&n) {
		b.mu.Unlock()
		return true
	}
	waiting := n // on the heap only when there is something to wait for
	b.want = &waiting
	b.mu.Unlock()
	select {
	case <-b.wake:
		return true
	case <-timer.C:
	case <-b.cut:
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.want = nil
	return b.met(&n)
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
	if b.want != nil && b.met(b.want) {
		b.want = nil
		b.wake <- struct{}{} // capacity 1, and want is set once a wait
	}
}

// giveUp ends the wait: what has not landed is unknown. What lands at this very moment still counts.
func (b *batch) giveUp(flights []flight) {
	forever := new(time.Timer) // never fires: the publisher is already in landed
	b.cut = nil
	for i := range flights {
		switch f := &flights[i]; {
		case f.batch == nil: // never sent
		case f.expire():
			b.settle(i, outcome{kind: unknown, offset: -1, reason: "no-answer"})
		default:
			b.wait(forever, need{room: -1, known: i})
		}
	}
}
