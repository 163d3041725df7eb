package group

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"

	"commerce.internal/orderctl/internal/queue"
)

// Claim is one partition while it is ours.
type Claim struct {
	g       *Group
	at      place
	session sarama.ConsumerGroupSession
	claim   sarama.ConsumerGroupClaim
	start   int64
	records chan queue.Record

	next   atomic.Int64 // behind the last record that was received, or that was found never to come
	heard  atomic.Int64 // Unix ns of the last record
	paused atomic.Bool
	closed atomic.Bool
}

// Topic returns the topic.
func (c *Claim) Topic() string { return c.at.topic }

// Partition returns the partition.
func (c *Claim) Partition() int32 { return c.at.partition }

// Start returns the offset of the first record that may come.
func (c *Claim) Start() int64 { return c.start }

// High returns the end of the partition as last heard.
func (c *Claim) High() int64 { return c.claim.HighWaterMarkOffset() }

// Records returns the records in order. Offsets may be missing between two of them (compacted, markers, aborted): those
// never come. The channel is closed when the partition is lost or Run ends; that is the only word of it, for a cooperative
// revoke leaves everything else alive.
func (c *Claim) Records() <-chan queue.Record { return c.records }

// Gone reports whether the partition is certainly not ours any more: nothing of it may begin.
func (c *Claim) Gone() bool { return c.closed.Load() || c.session.Context().Err() != nil }

// Pause stops fetching this partition. It outlives the assignment inside sarama, so every claim begins with a Resume.
func (c *Claim) Pause() {
	c.paused.Store(true)
	c.g.pause(c.at)
}

// Resume undoes Pause.
func (c *Claim) Resume() {
	c.paused.Store(false)
	c.g.resume(c.at)
}

// Mark says that every record below next is finished. Marks only rise; they are committed each second.
func (c *Claim) Mark(next int64) {
	c.g.commits.mark(c.at, next)
	c.session.MarkOffset(c.at.topic, c.at.partition, next, "")
}

// Commit commits the marks of all partitions and waits for the answer. Whether it was yes shows in CommitFailing.
func (c *Claim) Commit() { c.session.Commit() }

// pump hands the records out until sarama closes its channel or nobody takes them any more.
func (c *Claim) pump(stop <-chan struct{}) {
	defer close(c.records)
	defer c.closed.Store(true)
	for m := range c.claim.Messages() {
		c.heard.Store(time.Now().UnixNano())
		select {
		case c.records <- record(m):
			c.next.Store(m.Offset + 1)
		case <-stop:
			return
		}
	}
}

func record(m *sarama.ConsumerMessage) queue.Record {
	r := queue.Record{Topic: m.Topic, Partition: m.Partition, Offset: m.Offset, Key: m.Key, Value: m.Value, Time: m.Timestamp}
	if len(m.Headers) > 0 {
		r.Headers = make([]queue.Header, len(m.Headers))
		for i, h := range m.Headers {
			r.Headers[i] = queue.Header{Name: queue.HeaderName(h.Key), Value: h.Value}
		}
	}
	return r
}

// handler is what sarama calls.
type handler struct {
	g      *Group
	handle func(*Claim)
	once   atomic.Bool
}

// joined reports whether there ever was a session.
func (h *handler) joined() bool { return h.once.Load() }

// Setup begins a session. What was parked is looked at anew.
func (h *handler) Setup(s sarama.ConsumerGroupSession) error {
	h.once.Store(true)
	h.g.met.rebalances.WithLabelValues("joined").Inc()
	h.g.mu.Lock()
	h.g.session, h.g.generation = s, s.GenerationID()
	h.g.mu.Unlock()
	h.g.unpark(true)
	return nil
}

// Cleanup ends a session.
func (h *handler) Cleanup(sarama.ConsumerGroupSession) error {
	h.g.countGenerations()
	h.g.met.rebalances.WithLabelValues("left").Inc()
	h.g.mu.Lock()
	h.g.session = nil
	h.g.mu.Unlock()
	return nil
}

// ConsumeClaim works one partition. It returns after the handler has, and with everything that is done committed: a revoked
// partition goes to its next owner when it returns.
func (h *handler) ConsumeClaim(s sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	c := &Claim{
		g: h.g, at: place{claim.Topic(), claim.Partition()}, session: s, claim: claim, start: claim.InitialOffset(),
		records: make(chan queue.Record),
	}
	c.next.Store(c.start)
	c.heard.Store(time.Now().UnixNano())
	c.Resume()
	h.g.enter(c)
	stop := make(chan struct{})
	var pump sync.WaitGroup
	pump.Go(func() { c.pump(stop) })
	h.handle(c)
	if !c.closed.Load() {
		h.g.log.Error("the handler of a partition returned while it is ours", attrs(c.at)...)
	}
	close(stop)
	pump.Wait()
	h.g.leave(c)
	s.Commit()
	h.g.commits.forget(c.at)
	return nil
}

func (g *Group) enter(c *Claim) {
	g.commits.begin(c.at, c.start)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.claims[c.at] = c
}

func (g *Group) leave(c *Claim) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.claims, c.at)
}

func (g *Group) pause(at place) {
	if m := g.member(); m != nil {
		m.Pause(map[string][]int32{at.topic: {at.partition}})
	}
}

func (g *Group) resume(at place) {
	if m := g.member(); m != nil {
		m.Resume(map[string][]int32{at.topic: {at.partition}})
	}
}

func (g *Group) member() sarama.ConsumerGroup {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.running == nil {
		return nil
	}
	return g.running.member
}
