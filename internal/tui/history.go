package tui

import (
	"math"
	"time"

	"commerce.internal/orderctl/internal/inspect/lag"
)

const (
	fineLimit   = 300
	coarseLimit = 360
	coarseSpan  = 10 * time.Second
	rowLimit    = 1000
)

// series is one of the totals that history keeps.
type series int

const (
	seriesIn series = iota
	seriesOut
	seriesUnread
	seriesOldest
	seriesDead
	seriesCount
)

// rate reports whether the series is a rate, of which the mean of a span is shown; of the others it is the maximum.
func (s series) rate() bool { return s == seriesIn || s == seriesOut }

// point is what was seen at one time, or over one span. Unknown is NaN. It is never changed once it is in a History.
type point struct {
	at     time.Time
	span   time.Duration // it speaks for the time from at-span to at
	totals [seriesCount]float32
	known  [seriesCount]int32 // of a coarse point: how many values a mean is made of
	rows   *index
	unread []float32 // by rows
}

// index gives each row a place; points share it as long as the rows stay the same.
type index struct {
	keys []Key
	at   map[Key]int
}

// History is what was seen: the last 300 samples, and an hour in spans of 10 seconds. It is a value: Push returns another
// one and leaves the old as it is. What was not seen is a gap, never 0.
type History struct {
	fine, coarse []*point
}

// Push adds a sample that speaks for the time since the last one, at most for span.
func (h History) Push(s Sample, span time.Duration) History {
	p := &point{at: s.At, span: span, rows: h.index(s)}
	if last := h.last(); last != nil && s.At.Sub(last.at) < span {
		p.span = max(s.At.Sub(last.at), 0)
	}
	g := s.Group
	p.totals = [seriesCount]float32{
		seriesIn: number(g.In), seriesOut: number(g.Out), seriesUnread: whole(g.Unread), seriesOldest: number(g.Oldest), seriesDead: nan(),
	}
	if s.Pending.Known {
		p.totals[seriesDead] = float32(s.Pending.V.Dead)
	}
	p.unread = make([]float32, len(p.rows.keys))
	for i := range p.unread {
		p.unread[i] = nan()
	}
	for _, list := range [...][]Row{s.Pinned, s.Rows} {
		for _, r := range list {
			if i, ok := p.rows.at[r.Key]; ok {
				p.unread[i] = whole(r.Unread)
			}
		}
	}
	return h.add(p)
}

// Gap says that at this time nothing came.
func (h History) Gap(at time.Time) History {
	p := &point{at: at, rows: &index{}}
	for i := range p.totals {
		p.totals[i] = nan()
	}
	h.fine = push(h.fine, p, fineLimit)
	return h
}

func (h History) last() *point {
	if len(h.fine) == 0 {
		return nil
	}
	return h.fine[len(h.fine)-1]
}

func (h History) add(p *point) History {
	h.fine = push(h.fine, p, fineLimit)
	at := p.at.Truncate(coarseSpan).Add(coarseSpan)
	c := *p
	c.at, c.span = at, coarseSpan
	for i, v := range c.totals {
		c.known[i] = 0
		if !isNaN(v) {
			c.known[i] = 1
		}
	}
	if n := len(h.coarse); n > 0 && h.coarse[n-1].at.Equal(at) {
		merged := append([]*point(nil), h.coarse...)
		merged[n-1] = merge(h.coarse[n-1], &c)
		h.coarse = merged
		return h
	}
	h.coarse = push(h.coarse, &c, coarseLimit)
	return h
}

// push appends to a copy, and drops what is too much.
func push(list []*point, p *point, most int) []*point {
	from := max(0, len(list)+1-most)
	next := make([]*point, 0, len(list)+1-from)
	return append(append(next, list[from:]...), p)
}

// merge joins two points of one span: rates by their mean, the others by their maximum.
func merge(a, b *point) *point {
	c := *b
	for i := range c.totals {
		s := series(i)
		switch {
		case isNaN(b.totals[i]):
			c.totals[i], c.known[i] = a.totals[i], a.known[i]
		case isNaN(a.totals[i]):
		case s.rate():
			n := a.known[i] + b.known[i]
			c.totals[i] = (a.totals[i]*float32(a.known[i]) + b.totals[i]*float32(b.known[i])) / float32(n)
			c.known[i] = n
		default:
			c.totals[i], c.known[i] = max(a.totals[i], b.totals[i]), a.known[i]+b.known[i]
		}
	}
	c.unread = append([]float32(nil), b.unread...)
	for i, k := range c.rows.keys {
		if j, ok := a.rows.at[k]; ok && j < len(a.unread) && !isNaN(a.unread[j]) && (isNaN(c.unread[i]) || a.unread[j] > c.unread[i]) {
			c.unread[i] = a.unread[j]
		}
	}
	return &c
}

