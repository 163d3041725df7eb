// Package publish puts messages into Kafka: idempotent, acknowledged by all in-sync replicas, and never longer in the
// caller's way than the enqueue bound. It says what is certain about a message that failed, and nothing more: written,
// certainly not written, refused for ever, or unknown. It uses no transactions.
package publish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"

	"commerce.internal/orderctl/internal/kafka"
	"commerce.internal/orderctl/internal/queue"
)

// Options says what the producer holds itself to. Topics is required; zero elsewhere takes the value in brackets.
type Options struct {
	Topics         []string      // must be there at the start; their partition counts are pinned
	AckTimeout     time.Duration // what the broker gets to gather the acks of the replicas [3 s]
	RetryMax       int           // [20]
	RetryBackoff   time.Duration // [250 ms]
	Compression    string        // none, gzip, snappy, lz4, zstd [none]
	Linger         time.Duration // [0]
	MaxMessage     int           // bytes of one record [1,000,000]
	MaxBuffer      int64         // bytes of all records in flight [64 MiB]
	PerPartition   int           // records in flight [512]
	ChannelBuffer  int           // of sarama; twice PerPartition, so that a silent partition never blocks the others [1024]
	EnqueueTimeout time.Duration // how long Publish may wait for sarama [50 ms]
	Log            *slog.Logger
}

// Producer is the engine "async": sarama's AsyncProducer behind the contract of this package. New starts two goroutines
// that take its outcomes; Close waits for them.
type Producer struct {
	opts   Options
	log    *slog.Logger
	client *kafka.Client
	async  sarama.AsyncProducer

	senders sync.WaitGroup // Publish calls that may still touch async.Input
	drains  sync.WaitGroup
	open    atomic.Int32  // drains that have not ended
	drained chan struct{} // closed when sarama has told every outcome
	closing chan struct{} // closed by the first Close
	unknown atomic.Int64  // outcomes that turned out unknown since Close began

	successes, failures pulse // of the drains

	book
}

// New connects, checks that the topics are there, and starts the producer.
func New(ctx context.Context, k kafka.Options, o Options) (*Producer, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	counts, err := kafka.Partitions(ctx, k, o.Topics...)
	if err != nil {
		return nil, fmt.Errorf("start producer: %w", err)
	}
	client, err := kafka.Dial(ctx, k, kafka.ForPublish, o.apply)
	if err != nil {
		return nil, fmt.Errorf("start producer: %w", err)
	}
	// An idempotent producer asks for its id here; that must not outlast ctx.
	stop := context.AfterFunc(ctx, client.Cut)
	async, err := sarama.NewAsyncProducerFromClient(client.Client)
	if !stop() {
		if err == nil {
			async.AsyncClose()
		}
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = client.Close()
		return nil, fmt.Errorf("start producer: %w", explain(k, err))
	}
	p := &Producer{
		opts: o, log: o.Log, client: client, async: async,
		drained: make(chan struct{}), closing: make(chan struct{}), book: newBook(o, counts),
	}
	p.open.Store(2)
	p.drains.Go(p.drainSuccesses)
	p.drains.Go(p.drainErrors)
	return p, nil
}

// explain says what to do where a cluster refuses idempotent producers.
func explain(k kafka.Options, err error) error {
	err = k.Explain(err)
	var e *kafka.Error
	if errors.Is(err, sarama.ErrClusterAuthorizationFailed) && errors.As(err, &e) {
		e.Tip = "the cluster refuses idempotent producers: grant IDEMPOTENT_WRITE, or set kafka.idempotent: false"
	}
	return err
}

// Publish puts m on its way. An error says that m was certainly not written. Without one, done is called exactly once,
// perhaps much later and from another goroutine; it must not block. Key, Value and Headers of m belong to the producer
// until then.
func (p *Producer) Publish(m queue.Message, done func(queue.Ack, error)) error {
	f := newFlight(m, done)
	if f.size > p.opts.MaxMessage {
		return &queue.PublishError{Kind: queue.Rejected, Reason: "too-large", Err: fmt.Errorf("record of %d bytes, at most %d", f.size, p.opts.MaxMessage)}
	}
	if !m.Deadline.IsZero() && !time.Now().Before(m.Deadline) {
		return notSent("deadline", errExpired)
	}
	if err := p.admit(f, &p.senders); err != nil {
		return err
	}
	defer p.senders.Done()
	if p.handOver(f, m.Deadline) {
		return nil
	}
	p.forget(f)
	return notSent("busy", errBusy)
}

// handOver gives the record to sarama, waiting no longer than the enqueue bound.
func (p *Producer) handOver(f *flight, deadline time.Time) bool {
	msg := f.message()
	select {
	case p.async.Input() <- msg:
		return true
	default:
	}
	wait := p.opts.EnqueueTimeout
	if !deadline.IsZero() {
		wait = min(wait, time.Until(deadline))
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case p.async.Input() <- msg:
		return true
	case <-timer.C:
		return false
	}
}

// Partitions returns the partition count of a topic, as it was when this producer first saw it. A topic that grows later
// keeps its old count here, for keys would move.
func (p *Producer) Partitions(topic string) (int32, error) {
	if n := p.pinned(topic); n > 0 {
		return n, nil
	}
	all, err := p.client.Partitions(topic)
	if errors.Is(err, sarama.ErrUnknownTopicOrPartition) {
		return 0, kafka.NotFound(topic)
	}
	if err != nil {
		return 0, fmt.Errorf("describe topic %s: %w", topic, kafka.Classify(err, nil))
	}
	return p.pin(topic, int32(len(all))), nil //nolint:gosec // Kafka counts partitions in 32 bits
}

// Grown returns the topics that have another partition count now than the one that is pinned, by what is known without
// asking.
func (p *Producer) Grown() map[string]int32 {
	grown := map[string]int32{}
	for topic, n := range p.counts() {
		all, err := p.client.Partitions(topic)
		if err == nil && len(all) != int(n) {
			grown[topic] = int32(len(all)) //nolint:gosec // Kafka counts partitions in 32 bits
		}
	}
	return grown
}

func (p *Producer) drainSuccesses() {
	defer p.ended(&p.successes)
	for msg := range p.async.Successes() {
		p.successes.take()
		f := msg.Metadata.(*flight)
		p.settle(f, queue.Ack{Position: queue.Position{Topic: msg.Topic, Partition: msg.Partition, Offset: msg.Offset}}, nil)
		p.successes.pass()
	}
}

func (p *Producer) drainErrors() {
	defer p.ended(&p.failures)
	for failed := range p.async.Errors() {
		p.failures.take()
		f := failed.Msg.Metadata.(*flight)
		err := p.judge(f, failed.Err)
		if err.Kind == queue.Unknown && p.isClosing() {
			p.unknown.Add(1)
		}
		p.settle(f, queue.Ack{}, err)
		p.failures.pass()
	}
}

func (p *Producer) ended(loop *pulse) {
	loop.end()
	if p.open.Add(-1) == 0 {
		close(p.drained)
	}
}

func (p *Producer) isClosing() bool {
	select {
	case <-p.closing:
		return true
	default:
		return false
	}
}
