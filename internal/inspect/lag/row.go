package lag

import (
	"cmp"
	"slices"
	"time"

	"commerce.internal/orderctl/internal/queue"
)

// row judges one partition.
func (v *view) row(tp TopicPartition) Row {
	role, _ := queue.RoleOf(tp.Topic)
	p := v.now.partition(tp)
	c, _, whyCommit := v.obs.commit(tp)
	o := v.offsets(v.now, p, c)
	r := Row{
		Topic: tp.Topic, Partition: tp.Partition, Role: role, Commit: commitWord(c), Owner: v.owner(len(v.window)-1, tp),
		Start: o.start, Stable: o.stable, End: o.end, High: o.high, Unread: o.unread(), Lost: o.lost(),
		Ahead: o.ahead(), Held: o.held(), Replicas: positive(p.Replicas), ISR: positive(p.ISR),
	}
	if c.Known && c.V >= 0 {
		r.Committed = c
	}
	if p.Leader >= 0 {
		r.Leader, r.Epoch = Know(p.Leader), Know(p.Epoch)
	}
	switch {
	case role == queue.RoleSource:
		r.Stale = o.old()
	case tier(role):
		r.Overdue = o.old()
		r.Parked = apply(r.Unread, r.Overdue, func(u, o int64) int64 { return u - o })
	}
	problem := cmp.Or(p.Problem, whyCommit)
	r.Problem = word(string(problem))
	r.Flow = v.flow(tp, role, o)
	r.Reasons = v.reasons(r, o, problem)
	r.dueFor = v.dueFor(tp, o.from)
	r.Status, r.Severity = r.verdict(v.now.SLO)
	r.Counted = role == queue.RoleSource && problem != NoTopic && r.Status != Unsubscribed
	return r
}

func (v *view) offsets(s Snapshot, p PartitionObs, c Maybe[int64]) offsets {
	return gather(p, c, s.Isolation, v.policy.FromLatest && v.name == v.policy.Configured)
}

func commitWord(c Maybe[int64]) string {
	switch {
	case !c.Known:
		return CommitUnknown
	case c.V < 0:
		return CommitNone
	default:
		return CommitKnown
	}
}

func word(s string) Maybe[string] { return Maybe[string]{V: s, Known: s != ""} }

func positive(n int) Maybe[int] { return Maybe[int]{V: n, Known: n > 0} }

// verdict returns the status that is shown, and how bad the worst reason is.
func (r Row) verdict(slo time.Duration) (Status, Severity) {
	if len(r.Reasons) == 0 {
		return OK, SevOK
	}
	worst := SevOK
	for _, s := range r.Reasons {
		worst = max(worst, r.severity(s, slo))
	}
	return r.Reasons[0], worst
}

// reasons lists all that holds, in the order of the statuses. What is merely information is only said where nothing
// else is.
func (v *view) reasons(r Row, o offsets, problem Problem) []Status {
	if problem == NoTopic {
		return []Status{Gone}
	}
	if r.Role == queue.RoleSource && !v.obs.subscribed(r.Topic) {
		return []Status{Unsubscribed}
	}
	waiting := r.Unread.Known && r.Unread.V > v.policy.Tolerance
	found := []Status{}
	add := func(holds bool, s Status) {
		if holds {
			found = append(found, s)
		}
	}
	add(r.Lost.Known && r.Lost.V > 0, Lost)
	add(r.Ahead.Known && r.Ahead.V > 0, Ahead)
	add(problem == NoLeader, Leaderless)
	add(o.hung(), HungTxn)
	add(waiting && v.obs.deserted(), NoMembers)
	add(waiting && !tier(r.Role) && v.obs.State == StateStable && v.obs.Members.Known && !v.obs.deserted() && r.Owner == nil, Unassigned)
	add(r.Drain.V == DrainStalled, Stalled)
	add(unanswered(problem, r), Unknown)
	add(problem == NoAccess, Refused)
	add(problem == Unsupported, NotSupported)
	add(r.Stale.Known && r.Stale.V > v.policy.Tolerance, Stale)
	add(waiting && r.Commit == CommitNone && r.Role == queue.RoleSource, NeverCommitted)
	add(r.Overdue.Known && r.Overdue.V > v.policy.Tolerance, Overdue)
	add(v.rewound(r.TopicPartition()), Rewind)
	if len(found) == 0 {
		found = info(r, o, waiting)
	}
	slices.SortStableFunc(found, func(a, b Status) int { return cmp.Compare(rank(a), rank(b)) })
	return found
}

// TopicPartition names the partition of the row.
func (r Row) TopicPartition() TopicPartition {
	return TopicPartition{Topic: r.Topic, Partition: r.Partition}
}

// unanswered reports whether a number is missing for no other reason than that nobody told it.
func unanswered(problem Problem, r Row) bool {
	return problem == NoAnswer || problem == "" && !r.Unread.Known
}

func info(r Row, o offsets, waiting bool) []Status {
	found := []Status{}
	switch {
	case !waiting:
	case tier(r.Role) && r.Parked.Known && r.Parked.V > 0:
		found = append(found, Parked)
	case r.Drain.V == DrainDraining:
		found = append(found, Draining)
	case r.Drain.V == DrainGrowing:
		found = append(found, Growing)
	default:
		found = append(found, Behind)
	}
	if held := o.held(); held.Known && held.V > 0 {
		found = append(found, OpenTxn)
	}
	return found
}

// deserted reports whether the group is known to have no members.
func (g GroupObs) deserted() bool {
	return g.Members.Known && len(g.Members.V) == 0 && (g.State == StateEmpty || g.State == StateDead)
}
