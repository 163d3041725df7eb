package consume

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"commerce.internal/orderctl/internal/obs"
	"commerce.internal/orderctl/internal/queue"
)

// FloodOptions says how many dead letters a partition may write before it halts: a bad deployment must not empty a topic
// into the dead letters. Letters that only follow another one do not count.
type FloodOptions struct {
	InRow  int     // 0: no such limit
	Ratio  float64 // of the last Window records; 0: no such limit
	Window int
	Probe  time.Duration // a partition that halts tries one record so often
}

func (o FloodOptions) on() bool { return o.InRow > 0 || o.Ratio > 0 }

// flood is the guard of one partition; nil guards nothing.
type flood struct {
	o   FloodOptions
	now func() time.Time

	mu      sync.Mutex
	row     int    // letters in a row
	window  []bool // of the last records, true: a letter
	at      int    // next place in the window
	letters int    // in the window
	pending int    // letters that are decided and not yet written
	refused bool   // somebody waits for those
	halted  bool
	probeAt time.Time
	probe   *item
}

func newFlood(o FloodOptions, now func() time.Time) *flood {
	if !o.on() {
		return nil
	}
	return &flood{o: o, now: now}
}

// admits reports whether a record may start: while the partition is halted only a probe, now and then.
func (f *flood) admits(it *item) bool {
	if f == nil {
		return true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.halted || it == f.probe {
		return true
	}
	if f.probe != nil || f.now().Before(f.probeAt) {
		return false
	}
	f.probe = it
	return true
}

// mayDie reports whether a record may become a letter. Those that are about to be written count, so that no batch goes
// past the limit.
func (f *flood) mayDie(it *item) bool {
	if f == nil {
		return true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case it.dies || it == f.probe:
		return true
	case f.halted, f.tooMany(f.pending):
		f.refused = true
		return false
	}
	it.dies = true
	f.pending++
	return true
}

// fate is what the end of a record says about a flood.
type fate int

const (
	fateNothing fate = iota // it was no order that could die, or it only follows one
	fateLetter
	fateGood
)

func fateOf(v verdict) fate {
	switch queue.Outcome(v.outcome) {
	case queue.Applied, queue.Stale, queue.Delivered, queue.Skipped:
		return fateGood
	case outcomeDead:
		if v.failure.Class != queue.ClassBlocked && v.rule != 5 {
			return fateLetter
		}
	}
	return fateNothing
}

// settle notes the end of a record. It returns whether the partition is halted now, whether that has just changed, and
// whether records that were held may be looked at again.
func (f *flood) settle(it *item, what fate) (halted, changed, release bool) {
	if f == nil {
		return false, false, false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	was, probe := f.halted, it == f.probe
	if it.dies {
		it.dies = false
		f.pending--
	}
	if probe {
		f.probe = nil
	}
	switch {
	case f.halted && probe && what == fateGood:
		f.halted, f.row, f.window, f.at, f.letters = false, 0, nil, 0, 0
	case f.halted && probe && what == fateLetter:
		f.probeAt = f.now().Add(f.o.Probe)
	case f.halted:
	case what == fateLetter:
		f.row++
		f.note(true)
	case what == fateGood:
		f.row = 0
		f.note(false)
	}
	if !f.halted && f.tooMany(0) {
		f.halted, f.probeAt = true, f.now().Add(f.o.Probe)
	}
	release = f.refused || probe
	f.refused = false
	return f.halted, f.halted != was, release
}

func (f *flood) note(letter bool) {
	if f.o.Window == 0 {
		return
	}
	if len(f.window) < f.o.Window {
		f.window = append(f.window, false)
		f.at = len(f.window) - 1
	}
	if f.window[f.at] {
		f.letters--
	}
	if f.window[f.at] = letter; letter {
		f.letters++
	}
	f.at = (f.at + 1) % f.o.Window
}

// tooMany reports whether the limit is reached, with some more letters than were noted.
func (f *flood) tooMany(more int) bool {
	return f.o.InRow > 0 && f.row+more >= f.o.InRow ||
		f.o.Ratio > 0 && len(f.window) == f.o.Window && float64(f.letters+more) >= f.o.Ratio*float64(f.o.Window)
}

// due reports whether the partition is halted, and whether a probe may start.
func (f *flood) due() (halted, probe bool) {
	if f == nil {
		return false, false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.halted, f.halted && f.probe == nil && !f.now().Before(f.probeAt)
}

// judged tells the guard of its partition how a record ended.
func (w *Worker) judged(ctx context.Context, it *item, what fate) {
	halted, changed, release := it.claim.flood.settle(it, what)
	if changed {
		it.claim.pauseFor(pausedFlood, halted)
		if halted {
			w.o.Log.ErrorContext(ctx, "too many dead letters: partition halts, and tries one record now and then",
				slog.String(obs.KeyTopic, it.rec.Topic), slog.Int(obs.KeyPartition, int(it.rec.Partition)))
		} else {
			w.o.Log.InfoContext(ctx, "partition goes on after too many dead letters",
				slog.String(obs.KeyTopic, it.rec.Topic), slog.Int(obs.KeyPartition, int(it.rec.Partition)))
		}
	}
	if changed || release {
		w.lanes.release()
	}
}

// probeFloods lets the partitions that halt try a record when it is time. One that has none in hand fetches again, until
// one comes.
func (w *Worker) probeFloods() {
	for _, c := range w.owned() {
		if _, probe := c.flood.due(); probe {
			if c.empty() {
				c.pauseFor(pausedFlood, false)
			}
			w.lanes.release()
		}
	}
}
