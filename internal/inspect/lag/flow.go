package lag

import (
	"math"
	"slices"
	"time"

	"commerce.internal/orderctl/internal/queue"
)

// flow tells rates and direction of one partition: from two snapshots, or, for the inflow alone, from the mark of one.
func (v *view) flow(tp TopicPartition, role queue.Role, o offsets, still time.Duration) Flow {
	f := Flow{In: v.inflow(tp, role, o), Out: v.outflow(tp)}
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

func (v *view) inflow(tp TopicPartition, role queue.Role, o offsets) Maybe[float64] {
	if len(v.window) == 1 {
		grown := over(o.high, o.mark)
		if role != queue.RoleSource || !grown.Known || v.now.SLO <= 0 {
			return Maybe[float64]{}
		}
		return Know(float64(grown.V) / v.now.SLO.Seconds())
	}
	base := v.earliest(func(s Snapshot) bool { return s.partition(tp).High.Known })
	first, last := base.partition(tp), v.now.partition(tp)
	if !first.High.Known || !last.High.Known || last.High.V < first.High.V {
		return Maybe[float64]{}
	}
	return perSecond(last.High.V-first.High.V, last.EndAt.Sub(first.EndAt))
}

// earliest is the first of the snapshots that rates are taken over of which enough is known: a partition that had no leader
// or no commit a minute ago has a rate since. Where there is none it is the first of all.
func (v *view) earliest(enough func(Snapshot) bool) Snapshot {
	for _, s := range v.window[:len(v.window)-1] {
		if !s.AsOf.Before(v.base.AsOf) && enough(s) {
			return s
		}
	}
	return v.base
}

func (v *view) outflow(tp TopicPartition) Maybe[float64] {
	if len(v.window) == 1 {
		return Maybe[float64]{}
	}
	base := v.earliest(func(s Snapshot) bool {
		c, _, _ := s.Groups[v.name].commit(tp)
		return c.Known && c.V >= 0
	})
	first, firstAt, _ := base.Groups[v.name].commit(tp)
	last, lastAt, _ := v.now.Groups[v.name].commit(tp)
	if !first.Known || !last.Known || first.V < 0 || last.V < first.V || v.rewound(tp) {
		return Maybe[float64]{}
	}
	return perSecond(last.V-first.V, lastAt.Sub(firstAt))
}

func perSecond(n int64, d time.Duration) Maybe[float64] {
	if d <= 0 {
		return Maybe[float64]{}
	}
	return Know(float64(n) / d.Seconds())
}

// rewound reports whether the committed offset went back within the window.
func (v *view) rewound(tp TopicPartition) bool {
	highest := int64(-1)
	for _, s := range v.window {
		c, _, _ := s.Groups[v.name].commit(tp)
		if !c.Known {
			continue
		}
		if c.V < highest {
			return true
		}
		highest = c.V
	}
	return false
}

// standstill is for how long the partition has had an owner, something to do, and no progress.
func (v *view) standstill(tp TopicPartition, role queue.Role) time.Duration {
	newest, _, _ := v.obs.commit(tp)
	since := v.now.AsOf
	for i, s := range slices.Backward(v.window) {
		c, _, _ := s.Groups[v.name].commit(tp)
		if !c.Known || c != newest || v.owner(i, tp) == nil {
			break
		}
		pending := v.offsets(s, s.partition(tp), c).pending(role)
		if !pending.Known || pending.V <= v.policy.Tolerance {
			break
		}
		since = s.AsOf
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
