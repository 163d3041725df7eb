package lag

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"commerce.internal/orderctl/internal/queue"
)

// Ages says how closely the age of the oldest order of each backlog is looked for.
type Ages string

// The ways to look for ages. The empty one is AgeAuto.
const (
	AgeAuto    Ages = "auto"    // exact, but for a cluster with very many backlogs: of those only the oldest
	AgeExact   Ages = "exact"   // to a second
	AgeBracket Ages = "bracket" // between 1m, 5m, 15m and 1h
	AgeOff     Ages = "off"
)

const (
	maxRounds  = 15                     // questions to each leader
	manyHunts  = 1000                   // backlogs from which on auto looks closely at the oldest alone
	youngest   = 500 * time.Millisecond // keeps the bisection from creeping towards now
	closely    = time.Second            // as good as exact,
	closelyOf  = 0.0005                 // and so is this share of the age
	futureSkew = time.Minute            // clocks differ; further ahead a timestamp tells nothing
)

// hunt looks for the time of the record that one group reads next in one partition.
type hunt struct {
	group     string
	tp        TopicPartition
	from      int64
	low, high time.Time // low zero: not known yet
	failed    bool
}

// hunts are all hunts of a snapshot. Each round asks each partition for the first offset of one point in time, and every
// hunt in the partition learns from the answer.
type hunts struct {
	now    time.Time
	coarse bool // brackets are good enough
	all    []*hunt
	at     map[TopicPartition][]*hunt
	hours  map[TopicPartition]bool // tiers whose last hour is still to be told
	told   map[TopicPartition]Maybe[OffsetAt]
}

// findAges bisects the logs by time until it is known when the next record of each backlog was written: GroupObs.Heads of
// s. No record is read. before, the snapshot before this one, saves what it knows already; nil: there is none. What a
// broker does not answer stays unknown.
func findAges(ctx context.Context, src Source, s *Snapshot, p Policy, mode Ages, before *Snapshot) {
	h := &hunts{now: s.AsOf, at: map[TopicPartition][]*hunt{}, hours: map[TopicPartition]bool{}, told: map[TopicPartition]Maybe[OffsetAt]{}}
	h.gather(s, p, before)
	many := len(h.all) > manyHunts
	h.coarse = mode == AgeBracket || many && mode != AgeExact
	rounds := h.run(ctx, src, maxRounds)
	if many && h.coarse && mode != AgeBracket {
		h.coarse = false
		h.narrow(manyHunts)
		h.run(ctx, src, maxRounds-rounds)
	}
	h.write(s)
}

// gather lists what waits in source topics, and what is due in tiers.
func (h *hunts) gather(s *Snapshot, p Policy, before *Snapshot) {
	e := newEvaluator([]*Look{{Snapshot: *s}}, p)
	for name, g := range s.Groups {
		if g.Missing() || g.Problem != "" {
			continue
		}
		v := e.view(name)
		for _, tp := range v.partitions() {
			o, role := v.place(tp)
			if tier(role) && o.high.Known {
				h.hours[tp] = true
			}
			pending := o.pending(role)
			if !v.wanted(tp) || role != queue.RoleSource && !tier(role) || !pending.Known || pending.V == 0 || !v.obs.subscribed(tp.Topic) {
				continue
			}
			n := &hunt{group: name, tp: tp, from: o.from.V, high: h.now}
			n.mark(s, s.Partitions[tp])
			if before != nil {
				n.remember(before.Groups[name].Heads[tp])
			}
			h.all, h.at[tp] = append(h.all, n), append(h.at[tp], n)
		}
	}
}

// mark learns from the mark of the partition, which has been looked up anyway.
func (n *hunt) mark(s *Snapshot, p PartitionObs) {
	age, ok := MarkAge(n.tp.Topic, s.SLO)
	if ok && p.Mark.Known {
		n.learn(s.AsOf.Add(-s.Took-age), p.Mark.V)
	}
}

// remember takes over what was known before: of the same record all, of an earlier one that this one is not older.
func (n *hunt) remember(known HeadObs) {
	switch {
	case known.Low.IsZero() || known.Offset > n.from:
	case known.Offset == n.from:
		n.low, n.high = known.Low, known.High
	case n.low.Before(known.Low):
		n.low = known.Low
	}
}

