package publish

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"commerce.internal/orderctl/internal/queue"
)

// book keeps what is in flight: by partition, in all, and as a list, so that Close can say of every record what became
// of it.
type book struct {
	perPartition int
	maxBuffer    int64

	mu      sync.Mutex
	closed  bool
	lanes   map[place]*lane
	parts   map[string]int32
	first   *flight
	count   int
	bytes   int64
	lastAck time.Time
	lastErr error
	waiters int
	freed   chan struct{} // closed, and made anew, when something was settled while somebody waits in Room
}

type place struct {
	topic     string
	partition int32
}

// lane is one partition.
type lane struct {
	flights int           // under book.mu
	turns   atomic.Uint64 // turns given to encoded records
	encoded atomic.Int64  // encoded and not settled
	refused uint64        // turn of the newest record the broker refused for what it is; drainErrors alone
}

func newBook(o Options, counts map[string]int32) book {
	return book{
		perPartition: o.PerPartition, maxBuffer: o.MaxBuffer,
		lanes: map[place]*lane{}, parts: maps.Clone(counts), freed: make(chan struct{}),
	}
}

// admit enters a record. senders is raised under the same lock that Close takes to refuse new ones, so Close waits for
// every record that came before it.
func (b *book) admit(f *flight, senders *sync.WaitGroup) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return notSent("closed", errClosed)
	}
	l := b.lane(f.topic, f.partition)
	if l.flights >= b.perPartition || (b.count > 0 && b.bytes+int64(f.size) > b.maxBuffer) {
		return notSent("busy", errFull)
	}
	senders.Add(1)
	f.lane = l
	l.flights++
	b.count++
	b.bytes += int64(f.size)
	if f.next = b.first; f.next != nil {
		f.next.prev = f
	}
	b.first = f
	return nil
}

func (b *book) lane(topic string, partition int32) *lane {
	l := b.lanes[place{topic, partition}]
	if l == nil {
		l = &lane{}
		b.lanes[place{topic, partition}] = l
	}
	return l
}

// forget takes out a record that never reached sarama.
func (b *book) forget(f *flight) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.remove(f)
}

// remove reports whether f was still in flight.
func (b *book) remove(f *flight) bool {
	if f.settled {
		return false
	}
	f.settled = true
	f.lane.flights--
	b.count--
	b.bytes -= int64(f.size)
	if f.prev != nil {
		f.prev.next = f.next
	} else {
		b.first = f.next
	}
	if f.next != nil {
		f.next.prev = f.prev
	}
	f.prev, f.next = nil, nil
	if b.waiters > 0 {
		close(b.freed)
		b.freed = make(chan struct{})
	}
	return true
}

// settle ends a flight: done is called here, once, outside the lock.
func (b *book) settle(f *flight, ack queue.Ack, err error) {
	b.mu.Lock()
	was := b.remove(f)
	if was && err == nil {
		b.lastAck, b.lastErr = time.Now(), nil
	} else if was {
		b.lastErr = err
	}
	b.mu.Unlock()
	if !was {
		return
	}
	if f.turn.Load() != 0 {
		f.lane.encoded.Add(-1)
	}
	f.done(ack, err)
}

// shut refuses new records. It reports whether it was the first to do so.
func (b *book) shut() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	was := b.closed
	b.closed = true
	return !was
}

// left returns the records whose outcome nobody has told.
func (b *book) left() []*flight {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []*flight
	for f := b.first; f != nil; f = f.next {
		all = append(all, f)
	}
	return all
}

// Room waits until the partition and the buffer take another record, or until ctx is done. It promises nothing where
// several publish at once: Publish may still refuse.
func (b *book) Room(ctx context.Context, topic string, partition int32) error {
	for {
		b.mu.Lock()
		if b.closed || (b.lane(topic, partition).flights < b.perPartition && b.bytes < b.maxBuffer) {
			b.mu.Unlock()
			return nil
		}
		b.waiters++
		freed := b.freed
		b.mu.Unlock()
		var err error
		select {
		case <-freed:
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
		b.mu.Lock()
		b.waiters--
		b.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

func (b *book) health() queue.PublisherHealth {
	b.mu.Lock()
	defer b.mu.Unlock()
	return queue.PublisherHealth{LastAck: b.lastAck, LastErr: b.lastErr, InFlight: b.count, Bytes: b.bytes}
}

func (b *book) pinned(topic string) int32 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.parts[topic]
}

func (b *book) pin(topic string, n int32) int32 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.parts[topic] == 0 {
		b.parts[topic] = n
	}
	return b.parts[topic]
}

func (b *book) counts() map[string]int32 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.parts)
}
