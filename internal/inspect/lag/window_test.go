package lag_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/inspect/lag"
)

func TestAWindowForgets(t *testing.T) {
	t.Parallel()
	add := func(w *lag.Window, n int, each time.Duration) {
		t.Helper()
		for i := range n {
			s := golden()
			s.AsOf = now().Add(time.Duration(i) * each)
			w.Add(s)
		}
	}
	l := &logs{at: now(), slo: slo}
	w := l.window(t, "")
	add(w, 20, time.Second)
	if r := w.Report(); r.SampleSeconds != lag.Know(19.0) || !r.AsOf.Equal(now().Add(19*time.Second).Truncate(time.Millisecond)) {
		t.Errorf("sample of %v at %v", r.SampleSeconds, r.AsOf)
	}
	w = l.window(t, "")
	add(w, 100, 5*time.Second)
	if r := w.Report(); r.SampleSeconds != lag.Know(60.0) {
		t.Errorf("rates over %v, want the last minute", r.SampleSeconds)
	}
	w = l.window(t, "")
	add(w, 5, 10*time.Minute) // looked at seldom: the last two tell
	if r := w.Report(); r.SampleSeconds != lag.Know(600.0) {
		t.Errorf("rates over %v, want the last two looks", r.SampleSeconds)
	}
	w.Replace(golden()) // of all that was there only this one is left
	if r := w.Report(); r.SampleSeconds.Known || !r.AsOf.Equal(golden().AsOf) {
		t.Errorf("sample of %v at %v", r.SampleSeconds, r.AsOf)
	}
}

func TestAWindowWithoutASource(t *testing.T) {
	t.Parallel()
	if _, err := lag.NewWindow(nil, lag.Query{}, lag.Policy{}, ""); err == nil {
		t.Error("no source, and no error")
	}
	w, err := lag.NewWindow(nothing{}, lag.Query{}, lag.Policy{}, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Observe(t.Context()); !errors.Is(err, errNothing) {
		t.Errorf("Observe = %v", err)
	}
	if r := w.Report(); r.Complete || len(r.Groups) > 0 {
		t.Errorf("%+v", r)
	}
}

var errNothing = errors.New("no broker answers")

type nothing struct{}

func (nothing) Snapshot(context.Context, lag.Query) (lag.Snapshot, error) {
	return lag.Snapshot{}, errNothing
}

func (nothing) OffsetsAt(context.Context, map[lag.TopicPartition]time.Time) (map[lag.TopicPartition]lag.Maybe[lag.OffsetAt], error) {
	return nil, errNothing
}
