package observe

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/IBM/sarama"

	"commerce.internal/orderctl/internal/inspect/lag"
)

const (
	configsFresh = time.Minute // the configuration of a topic is asked for again after so long
	topicsFresh  = time.Minute // leaders are looked up anew after so long, and whenever one has moved
)

// memory is what an Observer keeps from one question to the next. Whoever has the turn owns it.
type memory struct {
	topics   map[string]*sarama.TopicMetadata // of the newest snapshot
	topicsAt time.Time
	configs  map[string]config
	last     *picture // nil: the newest snapshot was not whole
}

// picture is what seldom changes of a whole snapshot.
type picture struct {
	query  string
	at     time.Time
	groups map[string]lag.GroupObs
	starts map[lag.TopicPartition]int64
}

func newMemory() *memory { return &memory{configs: map[string]config{}} }

// forget is called with each new connection: who leads what has to be learnt by it. Configurations stay.
func (m *memory) forget() { m.topics, m.topicsAt, m.last = nil, time.Time{}, nil }

// fingerprint tells queries apart that have another answer.
func fingerprint(q lag.Query) string {
	return fmt.Sprintf("%q %q %v", q.Groups, q.Topics, q.All)
}

// recall returns the picture of the same query, if it is young enough.
func (m *memory) recall(q lag.Query, now time.Time) *picture {
	p := m.last
	if p == nil || q.Reuse <= 0 || p.query != fingerprint(q) || now.Sub(p.at) >= q.Reuse {
		return nil
	}
	return p
}

// remember keeps the picture of a snapshot in which nothing is missing.
func (m *memory) remember(q lag.Query, s lag.Snapshot, at time.Time) {
	m.last = nil
	if q.Reuse <= 0 || !whole(s) {
		return
	}
	p := &picture{query: fingerprint(q), at: at, groups: maps.Clone(s.Groups), starts: map[lag.TopicPartition]int64{}}
	for tp, obs := range s.Partitions {
		if obs.Start.Known {
			p.starts[tp] = obs.Start.V
		}
	}
	m.last = p
}

// whole reports whether all answered. What is refused will be so the next time, too; a group that is not there may come.
func whole(s lag.Snapshot) bool {
	for _, g := range s.Groups {
		if g.Problem == lag.NoAnswer || g.Problem == "" && !g.Members.Known || g.State == lag.StateDead {
			return false
		}
	}
	for _, p := range s.Partitions {
		if p.Problem == lag.NoAnswer || p.Problem == lag.NoLeader {
			return false
		}
	}
	return len(s.Unlisted) == 0
}

// leaders returns the metadata that is at hand for all of the topics.
func (m *memory) leaders(names []string, now time.Time) (map[string]*sarama.TopicMetadata, bool) {
	if now.Sub(m.topicsAt) >= topicsFresh {
		return nil, false
	}
	return m.topics, !slices.ContainsFunc(names, func(name string) bool { return m.topics[name] == nil })
}
