package obs

import (
	"errors"
	"io"
	"sync"
	"time"
)

const (
	bufferSize  = 64 << 10
	bufferDelay = 100 * time.Millisecond
)

// LineBuffer gathers lines and writes them together: when 64 KiB are full, 100 ms after the first of them, and on Close.
// A writer that is slower than its lines makes Write wait; no line is dropped.
type LineBuffer struct {
	w io.Writer

	mu     sync.Mutex
	buf    []byte
	timer  *time.Timer
	err    error // of a write behind the caller's back; the next Write returns it
	closed bool
}

// NewLineBuffer returns a buffer in front of w.
func NewLineBuffer(w io.Writer) *LineBuffer { return &LineBuffer{w: w} }

// Write takes one whole line.
func (b *LineBuffer) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.buf == nil {
		b.buf = make([]byte, 0, bufferSize)
	}
	if len(b.buf)+len(line) > bufferSize {
		b.flush()
	}
	b.buf = append(b.buf, line...)
	switch {
	case b.closed || len(b.buf) >= bufferSize:
		b.flush()
	case b.timer == nil:
		b.timer = time.AfterFunc(bufferDelay, b.tick)
	}
	err := b.err
	b.err = nil
	return len(line), err
}

func (b *LineBuffer) tick() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flush()
}

// flush writes what is gathered. The caller holds the lock: whoever has a line meanwhile waits.
func (b *LineBuffer) flush() {
	if b.timer != nil {
		b.timer.Stop()
		b.timer = nil
	}
	if len(b.buf) == 0 {
		return
	}
	_, err := b.w.Write(b.buf)
	b.err = errors.Join(b.err, err)
	b.buf = b.buf[:0]
	if cap(b.buf) > 2*bufferSize { // one huge line must not be kept for ever
		b.buf = nil
	}
}

// Close writes what is gathered. Later lines are written at once.
func (b *LineBuffer) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.flush()
	err := b.err
	b.err = nil
	return err
}

// lockedWriter keeps lines of several loggers apart.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

// Write implements io.Writer.
func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
