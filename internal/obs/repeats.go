package obs

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// maxRepeats bounds the memory of lines seen; more different ones within a window all pass.
const maxRepeats = 1_000

// limiter lets a line through ten times a window, then counts it and says at the end of the window how often it came.
type limiter struct {
	inner   slog.Handler
	repeats *repeats
}

// repeats is what all handlers of one log share.
type repeats struct {
	limit  int
	window time.Duration

	mu     sync.Mutex
	seen   map[line]*counted
	closed bool
}

// line is what makes two log lines equal: attributes differ from one occurrence to the next.
type line struct {
	level   slog.Level
	message string
}

type counted struct {
	n    int
	tell func(repeated int) // writes the count to the handler that met the line last
	end  *time.Timer
}

func limitRepeats(inner slog.Handler, limit int, window time.Duration) *limiter {
	return &limiter{inner: inner, repeats: &repeats{limit: limit, window: window, seen: map[line]*counted{}}}
}

// Enabled implements slog.Handler.
func (l *limiter) Enabled(ctx context.Context, level slog.Level) bool {
	return l.inner.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (l *limiter) Handle(ctx context.Context, r slog.Record) error {
	// The count is written after this call, perhaps after its context has ended.
	later := context.WithoutCancel(ctx)
	tell := func(repeated int) {
		sum := slog.NewRecord(time.Now(), r.Level, r.Message, r.PC)
		sum.AddAttrs(slog.Int(KeyRepeated, repeated))
		_ = l.inner.Handle(later, sum) // a log that cannot be written has nowhere to say so
	}
	if l.repeats.pass(line{r.Level, r.Message}, tell) {
		return l.inner.Handle(ctx, r)
	}
	return nil
}

// WithAttrs implements slog.Handler.
func (l *limiter) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &limiter{inner: l.inner.WithAttrs(attrs), repeats: l.repeats}
}

// WithGroup implements slog.Handler.
func (l *limiter) WithGroup(name string) slog.Handler {
	return &limiter{inner: l.inner.WithGroup(name), repeats: l.repeats}
}

// pass counts an occurrence and reports whether it is to be written.
func (p *repeats) pass(key line, tell func(int)) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.seen[key]
	if c == nil {
		if p.closed || len(p.seen) >= maxRepeats {
			return true
		}
		c = &counted{}
		c.end = time.AfterFunc(p.window, func() { p.finish(key) })
		p.seen[key] = c
	}
	c.n++
	if c.n <= p.limit {
		return true
	}
	c.tell = tell
	return false
}

// finish ends the window of a line.
func (p *repeats) finish(key line) {
	p.mu.Lock()
	c := p.seen[key]
	delete(p.seen, key)
	p.mu.Unlock()
	if c != nil && c.tell != nil {
		c.tell(c.n - p.limit)
	}
}

// close ends all windows; from now on every line passes.
func (p *repeats) close() {
	p.mu.Lock()
	p.closed = true
	open := make([]line, 0, len(p.seen))
	for key, c := range p.seen {
		c.end.Stop()
		open = append(open, key)
	}
	p.mu.Unlock()
	for _, key := range open {
		p.finish(key)
	}
}
