// Package lag is the read model of a consumer group: plain types for what was observed of groups and partitions, and
// the pure verdict on it. It does no I/O of its own; an adapter observes (Source), Evaluate judges, and every view (the
// lag command, the dashboard, the metrics) shows the same Report, so that they cannot disagree.
//
// What is not known is never a number: it is a Maybe that is not Known, null in JSON, "?" on a screen, absent in metrics.
package lag

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Maybe is a value that may be unknown. In JSON the unknown is null.
type Maybe[T any] struct {
	V     T
	Known bool
}

// Know returns a value that is known.
func Know[T any](v T) Maybe[T] { return Maybe[T]{V: v, Known: true} }

// MarshalJSON implements json.Marshaler.
func (m Maybe[T]) MarshalJSON() ([]byte, error) {
	if !m.Known {
		return []byte("null"), nil
	}
	return json.Marshal(m.V)
}

// UnmarshalJSON implements json.Unmarshaler.
func (m *Maybe[T]) UnmarshalJSON(b []byte) error {
	*m = Maybe[T]{}
	if string(b) == "null" {
		return nil
	}
	if err := json.Unmarshal(b, &m.V); err != nil {
		return fmt.Errorf("read a value: %w", err)
	}
	m.Known = true
	return nil
}

// Isolation says where a log ends for a reader.
type Isolation string

// The isolation levels. The worker reads committed, so that is the default.
const (
	ReadCommitted   Isolation = "read_committed"
	ReadUncommitted Isolation = "read_uncommitted"
)

// TopicPartition names one partition.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// String is "topic/partition".
func (tp TopicPartition) String() string {
	if tp.Partition < 0 { // nobody tells its partitions
		return tp.Topic + "/?"
	}
	return fmt.Sprintf("%s/%d", tp.Topic, tp.Partition)
}

// Query says what to observe.
type Query struct {
	Groups    []string
	Topics    []string      // looked at even if no group has anything to do with them
	All       bool          // every group of the cluster
	Isolation Isolation     // empty: ReadCommitted
	SLO       time.Duration // how old an order may get; zero: no mark is looked up on source topics
	Reuse     time.Duration // what seldom changes (metadata, members, log starts) may be so old; zero: all is asked
}

// Problem says why something is not known.
type Problem string

// The problems. The empty one is none.
const (
	NoLeader    Problem = "no-leader"
	NoTopic     Problem = "no-topic"
	NoAccess    Problem = "no-access"
	NoAnswer    Problem = "no-answer"
	Unsupported Problem = "unsupported"
)

// Snapshot is what was seen of a cluster at one time.
type Snapshot struct {
	AsOf       time.Time
	Took       time.Duration
	Isolation  Isolation
	SLO        time.Duration // the age that the marks of source topics were looked up for
	Asked      []string      // topics that were asked for by name
	Aged       bool          // the ages of backlogs were looked for: GroupObs.Heads
	Groups     map[string]GroupObs
	Topics     map[string]TopicObs
	Partitions map[TopicPartition]PartitionObs
	// Unlisted are the brokers that did not list their groups, where all groups were asked for: what they coordinate
	// is missing.
	Unlisted []int32
}

// GroupObs is what was seen of a consumer group.
type GroupObs struct {
	Type, State, Protocol string
	Coordinator           int32 // -1: unknown
	Problem               Problem
	Members               Maybe[[]MemberObs]
	Commits               Maybe[map[TopicPartition]CommitObs]
	Heads                 map[TopicPartition]HeadObs // where something waits; absent: not known
}

// HeadObs is the record that a group reads next in a partition, and when it was written: not before Low, and not after
// High. Groups that share a partition are at different places of it.
type HeadObs struct {
	Offset    int64
	Low, High time.Time
}

// Missing reports whether the group is known not to exist.
func (g GroupObs) Missing() bool {
	return g.Problem == "" && g.State == StateDead && g.Members.Known && len(g.Members.V) == 0 &&
		g.Commits.Known && len(g.Commits.V) == 0
}

// The states of a group that the verdict looks at.
const (
	StateStable     = "Stable"
	StateEmpty      = "Empty"
	StateDead       = "Dead"
	StatePreparing  = "PreparingRebalance"
	StateCompleting = "CompletingRebalance"
	// Of KIP-848: the coordinator works an assignment out, or members have not yet taken it up.
	StateAssigning   = "Assigning"
	StateReconciling = "Reconciling"
)

// MemberObs is one member of a group.
type MemberObs struct {
	ID, ClientID, Host, InstanceID string
	Assigned                       []TopicPartition
	Subscribed                     []string // nil: unknown
}

// CommitObs is a committed offset as it was answered.
type CommitObs struct {
	Offset   int64 // -1: never committed
	Metadata string
	At       time.Time // of the answer
	Problem  Problem
}

// TopicObs is what was seen of a topic.
type TopicObs struct {
	Exists                 Maybe[bool]
	Partitions             int
	Cleanup, TimestampType string               // empty: unknown
	Retention              Maybe[time.Duration] // below 0: for ever
	RetentionBytes         Maybe[int64]         // below 0: no limit
}

// PartitionObs is what was seen of a partition.
type PartitionObs struct {
	Leader, Epoch       int32 // -1: none
	ISR, Replicas       int
	EndAt               time.Time // of the answer that told the ends
	Problem             Problem
	Start, High, Stable Maybe[int64]
	Mark                Maybe[OffsetAt] // see MarkAge
	Hour                Maybe[OffsetAt] // of a tier: an hour ago
}

// OffsetAt is the first record that is at least as young as an asked time.
type OffsetAt struct {
	Offset int64 // -1: no record is that young
	Time   time.Time
}

// Source observes a cluster. Partial data carries Problems; an error means that nothing came.
type Source interface {
	Snapshot(ctx context.Context, q Query) (Snapshot, error)
	OffsetsAt(ctx context.Context, at map[TopicPartition]time.Time) (map[TopicPartition]Maybe[OffsetAt], error)
}
