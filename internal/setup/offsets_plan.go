package setup

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/queue"
)

// TargetKind is a way to say where offsets go.
type TargetKind int

// The kinds of targets.
const (
	ToEarliest TargetKind = iota + 1 // the start of the log
	ToLatest                         // the end, for readers of committed records
	ToOffset                         // Target.Offset itself
	ToTime                           // the first record that is at least as young as Target.Time
	ToShift                          // Target.Offset further than now, within the log
	ToSaved                          // Target.Saved
)

// Target says where offsets go.
type Target struct {
	Kind   TargetKind
	Offset int64
	Time   time.Time
	Saved  map[lag.TopicPartition]int64 // below 0: no commit
}

// Reset is what is asked for.
type Reset struct {
	Topics     []string // at least one, but for ToSaved
	Partitions []int32  // of each topic; empty: all
	Target     Target
}

// Move is what a reset does to one partition.
type Move struct {
	Topic      string
	Partition  int32
	From       int64 // what is committed; below 0: nothing
	To         int64 // what will be; below 0: nothing
	Start, End int64
	Skips      int64    // records that the group would not read any more
	Repeats    int64    // records that it would read again
	Unseen     int64    // of those that it skips: nobody would finish them, for no message row knows them, or waits for them
	Examples   []string // some of the unseen
}

// TopicPartition names the partition.
func (m Move) TopicPartition() lag.TopicPartition {
	return lag.TopicPartition{Topic: m.Topic, Partition: m.Partition}
}

// Changes reports whether the partition moves at all.
func (m Move) Changes() bool { return max(m.From, -1) != max(m.To, -1) }

// OffsetsPlan is what a reset would do, by topic and partition.
type OffsetsPlan struct{ Moves []Move }

// Totals sums up the plan.
func (p OffsetsPlan) Totals() (t Move, changed int) {
	for _, m := range p.Moves {
		t.Skips, t.Repeats, t.Unseen = t.Skips+m.Skips, t.Repeats+m.Repeats, t.Unseen+m.Unseen
		t.Examples = append(t.Examples, m.Examples...)
		if m.Changes() {
			changed++
		}
	}
	return t, changed
}

// Plan says what a reset would do. It changes nothing. What would be skipped it reads, to know which of it is finished.
func (o *Offsets) Plan(ctx context.Context, r Reset) (OffsetsPlan, error) {
	s, err := o.stopped(ctx, r.topics())
	if err != nil {
		return OffsetsPlan{}, err
	}
	p, err := o.moves(ctx, s, r)
	if err != nil {
		return OffsetsPlan{}, err
	}
	for i := range p.Moves {
		if err := o.count(ctx, &p.Moves[i]); err != nil {
			return OffsetsPlan{}, err
		}
	}
	return p, nil
}

func (r Reset) topics() []string {
	if r.Target.Kind != ToSaved {
		return r.Topics
	}
	names := map[string]bool{}
	for tp := range r.Target.Saved {
		names[tp.Topic] = true
	}
	return sortedKeys(names)
}

// partitions are those that are asked for, each of which must be there.
func (r Reset) partitions(s lag.Snapshot) ([]lag.TopicPartition, error) {
	var list []lag.TopicPartition
	for _, topic := range r.topics() {
		t := s.Topics[topic]
		switch {
		case t.Exists.Known && !t.Exists.V:
			return nil, fmt.Errorf("%w: %s", ErrNoTopic, topic)
		case !t.Exists.Known:
			return nil, fmt.Errorf("describe topic %s: %w", topic, unseenBecause(s.Partitions[lag.TopicPartition{Topic: topic, Partition: -1}].Problem))
		}
		for p := range int32(t.Partitions) { //nolint:gosec // Kafka counts partitions in 32 bits
			tp := lag.TopicPartition{Topic: topic, Partition: p}
			if _, saved := r.Target.Saved[tp]; r.Target.Kind == ToSaved && !saved {
				continue
			}
			if len(r.Partitions) == 0 || slices.Contains(r.Partitions, p) {
				list = append(list, tp)
			}
		}
	}
	return list, r.all(list)
}

// all refuses what was named and is not there.
func (r Reset) all(list []lag.TopicPartition) error {
	for _, topic := range r.topics() {
		for _, p := range r.Partitions {
			if tp := (lag.TopicPartition{Topic: topic, Partition: p}); !slices.Contains(list, tp) {
				return fmt.Errorf("there is no partition %s: %w", tp, queue.ErrNotFound)
			}
		}
	}
	for _, tp := range slices.SortedFunc(maps.Keys(r.Target.Saved), byPartition) {
		if !slices.Contains(list, tp) && len(r.Partitions) == 0 {
			return fmt.Errorf("there is no partition %s: %w", tp, queue.ErrNotFound)
		}
	}
	return nil
}

