package kraft

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ready waits until every node answers with the cluster id made here and a topic with replicas on all nodes can be made:
// an open port alone says nothing.
func (c *Cluster) ready(ctx context.Context) error {
	for _, n := range c.nodes {
		if err := within(ctx, 60*time.Second, "node "+n.addr, func(ctx context.Context) error { return c.answers(ctx, n.addr) }); err != nil {
			return err
		}
	}
	return within(ctx, 60*time.Second, "a topic on all nodes", func(ctx context.Context) error {
		return c.CreateTopic(ctx, "ready", 1)
	})
}

func (c *Cluster) answers(ctx context.Context, addr string) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.RetryTimeout(2*time.Second))
	if err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	defer cl.Close()
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{}
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return fmt.Errorf("ask %s: %w", addr, err)
	}
	if resp.ClusterID == nil || *resp.ClusterID != c.ID {
		return fmt.Errorf("%s is not our cluster %s", addr, c.ID)
	}
	if len(resp.Brokers) < len(c.nodes) {
		return fmt.Errorf("%d of %d brokers registered", len(resp.Brokers), len(c.nodes))
	}
	return nil
}

// CreateTopic makes a topic with as many replicas as there are nodes, and returns when every node knows it: the controller
// answers before they do. One that is there already is fine.
func (c *Cluster) CreateTopic(ctx context.Context, name string, count int32) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.nodes[0].addr), kgo.RetryTimeout(2*time.Second))
	if err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	defer cl.Close()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, count, int16(len(c.nodes)) //nolint:gosec // three at most
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = 5_000
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return fmt.Errorf("create topic %s: %w", name, err)
	}
	if code := resp.Topics[0].ErrorCode; code != 0 && code != kerr.TopicAlreadyExists.Code {
		return fmt.Errorf("create topic %s: %w", name, kerr.ErrorForCode(code))
	}
	for _, n := range c.nodes {
		if err := within(ctx, 30*time.Second, "topic "+name+" on "+n.addr, func(ctx context.Context) error {
			parts, err := partitions(ctx, n.addr, name)
			if err == nil && len(parts) < int(count) {
				return fmt.Errorf("%s knows %d of %d partitions of %s", n.addr, len(parts), count, name)
			}
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// Leader returns the node that leads a partition.
func (c *Cluster) Leader(ctx context.Context, topic string, partition int32) (int, error) {
	parts, err := partitions(ctx, c.Addrs(), topic)
	if err != nil {
		return 0, err
	}
	for _, p := range parts {
		if p.Partition == partition && p.Leader > 0 {
			return int(p.Leader), nil
		}
	}
	return 0, fmt.Errorf("%s/%d has no leader", topic, partition)
}

// partitions asks the first of the brokers that answers.
func partitions(ctx context.Context, addrs, topic string) ([]kmsg.MetadataResponseTopicPartition, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(addrs, ",")...), kgo.RetryTimeout(5*time.Second))
	if err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	defer cl.Close()
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = kmsg.StringPtr(topic)
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return nil, fmt.Errorf("read metadata of %s: %w", topic, err)
	}
	if err := kerr.ErrorForCode(resp.Topics[0].ErrorCode); err != nil {
		return nil, fmt.Errorf("read metadata of %s: %w", topic, err)
	}
	return resp.Topics[0].Partitions, nil
}

// InSync returns nil when every partition of the topic has all its replicas in sync.
func (c *Cluster) InSync(ctx context.Context, topic string) error {
	parts, err := partitions(ctx, c.Addrs(), topic)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if len(p.ISR) < len(c.nodes) {
			return fmt.Errorf("%s/%d has %d of %d replicas in sync", topic, p.Partition, len(p.ISR), len(c.nodes))
		}
	}
	return nil
}
