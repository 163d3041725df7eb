package publish

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"commerce.internal/orderctl/internal/queue"
)

// cutGrace is how long sarama gets to tell the outcomes once its connections are cut.
const cutGrace = 2 * time.Second

// Close refuses new records, waits until the outcomes of all others are known or ctx is done, and releases everything.
// Where ctx ends first, done is called for each record that is left, and the error counts those whose outcome is
// unknown. It may race with Publish; a second call waits for the same end.
func (p *Producer) Close(ctx context.Context) error {
	if p.shut() {
		close(p.closing)
		p.senders.Wait() // at most the enqueue bound: nobody sends to Input afterwards
		p.async.AsyncClose()
	}
	select {
	case <-p.drained:
		p.drains.Wait()
	case <-ctx.Done():
		p.client.Cut() // what waits for an answer fails now, and sarama tells so
		p.abandon()
	}
	err := p.client.Close()
	if n := p.unknown.Load(); n > 0 {
		return fmt.Errorf("close producer: the outcome of %d records is unknown", n)
	}
	return err
}

// abandon waits for sarama to end, which it does within moments of the cut; what it has not told then we say ourselves.
func (p *Producer) abandon() {
	timer := time.NewTimer(cutGrace)
	defer timer.Stop()
	select {
	case <-p.drained:
		p.drains.Wait()
		return
	case <-timer.C:
	}
	for _, f := range p.left() {
		err := p.judge(f, errClosed)
		if err.Kind == queue.Unknown {
			p.unknown.Add(1)
		}
		p.settle(f, queue.Ack{}, err)
	}
	p.log.Error("the kafka client did not end in time", slog.Duration("after", cutGrace))
}
