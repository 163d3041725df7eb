package lag

import (
	"cmp"
	"math"
	"time"

	"commerce.internal/orderctl/internal/queue"
)

// row judges one partition, the n-th of the rows. What depends on the other rows, and what is shown of it all, comes later: see settle.
func (v *view) row(n int, tp TopicPartition) Row {
	p := v.now.partition(tp)
	c, _, whyCommit := v.obs.commit(tp)
	o, role := v.place(tp)
	v.follow(n, tp, role)
	topic := v.now.Topics[tp.Topic]
	r := Row{
		Topic: tp.Topic, Partition: tp.Partition, Role: role, Commit: commitWord(c), Owner: v.owner(len(v.window)-1, tp),
		Start: o.start, Stable: o.stable, End: o.end, High: o.high, Unread: o.unread(), Lost: o.lost(),
		Ahead: o.ahead(), Held: o.held(), Replicas: positive(p.Replicas), ISR: positive(p.ISR),
		TimestampType: word(topic.TimestampType), Compacted: compacted(topic),
	}
	if c.Known && c.V >= 0 {
		r.Committed = c
	}
	if p.Leader >= 0 {
		r.Leader, r.Epoch = Know(p.Leader), Know(p.Epoch)
	}
	r.suspect = v.suspect(tp, r.Unread)
	switch old := o.old(); {
	case role == queue.RoleSource && !r.suspect:
		r.Stale = old
	case tier(role) && !r.suspect:
		r.Overdue = old
		r.Parked = apply(r.Unread, old, func(u, o int64) int64 { return u - o })
	}
	problem := cmp.Or(p.Problem, whyCommit)
	r.Problem = word(string(problem))
	v.age(&r)
	v.retention(&r, o, topic)
	r.still = v.standstill(tp)
	if len(v.window) > 1 {
		r.NoProgress = inSeconds(r.still)
	}
	r.Flow = v.flow(role, o, r.still)
	v.forecast(&r)
	v.trend(&r)
	r.findings = v.findings(&r, o, problem)
	r.Counted = role == queue.RoleSource && problem != NoTopic && !r.has(Unsubscribed)
	return r
}

// place gathers the offsets of one partition of the newest snapshot, and what the partition is for.
func (v *view) place(tp TopicPartition) (offsets, queue.Role) {
	c, _, _ := v.obs.commit(tp)
	role, _ := queue.RoleOf(tp.Topic)
	return v.offsets(v.now, v.now.partition(tp), c), role
}

func (v *view) offsets(s *Snapshot, p PartitionObs, c Maybe[int64]) offsets {
	return gather(p, c, s.Isolation, v.latest())
}

// latest reports whether the group reads from the end on where it never committed.
func (v *view) latest() bool { return v.policy.FromLatest && v.name == v.policy.Configured }

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

// TopicPartition names the partition of the row.
func (r Row) TopicPartition() TopicPartition {
	return TopicPartition{Topic: r.Topic, Partition: r.Partition}
}

// suspect reports whether a timestamp ahead of all clocks spoils the ages of what waits.
func (v *view) suspect(tp TopicPartition, unread Maybe[int64]) bool {
	limit := v.now.AsOf.Add(futureSkew)
	mark := v.now.partition(tp).Mark
	return unread.Known && unread.V > 0 &&
		(mark.Known && mark.V.Offset >= 0 && mark.V.Time.After(limit) || v.obs.Heads[tp].Low.After(limit))
}

// age tells how old the next record is, and of a tier how long it has been due.
func (v *view) age(r *Row) {
	head, found := v.obs.Heads[r.TopicPartition()]
	waits := r.Unread
	if tier(r.Role) {
		waits = r.Overdue
	}
	switch {
	case !waits.Known || r.suspect:
		return
	case waits.V == 0:
		r.Oldest, r.Precision = Know(0.0), Know(0.0)
	case found:
		age := max(v.now.AsOf.Sub(head.Low), 0)
		r.Oldest, r.Precision = inSeconds(age), inSeconds(head.High.Sub(head.Low))
	}
	if _, delay := queue.RoleOf(r.Topic); tier(r.Role) && r.Oldest.Known {
		r.OldestOverdue = inSeconds(max(0, Seconds(r.Oldest.V)-delay))
	}
}

// atLeast is how old the next record is at least: the younger end of what is known.
func (r *Row) atLeast() time.Duration { return Seconds(r.Oldest.V - r.Precision.V) }

// inSeconds is a length of time to the millisecond: timestamps of records are no finer.
func inSeconds(d time.Duration) Maybe[float64] {
	return Know(math.Round(float64(d)/float64(time.Millisecond)) / 1000)
}

// Seconds is a length of time, or the longest that there is: what drains by one record a day may take longer than that.
func Seconds(s float64) time.Duration {
	if s >= time.Duration(math.MaxInt64).Seconds() {
		return math.MaxInt64
	}
	return time.Duration(s * float64(time.Second))
}

// deserted reports whether the group is known to have no members.
func (g GroupObs) deserted() bool {
	return g.Members.Known && len(g.Members.V) == 0 && (g.State == StateEmpty || g.State == StateDead)
}
