package consume

import (
	"context"
	"slices"
	"sync"

	"commerce.internal/orderctl/internal/queue"
)

// lanes keep the order of each key over all claims: first in, first out, and one of a key in flight. A record without a
// key is a lane of its own.
type lanes struct {
	mu     sync.Mutex
	byKey  map[string]*lane
	ready  [2][]*lane    // not empty, nothing in flight: by whether the front is fresh or a retry
	held   []*lane       // the same, but the partition of the front may not start
	credit int           // what fresh records have earned for retries
	wake   chan struct{} // one token: perhaps something is ready
}

// The two queues of lanes that are ready.
const (
	fresh = iota
	retries
)

// While fresh records wait, retries take at most one attempt of five: each costs what four fresh ones earn. What was
// earned before does not last for ever.
const (
	retryCost = 4
	maxCredit = 64 * retryCost
)

type lane struct {
	key   string
	items []*item
	busy  bool     // its first item is in flight
	first [1]*item // where items begins: most lanes never have two
}

func newLanes() *lanes { return &lanes{byKey: map[string]*lane{}, wake: make(chan struct{}, 1)} }

// push appends a record to the lane of its key.
func (l *lanes) push(key string, it *item) {
	if key == "" {
		key = "\x00" + it.msg.at.String()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	ln := l.byKey[key]
	if ln == nil {
		ln = &lane{key: key}
		ln.items = ln.first[:0]
		l.byKey[key] = ln
	}
	it.lane = ln
	ln.items = append(ln.items, it)
	if !ln.busy && len(ln.items) == 1 {
		l.offer(ln)
	}
}

// take waits for a record that may start and returns the fronts of at most limit lanes. One that must run alone comes
// alone. A probe is one record, if possible one that has not failed: a bad one must not stand for the target.
func (l *lanes) take(ctx context.Context, limit int, probe bool) ([]*item, error) {
	for {
		if probe {
			limit = 1
			l.preferFresh()
		}
		if batch := l.fronts(limit); len(batch) > 0 {
			return batch, nil
		}
		select {
		case <-l.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (l *lanes) fronts(limit int) []*item {
	l.mu.Lock()
	defer l.mu.Unlock()
	var batch []*item
	var later [2][]*lane
	for len(batch) < limit {
		q, ok := l.next()
		if !ok {
			break
		}
		ln := l.ready[q][0]
		l.ready[q] = l.ready[q][1:]
		front := ln.items[0]
		alone := front.alone.Load()
		switch {
		case alone && len(batch) > 0:
			later[q] = append(later[q], ln)
			continue
		case !front.claim.flood.admits(front):
			l.keep(ln)
			continue
		}
		l.pay(q)
		ln.busy = true
		if batch = append(batch, front); alone {
			break
		}
	}
	for q := range later {
		if len(later[q]) > 0 {
			l.ready[q] = append(later[q], l.ready[q]...)
		}
	}
	l.signal()
	return batch
}

// next says from which queue the next record comes. The lock is held.
func (l *lanes) next() (queue int, ok bool) {
	switch {
	case len(l.ready[retries]) > 0 && (len(l.ready[fresh]) == 0 || l.credit >= retryCost):
		return retries, true
	case len(l.ready[fresh]) > 0:
		return fresh, true
	}
	return 0, false
}

// pay keeps the account of next. Where nothing fresh waits, a retry is free. The lock is held.
func (l *lanes) pay(queue int) {
	switch {
	case queue == fresh:
		l.credit = min(l.credit+1, maxCredit)
	case len(l.ready[fresh]) > 0:
		l.credit = max(l.credit-retryCost, 0)
	}
}

// release lets lanes start again that were held.
func (l *lanes) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	held := l.held
	l.held = nil
	for _, ln := range held {
		l.offer(ln)
	}
}

// preferFresh moves a lane whose front has not failed to the front.
func (l *lanes) preferFresh() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for q := range l.ready {
		ready := l.ready[q]
		if i := slices.IndexFunc(ready, func(ln *lane) bool { return !ln.items[0].alone.Load() }); i > 0 {
			ready[0], ready[i] = ready[i], ready[0]
		}
	}
	l.credit = 0
}

// hold takes a record that was in flight back, in front of its lane, until release.
func (l *lanes) hold(it *item) {
	l.mu.Lock()
	defer l.mu.Unlock()
	it.lane.busy = false
	l.keep(it.lane)
}

// keep holds a lane. What its front failed of may be over when it starts again. The lock is held.
func (l *lanes) keep(ln *lane) {
	m := ln.items[0].msg
	m.failure, m.tries = nil, 0
	l.held = append(l.held, ln)
}

// fresh reports whether a lane has a record in front that has not failed.
func (l *lanes) fresh() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ln := range l.byKey {
		if !ln.items[0].alone.Load() {
			return true
		}
	}
	return false
}

// finish takes a record that was in flight out of its lane; the next one may start.
func (l *lanes) finish(it *item) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ln := it.lane
	ln.busy = false
	ln.items[0] = nil
	ln.items = ln.items[1:]
	if len(ln.items) == 0 {
		delete(l.byKey, ln.key)
		return
	}
	l.offer(ln)
}

// again lets a record that was in flight start once more, still in front of its lane.
func (l *lanes) again(it *item) {
	l.mu.Lock()
	defer l.mu.Unlock()
	it.lane.busy = false
	l.offer(it.lane)
}

// drop takes out every record of a claim that is not in flight, and returns them.
func (l *lanes) drop(c *claim) (dropped []*item) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ready, l.held = [2][]*lane{}, nil
	for key, ln := range l.byKey {
		kept := ln.items[:0]
		for i, it := range ln.items {
			if it.claim != c || i == 0 && ln.busy {
				kept = append(kept, it)
			} else {
				dropped = append(dropped, it)
			}
		}
		clear(ln.items[len(kept):])
		ln.items = kept
		switch {
		case len(kept) == 0:
			delete(l.byKey, key)
		case !ln.busy:
			l.enqueue(ln)
		}
	}
	l.signal()
	return dropped
}

// depth is how many records are in lanes.
func (l *lanes) depth() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, ln := range l.byKey {
		n += len(ln.items)
	}
	return n
}

func (l *lanes) offer(ln *lane) {
	l.enqueue(ln)
	l.signal()
}

// enqueue puts a lane that may start into its queue. A record that has failed here, or comes from a tier or from an
// operator, is a retry. The lock is held.
func (l *lanes) enqueue(ln *lane) {
	q := fresh
	if front := ln.items[0]; front.alone.Load() || front.claim.role != queue.RoleSource {
		q = retries
	}
	l.ready[q] = append(l.ready[q], ln)
}

// signal leaves a token for a taker; each taker that leaves something behind passes it on.
func (l *lanes) signal() {
	if len(l.ready[fresh])+len(l.ready[retries]) == 0 {
		return
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
}
