package produce

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"sync"
	"time"

	"commerce.internal/orderctl/internal/obs"
)

// kind is what became of a record.
type kind int

const (
	acknowledged kind = iota
	notSent
	rejected
	unknown
)

// outcome is what became of a record, and why when it failed.
type outcome struct {
	kind kind
	code string // bounded
	err  error  // shown once per code
}

// shot is one record between the schedule and its outcome.
type shot struct {
	record
	intended time.Time
	handed   time.Time // to the publisher, or to a connection
}

// tally counts what becomes of records. Outcomes may come from any goroutine, and also after the end, when nobody counts
// them any more.
type tally struct {
	log   *slog.Logger
	acked io.Writer

	mu         sync.Mutex
	start      time.Time
	counts     [4]int64
	expected   int64
	sent       int64
	dropped    int64
	pending    int64
	codes      map[string]int64
	latency    *hist
	delay      *hist
	service    *hist
	lastAnswer time.Time
	writeErr   error
	ending     bool
	closed     bool
	drained    chan struct{}
}

func newTally(start time.Time, log *slog.Logger, acked io.Writer) *tally {
	return &tally{
		log: log, acked: acked, start: start, codes: map[string]int64{},
		latency: newHist(), delay: newHist(), service: newHist(), drained: make(chan struct{}),
	}
}

// begin counts a record that is about to be handed over.
func (t *tally) begin() {
	t.mu.Lock()
	t.sent++
	t.pending++
	t.mu.Unlock()
}

// retract takes back a record that was not handed over after all.
func (t *tally) retract() {
	t.mu.Lock()
	t.sent--
	t.pending--
	t.mu.Unlock()
}

func (t *tally) drop(n int64) {
	t.mu.Lock()
	t.dropped += n
	t.mu.Unlock()
}

// settle counts the outcome of a record.
func (t *tally) settle(ctx context.Context, s *shot, out outcome) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	t.pending--
	t.counts[out.kind]++
	expected := out.kind == rejected && s.refused
	switch {
	case out.kind == acknowledged:
		t.note(s)
	case expected:
		t.expected++
	default:
		if t.codes[out.code]++; t.codes[out.code] == 1 {
			t.log.WarnContext(ctx, "record failed", slog.String(obs.KeyCode, out.code), slog.String(obs.KeyOrderID, s.key), slog.Any(obs.KeyError, out.err))
		}
	}
	if out.kind == acknowledged || expected {
		t.lastAnswer = now
		t.latency.record(now.Sub(s.intended))
		t.delay.record(s.handed.Sub(s.intended))
		t.service.record(now.Sub(s.handed))
	}
	if t.ending && t.pending == 0 {
		close(t.drained)
	}
}

func (t *tally) note(s *shot) {
	if t.acked == nil || t.writeErr != nil {
		return
	}
	_, t.writeErr = fmt.Fprintln(t.acked, s.messageID())
}

// end waits until every outcome is known, or ctx is done: what is missing then is unknown for ever.
func (t *tally) end(ctx context.Context) {
	t.mu.Lock()
	t.ending = true
	if t.pending == 0 {
		close(t.drained)
	}
	t.mu.Unlock()
	select {
	case <-t.drained:
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	if t.pending > 0 {
		t.counts[unknown] += t.pending
		t.codes["no-answer"] += t.pending
		t.pending = 0
	}
}

// view is what a tally holds at one moment.
type view struct {
	counts                      [4]int64
	sent, dropped, pending      int64
	expected                    int64
	codes                       map[string]int64
	latency, sendDelay, service Latency
	lastAnswer                  time.Duration // since the start; 0: none yet
	failures                    int64
}

func (t *tally) view() view {
	t.mu.Lock()
	defer t.mu.Unlock()
	v := view{
		counts: t.counts, sent: t.sent, dropped: t.dropped, pending: t.pending, expected: t.expected, codes: maps.Clone(t.codes),
		latency: t.latency.latency(), sendDelay: t.delay.latency(), service: t.service.latency(),
		failures: t.counts[notSent] + t.counts[rejected] + t.counts[unknown] - t.expected,
	}
	if !t.lastAnswer.IsZero() {
		v.lastAnswer = t.lastAnswer.Sub(t.start)
	}
	return v
}
