package lag

import (
	"cmp"
	"slices"

	"commerce.internal/orderctl/internal/queue"
)

func only(rows []Row, keep func(*Row) bool) []*Row {
	kept := make([]*Row, 0, len(rows))
	for i := range rows {
		if keep(&rows[i]) {
			kept = append(kept, &rows[i])
		}
	}
	return kept
}

// total sums up the counted rows. Known rows are summed; an unknown one makes the sum a lower bound.
func (g *Group) total(p Policy) {
	rows := only(g.Partitions, func(r *Row) bool { return r.Counted })
	g.Total = len(rows)
	var all bool
	g.Unread, all = sum(rows, func(r *Row) Maybe[int64] { return r.Unread })
	g.LowerBound = !all
	g.Stale, _ = sum(rows, func(r *Row) Maybe[int64] { return r.Stale })
	g.Lost, _ = sum(rows, func(r *Row) Maybe[int64] { return r.Lost })
	g.Ahead, _ = sum(rows, func(r *Row) Maybe[int64] { return r.Ahead })
	g.In, g.Out = sumRates(rows, func(r *Row) Maybe[float64] { return r.In }), sumRates(rows, func(r *Row) Maybe[float64] { return r.Out })
	g.Oldest = Maybe[float64]{Known: len(rows) == 0}
	for _, r := range rows {
		if r.Unread.Known {
			g.Known++
		}
		if r.Drain.V == DrainStalled {
			g.Drain = Know(DrainStalled)
		}
		if r.Oldest.Known {
			g.Oldest = Know(max(g.Oldest.V, r.Oldest.V))
		}
	}
	if !g.Drain.Known && all {
		g.direct(g.Unread, p.Tolerance)
	}
	g.Breach = soonest(rows)
}

func sumRates(rows []*Row, value func(*Row) Maybe[float64]) Maybe[float64] {
	total := Maybe[float64]{Known: len(rows) > 0}
	for _, r := range rows {
		v := value(r)
		if !v.Known {
			return Maybe[float64]{}
		}
		total.V += v.V
	}
	return total
}

// sections sums up the tiers and the dead letters.
func (g *Group) sections(v *view, dead map[string][]TopicPartition) {
	byTopic := map[string][]*Row{}
	for i := range g.Partitions {
		if r := &g.Partitions[i]; tier(r.Role) {
			byTopic[r.Topic] = append(byTopic[r.Topic], r)
		}
	}
	for topic, rows := range byTopic {
		g.Delayed = append(g.Delayed, v.tierOf(topic, rows))
	}
	slices.SortFunc(g.Delayed, func(a, b Tier) int {
		return cmp.Or(cmp.Compare(a.DelaySeconds, b.DelaySeconds), cmp.Compare(a.Topic, b.Topic))
	})
	for topic, tps := range dead {
		d := DeadTopic{Topic: topic, DepthMax: Know[int64](0), LastHourMax: Know[int64](0)}
		for _, tp := range tps {
			p := v.now.partition(tp)
			o := gather(p, Know[int64](-1), v.now.Isolation, false)
			d.DepthMax = apply(d.DepthMax, over(o.stable, o.start), Plus)
			d.LastHourMax = apply(d.LastHourMax, over(o.stable, o.mark), Plus)
		}
		g.DeadLetters = append(g.DeadLetters, d)
	}
	slices.SortFunc(g.DeadLetters, func(a, b DeadTopic) int { return cmp.Compare(a.Topic, b.Topic) })
}

func (v *view) tierOf(topic string, rows []*Row) Tier {
	_, delay := queue.RoleOf(topic)
	t := Tier{
		Topic: topic, DelaySeconds: delay.Seconds(),
		Depth:   exact(rows, func(r *Row) Maybe[int64] { return r.Unread }),
		Parked:  exact(rows, func(r *Row) Maybe[int64] { return r.Parked }),
		Overdue: exact(rows, func(r *Row) Maybe[int64] { return r.Overdue }),
		LastHour: exact(rows, func(r *Row) Maybe[int64] {
			hour := v.now.partition(r.TopicPartition()).Hour
			if hour.Known && hour.V.Offset < 0 {
				return Know[int64](0)
			}
			return over(r.High, Maybe[int64]{V: hour.V.Offset, Known: hour.Known})
		}),
		OldestOverdue: Know(0.0),
	}
	for _, r := range rows {
		t.OldestOverdue.Known = t.OldestOverdue.Known && r.OldestOverdue.Known
		t.OldestOverdue.V = max(t.OldestOverdue.V, r.OldestOverdue.V)
	}
	if !t.OldestOverdue.Known {
		t.OldestOverdue.V = 0
	}
	return t
}
