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
	var rows []TopicPartition
	for _, tp := range v.partitions() {
		role, _ := queue.RoleOf(tp.Topic)
		switch {
		case !v.wanted(tp) || role == queue.RoleAudit:
		case role == queue.RoleDLQ:
			dead[tp.Topic] = append(dead[tp.Topic], tp)
		default:
			rows = append(rows, tp)
		}
	}
	v.recall(rows)
	g.Partitions = make([]Row, len(rows))
	for n, tp := range rows {
		g.Partitions[n] = v.row(n, tp)
	}
	v.hot(g.Partitions)
	for i := range g.Partitions {
		v.settle(&g.Partitions[i])
	}
	g.total(v.policy)
	if (!v.obs.Commits.Known || v.blind()) && g.Total == 0 { // nothing is known of it, not even what it reads
		g.LowerBound, g.Flow, g.Breach, g.Oldest = true, Flow{}, Breach{}, Maybe[float64]{}
		g.Unread, g.Stale, g.Lost, g.Ahead = Maybe[int64]{}, Maybe[int64]{}, Maybe[int64]{}, Maybe[int64]{}
	}
	g.sections(v, dead)
	v.judge(&g)
	g.Complete = v.complete(&g)
	g.Partitions = ordered(g.Partitions)
	return g
}

// BySeverity puts the worst first, then the oldest, then the longest backlog.
func BySeverity(a, b Row) int { return bySeverity(&a, &b) }

func bySeverity(a, b *Row) int {
	if c := cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(b.Oldest.V, a.Oldest.V), cmp.Compare(b.Unread.V, a.Unread.V)); c != 0 {
		return c
	}
	return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
}

// ordered returns the rows by severity. They are large, so that pointers are sorted, and each is moved once.
func ordered(rows []Row) []Row {
	places := only(rows, func(*Row) bool { return true })
	slices.SortStableFunc(places, bySeverity)
	sorted := make([]Row, len(rows))
	for i, r := range places {
		sorted[i] = *r
	}
	return sorted
}

// judge gives the group its status: as bad as its worst row, or worse for what it is itself. Its reasons are those that
// matter, worst first.
func (v *view) judge(g *Group) {
	g.Reasons = []Status{}
	note := func(s Status, sev Severity) {
		g.Status = max(g.Status, sev)
		if sev > SevOK && !slices.Contains(g.Reasons, s) {
			g.Reasons = append(g.Reasons, s)
		}
	}
	for i := range g.Partitions {
		for _, f := range g.Partitions[i].findings {
			note(f.status, f.severity)
		}
	}
	switch v.obs.Problem {
	case "":
		if !v.obs.Members.Known || v.blind() {
			note(Unknown, SevUnknown)
		}
	case NoAccess:
		note(Refused, SevUnknown)
	case Unsupported:
		note(NotSupported, SevUnknown)
	default:
		note(Unknown, SevUnknown)
	}
	if v.obs.deserted() && v.name == v.policy.Configured {
		note(NoMembers, SevWarning)
	}
	if v.rebalancing() > longRebalance {
		note(Rebalancing, SevWarning)
	}
	note(OverUnread, crossed(g.Unread, v.policy.WarnUnread, v.policy.CritUnread))
	for _, d := range g.DeadLetters {
		note(OverDLQ, crossed(d.LastHourMax, v.policy.WarnDLQ, v.policy.CritDLQ))
	}
	slices.SortStableFunc(g.Reasons, func(a, b Status) int { return cmp.Compare(rank(a), rank(b)) })
}

// crossed holds a number against two thresholds; zero is none. A lower bound may cross one, too.
func crossed(n Maybe[int64], warn, crit int64) Severity {
	switch {
	case n.Known && crit > 0 && n.V > crit:
		return SevCritical
	case n.Known && warn > 0 && n.V > warn:
		return SevWarning
	}
	return SevOK
}

// rebalancing is for how long the group has been rebalancing without a pause.
func (v *view) rebalancing() time.Duration {
	since := v.now.AsOf
	for i, s := range slices.Backward(v.window) {
		if !moving(v.groups[i].State) {
			break
		}
		since = s.AsOf
	}
	return v.now.AsOf.Sub(since)
}

// moving reports whether partitions are on their way from one member to another.
func moving(state string) bool {
	return slices.Contains([]string{StatePreparing, StateCompleting, StateAssigning, StateReconciling}, state)
}

// blind reports that nothing tells what the group reads: nobody is in it, and no commit is to be seen. Kafka leaves out the
// commits in topics that the login may not describe, without a word; a group that has none at all it soon forgets.
func (v *view) blind() bool {
	return v.obs.Problem == "" && v.obs.deserted() && v.obs.Commits.Known && len(v.partitions()) == 0
}

// complete reports whether all is known that was asked for.
func (v *view) complete(g *Group) bool {
	if v.obs.Problem != "" || !v.obs.Members.Known || v.blind() {
		return false
	}
	for i := range g.Partitions {
		if !v.known(&g.Partitions[i]) {
			return false
		}
	}
	for _, d := range g.DeadLetters {
		if !d.DepthMax.Known || !d.LastHourMax.Known {
			return false
		}
	}
	return true
}

func (v *view) known(r *Row) bool {
	switch {
	case r.Status == Gone || r.Status == Unsubscribed:
		return true
	case !r.Unread.Known || v.now.Aged && !r.Oldest.Known:
		return false
	case tier(r.Role):
		return r.Overdue.Known
	default:
		return v.now.SLO <= 0 || r.Stale.Known
	}
}
