// Package queue is the contract of the order queue: what a message and a record are, how topics and headers are
// named, what an acknowledgement means, and what the database remembers about a message. It does no I/O.
package queue

import (
	"fmt"
	"time"
)

// Header is one record header. A name may occur more than once; a nil Value is not an empty one.
type Header struct {
	Name  string
	Value []byte
}

// Message is a record on its way to Kafka.
type Message struct {
	Topic     string
	Partition int32 // chosen by the sender, see PartitionFunc
	Key       []byte
	Value     []byte
	Headers   []Header
	Time      time.Time // the time of this write, never the order's own timestamp: retention and ages depend on it
	Deadline  time.Time // a record not yet handed to the broker by then need not be sent; zero: none
}

// Record is a message as it lies in a log.
type Record struct {
	Topic     string
	Partition int32
	Offset    int64
	Key       []byte
	Value     []byte
	Headers   []Header
	Time      time.Time
}

// Position returns where the record lies.
func (r Record) Position() Position {
	return Position{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset}
}

// Position names one record. An Offset below 0 means that it is not known.
type Position struct {
	Topic     string
	Partition int32
	Offset    int64
}

// String is "topic/partition@offset", with "?" for an offset that is not known.
func (p Position) String() string {
	if p.Offset < 0 {
		return fmt.Sprintf("%s/%d@?", p.Topic, p.Partition)
	}
	return fmt.Sprintf("%s/%d@%d", p.Topic, p.Partition, p.Offset)
}

// Ack says that a message is on all in-sync replicas. The offset is below 0 when the broker did not name it
// (DUPLICATE_SEQUENCE_NUMBER: an earlier attempt of the same send had been written).
type Ack struct {
	Position Position
}

// PartitionFunc returns the partition of a key among n partitions, as Java clients choose it (murmur2).
type PartitionFunc func(key []byte, n int32) int32

// PublisherHealth is what a publisher knows about itself without asking anybody.
type PublisherHealth struct {
	LastAck  time.Time // zero: none yet
	LastErr  error     // the newest failure; nil after a success
	InFlight int       // messages handed over whose outcome is not known
	Bytes    int64     // their size
	Stuck    time.Time // since when an outcome is in the hands of whoever was to be told, or nobody takes outcomes; zero: they pass
}
