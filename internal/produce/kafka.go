package produce

import (
	"context"
	"errors"
	"time"

	"commerce.internal/orderctl/internal/queue"
)

// busyPause is how long a record waits when the publisher was full although it had just had room.
const busyPause = time.Millisecond

// awayPause is how long a run without a rate waits after a record that was not sent.
const awayPause = 10 * time.Millisecond

// topicTarget hands records to a publisher.
type topicTarget struct {
	k     *Kafka
	o     Options
	tally *tally
}

// fire waits for room and publishes. It returns when the record is handed over, has failed, or ctx is done.
func (k *topicTarget) fire(ctx context.Context, s *shot) {
	k.tally.begin()
	// The outcome may come long after the run was asked to end, and is logged then.
	late := context.WithoutCancel(ctx)
	mark := k.o.RunID
	if k.o.demo {
		mark = ""
	}
	m := s.message(k.k, mark, requestID(k.o.RunID, s.number), time.Now())
	for {
		if !k.room(ctx, m) {
			k.tally.retract()
			return
		}
		s.handed = time.Now()
		m.Time = s.handed
		err := k.k.Publisher.Publish(m, func(_ queue.Ack, err error) { k.tally.settle(late, s, published(err)) })
		if err == nil {
			return
		}
		if !busy(err) || !pause(ctx, busyPause) {
			k.tally.settle(late, s, published(err))
			k.o.spare(ctx)
			return
		}
	}
}

func (k *topicTarget) room(ctx context.Context, m queue.Message) bool {
	if k.k.Room == nil {
		return ctx.Err() == nil
	}
	return k.k.Room(ctx, m.Topic, m.Partition) == nil
}

// drain has nothing to do: the publisher answers by itself.
func (k *topicTarget) drain(context.Context) {}

// busy reports whether the publisher only asks for patience.
func busy(err error) bool {
	var p *queue.PublishError
	return errors.As(err, &p) && p.Kind == queue.NotSent && p.Reason == "busy"
}

// published turns the answer of a publisher into an outcome.
func published(err error) outcome {
	if err == nil {
		return outcome{kind: acknowledged}
	}
	out := outcome{kind: unknown, code: "other", err: err}
	switch queue.KindOf(err) {
	case queue.NotSent:
		out.kind = notSent
	case queue.Rejected:
		out.kind = rejected
	}
	var p *queue.PublishError
	if errors.As(err, &p) && p.Reason != "" {
		out.code = p.Reason
	}
	return out
}

// spare waits a little after a record that was not sent where no rate was asked: nothing else keeps a target that is away
// from being hammered.
func (o Options) spare(ctx context.Context) {
	if o.Rate.max || o.Rate.IsZero() {
		pause(ctx, awayPause)
	}
}

// pause waits; false: ctx was done first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
