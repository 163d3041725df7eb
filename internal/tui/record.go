package tui

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// RecordSchema names the form of a record.
const RecordSchema = "orderctl.top-record/v1"

const recordLine = 16 << 20 // the longest line that is read

// Header is the first line of a record.
type Header struct {
	Schema     string `json:"schema"`
	Group      string `json:"group"`
	Cluster    string `json:"cluster"`
	IntervalMS int64  `json:"interval_ms"`
	Version    string `json:"version"`
}

// entry is another line: a sample, or why there was none.
type entry struct {
	At     time.Time `json:"at"`
	Sample *Sample   `json:"sample,omitempty"`
	Error  string    `json:"error,omitempty"`
}

// Recorder writes down what a source gives. A record that cannot be written is said once, and stops nothing.
type Recorder struct {
	source Source
	now    func() time.Time
	file   io.WriteCloser // nil: no more
	notice string
}

// NewRecorder makes the file, which must not exist.
func NewRecorder(source Source, path string, h Header, now func() time.Time) *Recorder {
	r := &Recorder{source: source, now: now}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		r.notice = "no record: " + err.Error()
		return r
	}
	r.file = f
	h.Schema = RecordSchema
	r.write(h)
	return r
}

func (r *Recorder) write(v any) {
	if r.file == nil {
		return
	}
	raw, err := json.Marshal(v)
	if err == nil {
		_, err = r.file.Write(append(raw, '\n'))
	}
	if err != nil {
		r.notice = "the record ends here: " + err.Error()
		_ = r.file.Close() // the failed write is what counts
		r.file = nil
	}
}

// Sample implements Source.
func (r *Recorder) Sample(ctx context.Context) (Sample, error) {
	s, err := r.source.Sample(ctx)
	switch {
	case err == nil:
		s.Got = r.now()
		r.write(entry{At: s.Got, Sample: &s})
	case ctx.Err() == nil || errors.Is(ctx.Err(), context.DeadlineExceeded):
		timed := &timedError{err: err, at: r.now()}
		r.write(entry{At: timed.at, Error: err.Error()})
		err = timed
	}
	return s, err
}

// Notice is what is to be said about the record, once.
func (r *Recorder) Notice() string {
	n := r.notice
	r.notice = ""
	return n
}

// Close ends the record.
func (r *Recorder) Close() error {
	if r.file == nil {
		return nil
	}
	if err := r.file.Close(); err != nil {
		return fmt.Errorf("close record: %w", err)
	}
	return nil
}

// timedError is an error and when it happened.
type timedError struct {
	err error
	at  time.Time
}

// Error implements error.
func (e *timedError) Error() string { return e.err.Error() }

// Unwrap returns the error.
func (e *timedError) Unwrap() error { return e.err }

// When is the time of the error.
func (e *timedError) When() time.Time { return e.at }

// Player plays a record again, as fast as it was or as speed says.
type Player struct {
	Header  Header
	entries []entry
	next    int
	clock   *clock
	wait    func(ctx context.Context, d time.Duration) error
	Cut     bool // the last line was cut off
}

// clock is the time of what is played: it goes on between two entries as fast as they are played.
type clock struct {
	speed float64
	now   func() time.Time

	mu         sync.Mutex
	base, wall time.Time
}

func (c *clock) set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.base, c.wall = at, c.now()
}

func (c *clock) time() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.base.Add(time.Duration(float64(c.now().Sub(c.wall)) * c.speed))
}

// ErrEnd says that a record or a demonstration is at its end.
var ErrEnd = errors.New("the record is at its end")

// ErrNotARecord says that a file is no record, or one of another version.
var ErrNotARecord = errors.New("not a record of orderctl top")

// ReadRecord reads a record. A last line that was cut off is left out.
func ReadRecord(r io.Reader, speed float64, now func() time.Time) (*Player, error) {
	p := &Player{wait: sleep, clock: &clock{speed: speed, now: now, wall: now()}}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), recordLine)
	if !lines.Scan() {
		return nil, errors.Join(ErrNotARecord, lines.Err())
	}
	if json.Unmarshal(lines.Bytes(), &p.Header) != nil || p.Header.Schema != RecordSchema {
		return nil, ErrNotARecord
	}
	for lines.Scan() {
		if p.Cut { // more lines: it was not the last one
			return nil, fmt.Errorf("line %d: %w", len(p.entries)+2, ErrNotARecord)
		}
		var e entry
		if json.Unmarshal(lines.Bytes(), &e) != nil || e.Sample == nil && e.Error == "" {
			p.Cut = true
			continue
		}
		p.entries = append(p.entries, e)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read record: %w", err)
	}
	if len(p.entries) > 0 {
		p.clock.set(p.entries[0].At)
	}
	return p, nil
}

// Sample implements Source. It gives the next entry when its time has come.
func (p *Player) Sample(ctx context.Context) (Sample, error) {
	if p.next >= len(p.entries) {
		<-ctx.Done() // the last frame stays until somebody quits
		return Sample{}, ErrEnd
	}
	e := p.entries[p.next]
	if p.next > 0 && p.clock.speed > 0 {
		if err := p.wait(ctx, time.Duration(float64(e.At.Sub(p.entries[p.next-1].At))/p.clock.speed)); err != nil {
			return Sample{}, err
		}
	}
	p.next++
	p.clock.set(e.At)
	if e.Sample == nil {
		return Sample{}, &timedError{err: errors.New(e.Error), at: e.At}
	}
	s := *e.Sample
	s.Got = e.At
	return s, nil
}

// Now is the time of the record.
func (p *Player) Now() time.Time { return p.clock.time() }

// Ended reports whether everything was played.
func (p *Player) Ended() bool { return p.next >= len(p.entries) }

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
