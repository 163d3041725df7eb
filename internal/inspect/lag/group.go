package lag

import (
	"cmp"
	"slices"
	"time"

	"commerce.internal/orderctl/internal/queue"
)

// group judges one group: its rows, and the totals of those that count.
func (v *view) group() Group {
	g := Group{
		Group: v.name, Type: word(v.obs.Type), State: word(v.obs.State), Protocol: word(v.obs.Protocol),
		Problem: word(string(v.obs.Problem)), SLOSeconds: v.now.SLO.Seconds(),
		Members:     Maybe[int]{V: len(v.obs.Members.V), Known: v.obs.Members.Known},
		Coordinator: Maybe[int32]{V: v.obs.Coordinator, Known: v.obs.Coordinator >= 0},
		Partitions:  []Row{}, Delayed: []Tier{}, DeadLetters: []DeadTopic{},
	}
	if !g.Coordinator.Known {
		g.Coordinator.V = 0
	}
	dead := map[string][]TopicPartition{}
	for _, tp := range v.partitions() {
		role, _ := queue.RoleOf(tp.Topic)
		switch {
		case !v.wanted(tp) || role == queue.RoleAudit:
		case role == queue.RoleDLQ:
			dead[tp.Topic] = append(dead[tp.Topic], tp)
		default:
			g.Partitions = append(g.Partitions, v.row(tp))
		}
	}
	g.total(v.policy)
	if !v.obs.Commits.Known && g.Total == 0 { // nothing is known of it, not even what it reads
		g.LowerBound, g.Flow = true, Flow{}
		g.Unread, g.Stale, g.Lost, g.Ahead = Maybe[int64]{}, Maybe[int64]{}, Maybe[int64]{}, Maybe[int64]{}
	}
	g.sections(v, dead)
	v.judge(&g)
	slices.SortStableFunc(g.Partitions, bySeverity)
	return g
}

// bySeverity puts the worst first, then the longest backlog.
func bySeverity(a, b Row) int {
	return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(b.Unread.V, a.Unread.V),
		byName(a.TopicPartition(), b.TopicPartition()))
}

func only(rows []Row, keep func(Row) bool) []Row {
	var kept []Row
	for _, r := range rows {
		if keep(r) {
			kept = append(kept, r)
		}
	}
	return kept
}

// total sums up the counted rows. Known rows are summed; an unknown one makes the sum a lower bound.
func (g *Group) total(p Policy) {
	rows := only(g.Partitions, func(r Row) bool { return r.Counted })
	g.Total = len(rows)
	var all bool
	g.Unread, all = sum(rows, func(r Row) Maybe[int64] { return r.Unread })
	g.LowerBound = !all
	g.Stale, _ = sum(rows, func(r Row) Maybe[int64] { return r.Stale })
	g.Lost, _ = sum(rows, func(r Row) Maybe[int64] { return r.Lost })
	g.Ahead, _ = sum(rows, func(r Row) Maybe[int64] { return r.Ahead })
	g.In, g.Out = sumRates(rows, func(r Row) Maybe[float64] { return r.In }), sumRates(rows, func(r Row) Maybe[float64] { return r.Out })
	for _, r := range rows {
		if r.Unread.Known {
			g.Known++
		}
		if r.Drain.V == DrainStalled {
			g.Drain = Know(DrainStalled)
		}
	}
	if !g.Drain.Known && all {
		g.direct(g.Unread, p.Tolerance)
	}
}

func sumRates(rows []Row, value func(Row) Maybe[float64]) Maybe[float64] {
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
	byTopic := map[string][]Row{}
	for _, r := range g.Partitions {
		if tier(r.Role) {
			byTopic[r.Topic] = append(byTopic[r.Topic], r)
		}
	}
	for topic, rows := range byTopic {
		_, delay := queue.RoleOf(topic)
		g.Delayed = append(g.Delayed, Tier{
			Topic: topic, DelaySeconds: delay.Seconds(),
			Depth:   exact(rows, func(r Row) Maybe[int64] { return r.Unread }),
			Parked:  exact(rows, func(r Row) Maybe[int64] { return r.Parked }),
			Overdue: exact(rows, func(r Row) Maybe[int64] { return r.Overdue }),
		})
	}
	slices.SortFunc(g.Delayed, func(a, b Tier) int {
		return cmp.Or(cmp.Compare(a.DelaySeconds, b.DelaySeconds), cmp.Compare(a.Topic, b.Topic))
	})
	for topic, tps := range dead {
		d := DeadTopic{Topic: topic, DepthMax: Know[int64](0), LastHourMax: Know[int64](0)}
		for _, tp := range tps {
			p := v.now.partition(tp)
			o := gather(p, Know[int64](-1), v.now.Isolation, false)
			add := func(a, b int64) int64 { return a + b }
			d.DepthMax = apply(d.DepthMax, over(o.stable, o.start), add)
			d.LastHourMax = apply(d.LastHourMax, over(o.stable, o.mark), add)
		}
		g.DeadLetters = append(g.DeadLetters, d)
	}
	slices.SortFunc(g.DeadLetters, func(a, b DeadTopic) int { return cmp.Compare(a.Topic, b.Topic) })
}

// judge gives the group its status: as bad as its worst row, or worse for what it is itself.
func (v *view) judge(g *Group) {
	g.Reasons = []Status{}
	g.Complete = v.obs.Problem == "" && v.obs.Members.Known
	note := func(s Status, sev Severity) {
		g.Status = max(g.Status, sev)
		if !slices.Contains(g.Reasons, s) {
			g.Reasons = append(g.Reasons, s)
		}
	}
	for _, r := range g.Partitions {
		for _, s := range r.Reasons {
			note(s, r.severity(s, v.now.SLO))
		}
		g.Complete = g.Complete && (r.Unread.Known || r.Status == Gone || r.Status == Unsubscribed) && r.complete(v.now.SLO)
	}
	for _, d := range g.DeadLetters {
		g.Complete = g.Complete && d.DepthMax.Known && d.LastHourMax.Known
	}
	switch v.obs.Problem {
	case "":
		if !v.obs.Members.Known {
			note(Unknown, SevUnknown)
		}
	case NoAccess:
		note(Refused, SevUnknown)
	case Unsupported:
		note(NotSupported, SevUnknown)
	default:
		note(Unknown, SevUnknown)
	}
	if v.obs.deserted() && v.name == v.policy.Configured && !slices.Contains(g.Reasons, NoMembers) {
		g.Reasons, g.Status = append(g.Reasons, NoMembers), max(g.Status, SevWarning)
	}
	if v.rebalancing() > longRebalance {
		note(Rebalancing, SevWarning)
	}
	slices.SortStableFunc(g.Reasons, func(a, b Status) int { return cmp.Compare(rank(a), rank(b)) })
}

// rebalancing is for how long the group has been rebalancing without a pause.
func (v *view) rebalancing() time.Duration {
	since := v.now.AsOf
	for _, s := range slices.Backward(v.window) {
		if st := s.Groups[v.name].State; st != StatePreparing && st != StateCompleting {
			break
		}
		since = s.AsOf
	}
	return v.now.AsOf.Sub(since)
}

// complete reports whether the values that were asked for are known.
func (r Row) complete(slo time.Duration) bool {
	switch {
	case r.Status == Gone || r.Status == Unsubscribed:
		return true
	case tier(r.Role):
		return r.Overdue.Known
	default:
		return slo <= 0 || r.Stale.Known
	}
}
