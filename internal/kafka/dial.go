package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"commerce.internal/orderctl/internal/queue"
)

// Client is a sarama client whose connections can be cut.
type Client struct {
	sarama.Client
	line *lifeline
}

// Cut closes every connection of the client at once and refuses new ones, so that whatever waits for an answer fails
// within moments. context.AfterFunc(ctx, client.Cut) makes a call of sarama honour a context. The client must still be
// closed.
func (c *Client) Cut() { c.line.cut() }

// Close closes the client. It does not wait for answers that may never come.
func (c *Client) Close() error {
	c.line.cut()
	if err := c.Client.Close(); err != nil && !errors.Is(err, sarama.ErrClosedClient) {
		return fmt.Errorf("close kafka client: %w", err)
	}
	return nil
}

// Dial returns a client once one of the brokers has let us in. It honours ctx, which sarama alone does not: a port that
// accepts and never answers holds sarama's own constructor for minutes. Its errors say what failed and what to do.
func Dial(ctx context.Context, o Options, p Purpose) (*Client, error) {
	cfg, err := NewConfig(o, p)
	if err != nil {
		return nil, err
	}
	if err := o.await(ctx, cfg); err != nil {
		return nil, err
	}
	line := newLifeline(ctx, DialTimeout)
	cfg.Net.Proxy.Enable, cfg.Net.Proxy.Dialer = true, line
	client, err := sarama.NewClient(o.Brokers, cfg)
	if err != nil {
		line.cut()
		return nil, fmt.Errorf("make kafka client: %w", err)
	}
	return &Client{Client: client, line: line}, nil
}

// await probes the brokers until one answers, one refuses us, or Grace is over.
func (o Options) await(ctx context.Context, cfg *sarama.Config) error {
	end := time.Now().Add(o.Grace)
	for pause := 250 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := o.probe(ctx, cfg)
		if err == nil || !errors.Is(err, queue.ErrUnreachable) || time.Now().Add(pause).After(end) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}

// probe asks all brokers at once whether they let us in; one yes will do. The connections are thrown away.
func (o Options) probe(ctx context.Context, cfg *sarama.Config) error {
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, o.timeout())
	defer cancel()
	line := newLifeline(ctx, o.timeout())
	defer context.AfterFunc(ctx, line.cut)()
	defer line.cut()

	c := *cfg
	c.Net.DialTimeout, c.Net.ReadTimeout, c.Net.WriteTimeout = o.timeout(), o.timeout(), o.timeout()
	c.Net.Proxy.Enable, c.Net.Proxy.Dialer = true, line
	answers := make([]error, len(o.Brokers))
	var wg sync.WaitGroup
	for i, addr := range o.Brokers {
		wg.Go(func() {
			if answers[i] = ask(addr, &c); answers[i] == nil {
				line.cut() // the others need not answer any more
			}
		})
	}
	wg.Wait()
	for _, err := range answers {
		if err == nil {
			return nil
		}
	}
	if err := context.Cause(ctx); errors.Is(err, context.Canceled) {
		return fmt.Errorf("connect to kafka: %w", err)
	}
	return o.explain(answers, time.Since(start).Round(100*time.Millisecond))
}

// ask connects, logs in and asks one small question: a broker that wants a login answers nothing else without one.
func ask(addr string, c *sarama.Config) error {
	b := sarama.NewBroker(addr)
	if err := b.Open(c); err != nil {
		return fmt.Errorf("open %s: %w", addr, err)
	}
	connected, err := b.Connected()
	if !connected {
		if err == nil {
			err = sarama.ErrNotConnected
		}
		return err
	}
	defer func() { _ = b.Close() }()
	_, err = b.GetMetadata(sarama.NewMetadataRequest(c.Version, []string{"__consumer_offsets"}))
	return err
}
