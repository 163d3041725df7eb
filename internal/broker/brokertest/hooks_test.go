package brokertest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"commerce.internal/orderctl/internal/broker"
	"commerce.internal/orderctl/internal/broker/brokertest"
	"commerce.internal/orderctl/internal/queue"
)

func message(v string) queue.Message {
	return queue.Message{Topic: "orders", Value: []byte(v), Time: time.Now()}
}

// A fault refuses before it acts, but for the two errors that mean "applied, the answer was lost".
func TestWhatAFaultLeavesInTheLog(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  *kerr.Error
		want int
	}{
		{kerr.NotLeaderForPartition, 0},
		{kerr.RequestTimedOut, 1},
		{kerr.NotEnoughReplicasAfterAppend, 1},
		{kerr.NotEnoughReplicas, 0},
	} {
		b := brokertest.Start(t, brokertest.Topics(1, "orders"))
		f := b.Fault(brokertest.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "orders", Err: tt.err})
		c := b.Client(kgo.RecordRetries(0), kgo.DisableIdempotentWrite(), kgo.RequestRetries(0))
		err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Value: []byte("v")}).FirstErr()
		if err == nil || f.Hits() != 1 {
			t.Errorf("%v: produce = %v after %d hits", tt.err, err, f.Hits())
		}
		if n := len(b.Records(t, "orders")); n != tt.want {
			t.Errorf("%v: %d records in the log, want %d", tt.err, n, tt.want)
		}
	}
}

func TestAFaultLastsUntilItIsRemoved(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(1, "orders"))
	f := b.Fault(brokertest.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotEnoughReplicas, Count: -1})
	c := b.Client(kgo.MetadataMinAge(20 * time.Millisecond))
	done := make(chan error, 1)
	go func() {
		done <- c.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Value: []byte("v")}).FirstErr()
	}()
	if err := f.Wait(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	f.Remove()
	if err := <-done; err != nil {
		t.Errorf("produce after the fault: %v", err)
	}
}

func TestAMutedBrokerAnswersNothing(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(1, "orders"))
	unmute := b.Mute(kmsg.ListOffsets)
	c := b.Client(kgo.RequestRetries(0))
	req := kmsg.NewPtrListOffsetsRequest()
	rt, rp := kmsg.NewListOffsetsRequestTopic(), kmsg.NewListOffsetsRequestTopicPartition()
	rt.Topic = "orders"
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := req.RequestWith(ctx, c); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("muted: %v", err)
	}
	unmute()
	fresh := b.Client()
	if _, err := req.RequestWith(t.Context(), fresh); err != nil {
		t.Errorf("unmuted: %v", err)
	}
}

func TestCutConnectionsAreDialledAgain(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(1, "orders"))
	brokertest.Produce(t, b, message("before"))
	b.CutConnections()
	brokertest.Produce(t, b, message("after"))
	if got := b.WaitRecords(t, "orders", 2); string(got[1].Value) != "after" {
		t.Errorf("records %v", got)
	}
}

func TestLeadersAndNodesMove(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(1, "orders"), brokertest.Nodes(2))
	to := 1 - b.LeaderFor("orders", 0)
	b.MoveTopicPartition("orders", 0, to)
	if at := b.LeaderFor("orders", 0); at != to {
		t.Errorf("leader %d, want %d", at, to)
	}
	brokertest.Produce(t, b, message("moved"))
	id := b.AddNode()
	if id != 2 || len(b.Addrs()) != 3 {
		t.Errorf("node %d of %v", id, b.Addrs())
	}
	b.RemoveNode(to)
	b.CutConnections()
	b.ShufflePartitionLeaders()
	b.RehashCoordinators()
	if got := b.Records(t, "orders"); len(got) != 1 || b.CoordinatorFor("g") == to {
		t.Errorf("%d records; coordinator %d", len(got), b.CoordinatorFor("g"))
	}
}

func TestTheLogCanStartLater(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(1, "orders"))
	brokertest.Produce(t, b, message("0"), message("1"), message("2"))
	b.DeleteRecords("orders", 0, 2)
	if p := b.PartitionInfo("orders", 0); p.LogStartOffset != 2 || p.HighWatermark != 3 {
		t.Errorf("partition %+v", p)
	}
	if got := b.Records(t, "orders"); len(got) != 1 || got[0].Offset != 2 {
		t.Errorf("records %v", got)
	}
	b.DeleteRecords("orders", 0, -1)
	if got := b.Records(t, "orders"); len(got) != 0 {
		t.Errorf("records of an empty log %v", got)
	}
}

