package tui

import (
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"time"
)

const (
	tickEvery   = time.Second
	noticeFor   = 10 * time.Second
	resortAfter = 5 * time.Second
)

// Reduce is what an event makes of a state, and what is to be done. It does nothing itself: time comes in events.
func Reduce(s State, e Event) (State, []Effect) {
	var effects []Effect
	switch e := e.(type) {
	case Sampled:
		if e.Gen != s.Poll || !s.Polling {
			return s, nil
		}
		s, effects = s.sampled(e)
	case Failed:
		if e.Gen != s.Poll || !s.Polling {
			return s, nil
		}
		s, effects = s.failed(e)
	case Tick:
		if e.Gen != s.Wake {
			return s, nil
		}
		s = s.ticked(e)
	case Pressed:
		s, effects = s.pressed(e)
	case Typed:
		s = s.typed(e)
	case Resized:
		s.W, s.H = e.W, e.H
	case Saved:
		s = s.saved(e)
	}
	s.Revision++
	s = s.settled()
	s, alarm := s.alarm()
	return s, append(effects, alarm...)
}

func (s State) sampled(e Sampled) (State, []Effect) {
	sample, stride := e.Sample.remembering(s.Last), max(s.Stride, s.Interval)
	covers := 3*stride + time.Duration(sample.TookMS)*time.Millisecond
	if s.Last != nil {
		if missed := sample.At.Sub(s.Last.At); missed > covers {
			sample, covers = sample.withoutRates(), s.Interval
			s.Notes = keep(s.Notes, Note{At: sample.At, Kind: "gap", Text: "nothing was seen for " + age(wholeSeconds(missed.Seconds()))})
		}
		s.Notes = keep(s.Notes, Changes(*s.Last, sample)...)
	}
	s.History = s.History.Push(sample, covers)
	s.Last, s.Phase, s.Fail, s.Now, s.Fresh, s.Stride = &sample, PhaseLive, Failure{}, e.At, e.At, s.Interval
	s = s.scaled().notice(e.Notice, true).forget()
	switch {
	case s.Paused != nil: // the rows of the pause stay
	case s.rested(resortAfter):
		s.Order, s.SortedAt = s.sorted(sample.Rows), s.Now
	default:
		s.Order = s.rearranged(sample.Rows)
	}
	next := s.PollAt.Add(s.Interval)
	if s.Setup.SelfPaced || next.Before(e.At) {
		next = e.At
	}
	return s.ask(next)
}

// rested reports whether rows may move: not too often, and not under the fingers of who reads them.
func (s State) rested(d time.Duration) bool {
	return s.SortedAt.IsZero() || s.Now.Sub(s.SortedAt) >= d && s.Now.Sub(s.Moved) >= d
}

func (s State) failed(e Failed) (State, []Effect) {
	if e.Fatal && s.Last == nil {
		s.Polling = false
		return s, []Effect{Quit{Err: e.Err}}
	}
	s.Now = e.At
	text := firstLine(e.Err.Error())
	if s.Last != nil {
		if s.Fail.Tries == 0 { // the first one, also after a silence that showed already
			s.Notes = keep(s.Notes, Note{At: e.At, Kind: "gap", Text: text})
		}
		s.Phase, s.Fail.Since = PhaseStale, s.Last.At
	}
	s.History = s.History.Gap(e.At)
	s.Fail.Tries++
	s.Fail.Text, s.Fail.Next = text, e.At.Add(Backoff(s.Fail.Tries, e.At))
	s = s.notice(e.Notice, true)
	next := s.Fail.Next
	if s.Setup.SelfPaced {
		next = e.At
	}
	return s.ask(next)
}

// Backoff is how long to wait after so many failed tries: 1 2 4 8 16 30 30 ... s, +-20 %. The same failure always gives
// the same, so that a replay shows what was shown.
func Backoff(tries int, at time.Time) time.Duration {
	base := 30 * time.Second
	if tries < 6 {
		base = time.Second << max(tries-1, 0)
	}
	h := fnv.New32a()
	fmt.Fprintf(h, "%d/%d", tries, at.UnixMilli())
	spread := float64(h.Sum32())/math.MaxUint32*0.4 - 0.2
	return time.Duration(float64(base) * (1 + spread)).Round(time.Millisecond)
}

