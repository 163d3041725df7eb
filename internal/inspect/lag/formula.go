package lag

import (
	"math"

	"commerce.internal/orderctl/internal/queue"
)

// offsets are what the formulas of a partition work on. Each may be unknown, and an unknown operand makes an unknown
// result.
type offsets struct {
	commit Maybe[int64] // -1: never committed
	start  Maybe[int64]
	high   Maybe[int64]
	stable Maybe[int64]
	end    Maybe[int64] // stable or high, by isolation
	mark   Maybe[int64] // first offset younger than the age of the mark; high where no record is that young
	from   Maybe[int64] // where the group reads on
}

func gather(p PartitionObs, c Maybe[int64], iso Isolation, latest bool) offsets {
	o := offsets{commit: c, start: p.Start, high: p.High, stable: p.Stable, end: p.Stable}
	if iso == ReadUncommitted {
		o.end = p.High
	}
	switch {
	case p.Mark.Known && p.Mark.V.Offset >= 0:
		o.mark = Know(p.Mark.V.Offset)
	case p.Mark.Known:
		o.mark = p.High
	}
	switch {
	case !c.Known:
	case c.V >= 0:
		o.from = apply(c, o.start, func(c, s int64) int64 { return max(c, s) })
	case latest:
		o.from = o.end
	default:
		o.from = o.start
	}
	return o
}

// apply combines two values that may be unknown.
func apply(a, b Maybe[int64], f func(a, b int64) int64) Maybe[int64] {
	if !a.Known || !b.Known {
		return Maybe[int64]{}
	}
	return Know(f(a.V, b.V))
}

// over is how far a lies above b, never below 0.
func over(a, b Maybe[int64]) Maybe[int64] {
	return apply(a, b, func(a, b int64) int64 { return max(0, a-b) })
}

// since is over, and 0 for a group that never committed.
func (o offsets) since(a, b Maybe[int64]) Maybe[int64] {
	if o.commit.Known && o.commit.V < 0 {
		return apply(a, b, func(int64, int64) int64 { return 0 })
	}
	return over(a, b)
}

func (o offsets) unread() Maybe[int64] { return over(o.end, o.from) }
func (o offsets) lost() Maybe[int64]   { return o.since(o.start, o.commit) }
func (o offsets) ahead() Maybe[int64]  { return o.since(o.commit, o.high) }
func (o offsets) held() Maybe[int64]   { return over(o.high, o.stable) }

// old counts the unread records before the mark: the stale ones of a source topic, the overdue ones of a tier.
func (o offsets) old() Maybe[int64] {
	return over(apply(o.end, o.mark, func(e, m int64) int64 { return min(e, m) }), o.from)
}

// hung reports whether the oldest open transaction began before the mark.
func (o offsets) hung() bool {
	return o.held().Known && o.held().V > 0 && o.mark.Known && o.mark.V > o.stable.V
}

// pending is what the group should have taken by now.
func (o offsets) pending(role queue.Role) Maybe[int64] {
	if tier(role) {
		return o.old()
	}
	return o.unread()
}

// sum adds what is known. all says that nothing was unknown; the sum itself is unknown where nothing was known.
func sum(rows []*Row, value func(*Row) Maybe[int64]) (total Maybe[int64], all bool) {
	all, known := true, len(rows) == 0
	for _, r := range rows {
		v := value(r)
		all, known = all && v.Known, known || v.Known
		total.V = Plus(total.V, v.V)
	}
	if !known {
		return Maybe[int64]{}, all
	}
	return Know(total.V), all
}

// Plus adds two counts. A commit may lie as far ahead as a number goes: two of those are not less than none.
func Plus(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// exact is the sum where nothing is unknown.
func exact(rows []*Row, value func(*Row) Maybe[int64]) Maybe[int64] {
	total, all := sum(rows, value)
	if !all {
		return Maybe[int64]{}
	}
	return total
}
