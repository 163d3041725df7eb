// Package dlq reads dead letters: it finds, counts, shows and exports them. A letter is a record of a dead-letter topic,
// named partition/offset. The package returns values, never text for a screen, and changes nothing.
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

// State is what has become of a letter.
type State string

// The states of a letter.
const (
	Unknown   State = "" // there is no store to ask: nobody knows what became of it
	Undecided State = "undecided"
	Resolved  State = "resolved"   // its message is done
	DeadAgain State = "dead-again" // its message was replayed and died: there is a newer letter
	InWork    State = "in-work"    // its message was replayed and is on its way
	Discarded State = "discarded"
)

// Letter is one dead letter. Copies of a letter (same origin, same hop number: a hop repeated after a crash) are one letter.
type Letter struct {
	ID      ID // the lowest of the copies that were read
	Copies  int
	State   State
	Dialect string // who wrote its headers; "": nobody known
	Trail   queue.Trail
	Time    time.Time
	Key     []byte
	Value   []byte // nil in a list, which keeps no bodies
	Size    int    // bytes of the value
	Headers []queue.Header
}

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
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %d %d %q %q", o.Partition, o.Offset, l.Trail.Hop, o.Topic, l.Trail.Group))
	return copyID(sum[:16]), true
}

func letterOf(r queue.Record) Letter {
	dialect, trail := readTrail(r.Headers)
	return Letter{
		ID: ID{Partition: r.Partition, Offset: r.Offset}, Copies: 1, Dialect: dialect, Trail: trail,
		Time: r.Time, Key: r.Key, Value: r.Value, Size: len(r.Value), Headers: r.Headers,
	}
}

// stateOf decides by the message's row. A message without a row was never decided.
func stateOf(l Letter, row queue.Row, found bool) State {
	switch {
	case !found:
		return Undecided
	case row.State == queue.StateDone:
		return Resolved
	case row.Hop > l.Trail.Hop && row.State.Waiting():
		return InWork
	case row.Hop > l.Trail.Hop:
		return DeadAgain
	case row.State == queue.StateDiscarded:
		return Discarded
	default:
		return Undecided
	}
}

// decide sets the state of each letter, 500 rows a question.
func decide(ctx context.Context, rows Rows, group string, letters []Letter) error {
	const page = 500
	for len(letters) > 0 {
		n := min(page, len(letters))
		keys := make([]queue.RowKey, 0, n)
		for _, l := range letters[:n] {
			keys = append(keys, l.rowKey())
		}
		known, err := rows.Rows(ctx, group, keys)
		if err != nil {
			return fmt.Errorf("read message rows of %s: %w", group, err)
		}
		for i := range letters[:n] {
			row, found := known[letters[i].rowKey()]
			letters[i].State = stateOf(letters[i], row, found)
		}
		letters = letters[n:]
	}
	return nil
}
