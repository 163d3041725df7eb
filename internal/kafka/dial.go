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
	line   *lifeline
	close  sync.Once // sarama's own Close panics when two call it at once
	closed error
}

// Cut closes every connection of the client at once and refuses new ones, so that whatever waits for an answer fails
// within moments. context.AfterFunc(ctx, client.Cut) makes a call of sarama honour a context. The client must still be
// closed.
func (c *Client) Cut() { c.line.cut() }

// Close closes the client. It does not wait for answers that may never come. Closing again does nothing.
func (c *Client) Close() error {
	c.close.Do(func() {
		c.line.cut()
		if err := c.Client.Close(); err != nil && !errors.Is(err, sarama.ErrClosedClient) {
			c.closed = fmt.Errorf("close kafka client: %w", err)
		}
	})
	return c.closed
}

// Dial returns a client once one of the brokers has let us in. It honours ctx, which sarama alone does not: a port that
// accepts and never answers holds sarama's own constructor for minutes. Its errors say what failed and what to do.
// Tweaks change the configuration of the purpose before it is used.
func Dial(ctx context.Context, o Options, p Purpose, tweaks ...func(*sarama.Config)) (*Client, error) {
	cfg, err := NewConfig(o, p)
	if err != nil {
		return nil, err
	}
	for _, tweak := range tweaks {
		tweak(cfg)
	}
	if err := o.await(ctx, cfg); err != nil {
		return nil, err
	}
	line := newLifeline(ctx, DialTimeout)
	cfg.Net.Proxy.Enable, cfg.Net.Proxy.Dialer = true, line
	cfg.Metadata.Retry.BackoffFunc = line.wait(cfg.Metadata.Retry.Backoff)
	cfg.Producer.Retry.BackoffFunc = line.wait(cfg.Producer.Retry.Backoff)
	cfg.Producer.Transaction.Retry.BackoffFunc = line.wait(cfg.Producer.Transaction.Retry.Backoff) // of the producer id
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
		_, err := first(ctx, o, cfg, probe)
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

// probe asks one small question: a broker that wants a login answers nothing else without one.
func probe(b *sarama.Broker) (bool, error) {
	_, err := b.GetMetadata(sarama.NewMetadataRequest(apiVersion(), []string{"__consumer_offsets"}))
	return true, err
}
