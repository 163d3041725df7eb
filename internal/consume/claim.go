package consume

import (
	"sync"
	"sync/atomic"
	"time"

	"commerce.internal/orderctl/internal/queue"
)

// Bounds of what one claim holds in memory.
const (
	pauseRecords, resumeRecords = 1_000, 200
	pauseBytes, resumeBytes     = 32 << 20, 8 << 20
)

// Why a partition is paused.
const (
	pausedBackpressure = "backpressure"
	pausedSpan         = "span"
	pausedBreaker      = "breaker"
	pausedHop          = "hop"
	pausedOperator     = "topic"
	pausedFlood        = "flood"
	pausedBatch        = "batch"
)

// item is one record while it is in this process.
type item struct {
	claim *claim
	rec   queue.Record
	msg   *message
	lane  *lane

	latest   time.Time // of a tier: when it is due at the latest
	verdict  verdict
	panicked error       // of decide
	unread   bool        // reading it panicked
	since    time.Time   // when its attempt began
	alone    atomic.Bool // it spoiled a batch
	inFlight bool
	counted  bool // for max-messages

	panics, races    int
	doubt, sinkDoubt doubt
	probe            bool  // of a sink that is away
	dies             bool  // counts as a letter that is about to be written
	skipsTo          int64 // stands for records that cannot be read, up to this offset; 0: for itself
}

// claim is one partition of this process: what of it is unfinished, and why it is paused.
type claim struct {
	Claim
	role  queue.Role
	delay time.Duration
	met   *metrics
	flood *flood

	closing chan struct{} // closed: nothing of it starts any more
	gone    chan struct{} // closed: nothing of it may be written any more
	idle    chan struct{} // one token: perhaps nothing of it is in flight

	mu      sync.Mutex
	tracker tracker
	marked  int64
	queued  int // received and not finished
	bytes   int
	active  int // in flight: in a transaction, in a hop, waiting for another attempt
	reasons map[string]int

	restUntil time.Time // until then something of it waits on purpose
}

func newClaim(c Claim, role queue.Role, delay time.Duration, met *metrics) *claim {
	return &claim{
		Claim: c, role: role, delay: delay, met: met, tracker: newTracker(c.Start()), marked: c.Start(), reasons: map[string]int{},
		closing: make(chan struct{}), gone: make(chan struct{}), idle: make(chan struct{}, 1),
	}
}

// receive notes a record; false: it was received before.
func (c *claim) receive(rec queue.Record) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.tracker.add(rec.Offset) {
		return false
	}
	c.queued++
	c.bytes += len(rec.Value)
	c.balance()
	if halted, _ := c.flood.due(); halted { // it was fetched to be a probe
		c.set(pausedFlood, 1)
	}
	return true
}

// finish notes a record that is done and marks what may be committed.
func (c *claim) finish(it *item) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tracker.finish(it.rec.Offset)
	c.queued--
	c.bytes -= len(it.rec.Value)
	c.balance()
	if next := c.tracker.lowest(); next > c.marked && !closed(c.gone) {
		c.marked = next
		c.Mark(next)
	}
}

// begin takes a record into flight; false: nothing of this claim starts any more.
func (c *claim) begin(it *item) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if closed(c.closing) || c.stolen() {
		return false
	}
	c.active++
	it.inFlight = true
	return true
}

// stolen reports whether the session that gave the claim is over, where the claim can tell: its channel closes later.
func (c *claim) stolen() bool {
	g, tells := c.Claim.(interface{ Gone() bool })
	return tells && g.Gone()
}

// end takes it out of flight again.
func (c *claim) end(it *item) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !it.inFlight {
		return
	}
	it.inFlight = false
	if c.active--; c.active == 0 {
		select {
		case c.idle <- struct{}{}:
		default:
		}
	}
}

// close ends the starting of records; it returns whether any is in flight.
func (c *claim) close() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.closing)
	return c.active > 0
}

// leave ends the writing of anything.
func (c *claim) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.gone)
}

// quiet reports whether nothing is in flight.
func (c *claim) quiet() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.active == 0
}

// balance pauses a claim that holds too much, and lets it go on when it holds little. The lock is held.
func (c *claim) balance() {
	switch {
	case c.queued >= pauseRecords || c.bytes >= pauseBytes:
		c.set(pausedBackpressure, 1)
	case c.queued <= resumeRecords && c.bytes <= resumeBytes:
		c.set(pausedBackpressure, 0)
	}
	switch span := c.tracker.span(); {
	case span >= maxSpan:
		c.set(pausedSpan, 1)
	case span <= maxSpan/2:
		c.set(pausedSpan, 0)
	}
}

// pauseFor has one holder of a reason, or none.
func (c *claim) pauseFor(reason string, on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	holders := 0
	if on {
		holders = 1
	}
	c.set(reason, holders)
}

// hold adds a reason not to fetch; several holders may share one.
func (c *claim) hold(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.set(reason, c.reasons[reason]+1)
}

// release takes one holder of a reason away.
func (c *claim) release(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := c.reasons[reason]; n > 0 {
		c.set(reason, n-1)
	}
}

// set changes how many hold a reason, and pauses or resumes when it is the first or was the last of all.
func (c *claim) set(reason string, holders int) {
	if c.reasons[reason] == holders || closed(c.gone) { // gone: the partition may be ours again, by another claim
		return
	}
	free := len(c.reasons) == 0
	c.reasons[reason] = holders
	if holders == 0 {
		delete(c.reasons, reason)
	}
	c.met.pause(c.Topic(), c.Partition(), reason, holders > 0)
	switch {
	case free && len(c.reasons) > 0:
		c.Pause()
	case !free && len(c.reasons) == 0:
		c.Resume()
	}
}

// position is the next offset to commit; below 0: not known.
func (c *claim) position() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tracker.lowest()
}

func closed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}
