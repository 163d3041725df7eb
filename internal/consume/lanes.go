package consume

import (
	"context"
	"slices"
	"sync"
)

// lanes keep the order of each key over all claims: first in, first out, and one of a key in flight. A record without a
// key is a lane of its own.
type lanes struct {
	mu    sync.Mutex
	byKey map[string]*lane
	ready []*lane       // not empty, nothing in flight
	wake  chan struct{} // one token: perhaps something is ready
}

type lane struct {
	key   string
	items []*item
	busy  bool // its first item is in flight
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
	var later []*lane
	for len(l.ready) > 0 && len(batch) < limit {
		ln := l.ready[0]
		l.ready = l.ready[1:]
		front := ln.items[0]
		if front.alone.Load() && len(batch) > 0 {
			later = append(later, ln)
			continue
		}
		ln.busy = true
		batch = append(batch, front)
		if front.alone.Load() {
			break
		}
	}
	if len(later) > 0 {
		l.ready = append(later, l.ready...)
	}
	l.signal()
	return batch
}

// preferFresh moves a lane whose front has not failed to the front.
func (l *lanes) preferFresh() {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.ready, func(ln *lane) bool { return !ln.items[0].alone.Load() })
	if i > 0 {
		l.ready[0], l.ready[i] = l.ready[i], l.ready[0]
	}
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

// drop takes out every record of a claim that is not in flight.
func (l *lanes) drop(c *claim) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ready = l.ready[:0]
	for key, ln := range l.byKey {
		kept := ln.items[:0]
		for i, it := range ln.items {
			if it.claim != c || i == 0 && ln.busy {
				kept = append(kept, it)
			}
		}
		clear(ln.items[len(kept):])
		ln.items = kept
		switch {
		case len(kept) == 0:
			delete(l.byKey, key)
		case !ln.busy:
			l.ready = append(l.ready, ln)
		}
	}
	l.signal()
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
	l.ready = append(l.ready, ln)
	l.signal()
}

// signal leaves a token for a taker; each taker that leaves something behind passes it on.
func (l *lanes) signal() {
	if len(l.ready) == 0 {
		return
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
}