func TestCompactionLeavesHoles(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.TopicWith("state", 1, map[string]string{"cleanup.policy": "compact", "segment.bytes": "1"}))
	m := queue.Message{Topic: "state", Key: []byte("k"), Value: []byte("v"), Time: time.Now()}
	for range 3 {
		brokertest.Produce(t, b, m)
	}
	b.Compact()
	if got := b.Records(t, "state"); len(got) == 3 || got[len(got)-1].Offset != 2 {
		t.Errorf("records %v", got)
	}
}

func TestAbortedRecordsAreNotRecords(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(1, "orders"))
	c := b.Client(kgo.TransactionalID("foreign"), kgo.DefaultProduceTopic("orders"))
	for _, commit := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort} {
		if err := c.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := c.ProduceSync(t.Context(), &kgo.Record{Value: []byte("v")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := c.EndTransaction(t.Context(), commit); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.Records(t, "orders"); len(got) != 1 || got[0].Offset != 0 {
		t.Errorf("records %v", got)
	}
}

func TestAnOldBrokerIsOld(t *testing.T) {
	t.Parallel()
	for _, old := range []brokertest.Option{brokertest.KafkaVersion("2.1"), brokertest.MaxVersions(kversion.V2_1_0())} {
		b := brokertest.Start(t, brokertest.Topics(1, "orders"), old, brokertest.MinSession(time.Second))
		brokertest.Produce(t, b, message("v"))
		b.Commit(t, "g", "orders", 0, 1)
		b.WaitCommitted(t, "g", "orders", 0, 1)
		resp, err := kmsg.NewPtrApiVersionsRequest().RequestWith(t.Context(), b.Client())
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range resp.ApiKeys {
			if kmsg.Key(k.ApiKey) == kmsg.OffsetFetch && k.MaxVersion != 5 {
				t.Errorf("OffsetFetch up to version %d, 2.1 had 5", k.MaxVersion)
			}
		}
	}
}

func TestGroupsAreWaitedFor(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(2, "orders"), brokertest.SleepOutOfOrder())
	c := b.Client(kgo.ConsumerGroup("g"), kgo.ConsumeTopics("orders"))
	if info := b.WaitGroupStable("g", 1); info.NumAssigned() != 2 {
		t.Errorf("%d partitions are assigned", info.NumAssigned())
	}
	if b.GroupInfo("nobody") != nil {
		t.Error("a group that does not exist")
	}
	c.Close()
	b.WaitGroup("g", func(g *brokertest.GroupInfo) bool { return g != nil && len(g.Members) == 0 })
}

func TestASleepingAnswerLetsOthersPass(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(1, "orders"))
	wake := make(chan struct{})
	nodes := make(chan int32, 1)
	b.ControlKey(kmsg.Produce, func(kmsg.Request) (kmsg.Response, error, bool) {
		nodes <- b.CurrentNode()
		b.SleepControl(func() { <-wake })
		b.DropControl()
		return nil, nil, false
	})
	slow := make(chan error, 1)
	c := b.Client()
	go func() {
		slow <- c.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Value: []byte("slow")}).FirstErr()
	}()
	if n := <-nodes; n != 0 {
		t.Errorf("node %d", n)
	}
	b.Commit(t, "g", "orders", 0, 0) // another connection goes on
	close(wake)
	if err := <-slow; err != nil {
		t.Error(err)
	}
}

func TestABrokerOnDiskComesBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open := func() *brokertest.Broker {
		return brokertest.Start(t, brokertest.OnDisk(dir), brokertest.With(func(o *broker.Options) { o.Reserve = 1 }))
	}
	b := open()
	b.CreateTopic("orders", 1, nil)
	b.CreateTopic("gone", 1, nil)
	b.DeleteTopic("gone")
	brokertest.Produce(t, b, message("v"))
	b.Stop()
	b.Stop()
	b = open()
	if got := b.Records(t, "orders"); len(got) != 1 || b.PartitionInfo("gone", 0) != nil {
		t.Errorf("records %v", got)
	}
}
