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