// index is that of the last point if the rows are the same.
func (h History) index(s Sample) *index {
	var keys []Key
	for _, list := range [...][]Row{s.Pinned, s.Rows} { // the pinned first: they are few and always there
		for _, r := range list {
			if len(keys) < rowLimit {
				keys = append(keys, r.Key)
			}
		}
	}
	if last := h.last(); last != nil && len(last.rows.keys) == len(keys) {
		same := true
		for _, k := range keys {
			_, there := last.rows.at[k]
			same = same && there
		}
		if same {
			return last.rows
		}
	}
	x := &index{keys: keys, at: make(map[Key]int, len(keys))}
	for i, k := range keys {
		x.at[k] = i
	}
	return x
}

// Total returns a series over the span that ends at end, in n equal steps. NaN is a gap.
func (h History) Total(s series, end time.Time, span time.Duration, n int) []float64 {
	return h.steps(end, span, n, s.rate(), func(p *point) float32 { return p.totals[s] })
}

// Unread returns the backlog of a row in the same way.
func (h History) Unread(k Key, end time.Time, span time.Duration, n int) []float64 {
	return h.steps(end, span, n, false, func(p *point) float32 {
		if i, ok := p.rows.at[k]; ok && i < len(p.unread) {
			return p.unread[i]
		}
		return nan()
	})
}

// steps spreads points over n steps. Each speaks for its span.
func (h History) steps(end time.Time, span time.Duration, n int, mean bool, value func(*point) float32) []float64 {
	out := make([]float64, n)
	count := make([]int, n)
	for i := range out {
		out[i] = math.NaN()
	}
	if n <= 0 || span <= 0 {
		return out
	}
	start, step := end.Add(-span), float64(span)/float64(n)
	for _, p := range h.points(start) {
		v := value(p)
		if isNaN(v) {
			continue
		}
		first, last := p.covers(start, step)
		for i := max(0, first); i <= min(last, n-1); i++ {
			switch {
			case count[i] == 0:
				out[i] = float64(v)
			case mean:
				out[i] += (float64(v) - out[i]) / float64(count[i]+1)
			default:
				out[i] = max(out[i], float64(v))
			}
			count[i]++
		}
	}
	return out
}

// covers tells the steps that a point speaks for: the one that it lies in, and those before it whose middle lies in its span.
func (p *point) covers(start time.Time, step float64) (first, last int) {
	floor := func(ns float64) int { return int(math.Floor(ns / step)) }
	till := float64(p.at.Sub(start))
	last = floor(till - 1)
	if first = floor(till-float64(p.span)-step/2) + 1; first > last {
		first = last
	}
	return first, last
}

// points are the fine ones if they reach back to start, else the coarse.
func (h History) points(start time.Time) []*point {
	if len(h.fine) < fineLimit || !h.fine[0].at.After(start) {
		return h.fine
	}
	return h.coarse
}

// since returns the oldest known value of a series that is at most so old.
func (h History) since(s series, from time.Time) (float64, bool) {
	for _, p := range h.points(from) {
		if !p.at.Before(from) && !isNaN(p.totals[s]) {
			return float64(p.totals[s]), true
		}
	}
	return 0, false
}

func nan() float32 { return float32(math.NaN()) }

func isNaN(v float32) bool { return v != v } // that is what NaN is

func number(m lag.Maybe[float64]) float32 {
	if !m.Known {
		return nan()
	}
	return float32(m.V)
}

func whole(m lag.Maybe[int64]) float32 {
	if !m.Known {
		return nan()
	}
	return float32(m.V)
}

// Known is how many samples of a span are kept in full.
func (h History) Known(end time.Time, span time.Duration) int {
	n := 0
	for _, p := range h.fine {
		if p.at.After(end.Add(-span)) && !p.at.After(end) && !isNaN(p.totals[seriesUnread]) {
			n++
		}
	}
	return n
}
