package tui_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/tui"
)

// script is a source that gives one answer after the other, and then none.
type script struct {
	answers []any // tui.Sample or error
	asked   []time.Time
	now     func() time.Time
}

func (s *script) Sample(ctx context.Context) (tui.Sample, error) {
	if s.now != nil {
		s.asked = append(s.asked, s.now())
	}
	if len(s.answers) == 0 {
		<-ctx.Done()
		return tui.Sample{}, ctx.Err()
	}
	a := s.answers[0]
	s.answers = s.answers[1:]
	if err, bad := a.(error); bad {
		return tui.Sample{}, err
	}
	sample, _ := a.(tui.Sample)
	return sample, nil
}

func options(src tui.Source, out *bytes.Buffer) tui.Options {
	return tui.Options{
		Source: src, Now: time.Now, Setup: setup(), Interval: 2 * time.Second, Range: 5 * time.Minute, Output: out, Glyphs: tui.UTF8(),
		Width: 80, Height: 24,
	}
}

func TestALineHasAllThatOneNeedsInWords(t *testing.T) {
	t.Parallel()
	if got, want := tui.Words(sample(noon)), "2026-11-22T14:32:07Z status=HOT state=Stable members=3 in=631/s out=590/s unread=14210 change=+41/s "+
		"oldest=1m32s worst=orders/3 retry=271 parked=41 dead=27"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got, want := tui.Words(blind(noon)), "2026-11-22T14:32:07Z status=UNKNOWN state=? members=? in=? out=? unread=? change=? oldest=? "+
		"worst=orders/0 retry=? parked=? dead=?"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	s := sample(noon)
	s.Rows[1].Unread, s.Rows[1].In = lag.Maybe[int64]{}, lag.Maybe[float64]{}
	s = of(noon, s.Rows)
	s.Pending = lag.Maybe[tui.Pending]{}
	s.Group.State = lag.Know("a b\x1b")
	if got := tui.Words(s); !strings.Contains(got, "unread=>=13252 ") || !strings.Contains(got, "in=>=531/s") || !strings.Contains(got, "retry=<=450 parked=? dead=<=27") ||
		!strings.Contains(got, `state="a b\x1b"`) {
		t.Errorf("got %s", got)
	}
	if got := tui.Words(tui.Sample{At: noon, Group: tui.Group{Name: "x", Missing: true}}); !strings.Contains(got, `status=unknown error="consumer group x does not exist"`) {
		t.Errorf("got %s", got)
	}
}

func TestLinesComeAtTheIntervalAndFailuresAreLinesToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src := &script{answers: []any{sample(noon), errors.New(refused), errors.New(refused), sample(after(9)), sample(after(11))}, now: time.Now}
		var out bytes.Buffer
		o := options(src, &out)
		o.Count = 5
		end, err := tui.Lines(t.Context(), o)
		if err != nil || end.Sample == nil || !end.Sample.At.Equal(after(11)) {
			t.Fatalf("ended with %+v, %v", end, err)
		}
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(lines) != 5 || !strings.Contains(lines[1], `status=unknown error="`+refused+`" retry_in=1s last_unread=14210 last_seen=`) {
			t.Errorf("lines\n%s", out.String())
		}
		for i, want := range []float64{2, 1, 2, 2} {
			if got := src.asked[i+1].Sub(src.asked[i]).Seconds(); got < 0.8*want || got > 1.2*want {
				t.Errorf("question %d came after %.1f s, not about %.0f", i+2, got, want)
			}
		}
	})
}

func TestLinesAsJSONHoldSamplesAndEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		more := sample(after(2))
		more.Group.Members = lag.Know(4)
		src := &script{answers: []any{sample(noon), more, errors.New(refused), errors.New("never read")}}
		var out bytes.Buffer
		o := options(src, &out)
		o.Count = 3
		o.JSON = func(v any) error { return json.NewEncoder(&out).Encode(v) }
		end, err := tui.Lines(t.Context(), o)
		if err != nil || end.Err == nil || end.Err.Error() != refused {
			t.Fatalf("ended with %+v, %v", end, err)
		}
		var lines []map[string]any
		for dec := json.NewDecoder(&out); dec.More(); {
			var v map[string]any
			if err := dec.Decode(&v); err != nil {
				t.Fatal(err)
			}
			lines = append(lines, v)
		}
		if len(lines) != 3 || lines[0]["schema"] != tui.Schema || lines[0]["live"] != true || lines[2]["live"] != false || lines[2]["sample"] != nil {
			t.Fatalf("lines %v", lines)
		}
		events, _ := lines[1]["events"].([]any)
		event, _ := events[0].(map[string]any)
		if len(events) != 1 || event["text"] != "members 3 -> 4" {
			t.Errorf("events %v", events)
		}
		if lines[2]["error"] != refused || lines[2]["retry_in_seconds"] == nil || lines[2]["last_at"] == nil {
			t.Errorf("the failure is %v", lines[2])
		}
	})
}

func TestLinesEndWithTheirContextAndWhenNobodyTakesThem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 6500*time.Millisecond)
		defer cancel()
		var out bytes.Buffer
		o := options(&script{answers: []any{sample(noon)}}, &out) // the second question is never answered
		began, ended := false, false
		o.Background = func(ctx context.Context) error {
			began = true
			<-ctx.Done()
			ended = true
			return nil
		}
		if _, err := tui.Lines(ctx, o); err != nil || !began || !ended || strings.Count(out.String(), "\n") != 2 {
			t.Errorf("%v, background %v %v, lines %q", err, began, ended, out.String())
		}
	})
	full := errors.New("no space left on device")
	o := options(&script{answers: []any{sample(noon)}}, &bytes.Buffer{})
	o.JSON = func(any) error { return full }
	if _, err := tui.Lines(t.Context(), o); !errors.Is(err, full) {
		t.Errorf("a line that could not be written: %v", err)
	}
}

func TestAFatalFirstContactEndsLines(t *testing.T) {
	t.Parallel()
	denied := errors.New("refused the login")
	var out bytes.Buffer
	o := options(&script{answers: []any{denied}}, &out)
	o.Fatal = func(err error) bool { return errors.Is(err, denied) }
	if _, err := tui.Lines(t.Context(), o); !errors.Is(err, denied) || out.Len() != 0 {
		t.Errorf("%v, %q", err, out.String())
	}
}

func TestOptionsAreRefusedByName(t *testing.T) {
	t.Parallel()
	good := options(&script{}, &bytes.Buffer{})
	for want, spoil := range map[string]func(*tui.Options){
		"Options.Source":   func(o *tui.Options) { o.Source = nil },
		"Options.Now":      func(o *tui.Options) { o.Now = nil },
		"Options.Interval": func(o *tui.Options) { o.Interval = 0 },
		"Options.Range":    func(o *tui.Options) { o.Range = -1 },
		"Options.Output":   func(o *tui.Options) { o.Output = nil },
	} {
		o := good
		spoil(&o)
		if _, err := tui.Lines(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
		if err := tui.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
