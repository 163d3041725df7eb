package tui

import (
	"regexp"
	"time"
)

// Phase says whether what is shown is true now.
type Phase int

// The phases. A dashboard never shows a number of an earlier one as live.
const (
	PhaseConnecting Phase = iota // nothing came yet
	PhaseLive
	PhaseStale // what is shown is old, with its age
)

// View is what fills the screen.
type View int

// The views, as keys 1, 2 and 3 choose them.
const (
	Overview View = iota
	Partitions
	DeadLetters
	viewCount
)

// Setup is what does not change while the dashboard runs.
type Setup struct {
	Cluster, Group string
	Demo, Replay   bool
	SelfPaced      bool // the source decides when the next sample comes
	NoStore        bool
	Location       *time.Location // of the times that are shown; nil: UTC
	Shell          string         // how commands are written that are to be typed: orderctl --context prod
}

// State is all that the dashboard knows. It is a value: Reduce returns another one.
type State struct {
	Setup Setup

	W, H    int
	Phase   Phase
	Now     time.Time // of the last event
	Last    *Sample
	Fail    Failure
	History History
	Notes   []Note
	Scales  [2]scale // of orders per second, of unread
	Paused  *Shot

	Poll     int // the generation of the question that is out; answers to others are dropped
	PollAt   time.Time
	Polling  bool // it is out, or will be at PollAt
	Wake     int  // the generation of the alarm; others are dropped
	WakeAt   time.Time
	Fresh    time.Time // when the last sample came
	Interval time.Duration
	Stride   time.Duration // the longest interval since the last sample

	Range           time.Duration
	Sort            Sort
	Reverse         bool
	Filter          Filter
	Edit            *Edit // nil: the filter is not being typed
	View            View
	Detail, Help    bool
	Theme           int
	Cursor          Key
	Index           int // of the cursor among the rows that it can stand on
	First           int // the first row of the table that is shown
	Order           []Key
	SortedAt, Moved time.Time
	Banner          string // what became of a saved frame or a record
	Warned          bool   // the banner is bad news
	BannerAt        time.Time
	Revision        int // changes with everything that can be seen
}

// Failure is why nothing comes.
type Failure struct {
	Text  string
	Tries int       // that failed in a row
	Next  time.Time // when it is tried again; zero: a question is out
	Since time.Time // the last good sample; zero: there was none
}

// Shot is what stood on the screen when it was paused.
type Shot struct {
	At      time.Time
	Sample  *Sample
	History History
	Notes   []Note
	Phase   Phase
}

// Filter chooses rows.
type Filter struct {
	Text   string
	Invert bool
	expr   *regexp.Regexp // nil: all rows
}

// Edit is a filter that is being typed.
type Edit struct {
	Text string
	Pos  int    // of the cursor, in runes
	Bad  string // why it is none
}

// Event is something that happened: one of the types below.
type Event interface{ event() }

// The events.
type (
	// Sampled is the answer to a Poll.
	Sampled struct {
		Gen    int
		At     time.Time
		Sample Sample
		Notice string // what else is to be said: the record cannot be written
	}
	// Failed is the other answer.
	Failed struct {
		Gen    int
		At     time.Time
		Err    error
		Fatal  bool // no later try can do better: ends the dashboard if nothing ever came
		Notice string
	}
	// Tick is an alarm that went off.
	Tick struct {
		Gen int
		At  time.Time
	}
	// Pressed is a key.
	Pressed struct {
		At     time.Time
		Action Action
	}
	// Typed is the filter as it is being typed.
	Typed struct {
		At   time.Time
		Text string
		Pos  int
	}
	// Resized is a new size of the terminal.
	Resized struct{ W, H int }
	// Saved is what became of a Save.
	Saved struct {
		At   time.Time
		Path string
		Err  error
	}
)

func (Sampled) event() {}
func (Failed) event()  {}
func (Tick) event()    {}
func (Pressed) event() {}
func (Typed) event()   {}
func (Resized) event() {}
func (Saved) event()   {}

// Effect is something to be done: one of the types below.
type Effect interface{ effect() }

// The effects.
type (
	// Poll asks the source, not before At. It takes the place of one that has not asked yet.
	Poll struct {
		Gen  int
		At   time.Time
		Wait time.Duration
	}
	// Wake sets the alarm, the only one.
	Wake struct {
		Gen int
		At  time.Time
	}
	// Save writes the frame that is shown to files.
	Save struct{ At time.Time }
	// Quit ends the dashboard.
	Quit struct{ Err error }
)

func (Poll) effect() {}
func (Wake) effect() {}
func (Save) effect() {}
func (Quit) effect() {}

// shown is the sample on the screen: the last one, or that of the pause.
func (s State) shown() *Sample {
	if s.Paused != nil {
		return s.Paused.Sample
	}
	return s.Last
}

func (s State) shownHistory() History {
	if s.Paused != nil {
		return s.Paused.History
	}
	return s.History
}

func (s State) shownNotes() []Note {
	if s.Paused != nil {
		return s.Paused.Notes
	}
	return s.Notes
}

// clock is the time on the screen: of the sample while it is live, so that nothing has to tick.
func (s State) clock() time.Time {
	if s.Phase == PhaseLive && s.Paused == nil && s.Last != nil {
		return s.Last.At
	}
	return s.Now
}

// edge is where charts end: they move on while nothing comes.
func (s State) edge() time.Time {
	if s.Paused != nil {
		return s.Paused.At
	}
	return s.clock()
}

// NewState is the beginning, and what to do first.
func NewState(setup Setup, interval, span time.Duration, now time.Time) (State, []Effect) {
	s := State{Setup: setup, Interval: interval, Range: span, Now: now, W: 80, H: 24, Poll: 1, PollAt: now, Polling: true, Revision: 1}
	return s, []Effect{Poll{Gen: 1, At: now, Wait: patience(interval)}}
}

// patience is how long an answer may take.
func patience(interval time.Duration) time.Duration {
	return min(max(2*interval, 3*time.Second), 10*time.Second)
}
