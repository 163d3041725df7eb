//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"commerce.internal/orderctl/test/kraft"
)

// startKafka starts a real Kafka of n nodes for one test.
func startKafka(t *testing.T, n int) *kraft.Cluster {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "orderctl-kafka")
	if err != nil {
		t.Fatal(err)
	}
	c, err := kraft.Start(ctx, dir, n)
	if err != nil {
		t.Fatalf("start Kafka: %v", err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(c.LogTail())
		}
		_ = c.Close()
		_ = os.RemoveAll(dir)
	})
	return c
}

func client(t *testing.T, brokers string) *kgo.Client {
	t.Helper()
	// Up to 3.0: OffsetCommit from v10 on wants topic ids.
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers), kgo.MaxVersions(kversion.V3_0_0()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// rewind commits offset 0 of every partition of a topic for a group without members.
func rewind(t *testing.T, brokers, group, topic string, partitions int32) {
	t.Helper()
	topics := kmsg.NewOffsetCommitRequestTopic()
	topics.Topic = topic
	for p := range partitions {
		part := kmsg.NewOffsetCommitRequestTopicPartition()
		part.Partition, part.Offset = p, 0
		topics.Partitions = append(topics.Partitions, part)
	}
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.Generation = group, -1
	req.Topics = append(req.Topics, topics)
	cl := client(t, brokers)
	eventually(t, 30*time.Second, "rewind the group", func() error {
		resp, err := req.RequestWith(t.Context(), cl)
		if err != nil {
			return err
		}
		for _, p := range resp.Topics[0].Partitions {
			if p.ErrorCode != 0 {
				return fmt.Errorf("partition %d: code %d", p.Partition, p.ErrorCode)
			}
		}
		return nil
	})
}

// logEnd is how many records a topic has been given: the sum of the ends of its partitions.
func logEnd(t *testing.T, brokers, topic string) int64 {
	t.Helper()
	cl := client(t, brokers)
	meta := kmsg.NewPtrMetadataRequest()
	mt := kmsg.NewMetadataRequestTopic()
	mt.Topic = kmsg.StringPtr(topic)
	meta.Topics = append(meta.Topics, mt)
	m, err := meta.RequestWith(t.Context(), cl)
	if err != nil {
		t.Fatal(err)
	}
	ask := kmsg.NewListOffsetsRequestTopic()
	ask.Topic = topic
	for _, p := range m.Topics[0].Partitions {
		part := kmsg.NewListOffsetsRequestTopicPartition()
		part.Partition, part.Timestamp = p.Partition, -1
		ask.Partitions = append(ask.Partitions, part)
	}
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID, req.Topics = -1, append(req.Topics, ask)
	var sum int64
	for _, shard := range cl.RequestSharded(t.Context(), req) {
		resp, ok := shard.Resp.(*kmsg.ListOffsetsResponse)
		if shard.Err != nil || !ok {
			t.Fatalf("ask for the ends of %s: %v", topic, shard.Err)
		}
		for _, p := range resp.Topics[0].Partitions {
			sum += p.Offset
		}
	}
	return sum
}