func byPartition(a, b lag.TopicPartition) int {
	return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
}

func unseenBecause(p lag.Problem) error {
	if p == lag.NoAccess {
		return queue.ErrDenied
	}
	return queue.ErrUnreachable
}

// moves resolves the target in each partition.
func (o *Offsets) moves(ctx context.Context, s lag.Snapshot, r Reset) (OffsetsPlan, error) {
	list, err := r.partitions(s)
	if err != nil {
		return OffsetsPlan{}, err
	}
	at, err := o.offsetsAt(ctx, list, r.Target)
	if err != nil {
		return OffsetsPlan{}, err
	}
	var p OffsetsPlan
	for _, tp := range list {
		m, err := o.bounds(s, tp)
		if err != nil {
			return OffsetsPlan{}, err
		}
		if err := m.aim(r.Target, o.effective(m), at[tp]); err != nil {
			return OffsetsPlan{}, err
		}
		from := o.effective(m)
		if to := o.effective(Move{From: m.To, Start: m.Start, End: m.End}); to >= from {
			m.Skips = to - from
		} else {
			m.Repeats = min(from, m.End) - to
		}
		p.Moves = append(p.Moves, m)
	}
	return p, nil
}

// bounds is a partition with what is committed and what its log holds. All of it must be known.
func (o *Offsets) bounds(s lag.Snapshot, tp lag.TopicPartition) (Move, error) {
	obs := s.Partitions[tp]
	c, committed := s.Groups[o.opts.Group].Commits.V[tp]
	switch {
	case obs.Problem != "":
		return Move{}, fmt.Errorf("the log of %s is not known (%s): %w", tp, obs.Problem, unseenBecause(obs.Problem))
	case !obs.Start.Known || !obs.Stable.Known:
		return Move{}, fmt.Errorf("the log of %s is not known: %w", tp, queue.ErrUnreachable)
	case c.Problem != "":
		return Move{}, fmt.Errorf("what is committed on %s is not known (%s): %w", tp, c.Problem, unseenBecause(c.Problem))
	}
	m := Move{Topic: tp.Topic, Partition: tp.Partition, From: -1, Start: obs.Start.V, End: obs.Stable.V}
	if committed {
		m.From = max(c.Offset, -1)
	}
	return m, nil
}

// effective is where the group reads on.
func (o *Offsets) effective(m Move) int64 {
	switch {
	case m.From >= 0:
		return max(m.From, m.Start)
	case o.opts.Latest:
		return m.End
	}
	return m.Start
}

// aim sets where the partition goes. from is where the group would read on, at the first offset of a time.
func (m *Move) aim(t Target, from int64, at lag.Maybe[lag.OffsetAt]) error {
	switch t.Kind {
	case ToEarliest:
		m.To = m.Start
	case ToLatest:
		m.To = m.End
	case ToShift:
		m.To = m.End
		if t.Offset <= m.End-from { // a sum might overflow, and turn a skip into a repeat
			m.To = max(from+t.Offset, m.Start)
		}
	case ToTime:
		if !at.Known {
			return fmt.Errorf("find the offset of %s in %s: %w", t.Time.Format(time.RFC3339), m.TopicPartition(), queue.ErrUnreachable)
		}
		m.To = m.End
		if at.V.Offset >= 0 {
			m.To = min(max(at.V.Offset, m.Start), m.End)
		}
	case ToSaved:
		m.To = max(t.Saved[m.TopicPartition()], -1)
		if m.To > m.End {
			return outside(m, m.To)
		}
	default:
		m.To = t.Offset
		if m.To < m.Start || m.To > m.End {
			return outside(m, m.To)
		}
	}
	return nil
}

func outside(m *Move, to int64) error {
	return &Refusal{
		Text: fmt.Sprintf("%s reaches from offset %d to %d: %d lies outside", m.TopicPartition(), m.Start, m.End, to),
		Help: "choose partitions with -p, or a time, earliest or latest", Code: codeConfig,
	}
}

// offsetsAt looks the time up in all partitions at once.
func (o *Offsets) offsetsAt(ctx context.Context, list []lag.TopicPartition, t Target) (map[lag.TopicPartition]lag.Maybe[lag.OffsetAt], error) {
	if t.Kind != ToTime {
		return nil, nil
	}
	at := map[lag.TopicPartition]time.Time{}
	for _, tp := range list {
		at[tp] = t.Time
	}
	return o.opts.Source.OffsetsAt(ctx, at)
}
