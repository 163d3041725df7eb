package lag

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	windowSpan  = 5 * time.Minute // what a forecast is made from
	windowCount = 150
	windowCells = 2_000_000 // partitions and commits of all snapshots together: a bound on memory
)

// Window looks at a cluster again and again and keeps what it saw, for rates, standstill and forecasts. Its methods may
// be called from several goroutines.
type Window struct {
	source Source
	query  Query
	policy Policy
	ages   Ages

	mu    sync.Mutex
	snaps []Snapshot
}

// NewWindow returns a window that has seen nothing yet.
func NewWindow(src Source, q Query, p Policy, ages Ages) (*Window, error) {
	if src == nil {
		return nil, errors.New("lag: a Window needs a Source")
	}
	return &Window{source: src, query: q, policy: p, ages: ages}, nil
}

// Observe takes a snapshot and finds out how old the backlogs in it are. It does not add it. What does not come until the
// end of ctx is unknown; an error means that nothing came.
func (w *Window) Observe(ctx context.Context) (Snapshot, error) {
	start := time.Now()
	s, err := w.source.Snapshot(ctx, w.query)
	if err != nil {
		return s, err // it says already what failed and what to do
	}
	if w.ages == AgeOff {
		return s, nil
	}
	findAges(ctx, w.source, &s, w.policy, w.ages, w.newest())
	s.Took = max(s.Took, time.Since(start))
	return s, nil
}

// newest is the last snapshot; nil: there is none. Snapshots are not changed once they are in.
func (w *Window) newest() *Snapshot {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.snaps) == 0 {
		return nil
	}
	return &w.snaps[len(w.snaps)-1]
}

// Add makes a snapshot the newest of the window. What has become too old leaves it, and what is too much.
func (w *Window) Add(s Snapshot) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.snaps = append(w.snaps, s)
	first, cells := 0, 0
	for i := len(w.snaps) - 1; i >= 0; i-- {
		cells += w.snaps[i].cells()
		kept := len(w.snaps) - i
		if kept > 2 && (kept > windowCount || cells > windowCells || s.AsOf.Sub(w.snaps[i].AsOf) > windowSpan) {
			first = i + 1
			break
		}
	}
	w.snaps = append([]Snapshot(nil), w.snaps[first:]...) // what left must be free to go
}

// Replace makes a snapshot the only one of the window, for who keeps a window of its own: ages go on from it.
func (w *Window) Replace(s Snapshot) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.snaps = []Snapshot{s}
}

// Report judges the window.
func (w *Window) Report() Report {
	w.mu.Lock()
	defer w.mu.Unlock()
	return Evaluate(w.snaps, w.policy)
}

func (s Snapshot) cells() int {
	n := len(s.Partitions)
	for _, g := range s.Groups {
		n += len(g.Commits.V)
	}
	return n
}
