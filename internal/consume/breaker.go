package consume

import (
	"context"
	"sync"
	"time"
)

// Names of the breaker's states, in the order of their numbers in metrics.
const (
	breakerClosed = iota
	breakerHalf
	breakerOpen
)

// probeShare is the part of an outage that may pass between its end and the next probe.
const probeShare = 15

// breaker keeps the worker from asking a target that is away. It opens on failures in a row, or on a share of the last
// attempts; while it is open one probe is let through now and then, first soon, then rarely.
type breaker struct {
	o   BreakerOptions
	now func() time.Time

	mu      sync.Mutex
	state   int
	since   time.Time // of the state open, through its probes; zero: closed
	probeAt time.Time
	row     int    // failures in a row
	window  []bool // the last attempts, true: failed
	at      int    // next place in the window
	ok      int64  // successes at all
	changed chan struct{}
}

func newBreaker(o BreakerOptions, now func() time.Time) *breaker {
	return &breaker{o: o, now: now, changed: make(chan struct{})}
}

// enter waits while the breaker is open. probe: the caller is the one that tries; it must leave.
func (b *breaker) enter(ctx context.Context) (probe bool, err error) {
	for {
		wait, changed, probe := b.gate()
		if wait == 0 {
			return probe, ctx.Err()
		}
		if err := sleep(ctx, wait, changed); err != nil {
			return false, err
		}
	}
}

// gate says how long to wait (0: go on), or until what changes.
func (b *breaker) gate() (wait time.Duration, changed <-chan struct{}, probe bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch b.state {
	case breakerClosed:
		return 0, nil, false
	case breakerOpen:
		if wait := b.probeAt.Sub(b.now()); wait > 0 {
			return wait, b.changed, false
		}
		b.move(breakerHalf)
		return 0, nil, true
	}
	return time.Hour, b.changed, false
}

// leave ends a probe that tried nothing: the next one may come at once.
func (b *breaker) leave(probe bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if probe && b.state == breakerHalf {
		b.move(breakerOpen)
	}
}

// success notes an attempt that the target answered. It reports whether the breaker closed.
func (b *breaker) success() (closed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ok++
	b.row = 0
	b.note(false)
	if b.state == breakerClosed {
		return false
	}
	b.window, b.at, b.since = nil, 0, time.Time{}
	b.move(breakerClosed)
	return true
}

// failure notes an attempt that it did not. It reports whether the breaker opened.
func (b *breaker) failure() (opened bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.row++
	b.note(true)
	switch b.state {
	case breakerHalf:
	case breakerClosed:
		if b.row < b.o.Failures && !b.halfFailed() {
			return false
		}
		b.since, opened = b.now(), true
	default:
		return false // an attempt that began before it opened
	}
	b.probeAt = b.now().Add(b.pause())
	b.move(breakerOpen)
	return opened
}

// pause grows with the outage: what was away for a minute is noticed some seconds after its return, what is away for an
// hour is not asked each second.
func (b *breaker) pause() time.Duration {
	return min(max(b.now().Sub(b.since)/probeShare, b.o.ProbeMin), b.o.ProbeMax)
}

func (b *breaker) note(failed bool) {
	if len(b.window) < b.o.Window {
		b.window = append(b.window, failed)
		return
	}
	b.window[b.at] = failed
	b.at = (b.at + 1) % b.o.Window
}

func (b *breaker) halfFailed() bool {
	if len(b.window) < b.o.Window {
		return false
	}
	n := 0
	for _, failed := range b.window {
		if failed {
			n++
		}
	}
	return float64(n) >= b.o.Ratio*float64(b.o.Window)
}

// move changes the state and wakes who waits for that. The lock is held.
func (b *breaker) move(state int) {
	b.state = state
	close(b.changed)
	b.changed = make(chan struct{})
}

// successes is how many attempts have succeeded here.
func (b *breaker) successes() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ok
}

// open returns the state, and since when it is not closed.
func (b *breaker) open() (state int, since time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state, b.since
}

// sleep waits for a while, for a channel (nil: none) or for the end of ctx, which is the error.
func sleep(ctx context.Context, d time.Duration, until <-chan struct{}) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-until:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}
