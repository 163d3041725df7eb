package tui

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"commerce.internal/orderctl/internal/inspect/lag"
)

const (
	agesEvery    = 5 * time.Second
	pendingEvery = 10 * time.Second
	sideDeadline = 2 * time.Second
)

// errNobody is a look that nobody answered: the client knew of partitions from before, and that is all.
var errNobody = errors.New("no broker answers")

// ErrNoStore says that no store is configured that could be asked for what is pending.
var ErrNoStore = errors.New("no store to ask")

// Client observes a cluster over one connection.
type Client interface {
	lag.Source
	Close() error
}

// LiveOptions says what a Live looks at.
type LiveOptions struct {
	Group    string        // required
	Dial     func() Client // required; connects at the first question
	Query    lag.Query
	Policy   lag.Policy
	Interval time.Duration
	Pending  func(ctx context.Context) (Pending, error) // nil: there is no store
	Scrape   func(ctx context.Context) (Metrics, error) // nil: no metrics URL
	Whole    bool                                       // the first sample waits for the store and the metrics, within their deadline
	Now      func() time.Time                           // required
}

// Live looks at a cluster, the store and the metrics. After a look that failed it takes a new client.
type Live struct {
	opts   LiveOptions
	window *lag.Window
	link   *link
	seen   []*lag.Look // what is judged, oldest first
	rough  bool        // no ages were looked for in the newest

	mu       sync.Mutex
	pending  lag.Maybe[Pending]
	noStore  bool
	metrics  lag.Maybe[Metrics]
	first    chan struct{} // closed when store and metrics have been asked once
	ages     map[Key]aged
	agesFrom time.Time
}

// NewLive returns a Live that has asked nothing yet.
func NewLive(o LiveOptions) (*Live, error) {
	switch {
	case o.Group == "":
		return nil, errors.New("tui: LiveOptions.Group is required")
	case o.Dial == nil:
		return nil, errors.New("tui: LiveOptions.Dial is required")
	case o.Now == nil:
		return nil, errors.New("tui: LiveOptions.Now is required")
	}
	l := &Live{opts: o, link: &link{dial: o.Dial, now: o.Now}, noStore: o.Pending == nil, first: make(chan struct{}), ages: map[Key]aged{}}
	var err error
	l.window, err = lag.NewWindow(l.link, o.Query, o.Policy, lag.AgeAuto)
	return l, err
}

// Run asks the store and the metrics, beside the questions to Kafka and never in their way, until ctx ends.
func (l *Live) Run(ctx context.Context) error {
	var g errgroup.Group
	var once sync.WaitGroup
	once.Add(2)
	g.Go(func() error {
		once.Wait()
		close(l.first)
		return nil
	})
	g.Go(func() error {
		every(ctx, pendingEvery, &once, l.askStore)
		return nil
	})
	g.Go(func() error {
		every(ctx, max(l.opts.Interval, time.Second), &once, l.scrape)
		return nil
	})
	return g.Wait()
}

