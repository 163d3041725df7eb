package tui

import (
	"context"
	"errors"
	"io"
	"time"
)

// Options says how a dashboard runs.
type Options struct {
	Source   Source           // required
	Now      func() time.Time // required; a source with a time of its own goes before
	Setup    Setup
	Interval time.Duration // required
	Range    time.Duration // required, of the charts
	Sort     Sort
	Filter   Filter
	Fatal    func(error) bool // whether no later try can do better; nil: never
	Version  string

	// Background runs beside the dashboard until it ends; nil: nothing does.
	Background func(ctx context.Context) error

	// Of the screen.
	Input         io.Reader
	Output        io.Writer
	Width, Height int // where the terminal does not tell
	Colour        bool
	Theme         string
	Glyphs        Glyphs
	ExportDir     string

	// Of lines.
	Count int // so many lines; 0: until ctx ends
	// JSON writes an object as a line; nil: words.
	JSON func(v any) error
}

func (o *Options) validate() error {
	switch {
	case o.Source == nil:
		return errors.New("tui: Options.Source is required")
	case o.Now == nil:
		return errors.New("tui: Options.Now is required")
	case o.Interval <= 0:
		return errors.New("tui: Options.Interval is required")
	case o.Range <= 0:
		return errors.New("tui: Options.Range is required")
	case o.Output == nil:
		return errors.New("tui: Options.Output is required")
	}
	if c, ok := o.Source.(interface{ Now() time.Time }); ok {
		o.Now = c.Now
	}
	if o.Fatal == nil {
		o.Fatal = func(error) bool { return false }
	}
	return nil
}

// when is the time of an error, if it has one of its own.
func when(err error, now time.Time) time.Time {
	var timed interface{ When() time.Time }
	if errors.As(err, &timed) {
		return timed.When()
	}
	return now
}

// noticeOf is what a source has to say beside its samples.
func noticeOf(s Source) string {
	if n, ok := s.(interface{ Notice() string }); ok {
		return n.Notice()
	}
	return ""
}
