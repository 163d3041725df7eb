package lag

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Policy is what the verdict is measured by.
type Policy struct {
	Configured string        // the group of the configuration: without members it is a warning even when nothing waits
	FromLatest bool          // the configured group starts at the end where it never committed
	Tolerance  int64         // so many unread records are none: a trailing marker keeps a group at 1 for ever
	StallAfter time.Duration // no progress for so long is STALLED; zero: 10 s

	WarnAge, CritAge       time.Duration // of the oldest order; zero: the SLO, and three times the SLO
	WarnUnread, CritUnread int64         // more than so many in a group; zero: any number is fine
	WarnDLQ, CritDLQ       int64         // more than so many dead letters within the last hour; zero: any number is fine

	Topics     []string // rows of these topics only; empty: all
	Partitions []int32  // rows of these partitions only; empty: all
}

const (
	defaultStall   = 10 * time.Second
	rateSpan       = time.Minute // rates are taken over so long
	longRebalance  = time.Minute
	steadyFraction = 0.05 // rates that differ by less are the same
)

// Evaluate judges a window of 1 to N snapshots, oldest first. The values are those of the newest; the others tell rates
// and standstill.
func Evaluate(window []Snapshot, p Policy) Report {
	looks := make([]*Look, len(window))
	for i := range window {
		looks[i] = &Look{Snapshot: window[i]}
	}
	return EvaluateLooks(looks, p)
}

// EvaluateLooks is Evaluate for a window that goes on: what the older looks say is kept in them for the next time.
func EvaluateLooks(window []*Look, p Policy) Report {
	r := Report{
		Schema: Schema, Groups: []Group{}, SilentBrokers: []int32{}, MissingGroups: []string{}, MissingTopics: []string{},
	}
	if len(window) == 0 {
		return r
	}
	e := newEvaluator(window, p)
	r.AsOf = e.now.AsOf.UTC().Truncate(time.Millisecond)
	r.SnapshotMS = e.now.Took.Milliseconds()
	if len(window) > 1 {
		r.SampleSeconds = inSeconds(e.now.AsOf.Sub(e.window[e.base].AsOf))
	}
	r.SilentBrokers = append(r.SilentBrokers, e.now.Unlisted...)
	r.Complete = len(e.now.Unlisted) == 0
	for _, name := range slices.Sorted(maps.Keys(e.now.Groups)) {
		if e.now.Groups[name].Missing() {
			r.MissingGroups = append(r.MissingGroups, name)
			continue
		}
		g := e.view(name).group()
		r.Complete = r.Complete && g.Complete
		r.Groups = append(r.Groups, g)
	}
	r.MissingTopics = append(r.MissingTopics, e.missingTopics()...)
	r.MissingPartitions, r.IdleTopics = e.vain(r.MissingTopics)
	return r
}

// evaluator holds a window and what is looked up in it often.
type evaluator struct {
	window []*Look
	now    *Snapshot // the newest
	base   int       // rates are taken from this one to the newest; of one snapshot: itself
	policy Policy
	topics map[string][]TopicPartition // partitions of each topic of the newest, ascending

	moments []moment // see history
}

func newEvaluator(window []*Look, p Policy) *evaluator {
	last := len(window) - 1
	e := &evaluator{window: window, now: &window[last].Snapshot, base: max(0, last-1), topics: map[string][]TopicPartition{}}
	for i, s := range slices.Backward(window[:last]) {
		if e.now.AsOf.Sub(s.AsOf) > rateSpan {
			break
		}
		e.base = i
	}
	e.policy, e.moments = p.complete(e.now.SLO), e.history()
	for tp := range e.now.Partitions {
		tps := e.topics[tp.Topic]
		if tps == nil {
			tps = make([]TopicPartition, 0, max(1, e.now.Topics[tp.Topic].Partitions))
		}
		e.topics[tp.Topic] = append(tps, tp)
	}
	for _, tps := range e.topics {
		slices.SortFunc(tps, func(a, b TopicPartition) int { return cmp.Compare(a.Partition, b.Partition) })
	}
	return e
}

// complete puts the built-in rules where none was given.
func (p Policy) complete(slo time.Duration) Policy {
	if p.StallAfter <= 0 {
		p.StallAfter = defaultStall
	}
	if p.WarnAge <= 0 {
		p.WarnAge = slo
	}
	if p.CritAge <= 0 {
		p.CritAge = 3 * slo
	}
	return p
}

func byName(a, b TopicPartition) int {
	return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
}

// missingTopics are those asked for by name that do not exist and that no group ever committed in.
func (e *evaluator) missingTopics() []string {
	var missing []string
	for _, topic := range e.now.Asked {
		t, seen := e.now.Topics[topic]
		if seen && t.Exists.Known && !t.Exists.V && !e.committedIn(topic) {
			missing = append(missing, topic)
		}
	}
	return missing
}

func (e *evaluator) committedIn(topic string) bool {
	for _, g := range e.now.Groups {
		for tp := range g.Commits.V {
			if tp.Topic == topic {
				return true
			}
		}
	}
	return false
}

// partition returns what was seen of a partition; where nothing was, why not.
func (s *Snapshot) partition(tp TopicPartition) PartitionObs {
	if p, ok := s.Partitions[tp]; ok {
		return p
	}
	t := s.Topics[tp.Topic]
	if t.Exists.Known && (!t.Exists.V || int(tp.Partition) >= t.Partitions) {
		return PartitionObs{Leader: -1, Epoch: -1, Problem: NoTopic}
	}
	return PartitionObs{Leader: -1, Epoch: -1, Problem: NoAnswer}
}

// commit returns the committed offset, -1 for none, and why it is unknown.
func (g *GroupObs) commit(tp TopicPartition) (Maybe[int64], time.Time, Problem) {
	if !g.Commits.Known {
		return Maybe[int64]{}, time.Time{}, cmp.Or(g.Problem, NoAnswer)
	}
	c, ok := g.Commits.V[tp]
	switch {
	case !ok:
		return Know[int64](-1), time.Time{}, ""
	case c.Problem != "":
		return Maybe[int64]{}, c.At, c.Problem
	default:
		return Know(max(c.Offset, -1)), c.At, ""
	}
}

// subscribed reports whether some member subscribes to the topic; where that cannot be told it is assumed.
func (g GroupObs) subscribed(topic string) bool {
	if !g.Members.Known || g.State != StateStable || len(g.Members.V) == 0 {
		return true
	}
	for _, m := range g.Members.V {
		if m.Subscribed == nil || slices.Contains(m.Subscribed, topic) {
			return true
		}
	}
	return false
}
