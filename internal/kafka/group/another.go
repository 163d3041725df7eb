package group

import (
	"cmp"
	"context"
	"fmt"
	"sync"

	"github.com/IBM/sarama"

	"commerce.internal/orderctl/internal/kafka"
	"commerce.internal/orderctl/internal/queue"
)

// Memory remembers which log the commit of a partition belongs to. A topic that is made anew begins at 0; its log looks
// like the old one as soon as it is longer than the commit, and what lies below would be skipped without a word.
type Memory interface {
	Log(ctx context.Context, group, topic string, partition int32) (l queue.Log, found bool, err error)
	KeepLog(ctx context.Context, group, topic string, partition int32, l queue.Log) error
}

// forgetful is the memory of a group that has no database: it ends with the process.
type forgetful struct {
	mu   sync.Mutex
	logs map[place]queue.Log
}

// Log implements Memory.
func (f *forgetful) Log(_ context.Context, _, topic string, partition int32) (queue.Log, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	l, found := f.logs[place{topic, partition}]
	return l, found, nil
}

// KeepLog implements Memory.
func (f *forgetful) KeepLog(_ context.Context, _, topic string, partition int32, l queue.Log) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.logs[place{topic, partition}] = l
	return nil
}

// found is what there is to know of a partition before it is read.
type found struct {
	topicID   string // "": Kafka does not say (before 2.8)
	committed int64  // below 0: nothing
	low, high int64
	was       queue.Log
	known     bool // there is a was
}

// find asks for it. What a topic that is made anew meanwhile answers does not belong together, so its id is read before and
// after, from the broker that knows the log.
func (g *Group) find(ctx context.Context, at place) (f found, err error) {
	look := g.looker()
	if look == nil {
		return f, sarama.ErrClosedClient
	}
	if f.topicID, err = topicID(look, at); err != nil {
		return f, err
	}
	all, err := g.committed(look, map[string][]int32{at.topic: {at.partition}})
	if err != nil {
		return f, err
	}
	f.committed = all[at]
	if f.low, err = look.GetOffset(at.topic, at.partition, sarama.OffsetOldest); err != nil {
		return f, fmt.Errorf("read start of %s/%d: %w", at.topic, at.partition, err)
	}
	if f.high, err = look.GetOffset(at.topic, at.partition, sarama.OffsetNewest); err != nil {
		return f, fmt.Errorf("read end of %s/%d: %w", at.topic, at.partition, err)
	}
	switch after, err := topicID(look, at); {
	case err != nil:
		return f, err
	case after != f.topicID:
		return f, fmt.Errorf("topic %s is being made anew: it was %s and is %s", at.topic, f.topicID, after)
	}
	f.was, f.known, err = g.opts.Memory.Log(ctx, g.opts.Group, at.topic, at.partition)
	if err != nil {
		return f, fmt.Errorf("remember the log of %s/%d: %w", at.topic, at.partition, err)
	}
	return f, nil
}

// foreign says why the commit belongs to a log that is gone, "" that it does not. It does while it is above the end; while
// it is the one at which the partition was halted, for only an operator moves it from there; and when the topic is another
// one than the commits were made for.
func (f found) foreign() string {
	another := f.known && f.was.TopicID != "" && f.topicID != "" && f.was.TopicID != f.topicID
	halted := f.known && f.was.HaltedAt >= 0
	switch {
	case f.committed < 0:
		return ""
	case f.committed > f.high:
		return haltAboveEnd
	case halted && f.was.HaltedAt != f.committed: // moved by an operator
		return ""
	case another:
		return haltAnother
	case halted:
		return haltAboveEnd
	}
	return ""
}

// remember writes down that the partition is read, or where it is halted, before either is done.
func (g *Group) remember(ctx context.Context, at place, f found, reason string) error {
	now := queue.Log{TopicID: cmp.Or(f.topicID, f.was.TopicID), HaltedAt: -1}
	if reason != "" && g.opts.From == "" {
		now = queue.Log{TopicID: f.was.TopicID, HaltedAt: f.committed}
	}
	if !f.known || now != f.was {
		if err := g.opts.Memory.KeepLog(ctx, g.opts.Group, at.topic, at.partition, now); err != nil {
			return fmt.Errorf("write down the log of %s/%d: %w", at.topic, at.partition, err)
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.reads[at] = f.topicID
	return nil
}

// topicID asks the leader of a partition which topic it is of. A topic that is made anew has another id (KIP-516); "": Kafka
// does not say.
func topicID(look *kafka.Client, at place) (string, error) {
	leader, err := look.Leader(at.topic, at.partition)
	if err != nil {
		return "", fmt.Errorf("find leader of %s/%d: %w", at.topic, at.partition, err)
	}
	meta, err := leader.GetMetadata(sarama.NewMetadataRequest(look.Config().Version, []string{at.topic}))
	if err != nil {
		_ = leader.Close()
		return "", fmt.Errorf("read id of topic %s: %w", at.topic, err)
	}
	for _, t := range meta.Topics {
		switch {
		case t.Name != at.topic:
		case t.Err != sarama.ErrNoError:
			_ = look.RefreshMetadata(at.topic)
			return "", fmt.Errorf("read id of topic %s: %w", at.topic, t.Err)
		case t.Uuid != (sarama.Uuid{}):
			return t.Uuid.String(), nil
		}
	}
	return "", nil
}

// another reports whether a topic that is read is not the one that it was. Its readers go on above where the old log ended
// and skip what lies below.
func (g *Group) another(look *kafka.Client) bool {
	reads := map[string]place{} // one partition of each topic and id tells
	g.mu.Lock()
	for at := range g.claims {
		if id := g.reads[at]; id != "" {
			reads[at.topic+" "+id] = at
		}
	}
	g.mu.Unlock()
	for key, at := range reads {
		now, err := topicID(look, at)
		if err == nil && now != "" && at.topic+" "+now != key {
			return true
		}
	}
	return false
}
