//go:build crash

package crash

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"commerce.internal/orderctl/internal/queue"
)

// patience bounds one look at Kafka or at the database.
const patience = 30 * time.Second

// kafka reads and writes topics, not by the client that the binary uses.
type kafka struct{ addr string }

func (k kafka) client(opts ...kgo.Opt) (*kgo.Client, error) {
	// Up to 2.5: later versions of OffsetFetch ask for many groups at once.
	return kgo.NewClient(append(opts, kgo.SeedBrokers(k.addr), kgo.MaxVersions(kversion.V2_5_0()))...)
}

// ends returns where the partitions of a topic end.
func (k kafka) ends(ctx context.Context, cl *kgo.Client, topic string) (map[int32]int64, error) {
	meta := kmsg.NewPtrMetadataRequest()
	mt := kmsg.NewMetadataRequestTopic()
	mt.Topic = kmsg.StringPtr(topic)
	meta.Topics = append(meta.Topics, mt)
	m, err := meta.RequestWith(ctx, cl)
	if err != nil {
		return nil, err
	}
	ask := kmsg.NewListOffsetsRequestTopic()
	ask.Topic = topic
	for _, p := range m.Topics[0].Partitions {
		part := kmsg.NewListOffsetsRequestTopicPartition()
		part.Partition, part.Timestamp = p.Partition, -1
		ask.Partitions = append(ask.Partitions, part)
	}
	if len(ask.Partitions) == 0 {
		return nil, fmt.Errorf("topic %s has no partitions: code %d", topic, m.Topics[0].ErrorCode)
	}
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID, req.Topics = -1, append(req.Topics, ask)
	out := map[int32]int64{}
	for _, shard := range cl.RequestSharded(ctx, req) {
		resp, ok := shard.Resp.(*kmsg.ListOffsetsResponse)
		if shard.Err != nil || !ok {
			return nil, fmt.Errorf("ask for the ends of %s: %w", topic, shard.Err)
		}
		for _, p := range resp.Topics[0].Partitions {
			if p.ErrorCode != 0 {
				return nil, fmt.Errorf("ask for the end of %s/%d: code %d", topic, p.Partition, p.ErrorCode)
			}
			out[p.Partition] = p.Offset
		}
	}
	return out, nil
}

// read returns all records of a topic, by partition and offset.
func (k kafka) read(ctx context.Context, topic string) ([]queue.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cl, err := k.client()
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	ends, err := k.ends(ctx, cl, topic)
	if err != nil {
		return nil, err
	}
	from := map[int32]kgo.Offset{}
	for p, end := range ends {
		if end > 0 {
			from[p] = kgo.NewOffset().AtStart()
		}
	}
	if len(from) == 0 {
		return nil, nil
	}
	reader, err := k.client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}))
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	var all []queue.Record
	for left := len(from); left > 0; {
		f := reader.PollFetches(ctx)
		if err := f.Err0(); err != nil {
			return nil, fmt.Errorf("read %s: %w", topic, err)
		}
		f.EachRecord(func(r *kgo.Record) {
			if r.Offset < ends[r.Partition] {
				all = append(all, record(r))
			}
			if r.Offset == ends[r.Partition]-1 {
				left--
			}
		})
	}
	slices.SortFunc(all, func(a, b queue.Record) int {
		if a.Partition != b.Partition {
			return int(a.Partition - b.Partition)
		}
		return int(a.Offset - b.Offset)
	})
	return all, nil
}

func record(r *kgo.Record) queue.Record {
	out := queue.Record{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Key: r.Key, Value: r.Value, Time: r.Timestamp}
	for _, h := range r.Headers {
		out.Headers = append(out.Headers, queue.Header{Name: h.Key, Value: h.Value})
	}
	return out
}

// committed returns the commits of a group, by topic and partition.
func (k kafka) committed(ctx context.Context, group string, topics []string) (map[queue.Position]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cl, err := k.client()
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Group = group
	for _, topic := range topics {
		ends, err := k.ends(ctx, cl, topic)
		if err != nil {
			return nil, err
		}
		t := kmsg.NewOffsetFetchRequestTopic()
		t.Topic = topic
		for p := range ends {
			t.Partitions = append(t.Partitions, p)
		}
		req.Topics = append(req.Topics, t)
	}
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return nil, err
	}
	out := map[queue.Position]int64{}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode != 0 {
				return nil, fmt.Errorf("commit of %s/%d: code %d", t.Topic, p.Partition, p.ErrorCode)
			}
			out[queue.Position{Topic: t.Topic, Partition: p.Partition}] = max(p.Offset, 0)
		}
	}
	return out, nil
}

// write produces records and waits for the acks.
func (k kafka) write(ctx context.Context, messages ...queue.Message) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cl, err := k.client(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DisableIdempotentWrite(), kgo.RequiredAcks(kgo.AllISRAcks()))
	if err != nil {
		return err
	}
	defer cl.Close()
	records := make([]*kgo.Record, len(messages))
	for i, m := range messages {
		records[i] = &kgo.Record{Topic: m.Topic, Partition: m.Partition, Key: m.Key, Value: m.Value}
		for _, h := range m.Headers {
			records[i].Headers = append(records[i].Headers, kgo.RecordHeader{Key: h.Name, Value: h.Value})
		}
	}
	return cl.ProduceSync(ctx, records...).FirstErr()
}

// replayOf is the record with which an operator sends a letter back to its group.
func replayOf(letter queue.Record, job string, names queue.Names) queue.Message {
	t := queue.ReadTrail(letter.Headers)
	t.Hop, t.ReplayID, t.ReplayCount, t.Attempts = t.Hop+1, job, t.ReplayCount+1, 0
	t.ReplayOf = strconv.Itoa(int(letter.Partition)) + "/" + strconv.FormatInt(letter.Offset, 10)
	t.NotBefore, t.BlockedBy, t.Class, t.Code, t.Message = time.Time{}, "", "", "", ""
	return queue.Message{
		Topic: names.Replay(), Partition: letter.Partition, Key: letter.Key, Value: letter.Value, Headers: t.Append(letter.Headers),
	}
}
