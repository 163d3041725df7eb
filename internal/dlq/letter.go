// Package dlq looks after dead letters: it finds, counts, shows and exports them, and plans and carries out what an operator
// decides about them, with a ledger of who did what. A letter is a record of a dead-letter topic, named partition/offset. The
// package returns values, never text for a screen.
package dlq

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"
	"time"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

// Span is the part of a partition's log that can be read: Start to End-1.
type Span struct{ Start, End int64 }

// Log reads a bounded part of a log.
type Log interface {
	// Bounds returns the span of each partition of a topic.
	Bounds(ctx context.Context, topic string) (map[int32]Span, error)
	// Scan calls fn for each record from offset from up to, not including, end, in offset order. An error of fn ends it.
	Scan(ctx context.Context, topic string, partition int32, from, end int64, fn func(queue.Record) error) error
}

// Rows tells what the database remembers of messages. Those without a row are absent from the answer.
type Rows interface {
	Rows(ctx context.Context, group string, keys []queue.RowKey) (map[queue.RowKey]queue.Row, error)
}

// ID names a letter.
type ID struct {
	Partition int32
	Offset    int64
}

// String is "partition/offset".
func (i ID) String() string { return fmt.Sprintf("%d/%d", i.Partition, i.Offset) }

func (i ID) partition() string { return strconv.FormatInt(int64(i.Partition), 10) }

func (i ID) compare(other ID) int {
	return cmp.Or(cmp.Compare(i.Partition, other.Partition), cmp.Compare(i.Offset, other.Offset))
}

// ParseID reads "partition/offset".
func ParseID(s string) (ID, error) {
	p, o, found := strings.Cut(s, "/")
	partition, errP := strconv.ParseUint(p, 10, 31)
	offset, errO := strconv.ParseUint(o, 10, 63)
	if !found || errP != nil || errO != nil {
		return ID{}, fmt.Errorf("%q is not a dead letter; write partition/offset, such as 7/31", s)
	}
	return ID{Partition: int32(partition), Offset: int64(offset)}, nil
}

// Letter is one dead letter. Copies of a letter (same origin, same hop number: a hop repeated after a crash) are one letter.
type Letter struct {
	ID      ID // the lowest of the copies that were read
	Copies  int
	CopyIDs []ID   // of the copies that were read, ID among them
	State   State  // see the states
	Ledger  *Entry // what an operator did with it, under whichever copy; nil: nothing
	Pointer bool   // its record has no value: Key and Value are those of the source record that it points to
	Lost    bool   // a pointer whose source record is gone, or is another one
	Dialect string // who wrote its headers; "": nobody known
	Trail   queue.Trail
	Time    time.Time
	Key     []byte
	Value   []byte // nil in a list, which keeps no bodies
	Size    int    // bytes of the value; of a pointer those of its source
	Headers []queue.Header

	untold bool   // the store was not asked for its message
	ours   bool   // a pointer that names the SHA-256 of what it points to
	digest string // in hex
	sum    string // of key and value, where they are left out
}

// Light returns the letter without its value and headers, which are a lot of bytes when many are chosen at once. What is
// written down of it is the same.
func (l Letter) Light() Letter {
	sum := digest(l.Key, l.Value)
	l = bare(l)
	l.sum = sum
	return l
}

// sha256 tells the letter's bytes from others in the ledger.
func (l Letter) sha256() string { return cmp.Or(l.sum, digest(l.Key, l.Value)) }

// OrderID returns the order that the letter is about: the record key, which the queue sets to it, else what the message
// id names; "": not known.
func (l Letter) OrderID() string {
	if len(l.Key) > 0 {
		return string(l.Key)
	}
	return l.named()
}

// named returns the order id in a message id "<order_id>:<status>". Foreign producers choose other keys and other ids.
func (l Letter) named() string {
	cut := strings.LastIndexByte(l.Trail.MsgID, ':')
	if cut < 0 {
		return ""
	}
	switch order.Status(l.Trail.MsgID[cut+1:]) {
	case order.Created, order.Paid, order.Shipped, order.Completed, order.Cancelled, order.Refunded:
		return l.Trail.MsgID[:cut]
	}
	return ""
}

// Seq returns the offset of the letter's message in its source; ok is false when its origin is incomplete.
func (l Letter) Seq() (seq int64, ok bool) {
	_, ok = l.copyOf()
	return l.Trail.Origin.Offset, ok
}

// Job returns the job that decided the letter; "": none did.
func (l Letter) Job() string {
	if l.Ledger == nil {
		return ""
	}
	return l.Ledger.Job
}

// rowKey names the letter's message.
func (l Letter) rowKey() queue.RowKey {
	return queue.RowKey{MsgID: l.Trail.MsgID, Fingerprint: l.Trail.Fingerprint}
}

// copyID identifies a letter among its copies.
type copyID [16]byte

// copyOf identifies the letter among its copies. A letter whose origin is incomplete has none.
func (l Letter) copyOf() (copyID, bool) {
	o := l.Trail.Origin
	if o.Topic == "" || o.Partition < 0 || o.Offset < 0 {
		return copyID{}, false
	}
	return copyIDOf(o, l.Trail.Hop, l.Trail.Group), true
}

func copyIDOf(o queue.Position, hop int, group string) copyID {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %d %d %q %q", o.Partition, o.Offset, hop, utf8Text(o.Topic), utf8Text(group)))
	return copyID(sum[:16])
}

func letterOf(r queue.Record) Letter {
	dialect, trail := readTrail(r.Headers)
	id := ID{Partition: r.Partition, Offset: r.Offset}
	pointer, ours, digest := pointerOf(r, dialect)
	return Letter{
		ID: id, Copies: 1, CopyIDs: []ID{id}, Dialect: dialect, Trail: trail, Pointer: pointer, ours: ours, digest: digest,
		Time: r.Time, Key: r.Key, Value: r.Value, Size: len(r.Value), Headers: r.Headers,
	}
}
