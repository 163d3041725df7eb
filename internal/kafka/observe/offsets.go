package observe

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"commerce.internal/orderctl/internal/inspect/lag"
)

// question is one thing that leaders know about partitions.
type question int

// The questions, in the order in which they are asked: the last stable offset before the high watermark, so that it is
// never above it.
const (
	askStable question = iota
	askHigh
	askStart
	askMark
)

const (
	latest   = -1
	earliest = -2
)

// lookup asks the leaders of partitions where their logs begin and end: one request a leader and question, all leaders at
// once. Partitions without leader are never asked about.
type lookup struct {
	conn   *conn
	topics map[string]*sarama.TopicMetadata
	marks  func(lag.TopicPartition) (unixMilli int64, ok bool)
	starts map[lag.TopicPartition]int64 // known already; nil: none

	mu    sync.Mutex
	found map[lag.TopicPartition]lag.PartitionObs
	retry map[lag.TopicPartition]bool // the leader has moved, or the like
}

func newLookup(c *conn, topics map[string]*sarama.TopicMetadata) *lookup {
	return &lookup{conn: c, topics: topics, found: map[lag.TopicPartition]lag.PartitionObs{}, retry: map[lag.TopicPartition]bool{}}
}

// want adds partitions to ask about. What metadata says of them is known at once.
func (l *lookup) want(tps []lag.TopicPartition) {
	known := map[string]map[lag.TopicPartition]lag.PartitionObs{}
	for _, tp := range tps {
		if _, ok := known[tp.Topic]; !ok {
			_, known[tp.Topic] = describe(tp.Topic, l.topics[tp.Topic], l.conn.alive)
		}
		if obs, ok := known[tp.Topic][tp]; ok {
			l.found[tp] = obs
			continue
		}
		obs := lag.PartitionObs{Leader: -1, Epoch: -1, Problem: lag.NoTopic}
		if whole, ok := known[tp.Topic][lag.TopicPartition{Topic: tp.Topic, Partition: -1}]; ok {
			obs.Problem = whole.Problem
		}
		l.found[tp] = obs
	}
}

// run asks all questions. Partitions whose leader has moved are asked about once more.
func (l *lookup) run(questions []question) {
	l.round(questions, byLeader(l.found))
	if len(l.retry) > 0 {
		l.again(questions)
	}
	for tp, start := range l.starts {
		if obs := l.found[tp]; !obs.Start.Known && obs.High.Known {
			obs.Start = lag.Know(start)
			l.found[tp] = obs
		}
	}
	for tp := range l.retry { // nobody could tell, twice
		if obs := l.found[tp]; obs.Problem == "" {
			obs.Problem = lag.NoAnswer
			l.found[tp] = obs
		}
	}
}

// again looks for the new leaders and asks those. A silent leader that is still the leader would only be silent again.
func (l *lookup) again(questions []question) {
	names := map[string]bool{}
	for tp := range l.retry {
		names[tp.Topic] = true
	}
	topics, err := l.conn.metadata(sorted(names))
	if err != nil {
		return
	}
	maps.Copy(l.topics, topics)
	fresh := map[lag.TopicPartition]lag.PartitionObs{}
	for name := range names {
		_, parts := describe(name, topics[name], l.conn.alive)
		for tp, obs := range parts {
			if old := l.found[tp]; l.retry[tp] && (obs.Leader != old.Leader || old.Problem == "") {
				fresh[tp] = obs
			}
		}
	}
	maps.Copy(l.found, fresh)
	l.round(questions, byLeader(fresh))
}

// sinceEpoch is a time as Kafka has it. No record is older than 1970: what lies below 0 there are words such as "latest".
func sinceEpoch(t time.Time) int64 { return max(t.UnixMilli(), 0) }

func byLeader(parts map[lag.TopicPartition]lag.PartitionObs) map[int32][]lag.TopicPartition {
	leaders := map[int32][]lag.TopicPartition{}
	for tp, obs := range parts {
		if obs.Leader >= 0 {
			leaders[obs.Leader] = append(leaders[obs.Leader], tp)
		}
	}
	return leaders
}

func (l *lookup) round(questions []question, leaders map[int32][]lag.TopicPartition) {
	clear(l.retry)
	var wg sync.WaitGroup
	for id, tps := range leaders {
		wg.Go(func() {
			for _, q := range questions {
				if err := l.ask(id, q, tps); err != nil {
					l.fail(tps)
					return
				}
			}
		})
	}
	wg.Wait()
}

// fail marks partitions whose leader did not answer. Its earlier answers stand.
func (l *lookup) fail(tps []lag.TopicPartition) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, tp := range tps {
		obs := l.found[tp]
		if obs.Problem == "" {
			obs.Problem = lag.NoAnswer
		}
		l.found[tp], l.retry[tp] = obs, true
	}
}

// ask puts one question to one leader, for all its partitions.
func (l *lookup) ask(id int32, q question, tps []lag.TopicPartition) error {
	req := sarama.NewOffsetRequest(sarama.MaxVersion)
	if q == askStable {
		req.IsolationLevel = sarama.ReadCommitted
	}
	asked := slices.DeleteFunc(slices.Clone(tps), func(tp lag.TopicPartition) bool {
		at, ok := l.timestamp(q, tp)
		if ok {
			req.AddBlock(tp.Topic, tp.Partition, at, 1)
		}
		return !ok
	})
	if len(asked) == 0 {
		return nil
	}
	res, err := ask(l.conn, id, func(b *sarama.Broker) (*sarama.OffsetResponse, error) { return b.GetAvailableOffsets(req) })
	if err != nil {
		return fmt.Errorf("list offsets at broker %d: %w", id, err)
	}
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, tp := range asked {
		l.note(q, tp, res.GetBlock(tp.Topic, tp.Partition), now)
	}
	return nil
}

func (l *lookup) timestamp(q question, tp lag.TopicPartition) (int64, bool) {
	switch q {
	case askStart:
		_, known := l.starts[tp]
		return earliest, !known
	case askMark:
		if l.marks == nil {
			return 0, false
		}
		return l.marks(tp)
	default:
		return latest, true
	}
}

// note takes one answer. A partition that the answer lacks is unknown, not empty.
func (l *lookup) note(q question, tp lag.TopicPartition, b *sarama.OffsetResponseBlock, now time.Time) {
	obs := l.found[tp]
	defer func() { l.found[tp] = obs }()
	switch {
	case b == nil:
		obs.Problem = lag.NoAnswer
		return
	case moved(b.Err):
		l.retry[tp] = true
		return
	case b.Err != sarama.ErrNoError:
		obs.Problem = problemOf(b.Err)
		return
	}
	switch q {
	case askStable:
		obs.Stable = lag.Know(b.Offset)
	case askHigh:
		obs.High, obs.EndAt = lag.Know(b.Offset), now
	case askStart:
		obs.Start = lag.Know(b.Offset)
	case askMark:
		obs.Mark = lag.Know(lag.OffsetAt{Offset: b.Offset})
		if b.Timestamp >= 0 {
			obs.Mark.V.Time = time.UnixMilli(b.Timestamp)
		}
	}
}

// moved reports whether fresh metadata may help.
func moved(err error) bool {
	for _, code := range [...]sarama.KError{
		sarama.ErrNotLeaderForPartition, sarama.ErrLeaderNotAvailable, sarama.ErrFencedLeaderEpoch,
		sarama.ErrUnknownLeaderEpoch, sarama.ErrOffsetNotAvailable, sarama.ErrReplicaNotAvailable,
	} {
		if errors.Is(err, code) {
			return true
		}
	}
	return false
}
