package dlq

import (
	"context"
	"errors"
	"fmt"

	"commerce.internal/orderctl/internal/failpoint"
	"commerce.internal/orderctl/internal/queue"
)

// Producer hands messages to Kafka. done is called once for each that was taken, when all in-sync replicas have it or it
// has failed.
type Producer interface {
	Publish(m queue.Message, done func(queue.Ack, error)) error
}

// sendTries is how often a message that was refused, or whose fate is not known, is sent.
const sendTries = 3

// ErrUnsent says that a batch, or a part of it, may not have been written. The ledger knows which: run again.
var ErrUnsent = errors.New("not all was acknowledged")

// sent is the outcome of one message.
type sent struct {
	at  queue.Position
	err error
}

// send hands over messages in order and waits for every outcome. after is the failpoint behind each: a function and not a name,
// which would stay in a release.
func send(ctx context.Context, p Producer, messages []queue.Message, after func()) ([]sent, error) {
	type outcome struct {
		i int
		sent
	}
	outcomes := make(chan outcome, len(messages))
	for i, m := range messages {
		err := p.Publish(m, func(a queue.Ack, err error) { outcomes <- outcome{i, sent{a.Position, err}} })
		if err != nil {
			outcomes <- outcome{i, sent{err: err}}
		}
		after()
	}
	all := make([]sent, len(messages))
	for range messages {
		select {
		case o := <-outcomes:
			all[o.i] = o.sent
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for acknowledgements: %w", context.Cause(ctx))
		}
	}
	return all, nil
}

// write sends entries of the ledger: each is acknowledged, or this fails. Written twice they say the same.
func write(ctx context.Context, p Producer, messages []queue.Message) error {
	if len(messages) == 0 {
		return nil
	}
	left := messages
	for try := 1; ; try++ {
		outcomes, err := send(ctx, p, left, func() { failpoint.Hit("ledger-sending") })
		if err != nil {
			return err
		}
		var failed []queue.Message
		for i, o := range outcomes {
			if o.err != nil {
				failed, err = append(failed, left[i]), o.err
			}
		}
		if len(failed) == 0 {
			return nil
		}
		if try == sendTries || denied(err) {
			return fmt.Errorf("write to %s: %w: %w", left[0].Topic, unsent(err), err)
		}
		left = failed
	}
}

func denied(err error) bool { return errors.Is(err, queue.ErrDenied) }

// unsent is what a failed send means: with a missing right nothing was written, and no other run will help.
func unsent(err error) error {
	if denied(err) {
		return queue.ErrDenied
	}
	return ErrUnsent
}
