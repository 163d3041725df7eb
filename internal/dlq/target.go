package dlq

import (
	"errors"
	"fmt"
	"strings"

	"commerce.internal/orderctl/internal/queue"
)

type targetKind int

const (
	toGroup  targetKind = iota // the group's replay topic: no other group sees it again
	toOrigin                   // the end of the source topic: all groups, order lost
	toTopic
)

// Target is where replayed letters go.
type Target struct {
	kind  targetKind
	topic string
}

// ParseTarget reads "group", "origin" or "topic=X". A dead-letter topic or its ledger is no target.
func ParseTarget(s, dlqTopic string) (Target, error) {
	switch topic, isTopic := strings.CutPrefix(s, "topic="); {
	case s == "group":
		return Target{kind: toGroup}, nil
	case s == "origin":
		return Target{kind: toOrigin}, nil
	case !isTopic:
		return Target{}, fmt.Errorf("%q is none of group, origin, topic=NAME", s)
	case topic == "":
		return Target{}, errors.New("topic= names no topic")
	case topic == dlqTopic || topic == dlqTopic+".audit":
		return Target{}, fmt.Errorf("%s cannot be replayed into itself or its ledger", dlqTopic)
	default:
		return Target{kind: toTopic, topic: topic}, nil
	}
}

// String is the target as --to has it.
func (t Target) String() string {
	switch t.kind {
	case toOrigin:
		return "origin"
	case toTopic:
		return "topic=" + t.topic
	default:
		return "group"
	}
}

// Group reports whether letters go back to the group that they died in: only there does the database accept each once.
func (t Target) Group() bool { return t.kind == toGroup }

// topics are those that the target is known to need.
func (t Target) topics(n queue.Names) []string {
	switch t.kind {
	case toGroup:
		return []string{n.Replay()}
	case toTopic:
		return []string{t.topic}
	default:
		return []string{n.Source}
	}
}

// of returns where a letter goes, or the warning that tells why it cannot.
func (t Target) of(l Letter, n queue.Names, topics map[string]Topic, partition queue.PartitionFunc) (queue.Position, Warning) {
	origin := l.Trail.Origin
	complete := origin.Topic != "" && origin.Partition >= 0 && origin.Offset >= 0
	at := queue.Position{Topic: n.Replay(), Partition: origin.Partition, Offset: -1}
	switch t.kind {
	case toGroup:
		if !complete || origin.Topic != n.Source || l.Trail.Group != n.Group {
			return at, OriginUnknown
		}
	case toOrigin:
		if at.Topic = origin.Topic; at.Topic == "" {
			return at, OriginUnknown
		}
	case toTopic:
		at.Topic = t.topic
	}
	if at.Partition < 0 {
		at.Partition = l.ID.Partition
	}
	count := topics[at.Topic].Partitions
	if at.Partition < count {
		return at, ""
	}
	if t.kind == toGroup || count == 0 || len(l.Key) == 0 {
		return at, TargetMissing
	}
	at.Partition = partition(l.Key, count)
	return at, ""
}
