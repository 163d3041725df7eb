package brokertest

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"commerce.internal/orderctl/internal/queue"
)

// TP names a partition.
type TP struct {
	Topic     string
	Partition int32
}

// Produce writes messages to the partitions they name and returns where they lie.
func Produce(t testing.TB, b *Broker, messages ...queue.Message) []queue.Position {
	t.Helper()
	ctx, cancel := b.within()
	defer cancel()
	c := b.Client(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.UnknownTopicRetries(0))
	defer c.Close()
	records := make([]*kgo.Record, len(messages))
	for i, m := range messages {
		records[i] = &kgo.Record{Topic: m.Topic, Partition: m.Partition, Key: m.Key, Value: m.Value, Timestamp: m.Time}
		for _, h := range m.Headers {
			records[i].Headers = append(records[i].Headers, kgo.RecordHeader{Key: h.Name, Value: h.Value})
		}
	}
	if err := c.ProduceSync(ctx, records...).FirstErr(); err != nil {
		t.Fatalf("brokertest: produce: %v", err)
	}
	at := make([]queue.Position, len(records))
	for i, r := range records {
		at[i] = queue.Position{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset}
	}
	return at
}

// Records returns what lies in a topic now: partition after partition, in order, without aborted transactions.
func (b *Broker) Records(t testing.TB, topic string) []queue.Record {
	t.Helper()
	infos := b.cluster.PartitionInfos(topic)
	if infos == nil {
		t.Fatalf("brokertest: no topic %s", topic)
	}
	from := map[int32]kgo.Offset{}
	ends := map[int32]int64{}
	for _, p := range infos {
		if p.LogStartOffset < p.LastStableOffset {
			from[p.Partition] = kgo.NewOffset().At(p.LogStartOffset)
			ends[p.Partition] = p.LastStableOffset
		}
	}
	read := b.readUntil(t, topic, from, ends)
	var all []queue.Record
	for _, p := range infos {
		all = append(all, read[p.Partition]...)
	}
	return all
}

func (b *Broker) readUntil(t testing.TB, topic string, from map[int32]kgo.Offset, ends map[int32]int64) map[int32][]queue.Record {
	t.Helper()
	got := map[int32][]queue.Record{}
	if len(ends) == 0 {
		return got
	}
	ctx, cancel := b.within()
	defer cancel()
	c := b.Client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	defer c.Close()
	for len(ends) > 0 {
		fs := c.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			t.Fatalf("brokertest: read %s: %v", topic, err)
		}
		fs.EachRecord(func(r *kgo.Record) {
			end, reading := ends[r.Partition]
			if reading && r.Offset < end && !r.Attrs.IsControl() {
				got[r.Partition] = append(got[r.Partition], record(r))
			}
			if r.Offset >= end-1 {
				delete(ends, r.Partition)
			}
		})
	}
	return got
}

func record(r *kgo.Record) queue.Record {
	out := queue.Record{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Key: r.Key, Value: r.Value, Time: r.Timestamp}
	for _, h := range r.Headers {
		out.Headers = append(out.Headers, queue.Header{Name: h.Key, Value: h.Value})
	}
	return out
}

// WaitRecords waits until a topic holds at least n records and returns all of them.
func (b *Broker) WaitRecords(t testing.TB, topic string, n int) []queue.Record {
	t.Helper()
	ctx, cancel := b.within()
	defer cancel()
	for {
		all := b.Records(t, topic)
		if len(all) >= n {
			return all
		}
		if err := pause(ctx); err != nil {
			t.Fatalf("brokertest: %s holds %d records, want %d: %v", topic, len(all), n, err)
		}
	}
}

// Commit commits an offset for a group without members.
func (b *Broker) Commit(t testing.TB, group, topic string, partition int32, offset int64) {
	t.Helper()
	ctx, cancel := b.within()
	defer cancel()
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.Generation = group, -1
	rt := kmsg.NewOffsetCommitRequestTopic()
	rt.Topic = topic
	if info := b.cluster.TopicInfo(topic); info != nil {
		rt.TopicID = info.TopicID
	}
	rp := kmsg.NewOffsetCommitRequestTopicPartition()
	rp.Partition, rp.Offset = partition, offset
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	c := b.Client()
	defer c.Close()
	resp, err := req.RequestWith(ctx, c)
	if err == nil {
		err = kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
	}
	if err != nil {
		t.Fatalf("brokertest: commit %s/%d of %s: %v", topic, partition, group, err)
	}
}

// Committed returns what a group has committed; empty when there is no such group.
func (b *Broker) Committed(_ testing.TB, group string) map[TP]int64 {
	all := map[TP]int64{}
	info := b.cluster.GroupInfo(group)
	if info == nil {
		return all
	}
	for topic, ps := range info.Commits {
		for p, c := range ps {
			all[TP{topic, p}] = c.Offset
		}
	}
	return all
}

// WaitCommitted waits until a group has committed at least an offset.
func (b *Broker) WaitCommitted(t testing.TB, group, topic string, partition int32, offset int64) {
	t.Helper()
	ctx, cancel := b.within()
	defer cancel()
	for {
		at, ok := b.Committed(t, group)[TP{topic, partition}]
		if ok && at >= offset {
			return
		}
		if err := pause(ctx); err != nil {
			t.Fatalf("brokertest: %s has committed %d of %s/%d, want %d: %v", group, at, topic, partition, offset, err)
		}
	}
}

// pause waits a moment between two looks, until ctx ends.
func pause(ctx context.Context) error {
	timer := time.NewTimer(20 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
