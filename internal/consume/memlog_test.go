package consume

import (
	"context"
	"sync"
	"time"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

type partition struct {
	topic string
	n     int32
}

// MemLog is the log in memory: topics of some partitions, commits of one group, and claims that read it.
type MemLog struct {
	mu      sync.Mutex
	records map[partition][]queue.Record
	commits map[partition]int64
	owner   map[partition]bool
	changed chan struct{}

	Refuse     func(m queue.Message) error // the publication fails with it
	Mute       bool                        // never answers
	Unreadable [2]int64                    // offsets of partition 0 of the source that nobody is given, from and to
	Blind      bool                        // nobody knows where it ends
	Paused     map[string]int              // how often a topic was paused
	Partitions int32
}

// NewMemLog returns an empty log.
func NewMemLog(partitions int32) *MemLog {
	return &MemLog{
		records: map[partition][]queue.Record{}, commits: map[partition]int64{}, owner: map[partition]bool{},
		changed: make(chan struct{}), Paused: map[string]int{}, Partitions: partitions,
	}
}

// Publish implements Publisher.
func (l *MemLog) Publish(m queue.Message, done func(queue.Ack, error)) error {
	l.mu.Lock()
	refuse, mute := l.Refuse, l.Mute
	l.mu.Unlock()
	if refuse != nil {
		if err := refuse(m); err != nil {
			done(queue.Ack{}, err)
			return nil
		}
	}
	if !mute {
		done(queue.Ack{Position: l.Append(m)}, nil)
	}
	return nil
}

// Append writes a record and returns where.
func (l *MemLog) Append(m queue.Message) queue.Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := partition{m.Topic, m.Partition}
	if m.Time.IsZero() {
		m.Time = time.Now()
	}
	r := queue.Record{
		Topic: m.Topic, Partition: m.Partition, Offset: int64(len(l.records[p])), Key: m.Key, Value: m.Value,
		Headers: m.Headers, Time: m.Time,
	}
	l.records[p] = append(l.records[p], r)
	l.signal()
	return r.Position()
}

func (l *MemLog) signal() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// Set changes the log's behaviour under its lock.
func (l *MemLog) Set(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
	l.signal()
}

// Records returns what lies in a topic, partition by partition.
func (l *MemLog) Records(topic string) []queue.Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []queue.Record
	for p := range l.Partitions {
		all = append(all, l.records[partition{topic, p}]...)
	}
	return all
}

// Committed returns the commit of a partition.
func (l *MemLog) Committed(topic string, p int32) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.commits[partition{topic, p}]
}

// Empty reports whether the commits of all consumed topics are at their ends.
func (l *MemLog) Empty(names queue.Names) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, topic := range names.Consumed() {
		for p := range l.Partitions {
			at := partition{topic, p}
			if l.commits[at] < int64(len(l.records[at])) {
				return false
			}
		}
	}
	return true
}

// Source returns a source of the claims of these topics.
func (l *MemLog) Source(topics ...string) func(context.Context, func(Claim)) error {
	return func(ctx context.Context, handle func(Claim)) error {
		var wg sync.WaitGroup
		for _, topic := range topics {
			for p := range l.Partitions {
				wg.Go(func() { l.Own(ctx, topic, p, handle) })
			}
		}
		wg.Wait()
		return ctx.Err()
	}
}

// Own lets handle own one partition until ctx ends.
func (l *MemLog) Own(ctx context.Context, topic string, p int32, handle func(Claim)) {
	l.mu.Lock()
	c := &memClaim{log: l, at: partition{topic, p}, records: make(chan queue.Record), start: l.commits[partition{topic, p}]}
	l.mu.Unlock()
	var wg sync.WaitGroup
	wg.Go(func() { c.feed(ctx) })
	handle(c)
	wg.Wait()
}

type memClaim struct {
	log     *MemLog
	at      partition
	start   int64
	records chan queue.Record
	paused  bool
}

func (c *memClaim) feed(ctx context.Context) {
	defer close(c.records)
	for next := c.start; ; {
		c.log.mu.Lock()
		changed := c.log.changed
		var r queue.Record
		bad := c.log.Unreadable
		stuck := c.at == partition{"orders", 0} && next >= bad[0] && next < bad[1]
		ready := !c.paused && !stuck && next < int64(len(c.log.records[c.at]))
		if ready {
			r = c.log.records[c.at][next]
		}
		c.log.mu.Unlock()
		if !ready {
			select {
			case <-changed:
				continue
			case <-ctx.Done():
				return
			}
		}
		select {
		case c.records <- r:
			next++
		case <-ctx.Done():
			return
		}
	}
}

func (c *memClaim) Topic() string                { return c.at.topic }
func (c *memClaim) Partition() int32             { return c.at.n }
func (c *memClaim) Start() int64                 { return c.start }
func (c *memClaim) Records() <-chan queue.Record { return c.records }
func (c *memClaim) Commit()                      {}

func (c *memClaim) High() int64 {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	if c.log.Blind {
		return -1
	}
	return int64(len(c.log.records[c.at]))
}

func (c *memClaim) Pause() {
	c.log.Set(func() {
		c.paused = true
		c.log.Paused[c.at.topic]++
	})
}
func (c *memClaim) Resume() { c.log.Set(func() { c.paused = false }) }

func (c *memClaim) Mark(next int64) {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	c.log.commits[c.at] = max(c.log.commits[c.at], next)
}

// SampleOrder is a valid order.
func SampleOrder(id string, s order.Status) order.Order {
	return order.Order{
		OrderID: id, UserID: "u-1", Status: s, Currency: "EUR", Timestamp: 900_000_000_000, HasTotal: true, TotalAmount: 500,
		Items: []order.Item{{ProductID: "BANK CHARGES", Quantity: 2, UnitPrice: 250}},
	}
}

// OrderMessage is the record that serve writes for an order.
func OrderMessage(topic string, o order.Order) queue.Message {
	return queue.Message{
		Topic: topic, Key: []byte(o.OrderID), Value: o.AppendJSON(nil),
		Headers: []queue.Header{{Name: queue.HeaderID, Value: []byte(o.MessageID())}, {Name: "shop", Value: []byte("x\x00y")}},
	}
}

// Rewind sets the commits of a topic back to its start.
func (l *MemLog) Rewind(topic string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := range l.Partitions {
		l.commits[partition{topic, p}] = 0
	}
}
