package observe

import (
	"context"
	"errors"
	"fmt"
	"io"
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

	mu      sync.Mutex
	brokers map[int32]*sarama.Broker
	silent  map[string]bool // addresses that let a question of this call run into its timeout
}

// errSilent stands for the answer of a broker that has just let another question wait in vain.
var errSilent = errors.New("broker does not answer")

func dial(ctx context.Context, o kafka.Options, m *memory) (*conn, error) {
	client, err := kafka.Dial(ctx, o, kafka.ForRead)
	if err != nil {
		return nil, err
	}
	// Types of groups and the groups of KIP-848 need the newest requests. Every broker is asked first which it knows, so
	// an old one gets old ones. No connection is open yet.
	client.Config().Version = sarama.MaxVersion
	m.forget()
	c := &conn{client: client, memory: m, brokers: map[int32]*sarama.Broker{}, silent: map[string]bool{}}
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
			_ = b.Close()
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

// ask sends one request to a broker.
func (c *conn) ask(id int32, request func(*sarama.Broker) error) error {
	c.mu.Lock()
	b, ok := c.brokers[id]
	c.mu.Unlock()
	if !ok {
		return fmt.Errorf("ask broker %d: %w", id, sarama.ErrBrokerNotFound)
	}
	return c.send(b, request)
}

// begin is called before each call: who was silent gets another chance.
func (c *conn) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.silent)
}

// askAny sends one request to whichever broker answers, to those that have answered before first.
func (c *conn) askAny(request func(*sarama.Broker) error) error {
	c.mu.Lock()
	all := make([]*sarama.Broker, 0, len(c.brokers)+len(c.seeds))
	for _, b := range c.brokers {
		all = append(all, b)
	}
	all = append(all, c.seeds...)
	slices.SortStableFunc(all, func(a, b *sarama.Broker) int { return c.doubt(a) - c.doubt(b) })
	c.mu.Unlock()
	var failed []error
	for _, b := range all {
		err := c.send(b, request)
		if err == nil {
			return nil
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// doubt is how little an answer is to be expected from a broker. The lock is held.
func (c *conn) doubt(b *sarama.Broker) int {
	connected, _ := b.Connected()
	switch {
	case c.silent[b.Addr()]:
		return 2
	case connected:
		return 0
	}
	return 1
}

// send asks a broker, unless it has been silent already. Whoever waits for one silent broker waits once.
func (c *conn) send(b *sarama.Broker, request func(*sarama.Broker) error) error {
	c.mu.Lock()
	silent := c.silent[b.Addr()]
	c.mu.Unlock()
	if silent {
		return fmt.Errorf("ask %s: %w", b.Addr(), errSilent)
	}
	err := c.attempt(b, request)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		c.mu.Lock()
		c.silent[b.Addr()] = true
		c.mu.Unlock()
	}
	return err
}

// attempt asks again on a fresh connection if the old one turns out to have been closed meanwhile, as brokers do with idle
// ones. A broker that does not answer is not asked again.
func (c *conn) attempt(b *sarama.Broker, request func(*sarama.Broker) error) error {
	idle := b.ID() >= 0
	for {
		if err := b.Open(c.client.Config()); err == nil {
			idle = false
		} else if !errors.Is(err, sarama.ErrAlreadyConnected) {
			return fmt.Errorf("open %s: %w", b.Addr(), err)
		}
		err := request(b)
		if err == nil || !broken(err) {
			return err
		}
		_ = b.Close()
		if !idle || !hungUp(err) {
			return err
		}
		idle = false
	}
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

// close ends all connections. It does not wait for answers.
func (c *conn) close() error {
	c.client.Cut()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range c.brokers {
		_ = b.Close()
	}
	for _, b := range c.seeds {
		_ = b.Close()
	}
	return c.client.Close()
}