// every calls do at once and then again and again, each time under a deadline.
func every(ctx context.Context, d time.Duration, first *sync.WaitGroup, do func(context.Context)) {
	t := time.NewTicker(d)
	defer t.Stop()
	for n := 0; ; n++ {
		bounded, cancel := context.WithTimeout(ctx, sideDeadline)
		do(bounded)
		cancel()
		if n == 0 {
			first.Done()
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

func (l *Live) askStore(ctx context.Context) {
	if l.opts.Pending == nil {
		return
	}
	p, err := l.opts.Pending(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.noStore = errors.Is(err, ErrNoStore) && !l.pending.Known
	if err == nil { // else what was known last stays, and its age shows
		l.pending = lag.Know(p)
	}
}

func (l *Live) scrape(ctx context.Context) {
	if l.opts.Scrape == nil {
		return
	}
	m, err := l.opts.Scrape(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.metrics = lag.Maybe[Metrics]{V: m, Known: err == nil}
}

// Close ends the connections.
func (l *Live) Close() error { return l.link.drop() }

// Sample implements Source.
func (l *Live) Sample(ctx context.Context) (Sample, error) {
	start := l.opts.Now()
	seen, err := l.window.Observe(ctx)
	if err != nil && len(seen.Groups) == 0 {
		_ = l.link.drop() // a new client next time
		if errors.Is(err, context.DeadlineExceeded) {
			err = &silence{took: l.opts.Now().Sub(start), err: err}
		}
		return Sample{}, err
	}
	if silent(seen, l.opts.Group) {
		_ = l.link.drop()
		return Sample{}, errNobody
	}
	l.link.aged()
	l.window.Replace(seen)
	if n := len(l.seen); n > 0 && l.rough {
		l.seen[n-1] = lag.NewLook(withoutAges(l.seen[n-1].Snapshot))
	}
	l.seen, l.rough = thin(append(l.seen, lag.NewLook(seen))), l.link.skipped()
	s := convert(l.opts.Group, lag.EvaluateLooks(l.seen, l.opts.Policy), seen)
	if l.opts.Whole {
		l.wait(ctx)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s.Pending, s.Metrics, s.NoStore, s.NoMetrics = l.pending, l.metrics, l.noStore, l.opts.Scrape == nil
	l.estimate(&s)
	due(&s)
	return s, nil
}

const (
	fullSpan = 20 * time.Second // a standstill shows here
	thinSpan = 10 * time.Second
	seenSpan = 5 * time.Minute // what forecasts are made from
)

// thin keeps every look of the last 20 seconds, and of the five minutes before now one each ten seconds: trends and forecasts
// go over all looks for each partition, and would cost more than all the rest together.
func thin(seen []*lag.Look) []*lag.Look {
	now := seen[len(seen)-1].AsOf
	var kept []*lag.Look
	for _, s := range seen {
		age := now.Sub(s.AsOf)
		if age > seenSpan || age > fullSpan+thinSpan && len(kept) > 0 && s.AsOf.Sub(kept[len(kept)-1].AsOf) < thinSpan {
			continue
		}
		kept = append(kept, s)
	}
	return kept
}

// withoutAges is a look in which no ages were looked for: those that it has were carried on, and grow by a second a second,
// which a forecast must not take for a trend.
func withoutAges(s lag.Snapshot) lag.Snapshot {
	s.Groups = maps.Clone(s.Groups)
	for name, g := range s.Groups {
		g.Heads = nil
		s.Groups[name] = g
	}
	return s
}

// silent reports whether a look saw nothing at all of what is there now.
func silent(seen lag.Snapshot, group string) bool {
	g := seen.Groups[group]
	if g.Commits.Known || len(seen.Partitions) == 0 {
		return false
	}
	for _, p := range seen.Partitions {
		if p.High.Known || p.Problem != lag.NoAnswer && p.Problem != lag.NoLeader {
			return false
		}
	}
	return true
}

// silence is no answer in time. The words of the runtime for that say nothing to a reader.
type silence struct {
	took time.Duration
	err  error
}

// Error implements error.
func (s *silence) Error() string {
	return "Kafka did not answer within " + span(s.took.Round(100*time.Millisecond))
}

// Unwrap returns what the runtime says.
func (s *silence) Unwrap() error { return s.err }

func (l *Live) wait(ctx context.Context) {
	select {
	case <-l.first:
	case <-ctx.Done():
	}
}

// aged is how old the first of a row was when it was looked for last.
type aged struct {
	seconds   float64
	committed lag.Maybe[int64]
}

// estimate carries ages on between the rounds that look for them. Where nothing was taken since, what waits is older by the
// time since; where orders flow, the next one is about as old as the last.
func (l *Live) estimate(s *Sample) {
	passed := s.At.Sub(l.agesFrom).Seconds()
	known := map[Key]aged{}
	worst := lag.Know(0.0)
	for i := range s.Rows {
		r := &s.Rows[i]
		switch before, there := l.ages[r.Key]; {
		case !r.Oldest.Known || !r.Rough:
		case there && before.committed == r.Committed:
			r.Oldest.V = min(r.Oldest.V, before.seconds+passed)
		case there:
			r.Oldest.V = min(r.Oldest.V, before.seconds)
		case l.link.skipped():
			r.Oldest = lag.Maybe[float64]{}
		}
		if r.Oldest.Known {
			known[r.Key] = aged{r.Oldest.V, r.Committed}
		}
		switch {
		case !r.Counted:
		case r.Oldest.Known:
			worst.V = max(worst.V, r.Oldest.V)
		case !l.link.skipped() && (!r.Unread.Known || r.Unread.V != 0):
			worst.Known = false
		}
	}
	if s.Group.Oldest.Known {
		s.Group.Oldest = worst
	}
	l.ages, l.agesFrom = known, s.At
}

// due tells of each tier when its next message is due, by the store, else by what is overdue.
func due(s *Sample) {
	for i, r := range s.Pinned {
		if t, ok := s.Pending.V.Tiers[r.Topic]; ok && s.Pending.Known && !t.NextDue.IsZero() {
			s.Pinned[i].Due = lag.Know(seconds(t.NextDue.Sub(s.At)))
		}
	}
}