// learn takes the answer for the first record that is as young as at.
func (n *hunt) learn(at time.Time, found OffsetAt) {
	beyond := found.Offset < 0 || found.Offset > n.from
	switch {
	case !beyond && !found.Time.IsZero() && found.Offset == n.from:
		n.low, n.high = found.Time, found.Time
	case !beyond:
		if found.Time.After(at) {
			at = found.Time
		}
		if n.low.Before(at) {
			n.low = at
		}
	case at.UnixMilli() > 0:
		if at.Before(n.high) {
			n.high = at
		}
	case found.Offset >= 0 && !found.Time.IsZero(): // the log begins there meanwhile
		n.low, n.high = found.Time, found.Time
	default: // no record has a time
		n.failed = true
	}
}

// run asks until nothing more is to be learnt, and returns how many rounds that took.
func (h *hunts) run(ctx context.Context, src Source, most int) int {
	for round := range most {
		ask := h.plan()
		if len(ask) == 0 || ctx.Err() != nil {
			return round
		}
		answers, err := src.OffsetsAt(ctx, ask)
		if err != nil {
			answers = nil // nobody told: these stay unknown
		}
		for tp, at := range ask {
			h.learn(tp, at, answers[tp])
		}
	}
	return most
}

func (h *hunts) plan() map[TopicPartition]time.Time {
	ask := make(map[TopicPartition]time.Time, len(h.at)+len(h.hours))
	for tp, list := range h.at {
		widest := time.Duration(-1)
		for _, n := range list {
			if at, open := h.next(n); open && n.high.Sub(n.low) > widest {
				widest, ask[tp] = n.high.Sub(n.low), at
			}
		}
	}
	for tp := range h.hours {
		ask[tp] = h.now.Add(-lastHour)
	}
	return ask
}

func (h *hunts) learn(tp TopicPartition, at time.Time, found Maybe[OffsetAt]) {
	if h.hours[tp] {
		delete(h.hours, tp)
		if found.Known {
			h.told[tp] = found
		}
	}
	for _, n := range h.at[tp] {
		if !found.Known {
			n.failed = true
		} else if !n.failed {
			n.learn(at, found.V)
		}
	}
}

// next is the point in time that tells most about a hunt; open is false where enough is known.
func (h *hunts) next(n *hunt) (at time.Time, open bool) {
	switch {
	case n.failed || !n.low.IsZero() && !n.low.Before(n.high):
		return time.Time{}, false
	case h.coarse:
		return h.bracket(n)
	case n.low.IsZero():
		return time.UnixMilli(0), true
	}
	age, least := h.now.Sub(n.low), max(h.now.Sub(n.high), 0)
	if age-least <= max(closely, time.Duration(closelyOf*float64(age))) {
		return time.Time{}, false
	}
	back := time.Duration(math.Sqrt(float64(age) * float64(max(least, youngest))))
	return h.now.Add(-min(max(back, least+time.Millisecond), age-time.Millisecond)), true
}

// bracket is the middle one of the limits between which the time may still lie.
func (h *hunts) bracket(n *hunt) (at time.Time, open bool) {
	var inside []time.Time
	for _, age := range [...]time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour} {
		if limit := h.now.Add(-age); n.low.Before(limit) && limit.Before(n.high) {
			inside = append(inside, limit)
		}
	}
	switch {
	case len(inside) > 0:
		return inside[len(inside)/2], true
	case n.low.IsZero():
		return time.UnixMilli(0), true
	}
	return time.Time{}, false
}

// narrow keeps the hunts for the oldest orders; what is known of the others has to do.
func (h *hunts) narrow(most int) {
	slices.SortFunc(h.all, func(a, b *hunt) int { return cmp.Or(a.high.Compare(b.high), a.low.Compare(b.low)) })
	h.at = map[TopicPartition][]*hunt{}
	for _, n := range h.all[:min(most, len(h.all))] {
		h.at[n.tp] = append(h.at[n.tp], n)
	}
}

// write puts what was found into the snapshot.
func (h *hunts) write(s *Snapshot) {
	for tp, found := range h.told {
		p := s.Partitions[tp]
		p.Hour = found
		s.Partitions[tp] = p
	}
	for _, n := range h.all {
		if n.low.IsZero() {
			continue
		}
		g := s.Groups[n.group]
		if g.Heads == nil {
			g.Heads = map[TopicPartition]HeadObs{}
		}
		high := n.high
		if high.Before(n.low) { // written a little ahead of our clock
			high = n.low
		}
		g.Heads[n.tp] = HeadObs{Offset: n.from, Low: n.low, High: high}
		s.Groups[n.group] = g
	}
	s.Aged = true
}
