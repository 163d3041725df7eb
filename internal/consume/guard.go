package consume

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/pprof"
	"sync"
	"time"

	"commerce.internal/orderctl/internal/obs"
)

const (
	guardEvery    = time.Second
	stuckAfter    = time.Minute      // a partition that should move and does not
	attemptGrace  = 5 * time.Second  // beyond the deadline of an attempt
	sinkTimeout   = 15 * time.Second // of a delivery; the sink keeps it by itself
	biteAgain     = 10 * time.Minute // the second time within it ends the process
	maxStackBytes = 64 << 10         // of a goroutine dump in the log
)

// watchdog looks whether what should move does move.
type watchdog struct {
	mu       sync.Mutex
	attempts map[*attempt]bool

	progress map[*claim]progress // of the goroutine that guards
	bitten   time.Time
}

// attempt is something that has to end.
type attempt struct{ deadline time.Time }

// progress is where a partition was seen, since when, and when its log was looked at.
type progress struct {
	next   int64
	since  time.Time
	peeked time.Time
}

func newWatchdog() *watchdog {
	return &watchdog{attempts: map[*attempt]bool{}, progress: map[*claim]progress{}}
}

// begin notes an attempt that has to end by a deadline, and returns its end.
func (d *watchdog) begin(deadline time.Time) (end func()) {
	a := &attempt{deadline: deadline}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.attempts[a] = true
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.attempts, a)
	}
}

// overdue reports whether an attempt is past its deadline; it is reported once a while.
func (d *watchdog) overdue(now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	late := false
	for a := range d.attempts {
		if now.Sub(a.deadline) >= attemptGrace {
			late, a.deadline = true, now.Add(stuckAfter-attemptGrace)
		}
	}
	return late
}

// guard looks after the partitions until ctx ends.
func (w *Worker) guard(ctx context.Context) {
	tick := time.NewTicker(guardEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		w.probeFloods()
		if w.dog.overdue(w.o.Now()) {
			w.bite(ctx, "an attempt does not end")
		}
		w.watch(ctx)
	}
}

// watch looks at each partition: one with something to read that stays where it is, for no reason that has a name, is
// stuck. What waits in another partition of the same number is a reason: orders wait for each other.
func (w *Worker) watch(ctx context.Context) {
	now, claims := w.o.Now(), w.owned()
	excused := w.excused(claims, now)
	seen := map[*claim]progress{}
	for _, c := range claims {
		next, high := c.position(), c.High()
		p, known := w.dog.progress[c]
		if !known || p.next != next || next >= high || excused[c.Partition()] {
			p = progress{next: next, since: now}
		}
		if still := now.Sub(p.since); still >= muteAfter && c.empty() && now.Sub(p.peeked) >= muteAfter {
			p.peeked = now
			if !w.lookInto(ctx, c, next) {
				p.since = now
			}
		}
		if now.Sub(p.since) >= max(stuckAfter, w.slowest()) {
			p.since = now
			w.bite(ctx, fmt.Sprintf("%s/%d does not move from %d", c.Topic(), c.Partition(), next))
		}
		seen[c] = p
	}
	w.dog.progress = seen
}

// slowest is how long ten records may take under the rate that was asked for.
func (w *Worker) slowest() time.Duration {
	if w.o.Rate <= 0 {
		return 0
	}
	return time.Duration(10 / w.o.Rate * float64(time.Second))
}

// excused are the partition numbers that stand still for a reason.
func (w *Worker) excused(claims []*claim, now time.Time) map[int32]bool {
	all := map[int32]bool{}
	away := w.away()
	for _, c := range claims {
		if away || c.rests(now) {
			all[c.Partition()] = true
		}
	}
	return all
}

// away reports whether a target is.
func (w *Worker) away() bool {
	state, _ := w.breaker.open()
	if state == breakerClosed && w.sink != nil {
		state, _ = w.sink.open()
	}
	return state != breakerClosed
}

// rests reports whether the claim stands still for a reason that has a name, or waits until a time.
func (c *claim) rests(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, reason := range []string{pausedBreaker, pausedHop, pausedOperator, pausedFlood, pausedBatch} {
		if c.reasons[reason] > 0 {
			return true
		}
	}
	return now.Before(c.restUntil)
}

// restFor notes that something of the claim waits for a while, and is not stuck.
func (c *claim) restFor(until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if until.After(c.restUntil) {
		c.restUntil = until
	}
}

// empty reports whether nothing of the claim is in this process.
func (c *claim) empty() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.queued == 0
}

var errStuck = errors.New("stuck again after the session was ended: see the goroutines in the log")

// bite ends the session, once: what hangs in the client is gone then. The second time it ends the process.
func (w *Worker) bite(ctx context.Context, why string) {
	now := w.o.Now()
	var stacks bytes.Buffer
	if p := pprof.Lookup("goroutine"); p != nil {
		_ = p.WriteTo(&stacks, 1) // into memory, which takes it
	}
	dump := stacks.Bytes()
	w.o.Log.ErrorContext(ctx, "worker is stuck", slog.String(obs.KeyReason, why), slog.String(obs.KeyStack, string(dump[:min(len(dump), maxStackBytes)])))
	again := !w.dog.bitten.IsZero() && now.Sub(w.dog.bitten) < biteAgain
	w.dog.bitten = now
	if again || w.o.Rejoin == nil {
		w.halt(fmt.Errorf("%s: %w", why, errStuck))
		return
	}
	w.o.Rejoin(ctx, why)
}
