package broker_test

import (
	"bytes"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A known limit of kfake: a read_committed answer that ends at the MaxBytes of the whole request does not list the aborted
// transactions that lie in it, so the reader takes their records for committed ones. Limit the partition instead, as
// internal/kafka/read does. When this test fails after an upgrade, the row in ARCHITECTURE.md can go, and that limit with it.
func TestAnAnswerThatHitsTheLimitOfTheRequestForgetsAbortedTransactions(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	if err := b.CreateTopic("orders", 1, nil); err != nil {
		t.Fatal(err)
	}
	cl := client(t, b.Addr(), kgo.TransactionalID("foreign"), kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	for range 4 { // four batches
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Value: bytes.Repeat([]byte("x"), 4000)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	if err := cl.EndTransaction(t.Context(), kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the transaction has ended", func() bool { return b.Cluster().PartitionInfo("orders", 0).LastStableOffset == 5 })
	fetch := func(whole, partition int32) kmsg.FetchResponseTopicPartition {
		req := kmsg.NewPtrFetchRequest()
		req.Version, req.MinBytes, req.MaxBytes, req.IsolationLevel, req.SessionEpoch = 11, 1, whole, 1, -1
		rt, rp := kmsg.NewFetchRequestTopic(), kmsg.NewFetchRequestTopicPartition()
		rt.Topic, rp.PartitionMaxBytes = "orders", partition
		rt.Partitions = append(rt.Partitions, rp)
		req.Topics = append(req.Topics, rt)
		return dial(t, b.Addr()).ask(req).(*kmsg.FetchResponse).Topics[0].Partitions[0]
	}
	const room, tight = 1 << 20, 9000 // two batches
	if p := fetch(room, room); len(p.AbortedTransactions) != 1 || len(p.RecordBatches) < 16_000 {
		t.Errorf("with room: %d aborted in %d bytes", len(p.AbortedTransactions), len(p.RecordBatches))
	}
	if p := fetch(room, tight); len(p.AbortedTransactions) != 1 || len(p.RecordBatches) < 4_000 || len(p.RecordBatches) > 16_000 {
		t.Errorf("with a limit of the partition: %d aborted in %d bytes", len(p.AbortedTransactions), len(p.RecordBatches))
	}
	if p := fetch(tight, room); len(p.AbortedTransactions) != 0 || len(p.RecordBatches) < 4_000 {
		t.Errorf("with a limit of the request: %d aborted in %d bytes; mended?", len(p.AbortedTransactions), len(p.RecordBatches))
	}
}
