package observe

import (
	"fmt"
	"maps"
	"slices"

	"github.com/IBM/sarama"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/queue"
)

// metadata asks for topics, all if none are named, and learns the brokers on the way. Topics are not created by it.
func (c *conn) metadata(names []string) (map[string]*sarama.TopicMetadata, error) {
	res, err := askAny(c, func(b *sarama.Broker) (*sarama.MetadataResponse, error) {
		res, err := b.GetMetadata(sarama.NewMetadataRequest(sarama.MaxVersion, names))
		if err == nil && len(res.Brokers) == 0 { // a broker that is still starting
			err = sarama.ErrBrokerNotAvailable
		}
		if err != nil {
			return nil, fmt.Errorf("read metadata from %s: %w", b.Addr(), err)
		}
		return res, nil
	})
	if err != nil {
		return nil, err
	}
	c.learn(res.Brokers)
	topics := make(map[string]*sarama.TopicMetadata, len(res.Topics))
	for _, t := range res.Topics {
		topics[t.Name] = t
	}
	return topics, nil
}

// describe tells what metadata says of a topic: its partitions with their leaders, or why there are none.
func describe(name string, t *sarama.TopicMetadata, alive func(id int32) bool) (lag.TopicObs, map[lag.TopicPartition]lag.PartitionObs) {
	whole := lag.TopicPartition{Topic: name, Partition: -1}
	none := lag.PartitionObs{Leader: -1, Epoch: -1}
	switch {
	case t == nil:
		none.Problem = lag.NoAnswer
		return lag.TopicObs{}, map[lag.TopicPartition]lag.PartitionObs{whole: none}
	case t.Err == sarama.ErrUnknownTopicOrPartition, t.Err == sarama.ErrInvalidTopic:
		return lag.TopicObs{Exists: lag.Know(false)}, nil
	case len(t.Partitions) == 0 && t.Err != sarama.ErrNoError:
		none.Problem = problemOf(t.Err)
		return lag.TopicObs{}, map[lag.TopicPartition]lag.PartitionObs{whole: none}
	}
	found := make(map[lag.TopicPartition]lag.PartitionObs, len(t.Partitions))
	for _, p := range t.Partitions {
		obs := lag.PartitionObs{Leader: p.Leader, Epoch: p.LeaderEpoch, ISR: len(p.Isr), Replicas: len(p.Replicas)}
		if p.Leader < 0 || !alive(p.Leader) {
			obs.Leader, obs.Epoch, obs.Problem = -1, -1, lag.NoLeader
		}
		found[lag.TopicPartition{Topic: name, Partition: p.ID}] = obs
	}
	return lag.TopicObs{Exists: lag.Know(true), Partitions: len(t.Partitions)}, found
}

// problemOf tells what an error code of Kafka means for what was asked.
func problemOf(code sarama.KError) lag.Problem {
	switch code {
	case sarama.ErrNoError:
		return ""
	case sarama.ErrTopicAuthorizationFailed, sarama.ErrGroupAuthorizationFailed, sarama.ErrClusterAuthorizationFailed:
		return lag.NoAccess
	case sarama.ErrUnknownTopicOrPartition:
		return lag.NoTopic
	case sarama.ErrLeaderNotAvailable:
		return lag.NoLeader
	default:
		return lag.NoAnswer
	}
}

// alive reports whether metadata names the broker. It may be dead all the same.
func (c *conn) alive(id int32) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.brokers[id]
	return ok
}

// partial is the error of a list that lacks what some brokers know.
func partial(silent []int32) error {
	if len(silent) == 0 {
		return nil
	}
	return fmt.Errorf("brokers %v did not answer: %w", silent, queue.ErrPartial)
}

func sorted(set map[string]bool) []string { return slices.Sorted(maps.Keys(set)) }
