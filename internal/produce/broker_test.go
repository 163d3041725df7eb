package produce_test

import (
	"context"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"commerce.internal/orderctl/internal/broker/brokertest"
	"commerce.internal/orderctl/internal/produce"
	"commerce.internal/orderctl/internal/queue"
)

// direct publishes with the client of the test broker.
type direct struct {
	ctx    context.Context //nolint:containedctx // of the test
	client *kgo.Client
}

func (d direct) Publish(m queue.Message, done func(queue.Ack, error)) error {
	r := &kgo.Record{Topic: m.Topic, Partition: m.Partition, Key: m.Key, Value: m.Value, Timestamp: m.Time}
	for _, h := range m.Headers {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: h.Name, Value: h.Value})
	}
	d.client.Produce(d.ctx, r, func(r *kgo.Record, err error) {
		done(queue.Ack{Position: queue.Position{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset}}, err)
	})
	return nil
}

// All 1,803 real orders lie in the topic, their bytes unchanged and each on the partition of its key.
func TestTheRealOrdersLieInTheTopic(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(6, "orders"))
	p := direct{t.Context(), b.Client(kgo.RecordPartitioner(kgo.ManualPartitioner()))}
	r := run(t.Context(), t, fromFile(p, produce.RealOrders()))
	if r.Acknowledged != 1_803 || r.ExitCode() != 0 {
		t.Fatalf("report %+v", r)
	}
	left := map[string]int{}
	for _, line := range realLines(t) {
		left[string(line)]++
	}
	records := b.Records(t, "orders")
	for _, rec := range records {
		left[string(rec.Value)]--
		if rec.Partition != partition(rec.Key, 6) {
			t.Errorf("key %s lies on partition %d", rec.Key, rec.Partition)
		}
		if mark, _ := queue.First(rec.Headers, queue.HeaderLoadTest); mark != r.RunID {
			t.Errorf("key %s is marked %q", rec.Key, mark)
		}
	}
	if len(records) != 1_803 {
		t.Errorf("%d records, want 1803", len(records))
	}
	for line, n := range left {
		if n != 0 {
			t.Errorf("a line lies there %d times too rarely: %.80s", n, line)
		}
	}
}
