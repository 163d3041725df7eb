package observe

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/IBM/sarama"

	"commerce.internal/orderctl/internal/kafka"
)

const (
	// hasty is how long one broker of many may take to answer before another one is asked.
	hasty = 700 * time.Millisecond
	// patient is how long an answer may take at all. sarama would wait three times as long for a broker that takes
	// connections and is silent: twice for the handshake, and then for the answer.
	patient = kafka.ReadReadTimeout + 500*time.Millisecond
)

// silence is the answer of a broker that lets questions wait in vain. It is a timeout as net knows them.
type silence struct{ addr string }

// Error implements error.
func (s silence) Error() string { return s.addr + " does not answer" }

// Timeout implements net.Error.
func (silence) Timeout() bool { return true }

// Temporary implements net.Error.
func (silence) Temporary() bool { return true }

var _ net.Error = silence{}

// ask sends one request to a broker. The request is run beside the caller, who may have gone when it ends: it must touch
// nothing but what it returns.
func ask[T any](c *conn, id int32, request func(*sarama.Broker) (T, error)) (T, error) {
	c.mu.Lock()
	b, ok := c.brokers[id]
	c.mu.Unlock()
	if !ok {
		var none T
		return none, fmt.Errorf("ask broker %d: %w", id, sarama.ErrBrokerNotFound)
	}
	return send(c, b, patient, request)
}

// askAny sends one request to whichever broker answers: to those that have answered before first, and to each but for a
// moment, before it has patience with them.
func askAny[T any](c *conn, request func(*sarama.Broker) (T, error)) (T, error) {
	var failed []error
	for _, limit := range []time.Duration{hasty, patient} {
		failed = nil
		for _, b := range c.likely() {
			v, err := send(c, b, limit, request)
			if err == nil {
				return v, nil
			}
			failed = append(failed, err)
		}
	}
	var none T
	return none, errors.Join(failed...)
}

// likely are all brokers, those first from which an answer may be expected.
func (c *conn) likely() []*sarama.Broker {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]*sarama.Broker, 0, len(c.brokers)+len(c.seeds))
	for _, b := range c.brokers {
		all = append(all, b)
	}
	all = append(all, c.seeds...)
	doubt := func(b *sarama.Broker) int {
		switch {
		case c.silent[b.Addr()]:
			return 2
		case c.heard[b.Addr()]:
			return 0
		}
		return 1
	}
	slices.SortStableFunc(all, func(a, b *sarama.Broker) int { return cmp.Compare(doubt(a), doubt(b)) })
	return all
}

// begin is called before each call: who was silent gets another chance.
func (c *conn) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.silent)
}

// send asks a broker, unless it has been silent already: whoever waits for a silent broker waits once.
func send[T any](c *conn, b *sarama.Broker, limit time.Duration, request func(*sarama.Broker) (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	var none T
	c.mu.Lock()
	silent := c.silent[b.Addr()]
	c.mu.Unlock()
	if silent {
		return none, silence{b.Addr()}
	}
	done := make(chan answer, 1) // room for one that nobody waits for any more
	c.behind.Go(func() {
		v, err := attempt(c, b, request)
		done <- answer{v, err}
	})
	late := time.NewTimer(limit)
	defer late.Stop()
	select {
	case a := <-done:
		var timeout net.Error
		switch {
		case a.err == nil:
			c.note(c.heard, b)
		case errors.As(a.err, &timeout) && timeout.Timeout():
			c.note(c.silent, b)
		}
		return a.value, a.err
	case <-late.C:
	}
	if limit == patient {
		c.note(c.silent, b)
	}
	return none, silence{b.Addr()}
}

func (c *conn) note(in map[string]bool, b *sarama.Broker) {
	c.mu.Lock()
	defer c.mu.Unlock()
	in[b.Addr()] = true
}

// attempt asks again on a fresh connection if the old one turns out to have been closed meanwhile, as brokers do with idle
// ones. A broker that does not answer is not asked again.
func attempt[T any](c *conn, b *sarama.Broker, request func(*sarama.Broker) (T, error)) (T, error) {
	var none T
	idle := b.ID() >= 0
	for {
		if err := b.Open(c.client.Config()); err == nil {
			idle = false
		} else if !errors.Is(err, sarama.ErrAlreadyConnected) {
			return none, fmt.Errorf("open %s: %w", b.Addr(), err)
		}
		v, err := request(b)
		if err == nil || !broken(err) {
			return v, err
		}
		_ = b.Close()
		if !idle || !hungUp(err) {
			return none, err
		}
		idle = false
	}
}
