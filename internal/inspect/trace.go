package inspect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

// Orders tells what the database knows of one order.
type Orders interface {
	Order(ctx context.Context, group, orderID string) (queue.OrderView, error)
}

// TraceOptions says where an order is looked for.
type TraceOptions struct {
	Names     queue.Names
	Log       Log
	Source    lag.Source
	Orders    Orders // nil: no database, the log decides
	Partition queue.PartitionFunc
	Unknown   order.Unknown // as the worker has it: the content of a message depends on it
	Now       func() time.Time

	At       time.Time     // the order came in about then; zero: not known
	Back     time.Duration // look so far back; 0: not said
	MaxBytes int64         // of keys, values and headers that are read in search
	Timeout  time.Duration // of the search; what it found by then stands
}

// slack is how much earlier than a known time the search begins: clocks differ, and the time is that of an id.
const slack = 10 * time.Minute

// farBack is how far back the search goes where nothing tells when the order came in.
const farBack = 24 * time.Hour

// rowsPatience bounds the questions to the database after a search that used up its time.
const rowsPatience = 5 * time.Second

// Trace finds all that is known of an order. All records of an order lie in one partition of every topic, so one partition
// per topic is read: the topics in the order in which an order goes through them, and the database first and last, so that
// an order on the move is seen twice rather than never. Only where nothing is found are the other partitions read.
func Trace(ctx context.Context, orderID string, o TraceOptions) (*TraceReport, error) {
	if err := o.check(orderID); err != nil {
		return nil, err
	}
	t := &tracer{o: o, id: orderID, seen: map[queue.Position]bool{}, letters: map[string]bool{}, r: &TraceReport{
		Schema: TraceSchema, OrderID: orderID, Searched: []Searched{}, Messages: []TracedMessage{}, Events: []Event{},
	}}
	t.ask(ctx)
	if err := t.observe(ctx); err != nil {
		return nil, err
	}
	t.first, t.r.AsOf = t.snap, t.snap.AsOf.UTC().Truncate(time.Millisecond)
	if there, known := exists(t.snap, o.Names.Source); known && !there {
		return nil, &NotFoundError{Kind: "topic", Name: o.Names.Source}
	}
	n := int32(t.snap.Topics[o.Names.Source].Partitions) //nolint:gosec // Kafka counts partitions in 32 bits
	if n == 0 {
		return nil, untold(t.snap, o.Names.Source)
	}
	t.r.Partition = o.Partition([]byte(orderID), n)
	search, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	t.r.Since = t.since(search).UTC().Truncate(time.Millisecond)
	if err := t.search(search, n); err != nil && ctx.Err() != nil {
		return nil, fmt.Errorf("search order: %w", context.Cause(ctx))
	}
	return t.r, t.conclude(ctx)
}

func (o TraceOptions) check(orderID string) error {
	switch {
	case orderID == "":
		return errors.New("inspect: an order id is required")
	case o.Log == nil:
		return errors.New("inspect: TraceOptions.Log is required")
	case o.Source == nil:
		return errors.New("inspect: TraceOptions.Source is required")
	case o.Partition == nil:
		return errors.New("inspect: TraceOptions.Partition is required")
	case o.Now == nil:
		return errors.New("inspect: TraceOptions.Now is required")
	}
	return nil
}

// tracer is one search for one order.
type tracer struct {
	o           TraceOptions
	id          string
	r           *TraceReport
	view        queue.OrderView
	first, snap lag.Snapshot
	records     []found
	seen        map[queue.Position]bool
	letters     map[string]bool // "p/o" of the letters found: the keys of their entries in the ledger
	bytes       int64
}

// found is a record of the order.
type found struct {
	queue.Record
	role  queue.Role
	key   queue.RowKey
	src   queue.Position
	trail queue.Trail
	order *order.Order // nil: undecodable
}

func (t *tracer) observe(ctx context.Context) error {
	s, err := t.o.Source.Snapshot(ctx, lag.Query{Groups: []string{t.o.Names.Group}, Topics: t.o.Names.All()})
	if err != nil {
		return fmt.Errorf("observe %s: %w", t.o.Names.Group, err)
	}
	t.snap = s
	return nil
}

// ask reads the rows. A database that does not answer leaves the word to the log.
func (t *tracer) ask(ctx context.Context) {
	t.r.Database = t.o.Orders != nil
	if !t.r.Database {
		return
	}
	v, err := t.o.Orders.Order(ctx, t.o.Names.Group, t.id)
	if err != nil {
		t.r.Database, t.r.DatabaseProblem = false, err.Error()
		return
	}
	t.view = v
	for _, r := range v.Rows {
		if r.At.Topic == t.o.Names.DLQ() && r.At.Offset >= 0 {
			t.letters[fmt.Sprintf("%d/%d", r.At.Partition, r.At.Offset)] = true
		}
	}
}

// conclude reads the rows again, with fresh commits: what was found on the way is judged by what is true now. Where a row
// names a record that the search did not come by, it is fetched.
func (t *tracer) conclude(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, rowsPatience)
	defer cancel()
	if err := t.observe(ctx); err != nil {
		t.r.Searched = append(t.r.Searched, Searched{Topic: t.o.Names.Source, Partition: t.r.Partition, Problem: why(err)})
	}
	t.ask(ctx)
	for _, row := range t.view.Rows {
		t.fetch(ctx, row.Src)
		t.fetch(ctx, row.At)
	}
	if err := ctx.Err(); errors.Is(err, context.Canceled) {
		return fmt.Errorf("conclude search: %w", context.Cause(ctx))
	}
	t.judge()
	return nil
}

// fetch reads one record that a row names. One that is not there any more is no hole: the row speaks for it.
func (t *tracer) fetch(ctx context.Context, at queue.Position) (queue.Record, bool) {
	if at.Offset < 0 || at.Topic == "" || t.seen[at] {
		return queue.Record{}, false
	}
	r, err := t.o.Log.At(ctx, at)
	switch {
	case err == nil:
		t.take(r)
		return r, true
	case !gone(err):
		t.r.Searched = append(t.r.Searched, Searched{Topic: at.Topic, Partition: at.Partition, From: at.Offset, End: at.Offset + 1, Problem: why(err)})
	}
	return queue.Record{}, false
}

// since is where the search begins.
func (t *tracer) since(ctx context.Context) time.Time {
	now := t.o.Now()
	switch {
	case !t.o.At.IsZero():
		return t.o.At.Add(-slack)
	case t.o.Back > 0:
		return now.Add(-t.o.Back)
	}
	if at, ok := timeOfID(t.id); ok && at.Before(now.Add(slack)) {
		return at.Add(-slack)
	}
	if len(t.view.Rows) > 0 {
		first := t.view.Rows[0]
		if r, ok := t.fetch(ctx, first.Src); ok {
			return r.Time.Add(-slack)
		}
		return earliest(now, first.FirstFailure, first.UpdatedAt).Add(-slack)
	}
	return now.Add(-farBack)
}

func earliest(t time.Time, others ...time.Time) time.Time {
	for _, o := range others {
		if !o.IsZero() && o.Before(t) {
			t = o
		}
	}
	return t
}

// partitions are those that the order may be in: that of its key, and those that its rows name.
func (t *tracer) partitions() []int32 {
	list := []int32{t.r.Partition}
	for _, r := range t.view.Rows {
		if r.Src.Topic == t.o.Names.Source {
			list = append(list, r.Src.Partition)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}
