package lag

import (
	"math"
	"slices"
	"time"

	"commerce.internal/orderctl/internal/queue"
)

// flow tells rates and direction of one partition: from two snapshots, or, for the inflow alone, from the mark of one.
func (v *view) flow(role queue.Role, o offsets, still time.Duration) Flow {
	f := Flow{In: v.inflow(role, o), Out: v.outflow()}
	if still >= v.policy.StallAfter {
		f.Drain = Know(DrainStalled)
		return f
	}
	f.direct(o.unread(), v.policy.Tolerance)
	return f
}

// direct derives drain and ETA from the rates and what is unread.
func (f *Flow) direct(unread Maybe[int64], tolerance int64) {
	switch {
	case !unread.Known:
	case unread.V <= tolerance:
		f.Drain, f.ETA = Know(DrainIdle), Know(0.0)
	case !f.In.Known || !f.Out.Known:
	case math.Abs(f.In.V-f.Out.V) <= steadyFraction*max(f.In.V, f.Out.V):
		f.Drain = Know(DrainSteady)
	case f.Out.V > f.In.V:
		f.Drain, f.ETA = Know(DrainDraining), Know(math.Round(1000*float64(unread.V)/(f.Out.V-f.In.V))/1000)
	default:
		f.Drain = Know(DrainGrowing)
	}
}

func (v *view) inflow(role queue.Role, o offsets) Maybe[float64] {
	if len(v.window) == 1 {
		grown := over(o.high, o.mark)
		if role != queue.RoleSource || !grown.Known || v.now.SLO <= 0 {
			return Maybe[float64]{}
		}
		return Know(float64(grown.V) / v.now.SLO.Seconds())
	}
	first, last := v.earliest(func(s *sight) bool { return s.high.Known }), v.newest()
	if !first.high.Known || !last.high.Known || last.high.V < first.high.V {
		return Maybe[float64]{}
	}
	return perSecond(last.high.V-first.high.V, last.endAt.Sub(first.endAt))
}

// earliest is the first of the snapshots that rates are taken over of which enough is known: a partition that had no leader
// or no commit a minute ago has a rate since. Where there is none it is the first of all.
func (v *view) earliest(enough func(*sight) bool) *sight {
	from := v.window[v.base].AsOf
	for i, s := range v.window[:len(v.window)-1] {
		if !s.AsOf.Before(from) && enough(v.line[i]) {
			return v.line[i]
		}
	}
	return v.line[v.base]
}

// newest is what the newest snapshot says of the row in hand.
func (v *view) newest() *sight { return v.line[len(v.line)-1] }

func (v *view) outflow() Maybe[float64] {
	if len(v.window) == 1 {
		return Maybe[float64]{}
	}
	last := v.newest()
	if !last.commit.Known || last.commit.V < 0 { // it would lie below any other
		return Maybe[float64]{}
	}
	first := v.earliest(func(s *sight) bool { return s.commit.Known && s.commit.V >= 0 })
	if !first.commit.Known || first.commit.V < 0 || last.commit.V < first.commit.V || v.rewound() {
		return Maybe[float64]{}
	}
	return perSecond(last.commit.V-first.commit.V, last.commitAt.Sub(first.commitAt))
}

func perSecond(n int64, d time.Duration) Maybe[float64] {
	if d <= 0 {
		return Maybe[float64]{}
	}
	return Know(float64(n) / d.Seconds())
}

// rewound reports whether the committed offset went back within the window.
func (v *view) rewound() bool {
	highest := int64(-1)
	for _, s := range v.line {
		if !s.commit.Known {
			continue
		}
		if s.commit.V < highest {
			return true
		}
		highest = s.commit.V
	}
	return false
}

// standstill is for how long the partition has had an owner, something to do, and no progress.
func (v *view) standstill(tp TopicPartition) time.Duration {
	newest, since := v.newest().commit, v.now.AsOf
	for i, s := range slices.Backward(v.line) {
		if !s.commit.Known || s.commit != newest || !v.owned(i, tp) || !s.pending.Known || s.pending.V <= v.policy.Tolerance {
			break
		}
		since = v.window[i].AsOf
	}
	return v.now.AsOf.Sub(since)
}

// dueFor is for how long the next record of a tier has been due, at least: it lay before the mark of an older snapshot.
func (v *view) dueFor(tp TopicPartition) time.Duration {
	o, _ := v.place(tp)
	for _, s := range v.window {
		if mark := gather(s.partition(tp), Maybe[int64]{}, s.Isolation, false).mark; o.from.Known && mark.Known && mark.V > o.from.V {
			return v.now.AsOf.Sub(s.AsOf)
		}
	}
	return 0
}
