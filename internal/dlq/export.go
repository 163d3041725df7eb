package dlq

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"time"

	"commerce.internal/orderctl/internal/queue"
)

// exportBatch is how many letters wait for one question to the store; it bounds the memory of an export.
const exportBatch = 200

// Exported is a letter as `dlq export` writes it, orderctl.dlq.letter/v1.
type Exported struct {
	Schema       string       `json:"schema"`
	ID           string       `json:"id"`
	Copies       int          `json:"copies"`
	Time         time.Time    `json:"time"`
	Dialect      string       `json:"dialect"`
	State        State        `json:"state"`
	Origin       *Origin      `json:"origin"` // null: incomplete
	Class        string       `json:"class"`
	Code         string       `json:"code"`
	Message      string       `json:"message"`
	Attempts     int          `json:"attempts"`
	Hop          int          `json:"hop"`
	MsgID        string       `json:"msg_id"`
	FirstFailure *time.Time   `json:"first_failure"`
	LastFailure  *time.Time   `json:"last_failure"`
	BlockedBy    *string      `json:"blocked_by"`
	KeyBase64    *[]byte      `json:"key_base64"`   // null: no key
	ValueBase64  *[]byte      `json:"value_base64"` // null: no value
	Headers      [][2]*string `json:"headers"`      // name, and the value in base64; null: none
}

// Origin is where a letter's message came from.
type Origin struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Group     string `json:"group"`
}

// Export calls fn for each chosen letter whole, by partition and offset, and returns how many that were. A letter with copies
// is given once, as its first copy; copies that follow are not counted in it. Memory stays flat but for 16 bytes a letter of
// the partition in hand.
func (r *Reader) Export(ctx context.Context, sel Selection, fn func(Letter) error) (int, error) {
	e := exporter{reader: r, sel: sel, fn: fn}
	if len(sel.IDs) > 0 {
		for _, id := range sel.IDs {
			l, err := r.At(ctx, id)
			if err != nil {
				return e.given, err
			}
			if sel.matches(l) {
				e.batch = append(e.batch, l)
			}
		}
		return e.given, e.flush(ctx)
	}
	bounds, err := r.log.Bounds(ctx, r.topic)
	if err != nil {
		return 0, fmt.Errorf("find ends of %s: %w", r.topic, err)
	}
	for _, p := range slices.Sorted(maps.Keys(bounds)) {
		e.seen = map[[16]byte]struct{}{}
		if err := r.log.Scan(ctx, r.topic, p, bounds[p].Start, bounds[p].End, func(rec queue.Record) error { return e.add(ctx, rec) }); err != nil {
			return e.given, fmt.Errorf("export %s/%d: %w", r.topic, p, err)
		}
		if err := e.flush(ctx); err != nil {
			return e.given, err
		}
	}
	return e.given, nil
}

type exporter struct {
	reader *Reader
	sel    Selection
	fn     func(Letter) error
	seen   map[[16]byte]struct{}
	batch  []Letter
	given  int
}

func (e *exporter) add(ctx context.Context, rec queue.Record) error {
	l := letterOf(rec)
	if id, ok := l.copyOf(); ok {
		sum := sha256.Sum256([]byte(id))
		key := [16]byte(sum[:16])
		if _, again := e.seen[key]; again {
			return nil
		}
		e.seen[key] = struct{}{}
	}
	if !e.sel.matches(l) {
		return nil
	}
	e.batch = append(e.batch, l)
	if len(e.batch) < exportBatch {
		return nil
	}
	return e.flush(ctx)
}

func (e *exporter) flush(ctx context.Context) error {
	chosen, err := e.reader.choose(ctx, e.batch, e.sel)
	e.batch = e.batch[:0]
	if err != nil {
		return err
	}
	for _, l := range chosen {
		if e.sel.Limit > 0 && e.given >= e.sel.Limit {
			return nil
		}
		if err := e.fn(l); err != nil {
			return err
		}
		e.given++
	}
	return nil
}

// Exported returns the letter in the form of `dlq export`.
func (l Letter) Exported() Exported {
	x := Exported{
		Schema: "orderctl.dlq.letter/v1", ID: l.ID.String(), Copies: l.Copies, Time: l.Time.UTC(), Dialect: "orderctl", State: l.State,
		Class: string(l.Trail.Class), Code: l.Trail.Code, Message: l.Trail.Message, Attempts: l.Trail.Attempts, Hop: l.Trail.Hop,
		MsgID: l.Trail.MsgID, FirstFailure: known(l.Trail.FirstFailure), LastFailure: known(l.Trail.LastFailure),
		KeyBase64: bytesOrNull(l.Key), ValueBase64: bytesOrNull(l.Value), Headers: make([][2]*string, 0, len(l.Headers)),
	}
	if _, ok := l.copyOf(); ok {
		o := l.Trail.Origin
		x.Origin = &Origin{Topic: o.Topic, Partition: o.Partition, Offset: o.Offset, Group: l.Trail.Group}
	}
	if l.Trail.BlockedBy != "" {
		x.BlockedBy = &l.Trail.BlockedBy
	}
	for _, h := range l.Headers {
		x.Headers = append(x.Headers, header(h))
	}
	return x
}
