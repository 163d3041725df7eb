package tui

import (
	"cmp"
	"slices"
	"strings"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/queue"
)

// rough is from which precision on, in seconds, an age is marked as not exact.
const roughFrom = 2.0

// convert makes a sample of the verdict on one group. The figures are those of the report: nothing is judged here.
func convert(group string, r lag.Report, seen lag.Snapshot) Sample {
	s := Sample{At: r.AsOf, TookMS: r.SnapshotMS, Group: Group{Name: group, Missing: true}, Rows: []Row{}, Pinned: []Row{}}
	i := slices.IndexFunc(r.Groups, func(g lag.Group) bool { return g.Group == group })
	if i < 0 {
		return s
	}
	g := r.Groups[i]
	s.Group = Group{
		Name: group, State: g.State, Members: g.Members, Names: members(seen.Groups[group]), Severity: g.Status.String(),
		Status: string(lag.OK), Complete: g.Complete && r.Complete, Unread: g.Unread, AtLeast: g.LowerBound, Oldest: g.Oldest,
		Drain: g.Drain, ETA: g.ETA, SLO: g.SLOSeconds, Breach: g.Breach.State, BreachIn: g.Seconds,
	}
	if len(g.Reasons) > 0 {
		s.Group.Status = string(g.Reasons[0])
	}
	tiers := map[string]Row{}
	s.Rows = make([]Row, 0, g.Total)
	for i := range g.Partitions {
		row := &g.Partitions[i]
		c := convertRow(row, g.Members.Known)
		if row.Role == queue.RoleSource {
			s.Rows = append(s.Rows, c)
			continue
		}
		tiers[row.Topic] = joined(tiers[row.Topic], c)
	}
	s.Group.In, s.Group.RatesMin = sumRates(s.Rows, func(r Row) lag.Maybe[float64] { return r.In })
	var some bool
	s.Group.Out, some = sumRates(s.Rows, func(r Row) lag.Maybe[float64] { return r.Out })
	s.Group.RatesMin = s.Group.RatesMin || some
	for _, t := range g.Delayed {
		row := tiers[t.Topic]
		row.Key, row.Name, row.Unread, row.Overdue = Key{t.Topic, -1}, shortName(t.Topic, group), t.Depth, t.Overdue
		row.Committed, row.End, row.Oldest, row.Owner = lag.Maybe[int64]{}, lag.Maybe[int64]{}, lag.Maybe[float64]{}, lag.Know("")
		if t.OldestOverdue.Known && t.OldestOverdue.V > 0 {
			row.Due = lag.Know(-t.OldestOverdue.V)
		}
		s.Pinned = append(s.Pinned, row)
	}
	for _, d := range g.DeadLetters {
		s.Pinned = append(s.Pinned, Row{
			Key: Key{d.Topic, -1}, Name: shortName(d.Topic, group), Role: queue.RoleDLQ, Unread: d.DepthMax, AtMost: true,
			Status: "-", Severity: lag.SevOK.String(), Owner: lag.Know(""), Reasons: []lag.Status{},
		})
	}
	return s
}

func convertRow(r *lag.Row, membersKnown bool) Row {
	c := Row{
		Key: Key{r.Topic, r.Partition}, Name: r.Topic, Role: r.Role, Committed: r.Committed, End: r.End, Unread: r.Unread, Lost: r.Lost,
		Ahead: r.Ahead, Fresh: r.Commit == lag.CommitNone, Overdue: r.Overdue, In: r.In, Out: r.Out, Oldest: r.Oldest, Status: r.Status, Severity: r.Severity.String(),
		Reasons: r.Reasons, Counted: r.Counted, Leader: r.Leader, ISR: r.ISR, Replicas: r.Replicas, Still: r.NoProgress, Problem: r.Problem.V,
		Rough: r.Compacted || r.Precision.Known && r.Precision.V > max(roughFrom, 0.05*r.Oldest.V),
		Owner: lag.Maybe[string]{Known: membersKnown},
	}
	if r.Owner != nil {
		c.Owner, c.Host = lag.Know(cmp.Or(r.Owner.InstanceID.V, r.Owner.ClientID, r.Owner.MemberID)), r.Owner.Host
	}
	return c
}

// joined adds a partition to the row of its topic.
func joined(sum, r Row) Row {
	if sum.Topic == "" {
		return r
	}
	add := func(a, b lag.Maybe[float64]) lag.Maybe[float64] {
		return lag.Maybe[float64]{V: a.V + b.V, Known: a.Known && b.Known}
	}
	sum.In, sum.Out = add(sum.In, r.In), add(sum.Out, r.Out)
	if grade(r.Severity) > grade(sum.Severity) || grade(r.Severity) == grade(sum.Severity) && sum.Status == lag.OK {
		sum.Severity, sum.Status, sum.Reasons = r.Severity, r.Status, r.Reasons
	}
	return sum
}

// sumRates adds up the rows that count. With some unknown it is a lower bound, with all unknown nothing.
func sumRates(rows []Row, value func(Row) lag.Maybe[float64]) (total lag.Maybe[float64], atLeast bool) {
	for _, r := range rows {
		if !r.Counted {
			continue
		}
		if v := value(r); v.Known {
			total = lag.Know(total.V + v.V)
		} else {
			atLeast = true
		}
	}
	return total, atLeast && total.Known
}

// shortName is a topic of the group without what all of them have in common.
func shortName(topic, group string) string {
	if _, rest, ok := strings.Cut(topic, "."+group+"."); ok && rest != "" {
		return rest
	}
	return topic
}

func members(g lag.GroupObs) []string {
	names := make([]string, 0, len(g.Members.V))
	for _, m := range g.Members.V {
		names = append(names, cmp.Or(m.InstanceID, m.ClientID, m.ID))
	}
	slices.Sort(names)
	return names
}
