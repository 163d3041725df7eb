// Package obs is how every part of orderctl speaks about itself: log lines in one form with one set of keys, the trace
// context that ties a request to its record and its row, and health checks. It knows nothing of orders or Kafka.
package obs

import (
	"io"
	"log/slog"
	"time"
)

// repeatsPerSecond is how many equal lines a second are worth reading.
const repeatsPerSecond = 10

// LogOptions says where log lines go and what they look like.
type LogOptions struct {
	Writer  io.Writer
	Text    bool // for a reader at a terminal; else one JSON object a line
	Level   slog.Level
	Service string // member "service" of every line
}

// Logs is the log of one process. Both loggers write whole lines to the same place.
type Logs struct {
	Log   *slog.Logger   // repeats are limited to ten a second, then counted
	Audit *slog.Logger   // every line counts: nothing is left out, lines are buffered for at most 100 ms
	Level *slog.LevelVar // of both, changes while running

	repeats *repeats
	buffer  *LineBuffer
}

// NewLogs builds the loggers of a process. Close writes out what they still hold.
func NewLogs(o LogOptions) *Logs {
	level := new(slog.LevelVar)
	level.Set(o.Level)
	lines := &lockedWriter{w: o.Writer}
	buffer := NewLineBuffer(lines)
	limited := limitRepeats(newHandler(lines, o, level), repeatsPerSecond, time.Second)
	return &Logs{
		Log:     slog.New(limited),
		Audit:   slog.New(newHandler(buffer, o, level)),
		Level:   level,
		repeats: limited.repeats,
		buffer:  buffer,
	}
}

// Close writes the buffered lines and the counts of lines left out. Lines logged later are written at once.
func (l *Logs) Close() error {
	l.repeats.close()
	return l.buffer.Close()
}

// Component returns a logger whose lines carry the name of a part of the process.
func Component(log *slog.Logger, name string) *slog.Logger {
	return log.With(slog.String(KeyComponent, name))
}

// newHandler is the form of a line: for a reader, or for a machine.
func newHandler(w io.Writer, o LogOptions, level slog.Leveler) slog.Handler {
	if o.Text {
		return &textHandler{w: w, level: level}
	}
	inner := slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: tidy})
	var h slog.Handler = &jsonHandler{inner: inner}
	if o.Service != "" {
		h = h.WithAttrs([]slog.Attr{slog.String(KeyService, o.Service)})
	}
	return h
}
