package lag

import (
	"math"
	"slices"
	"time"

	"commerce.internal/orderctl/internal/queue"
)

// The ways in which the oldest order of a backlog comes to the SLO, as Breach.State has them.
const (
	BreachBreached = "breached"
	BreachForecast = "forecast"
	BreachNo       = "no"
)

const (
	leastPoints = 5
	leastSpan   = 30 * time.Second
	mostPoints  = 150
	fewPoints   = 30   // where there are very many backlogs
	rising      = 0.70 // of the pairs make a trend
	horizon     = 24 * time.Hour
	soon        = 15 * time.Minute
)

// point is the age of a backlog at one time, both in seconds.
type point struct{ at, age float64 }

// forecast tells when the oldest order of a backlog will be older than the SLO.
func (v *view) forecast(r *Row) {
	slo := v.now.SLO.Seconds()
	if r.Role != queue.RoleSource || slo <= 0 || !r.Oldest.Known {
		return
	}
	r.Earliest = inSeconds(max(0, v.now.SLO-Seconds(r.Oldest.V))) // an age grows by a second a second at most
	if r.Oldest.V >= slo {
		r.State, r.Seconds = Know(BreachBreached), Know(0.0)
		return
	}
	points := v.ages()
	if len(points) < leastPoints || Seconds(points[len(points)-1].at-points[0].at) < leastSpan {
		return
	}
	r.State = Know(BreachNo)
	slope, start, rises := theilSen(points)
	if !rises || slope <= 0 {
		return
	}
	left := max(0, (slo-(start+slope*points[len(points)-1].at))/slope)
	if left <= horizon.Seconds() {
		r.State, r.Seconds = Know(BreachForecast), inSeconds(Seconds(max(left, r.Earliest.V)))
	}
}

// ages is the ages of one backlog over the window, oldest first.
func (v *view) ages() []point {
	v.points = v.points[:0]
	for _, m := range v.moments {
		switch s := v.line[m.look]; {
		case !s.unread.Known:
		case s.unread.V == 0:
			v.points = append(v.points, point{at: m.at})
		case s.aged:
			v.points = append(v.points, point{at: m.at, age: max(0, v.window[m.look].AsOf.Sub(s.written).Seconds())})
		}
	}
	return v.points
}

// moment is one look of those that trends are made from, in seconds since the first of the window.
type moment struct {
	look int
	at   float64
}

// history chooses the looks that trends are made from, oldest first, thinned out where there are many partitions.
func (e *evaluator) history() []moment {
	var moments []moment
	most := mostPoints
	if len(e.now.Partitions) > fewHistories {
		most = fewPoints
	}
	step := max(1, (len(e.window)+most-1)/most)
	for i := (len(e.window) - 1) % step; i < len(e.window); i += step {
		if s := e.window[i]; e.now.AsOf.Sub(s.AsOf) <= windowSpan {
			moments = append(moments, moment{i, s.AsOf.Sub(e.window[0].AsOf).Seconds()})
		}
	}
	return moments
}

// trend tells where the unread records of a partition are heading, and how many more there are than at the last look.
func (v *view) trend(r *Row) {
	if len(v.window) < 2 || !r.Unread.Known {
		return
	}
	r.Change = apply(r.Unread, v.line[len(v.line)-2].unread, func(now, before int64) int64 { return now - before })
	v.points = v.points[:0]
	for _, m := range v.moments {
		if s := v.line[m.look]; s.unread.Known {
			v.points = append(v.points, point{at: m.at, age: float64(s.unread.V)})
		}
	}
	if len(v.points) < leastPoints {
		return
	}
	switch up, down := directions(v.points); {
	case up >= rising:
		r.Trend = Know(TrendRising)
	case down >= rising:
		r.Trend = Know(TrendFalling)
	default:
		r.Trend = Know(TrendFlat)
	}
}

const fewHistories = 100 // partitions of which every point counts

// slopes are those of all pairs of points.
func slopes(points []point) []float64 {
	all := make([]float64, 0, len(points)*len(points)/2)
	for i, a := range points {
		for _, b := range points[i+1:] {
			if b.at > a.at {
				all = append(all, (b.age-a.age)/(b.at-a.at))
			}
		}
	}
	return all
}

// directions is which share of all pairs of points goes up, and which down.
func directions(points []point) (up, down float64) {
	var ups, downs, all int
	for i, a := range points {
		for _, b := range points[i+1:] {
			switch {
			case b.at <= a.at:
				continue
			case b.age > a.age:
				ups++
			case b.age < a.age:
				downs++
			}
			all++
		}
	}
	return float64(ups) / float64(max(all, 1)), float64(downs) / float64(max(all, 1))
}

// theilSen fits a line that outliers cannot bend: the median slope of all pairs, at most 1, for an age cannot grow faster
// than time, and the median of what it leaves over. There is none, and rises is false, unless most pairs go up.
func theilSen(points []point) (slope, start float64, rises bool) {
	if up, _ := directions(points); up < rising {
		return 0, 0, false
	}
	slope = min(median(slopes(points)), 1)
	rests := make([]float64, len(points))
	for i, p := range points {
		rests[i] = p.age - slope*p.at
	}
	return slope, median(rests), true
}

// median returns the middle value; values are sorted by it. NaN: there is none.
func median(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return math.NaN()
	}
	slices.Sort(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// soonest is the breach of a group: that of its first partition. What is unknown of one is unknown of the group, but for
// what is worse already.
func soonest(rows []*Row) Breach {
	var b Breach
	all := true
	rank := map[string]int{BreachNo: 1, BreachForecast: 2, BreachBreached: 3}
	for _, r := range rows {
		switch {
		case !r.State.Known:
			all = false
		case rank[r.State.V] > rank[b.State.V]:
			b.State, b.Seconds = r.State, r.Seconds
		case r.State == b.State && r.Seconds.Known:
			b.Seconds = Know(min(b.Seconds.V, r.Seconds.V))
		}
	}
	if b.State.V == BreachNo && !all {
		b.State = Maybe[string]{}
	}
	b.Earliest = Maybe[float64]{V: math.Inf(1), Known: len(rows) > 0}
	for _, r := range rows {
		b.Earliest.Known = b.Earliest.Known && r.Earliest.Known
		b.Earliest.V = min(b.Earliest.V, r.Earliest.V)
	}
	if b.State.V == BreachBreached {
		b.Earliest = Know(0.0)
	}
	if !b.Earliest.Known {
		b.Earliest.V = 0
	}
	return b
}
