package observe

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"slices"
	"sync"
	"syscall"

	"github.com/IBM/sarama"

	"commerce.internal/orderctl/internal/kafka"
)

// conn is a set of connections to the brokers of a cluster. It asks brokers by itself: the lookups of sarama's client ask
// one partition at a time, and wait for leaders that may never come.
type conn struct {
	client *kafka.Client // owns the dialer of all connections; nothing else of it is used
	seeds  []*sarama.Broker

	memory *memory

	behind sync.WaitGroup // questions that nobody waits for any more

	mu      sync.Mutex
	brokers map[int32]*sarama.Broker
	heard   map[string]bool // addresses that have answered
	silent  map[string]bool // addresses that have let a question of this call wait in vain
}

func dial(ctx context.Context, o kafka.Options, m *memory) (*conn, error) {
	client, err := kafka.Dial(ctx, o, kafka.ForRead)
	if err != nil {
		return nil, err
	}
	// Types of groups and the groups of KIP-848 need the newest requests. Every broker is asked first which it knows, so
	// an old one gets old ones. No connection is open yet.
	client.Config().Version = sarama.MaxVersion
	m.forget()
	c := &conn{client: client, memory: m, brokers: map[int32]*sarama.Broker{}, heard: map[string]bool{}, silent: map[string]bool{}}
	for _, addr := range o.Brokers {
		c.seeds = append(c.seeds, sarama.NewBroker(addr))
	}
	return c, nil
}

// learn takes over the brokers that a metadata answer names.
func (c *conn) learn(brokers []*sarama.Broker) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := map[int32]*sarama.Broker{}
	for _, b := range brokers {
		if old, ok := c.brokers[b.ID()]; ok && old.Addr() == b.Addr() {
			b = old
		}
		known[b.ID()] = b
	}
	for id, b := range c.brokers {
		if known[id] != b {
			c.behind.Go(func() { _ = b.Close() }) // it waits for a handshake that is under way
		}
	}
	c.brokers = known
}

// ids returns the brokers of the cluster.
func (c *conn) ids() []int32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	ids := make([]int32, 0, len(c.brokers))
	for id := range c.brokers {
		ids = append(ids, id)
	}
	return ids
}

// broken reports whether the connection is of no use any more.
func broken(err error) bool {
	var timeout net.Error
	return hungUp(err) || errors.As(err, &timeout)
}

func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, sarama.ErrNotConnected)
}

// close ends all connections, and waits for what was left behind: with its connection gone it ends at once.
func (c *conn) close() error {
	c.client.Cut()
	c.mu.Lock()
	all := slices.Collect(maps.Values(c.brokers))
	c.mu.Unlock()
	for _, b := range append(all, c.seeds...) {
		_ = b.Close()
	}
	c.behind.Wait()
	return c.client.Close()
}