// ask puts the next question. It takes the place of one that has not been asked yet.
func (s State) ask(at time.Time) (State, []Effect) {
	s.Poll++
	s.Polling, s.PollAt = true, at
	return s, []Effect{Poll{Gen: s.Poll, At: at, Wait: patience(s.Interval)}}
}

// ticked looks whether an answer is overdue, and lets ages grow.
func (s State) ticked(e Tick) State {
	s.Now, s.WakeAt = e.At, time.Time{}
	s = s.forget()
	if s.Phase == PhaseLive && !s.Setup.SelfPaced && e.At.Sub(s.Fresh) >= 2*s.Interval {
		s.Phase = PhaseStale
		s.Fail = Failure{Text: "no answer for " + age(wholeSeconds(e.At.Sub(s.Fresh).Seconds())), Since: s.Last.At}
	}
	return s
}

// alarm sets the next tick, if it is not set already: every second where an age is on the screen; while all is live once,
// for the time when an answer is overdue.
func (s State) alarm() (State, []Effect) {
	var at time.Time
	switch {
	case s.Paused != nil || s.Phase == PhaseStale || s.Fail.Tries > 0:
		at = s.Now.Add(tickEvery)
		if s.WakeAt.After(s.Now) && s.WakeAt.Before(at) {
			return s, nil
		}
	case s.Phase == PhaseLive && !s.Setup.SelfPaced:
		at = s.Fresh.Add(2 * s.Interval)
	}
	if at.Equal(s.WakeAt) {
		return s, nil
	}
	s.Wake++
	s.WakeAt = at
	return s, []Effect{Wake{Gen: s.Wake, At: at}}
}

// scaled fits the axes of the charts to what they show.
func (s State) scaled() State {
	const steps = 120
	s.Scales[0] = s.Scales[0].fit(maximum(s.History.Total(seriesIn, s.Last.At, s.Range, steps), s.History.Total(seriesOut, s.Last.At, s.Range, steps)))
	s.Scales[1] = s.Scales[1].fit(maximum(s.History.Total(seriesUnread, s.Last.At, s.Range, steps)))
	return s
}

func (s State) saved(e Saved) State {
	s.Now = e.At
	if e.Err != nil {
		return s.notice("cannot save: "+firstLine(e.Err.Error()), true)
	}
	return s.notice("saved "+e.Path, false)
}

// notice shows a word in the last line. Bad news stays until a key is pressed.
func (s State) notice(text string, bad bool) State {
	if text != "" {
		s.Banner, s.Warned, s.BannerAt = text, bad, s.Now
	}
	return s
}

// forget takes away good news that has been read.
func (s State) forget() State {
	if s.Banner != "" && !s.Warned && s.Now.Sub(s.BannerAt) >= noticeFor {
		s.Banner = ""
	}
	return s
}

// settled keeps the cursor on a row, and that row on the screen.
func (s State) settled() State {
	keys := s.reachable()
	if len(keys) == 0 {
		s.Cursor, s.Index, s.First = Key{}, 0, 0
		return s
	}
	i := slices.Index(keys, s.Cursor)
	switch {
	case s.Moved.IsZero(): // until somebody moves it, the cursor is on the worst
		i = 0
	case i < 0:
		i = min(s.Index, len(keys)-1)
	}
	s.Cursor, s.Index = keys[i], i
	lay := Plan(s.W, s.H, s)
	page, rows := max(lay.Table-lay.Pinned, 1), len(s.Order)
	if i < rows {
		s.First = min(max(s.First, i-page+1), i)
	}
	s.First = max(min(s.First, rows-page), 0)
	return s
}

// reachable are the rows that the cursor can stand on.
func (s State) reachable() []Key {
	sample := s.shown()
	if sample == nil {
		return nil
	}
	keys := slices.Clone(s.Order)
	if Plan(s.W, s.H, s).Pinned > 0 {
		for _, r := range sample.Pinned {
			keys = append(keys, r.Key)
		}
	}
	return keys
}
