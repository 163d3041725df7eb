package admin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/IBM/sarama"

	"commerce.internal/orderctl/internal/kafka"
	"commerce.internal/orderctl/internal/queue"
)

const (
	coordinatorTries = 5
	coordinatorPause = 200 * time.Millisecond // before a coordinator that is not there yet is looked for again
)

// ErrMembers says that a group has members: its offsets are theirs to commit.
var ErrMembers = errors.New("the group has members")

// Offsets are offsets by topic and partition.
type Offsets map[string]map[int32]int64

// Commit sets the committed offsets of a group that has no members. An offset below 0 takes the commit away. The error
// names each partition that kept its offset.
func (a *Admin) Commit(ctx context.Context, group string, offsets Offsets) error {
	at, err := a.coordinator(ctx, group)
	if err != nil {
		return err
	}
	set, drop := &sarama.OffsetCommitRequest{ConsumerGroup: group, ConsumerGroupGeneration: sarama.GroupGenerationUndefined, Version: 6}, &sarama.DeleteOffsetsRequest{Group: group}
	sets, drops := 0, 0
	for topic, partitions := range offsets {
		for p, offset := range partitions {
			if offset < 0 {
				drop.AddPartition(topic, p)
				drops++
				continue
			}
			set.AddBlockWithLeaderEpoch(topic, p, offset, -1, 0, "")
			sets++
		}
	}
	if sets > 0 {
		err = a.commit(ctx, at, set, offsets)
	}
	if drops > 0 {
		err = errors.Join(err, a.drop(ctx, at, drop))
	}
	return err
}

func (a *Admin) commit(ctx context.Context, at kafka.Options, req *sarama.OffsetCommitRequest, offsets Offsets) error {
	res, err := kafka.Ask(ctx, at, func(b *sarama.Broker) (*sarama.OffsetCommitResponse, error) { return b.CommitOffset(req) })
	if err != nil {
		return fmt.Errorf("commit offsets of %s: %w", req.ConsumerGroup, err)
	}
	var errs []error
	for _, topic := range slices.Sorted(maps.Keys(offsets)) {
		for _, p := range slices.Sorted(maps.Keys(offsets[topic])) {
			if offsets[topic][p] < 0 {
				continue
			}
			code, answered := res.Errors[topic][p]
			if !answered {
				code = sarama.ErrUnknown
			}
			errs = append(errs, a.refused("commit offset of", req.ConsumerGroup, topic, p, code))
		}
	}
	return errors.Join(errs...)
}

func (a *Admin) drop(ctx context.Context, at kafka.Options, req *sarama.DeleteOffsetsRequest) error {
	res, err := kafka.Ask(ctx, at, func(b *sarama.Broker) (*sarama.DeleteOffsetsResponse, error) { return b.DeleteOffsets(req) })
	if err == nil && res.ErrorCode != sarama.ErrNoError {
		err = a.member(res.ErrorCode)
	}
	if err != nil {
		return fmt.Errorf("take away offsets of %s: %w", req.Group, err)
	}
	var errs []error
	for topic, partitions := range res.Errors {
		for p, code := range partitions {
			errs = append(errs, a.refused("take away offset of", req.Group, topic, p, code))
		}
	}
	return errors.Join(errs...)
}

func (a *Admin) refused(what, group, topic string, partition int32, code sarama.KError) error {
	if code == sarama.ErrNoError {
		return nil
	}
	return fmt.Errorf("%s %s on %s/%d: %w", what, group, topic, partition, a.member(code))
}

// member tells the codes that mean that somebody has joined.
func (a *Admin) member(code sarama.KError) error {
	switch code {
	case sarama.ErrUnknownMemberId, sarama.ErrIllegalGeneration, sarama.ErrNonEmptyGroup, sarama.ErrGroupSubscribedToTopic, sarama.ErrRebalanceInProgress:
		return fmt.Errorf("%w (%s)", ErrMembers, code.Error())
	}
	return a.kafka.Explain(code)
}

// coordinator returns the options of a client that asks the coordinator of a group alone. Kafka needs a moment for it
// where no group has ever been.
func (a *Admin) coordinator(ctx context.Context, group string) (kafka.Options, error) {
	req := &sarama.FindCoordinatorRequest{Version: 2, CoordinatorKey: group}
	for try := 1; ; try++ {
		res, err := kafka.Ask(ctx, a.kafka, func(b *sarama.Broker) (*sarama.FindCoordinatorResponse, error) { return b.FindCoordinator(req) })
		switch {
		case err != nil:
		case res.Err != sarama.ErrNoError:
			err = a.kafka.Explain(res.Err)
		case res.Coordinator == nil:
			err = a.kafka.Explain(sarama.ErrConsumerCoordinatorNotAvailable)
		default:
			at := a.kafka
			at.Brokers = []string{res.Coordinator.Addr()}
			return at, nil
		}
		if !errors.Is(err, sarama.ErrConsumerCoordinatorNotAvailable) || try == coordinatorTries || !pause(ctx) {
			return a.kafka, fmt.Errorf("find coordinator of %s: %w", group, err)
		}
	}
}

// pause waits, and reports whether ctx still holds.
func pause(ctx context.Context) bool {
	t := time.NewTimer(coordinatorPause)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func isDenied(err error) bool { return errors.Is(err, queue.ErrDenied) }
