package tui

import (
	"slices"
	"strings"
	"time"
)

// ranges are those of the charts, and intervals those between samples, as the keys walk through them.
func ranges() []time.Duration {
	return []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour}
}

func intervals() []time.Duration {
	return []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second}
}

// pressed is what a key does.
func (s State) pressed(e Pressed) (State, []Effect) {
	s.Now, s.Banner = e.At, ""
	switch e.Action {
	case Leave:
		return s, []Effect{Quit{}}
	case SaveFrame:
		return s, []Effect{Save{At: e.At}}
	case AskNow:
		return s.askNow()
	case Slower, Faster:
		return s.paced(e.Action == Slower)
	case EditFilter:
		s.Edit = &Edit{Text: s.Filter.Text, Pos: len([]rune(s.Filter.Text))}
	case KeepFilter, DropFilter:
		s = s.filtered(e.Action == KeepFilter)
	case TogglePause:
		s = s.paused()
	case NextRange:
		s.Range, s.Scales = next(ranges(), s.Range), [2]scale{}
	case NextTheme:
		s.Theme = (s.Theme + 1) % len(ThemeNames())
	case SortNext, SortPrevious, Reverse:
		s = s.resorted(e.Action)
	default:
		s = s.looked(e.Action)
	}
	return s, nil
}

// looked moves between what can be looked at.
func (s State) looked(a Action) State {
	switch a {
	case ToggleHelp:
		s.Help = !s.Help
	case ViewOverview:
		s.View, s.Help = Overview, false
	case ViewPartitions:
		s.View, s.Help = Partitions, false
	case ViewDead:
		s.View, s.Help = DeadLetters, false
	case NextView:
		s.View, s.Help = (s.View+1)%viewCount, false
	case OpenRow:
		s.Detail = len(s.Order) > 0 || s.Cursor != Key{}
	case Back:
		s = s.back()
	default:
		s = s.moved(a)
	}
	return s
}

// back leaves what was opened last.
func (s State) back() State {
	switch {
	case s.Help:
		s.Help = false
	case s.Detail:
		s.Detail = false
	default:
		s.View = Overview
	}
	return s
}

func (s State) moved(a Action) State {
	keys := s.reachable()
	lay := Plan(s.W, s.H, s)
	page := max(lay.Table-lay.Pinned, 1)
	i := s.Index
	switch a {
	case Up:
		i--
	case Down:
		i++
	case PageUp:
		i -= page
	case PageDown:
		i += page
	case Top:
		i = 0
	case Bottom:
		i = len(keys) - 1
	default:
		return s
	}
	s.Moved = s.Now
	if len(keys) > 0 {
		s.Index = min(max(i, 0), len(keys)-1)
		s.Cursor = keys[s.Index]
	}
	return s
}

func (s State) resorted(a Action) State {
	switch a {
	case SortNext:
		s.Sort = (s.Sort + 1) % sortCount
	case SortPrevious:
		s.Sort = (s.Sort + sortCount - 1) % sortCount
	default:
		s.Reverse = !s.Reverse
	}
	return s.arranged()
}

// arranged sorts at once: the user asked for it.
func (s State) arranged() State {
	if sample := s.shown(); sample != nil {
		s.Order, s.SortedAt = s.sorted(sample.Rows), s.Now
	}
	return s
}

func (s State) paused() State {
	if s.Paused != nil {
		s.Paused = nil
	} else if s.Last != nil {
		s.Paused = &Shot{At: s.clock(), Sample: s.Last, History: s.History, Notes: s.Notes, Phase: s.Phase}
	}
	return s.arranged()
}

// askNow takes the place of a question that waits for its time. One that is out is not asked twice.
func (s State) askNow() (State, []Effect) {
	if s.Setup.SelfPaced || !s.Polling || !s.PollAt.After(s.Now) {
		return s, nil
	}
	return s.ask(s.Now)
}

func (s State) paced(slower bool) (State, []Effect) {
	if s.Setup.SelfPaced {
		return s.notice("the interval is that of the "+s.Setup.origin(), true), nil
	}
	list := intervals()
	if !slower {
		slices.Reverse(list)
	}
	for _, d := range list {
		if slower == (d > s.Interval) && d != s.Interval {
			s.Stride, s.Interval = max(s.Stride, s.Interval, d), d
			break
		}
	}
	s = s.notice("every "+span(s.Interval), false)
	if s.Phase != PhaseLive || !s.PollAt.After(s.Now) { // out, or waiting after a failure: what comes next follows the new interval
		return s, nil
	}
	at := s.Fresh.Add(s.Interval)
	if at.Before(s.Now) {
		at = s.Now
	}
	return s.ask(at)
}

// origin names where samples come from that nobody can hurry.
func (s Setup) origin() string {
	if s.Demo {
		return "demo"
	}
	return "record"
}

// filtered ends the typing of a filter.
func (s State) filtered(keep bool) State {
	if s.Edit == nil {
		return s
	}
	if keep {
		f, err := NewFilter(s.Edit.Text)
		if err != nil {
			s.Edit = &Edit{Text: s.Edit.Text, Pos: s.Edit.Pos, Bad: "not a regular expression"}
			return s
		}
		s.Filter = f
	}
	s.Edit = nil
	return s.arranged()
}

// typed shows the filter as it is being typed, and what it would choose as far as it can be read.
func (s State) typed(e Typed) State {
	s.Now = e.At
	if s.Edit == nil {
		return s
	}
	edit := &Edit{Text: strings.ToValidUTF8(e.Text, "?"), Pos: e.Pos}
	if _, err := NewFilter(edit.Text); err != nil {
		edit.Bad = "not a regular expression"
	}
	s.Edit = edit
	return s
}

func next(list []time.Duration, now time.Duration) time.Duration {
	for _, d := range list {
		if d > now {
			return d
		}
	}
	return list[0]
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
