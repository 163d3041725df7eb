package publish

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"

	"commerce.internal/orderctl/internal/queue"
)

var (
	errExpired = errors.New("its deadline has passed")
	errBusy    = errors.New("the client took no record in time")
	errClosed  = errors.New("the producer is closed")
	errFull    = errors.New("the buffer is full")
)

// flight is one record between Publish and done. It is also the Encoder of its value: sarama encodes a record when it
// joins a batch and not before, so one that was never encoded was certainly never written.
type flight struct {
	topic     string
	partition int32
	key       []byte
	value     []byte
	headers   []sarama.RecordHeader
	time      time.Time
	deadline  time.Time
	size      int
	done      func(queue.Ack, error)

	lane *lane
	turn atomic.Uint64 // place among the encoded records of its lane; 0: never encoded

	settled    bool // under book.mu
	prev, next *flight
}

func newFlight(m queue.Message, done func(queue.Ack, error)) *flight {
	f := &flight{
		topic: m.Topic, partition: m.Partition, key: m.Key, value: m.Value, time: m.Time, deadline: m.Deadline, done: done,
	}
	if len(m.Headers) > 0 {
		f.headers = make([]sarama.RecordHeader, len(m.Headers))
		for i, h := range m.Headers {
			f.headers[i] = sarama.RecordHeader{Key: []byte(h.Name), Value: h.Value}
		}
	}
	f.size = f.message().ByteSize(2)
	return f
}

// message returns the record for sarama. The offset is preset: after DUPLICATE_SEQUENCE_NUMBER sarama reports success
// and leaves it as it is.
func (f *flight) message() *sarama.ProducerMessage {
	m := &sarama.ProducerMessage{
		Topic: f.topic, Partition: f.partition, Value: f, Headers: f.headers, Timestamp: f.time, Offset: -1, Metadata: f,
	}
	if f.key != nil {
		m.Key = sarama.ByteEncoder(f.key)
	}
	return m
}

// Encode implements sarama.Encoder. A record whose deadline has passed before it ever joined a batch is given up.
func (f *flight) Encode() ([]byte, error) {
	if f.turn.Load() == 0 {
		if !f.deadline.IsZero() && !time.Now().Before(f.deadline) {
			return nil, errExpired
		}
		f.lane.encoded.Add(1)
	}
	f.turn.Store(f.lane.turns.Add(1))
	return f.value, nil
}

// Length implements sarama.Encoder.
func (f *flight) Length() int { return len(f.value) }
