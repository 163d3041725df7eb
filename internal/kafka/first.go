package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

// Ask asks the brokers of o one question over connections of its own, all of them at once, and returns the first answer.
// It honours ctx and o.Timeout. The question must only read: several brokers may hear it.
func Ask[T any](ctx context.Context, o Options, question func(*sarama.Broker) (T, error)) (T, error) {
	cfg, err := NewConfig(o, ForRead)
	if err != nil {
		var none T
		return none, err
	}
	return first(ctx, o, cfg, question)
}

// first asks all brokers of o the same question at once, each over a connection that is thrown away, and returns the
// answer of one. Without any it says why, by the broker that told most.
func first[T any](ctx context.Context, o Options, cfg *sarama.Config, question func(*sarama.Broker) (T, error)) (T, error) {
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, o.timeout())
	defer cancel()
	line := newLifeline(ctx, o.timeout())
	defer context.AfterFunc(ctx, line.cut)()
	defer line.cut()

	c := *cfg
	c.Net.DialTimeout, c.Net.ReadTimeout, c.Net.WriteTimeout = o.timeout(), o.timeout(), o.timeout()
	c.Net.Proxy.Enable, c.Net.Proxy.Dialer = true, line
	answers, errs := make([]T, len(o.Brokers)), make([]error, len(o.Brokers))
	var wg sync.WaitGroup
	for i, addr := range o.Brokers {
		wg.Go(func() {
			if answers[i], errs[i] = ask(addr, &c, question); errs[i] == nil {
				line.cut() // the others need not answer any more
			}
		})
	}
	wg.Wait()
	for i, err := range errs {
		if err == nil {
			return answers[i], nil
		}
	}
	var none T
	if err := context.Cause(ctx); errors.Is(err, context.Canceled) {
		return none, fmt.Errorf("connect to kafka: %w", err)
	}
	waited := time.Since(start).Round(100 * time.Millisecond)
	if o.Timeout > 0 { // what was asked for, not what a busy machine made of it
		waited = min(waited, o.Timeout)
	}
	return none, o.explain(errs, waited)
}

func ask[T any](addr string, c *sarama.Config, question func(*sarama.Broker) (T, error)) (T, error) {
	var none T
	b := sarama.NewBroker(addr)
	if err := b.Open(c); err != nil {
		return none, fmt.Errorf("open %s: %w", addr, err)
	}
	connected, err := b.Connected()
	if !connected {
		if err == nil {
			err = sarama.ErrNotConnected
		}
		return none, err
	}
	defer func() { _ = b.Close() }()
	return question(b)
}
