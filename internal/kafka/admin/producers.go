package admin

import (
	"context"
	"fmt"
	"time"

	"github.com/IBM/sarama"

	"commerce.internal/orderctl/internal/kafka"
)

// OpenTransaction is a transaction that its producer has not ended.
type OpenTransaction struct {
	Topic     string
	Partition int32
	Producer  int64
	Epoch     int32
	Start     int64     // offset of its first record
	Last      time.Time // when its producer wrote last; zero: not known
}

// OpenTransactions asks the leaders of partitions who has a transaction open there. Brokers know this from 2.8 on.
func (a *Admin) OpenTransactions(ctx context.Context, topic string, partitions []int32) ([]OpenTransaction, error) {
	meta, err := kafka.Metadata(ctx, a.kafka, topic)
	if err != nil {
		return nil, fmt.Errorf("find leaders of %s: %w", topic, err)
	}
	addrs, mine := map[int32]string{}, map[int32][]int32{}
	for _, b := range meta.Brokers {
		addrs[b.ID()] = b.Addr()
	}
	wanted := map[int32]bool{}
	for _, p := range partitions {
		wanted[p] = true
	}
	for _, t := range meta.Topics {
		for _, p := range t.Partitions {
			if wanted[p.ID] {
				mine[p.Leader] = append(mine[p.Leader], p.ID)
			}
		}
	}
	var open []OpenTransaction
	for leader, ps := range mine {
		at := a.kafka
		at.Brokers = []string{addrs[leader]}
		if addrs[leader] == "" {
			continue
		}
		found, err := openAt(ctx, at, topic, ps)
		if err != nil {
			return open, err
		}
		open = append(open, found...)
	}
	return open, nil
}

func openAt(ctx context.Context, at kafka.Options, topic string, partitions []int32) ([]OpenTransaction, error) {
	req := &sarama.DescribeProducersRequest{Topics: []sarama.DescribeProducersRequestTopic{{Name: topic, PartitionIndexes: partitions}}}
	res, err := kafka.Ask(ctx, at, func(b *sarama.Broker) (*sarama.DescribeProducersResponse, error) { return b.DescribeProducers(req) })
	if err != nil {
		return nil, fmt.Errorf("describe producers of %s: %w", topic, err)
	}
	var open []OpenTransaction
	for _, t := range res.Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode != sarama.ErrNoError {
				return open, fmt.Errorf("describe producers of %s/%d: %w", t.Name, p.PartitionIndex, at.Explain(p.ErrorCode))
			}
			for _, s := range p.ActiveProducers {
				if s.CurrentTxnStartOffset < 0 {
					continue
				}
				x := OpenTransaction{Topic: t.Name, Partition: p.PartitionIndex, Producer: s.ProducerID, Epoch: s.ProducerEpoch, Start: s.CurrentTxnStartOffset}
				if s.LastTimestamp > 0 {
					x.Last = time.UnixMilli(s.LastTimestamp)
				}
				open = append(open, x)
			}
		}
	}
	return open, nil
}
