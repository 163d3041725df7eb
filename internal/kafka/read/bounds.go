package read

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/IBM/sarama"

	"commerce.internal/orderctl/internal/kafka"
	"commerce.internal/orderctl/internal/queue"
)

const (
	latest   = -1
	earliest = -2
)

// Bounds returns what there is to read in each partition of a topic. Where some partition cannot be told (no leader, no
// answer) it returns the others and an error that is queue.ErrPartial.
func (r *Reader) Bounds(ctx context.Context, topic string) (map[int32]Span, error) {
	var spans map[int32]Span
	err := r.with(ctx, func(c *kafka.Client) (err error) {
		spans, err = bounds(c, topic)
		return err
	})
	return spans, err
}

func bounds(c *kafka.Client, topic string) (map[int32]Span, error) {
	if err := c.RefreshMetadata(topic); err != nil && !moved(err) {
		return nil, fmt.Errorf("read metadata of %s: %w", topic, err)
	}
	partitions, err := c.Partitions(topic)
	if err != nil {
		return nil, fmt.Errorf("read partitions of %s: %w", topic, err)
	}
	spans := map[int32]Span{}
	var missing []int32
	var failed error
	for leader, mine := range byLeader(c, topic, partitions) {
		found, err := spansAt(leader, topic, mine)
		if err != nil {
			failed = err
		}
		for _, p := range mine {
			if s, ok := found[p]; ok {
				spans[p] = s
			}
		}
	}
	for _, p := range partitions {
		if _, ok := spans[p]; !ok {
			missing = append(missing, p)
		}
	}
	switch {
	case len(missing) == 0:
		return spans, nil
	case len(spans) == 0 && failed != nil:
		return nil, fmt.Errorf("list offsets of %s: %w", topic, failed)
	default:
		return spans, fmt.Errorf("list offsets of %s: partitions %v did not answer: %w", topic, missing, queue.ErrPartial)
	}
}

// byLeader groups partitions by their leader; those without one are left out. Only writable partitions are looked up: to
// look for a leader that does not exist would ask the cluster each time.
func byLeader(c *kafka.Client, topic string, partitions []int32) map[*sarama.Broker][]int32 {
	writable, err := c.WritablePartitions(topic)
	if err != nil {
		return nil
	}
	leaders := map[*sarama.Broker][]int32{}
	for _, p := range partitions {
		if !slices.Contains(writable, p) {
			continue
		}
		if b, err := c.Leader(topic, p); err == nil {
			leaders[b] = append(leaders[b], p)
		}
	}
	return leaders
}

// spansAt asks one leader for start and end of its partitions.
func spansAt(leader *sarama.Broker, topic string, partitions []int32) (map[int32]Span, error) {
	starts, err := offsetsAt(leader, topic, partitions, earliest)
	if err != nil {
		return nil, err
	}
	ends, err := offsetsAt(leader, topic, partitions, latest)
	if err != nil {
		return nil, err
	}
	spans := map[int32]Span{}
	for p, start := range starts {
		if end, ok := ends[p]; ok {
			spans[p] = Span{Start: start, End: max(start, end)}
		}
	}
	return spans, nil
}

func offsetsAt(leader *sarama.Broker, topic string, partitions []int32, at int64) (map[int32]int64, error) {
	req := sarama.NewOffsetRequest(sarama.V2_8_0_0)
	if at == latest {
		req.IsolationLevel = sarama.ReadCommitted
	}
	for _, p := range partitions {
		req.AddBlock(topic, p, at, 1)
	}
	res, err := leader.GetAvailableOffsets(req)
	if err != nil {
		if broken(err) {
			_ = leader.Close() // the next question opens it again
		}
		return nil, fmt.Errorf("ask broker %d: %w", leader.ID(), err)
	}
	found := map[int32]int64{}
	var refused error
	for _, p := range partitions {
		b := res.GetBlock(topic, p)
		switch {
		case b == nil:
		case b.Err != sarama.ErrNoError:
			refused = b.Err
		default:
			found[p] = b.Offset
		}
	}
	if len(found) == 0 && refused != nil {
		return nil, fmt.Errorf("ask broker %d: %w", leader.ID(), refused)
	}
	return found, nil
}

// OffsetAt returns the offset of the first record of a partition that is at least as young as t, -1 if there is none.
func (r *Reader) OffsetAt(ctx context.Context, topic string, partition int32, t time.Time) (int64, error) {
	offset := int64(-1)
	err := r.with(ctx, func(c *kafka.Client) error {
		return withLeader(ctx, c, topic, partition, func(leader *sarama.Broker) error {
			found, err := offsetsAt(leader, topic, []int32{partition}, max(t.UnixMilli(), 0)) // below 0 are words, not times
			if err != nil {
				return err
			}
			at, ok := found[partition]
			if !ok {
				return sarama.ErrIncompleteResponse
			}
			offset = at
			return nil
		})
	})
	if err != nil {
		return -1, fmt.Errorf("find offset of %s/%d at %s: %w", topic, partition, t.Format(time.RFC3339), err)
	}
	return offset, nil
}

// withLeader asks the leader of a partition; if it has moved or gone, its successor, once.
func withLeader(ctx context.Context, c *kafka.Client, topic string, partition int32, ask func(*sarama.Broker) error) error {
	for fresh := false; ; fresh = true {
		leader, err := c.Leader(topic, partition)
		if err == nil {
			err = ask(leader)
		}
		if err == nil || fresh || ctx.Err() != nil || !moved(err) && !broken(err) {
			return err
		}
		if leader != nil && broken(err) {
			_ = leader.Close()
		}
		if err := c.RefreshMetadata(topic); err != nil && !moved(err) {
			return fmt.Errorf("find the leader of %s/%d: %w", topic, partition, err)
		}
	}
}
