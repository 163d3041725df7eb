package dlq

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"commerce.internal/orderctl/internal/failpoint"
	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

// CodeBuried is the code of the letters of Bury; their class is queue.ClassOperator.
const CodeBuried = "buried"

// Graveyard is what Bury asks of the database.
type Graveyard interface {
	Messages(ctx context.Context, group string, ids []string) ([]queue.Row, error)
	Apply(ctx context.Context, group string, look []queue.Lookup, decide func(i int, seen queue.Seen) queue.Change) ([]error, error)
	Place(ctx context.Context, group string, key queue.RowKey, hop int, at queue.Position) error
}

// RefusedError says why a record cannot be buried. Nothing was changed.
type RefusedError struct{ Why string }

// Error implements error.
func (e *RefusedError) Error() string { return e.Why }

func refused(format string, args ...any) error {
	return &RefusedError{Why: fmt.Sprintf(format, args...)}
}

// Bury takes one record out of the way of a worker that cannot get past it: its row becomes dead and its letter lies in the
// dead-letter topic, as if the worker had given it up. The worker finds the row and goes on.
type Bury struct {
	Log       Log
	Store     Graveyard
	Producer  Producer
	Names     queue.Names
	Unknown   order.Unknown
	Committed int64 // of the group in the record's partition: the offset that it reads next; below 0: none
	Operator  string
	Reason    string
	Now       func() time.Time
}

// Grave is a record that can be buried, as it was found.
type Grave struct {
	Record  queue.Record
	Key     queue.RowKey
	OrderID string // "": no order can be read from it
	was     *queue.Row
	row     queue.Row
}

// ParsePosition reads "topic/partition@offset".
func ParsePosition(s string) (queue.Position, error) {
	left, number, found := cutLast(s, "@")
	at, err := parseTarget(left)
	offset, bad := strconv.ParseInt(number, 10, 64)
	if !found || err != nil || bad != nil || offset < 0 {
		return queue.Position{}, fmt.Errorf("%q is not a record; write topic/partition@offset, such as orders/3@17", s)
	}
	at.Offset = offset
	return at, nil
}

// Look finds the record and judges whether it may be buried.
func (b *Bury) Look(ctx context.Context, at queue.Position) (Grave, error) {
	role, _, ok := b.Names.Role(at.Topic)
	if !ok || role == queue.RoleDLQ || role == queue.RoleAudit {
		return Grave{}, refused("%s is not read by %s", at.Topic, b.Names.Group)
	}
	rec, err := b.read(ctx, at)
	if err != nil {
		return Grave{}, err
	}
	if b.Committed > at.Offset {
		return Grave{}, refused("%s is behind the group already, which reads %s/%d@%d next", at, at.Topic, at.Partition, b.Committed)
	}
	g := Grave{Record: rec, Key: queue.Identify(rec, b.Names.Source, b.Unknown), OrderID: b.orderOf(rec)}
	rows, err := b.Store.Messages(ctx, b.Names.Group, []string{g.Key.MsgID})
	if err != nil {
		return g, fmt.Errorf("read message rows of %s: %w", g.Key.MsgID, err)
	}
	for i := range rows {
		if rows[i].RowKey == g.Key {
			g.was = &rows[i]
		}
	}
	if err := b.mayDie(g); err != nil {
		return g, err
	}
	if role == queue.RoleSource {
		if err := b.nothingBefore(ctx, g); err != nil {
			return g, err
		}
	}
	g.row = b.dead(g)
	return g, nil
}

func (b *Bury) read(ctx context.Context, at queue.Position) (queue.Record, error) {
	bounds, err := b.Log.Bounds(ctx, at.Topic)
	if err != nil {
		return queue.Record{}, fmt.Errorf("find ends of %s: %w", at.Topic, err)
	}
	span, ok := bounds[at.Partition]
	if !ok || at.Offset < span.Start || at.Offset >= span.End {
		return queue.Record{}, fmt.Errorf("record %s: %w", at, queue.ErrNotFound)
	}
	found := false
	var rec queue.Record
	err = b.Log.Scan(ctx, at.Topic, at.Partition, at.Offset, at.Offset+1, func(r queue.Record) error {
		if r.Offset == at.Offset {
			rec, found = r, true
		}
		return nil
	})
	if err == nil && !found {
		err = queue.ErrNotFound
	}
	if err != nil {
		return rec, fmt.Errorf("read record %s: %w", at, err)
	}
	return rec, nil
}

// mayDie is whether the row lets the record be the one that lives.
func (b *Bury) mayDie(g Grave) error {
	switch row := g.was; {
	case row == nil:
		return nil
	case row.State == queue.StateDone:
		return refused("message %s is done already", g.Key.MsgID)
	case row.State == queue.StateDead:
		return refused("message %s is dead already: orderctl dlq list --order-id %s", g.Key.MsgID, row.OrderID)
	case row.State == queue.StateDiscarded:
		return refused("message %s is discarded already", g.Key.MsgID)
	case row.At != g.Record.Position():
		return refused("%s is an old copy: message %s is at %s", g.Record.Position(), g.Key.MsgID, row.At)
	}
	return nil
}

// nothingBefore refuses while an earlier order message that the group has not finished has no row: buried now, this one
// would overtake it.
func (b *Bury) nothingBefore(ctx context.Context, g Grave) error {
	at := g.Record.Position()
	bounds, err := b.Log.Bounds(ctx, at.Topic)
	if err != nil {
		return fmt.Errorf("find ends of %s: %w", at.Topic, err)
	}
	lane, from := g.lane(), max(b.Committed, bounds[at.Partition].Start)
	if lane == "" || from >= at.Offset {
		return nil
	}
	var before []queue.Record
	err = b.Log.Scan(ctx, at.Topic, at.Partition, from, at.Offset, func(r queue.Record) error {
		if other := (Grave{Record: r, OrderID: b.orderOf(r)}); other.lane() == lane {
			before = append(before, queue.Record{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Key: r.Key, Headers: r.Headers, Value: r.Value})
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("look for earlier messages of %s: %w", lane, err)
	}
	for _, r := range before {
		key := queue.Identify(r, b.Names.Source, b.Unknown)
		rows, err := b.Store.Messages(ctx, b.Names.Group, []string{key.MsgID})
		if err != nil {
			return fmt.Errorf("read message rows of %s: %w", key.MsgID, err)
		}
		if !slices.ContainsFunc(rows, func(row queue.Row) bool { return row.RowKey == key }) {
			return refused("%s is of the same order, earlier, and not finished: bury that one first", r.Position())
		}
	}
	return nil
}

// lane is what the worker keeps in order: the order, else the key of the record.
func (g Grave) lane() string {
	if g.OrderID != "" {
		return g.OrderID
	}
	return string(g.Record.Key)
}

// orderOf is the order that a record is about, where it can be read and named.
func (b *Bury) orderOf(r queue.Record) string {
	kind, _ := queue.First(r.Headers, queue.HeaderContentType)
	o, err := order.Parse(kind, r.Value, b.Unknown)
	if err != nil || strings.ContainsRune(o.OrderID, 0) {
		return ""
	}
	return o.OrderID
}

// dead is the row as it will be.
func (b *Bury) dead(g Grave) queue.Row {
	now := b.Now().UTC()
	row := queue.Row{RowKey: g.Key, OrderID: g.OrderID, Control: -1}
	row.Src, _ = queue.OriginOf(g.Record, b.Names.Source)
	if row.Src.Offset < 0 {
		row.Src = g.Record.Position()
	}
	if g.was != nil {
		row = *g.was
	} else {
		t := queue.ReadTrail(g.Record.Headers)
		if role, _, _ := b.Names.Role(g.Record.Topic); role != queue.RoleSource {
			row.Hop, row.ReplayID, row.Attempts = t.Hop, t.ReplayID, t.Attempts
		}
	}
	row.State, row.Outcome, row.Starts, row.DueAt, row.BlockedBy = queue.StateDead, "", 0, time.Time{}, ""
	row.Hop++
	row.At = queue.Position{Topic: b.Names.DLQ(), Partition: g.Record.Partition, Offset: -1}
	row.Failure = queue.Failure{Class: queue.ClassOperator, Code: CodeBuried, Message: queue.Cut(b.Reason, queue.MaxMessageBytes)}
	if row.FirstFailure.IsZero() {
		row.FirstFailure = now
	}
	row.LastFailure, row.UpdatedAt = now, now
	return row
}

// Do buries the record: the row, the letter, the row's word on where the letter is. A worker that meets the row in between
// writes the letter itself.
func (b *Bury) Do(ctx context.Context, g Grave) (queue.Position, error) {
	w := queue.Write{Kind: queue.Insert, Row: g.row}
	if g.was != nil {
		w.Kind, w.Was = queue.Update, *g.was
	}
	errs, err := b.Store.Apply(ctx, b.Names.Group, []queue.Lookup{{MsgID: g.Key.MsgID, OrderID: g.OrderID}}, func(int, queue.Seen) queue.Change {
		return queue.Change{Writes: []queue.Write{w}}
	})
	if err == nil && len(errs) == 1 {
		err = errs[0]
	}
	if errors.Is(err, queue.ErrRaced) {
		return queue.Position{}, refused("the worker has got past %s meanwhile", g.Record.Position())
	}
	if err != nil {
		return queue.Position{}, fmt.Errorf("write row of %s: %w", g.Key.MsgID, err)
	}
	failpoint.Hit("bury-written")
	sent, err := send(ctx, b.Producer, []queue.Message{b.letter(g)}, "bury-sending")
	if err == nil {
		err = sent[0].err
	}
	if err != nil {
		return queue.Position{}, fmt.Errorf("write letter of %s, whose row is dead: the worker will write it: %w: %w", g.Key.MsgID, ErrUnsent, err)
	}
	err = b.Store.Place(ctx, b.Names.Group, g.Key, g.row.Hop, sent[0].at)
	if err != nil && !errors.Is(err, queue.ErrRaced) {
		return sent[0].at, fmt.Errorf("write place of the letter: %w", err)
	}
	return sent[0].at, nil
}

// letter is the record's copy, with what its row says.
func (b *Bury) letter(g Grave) queue.Message {
	row := g.row
	t := queue.Trail{}
	if role, _, _ := b.Names.Role(g.Record.Topic); role != queue.RoleSource {
		t = queue.ReadTrail(g.Record.Headers)
	}
	t.Hop, t.Origin, t.Group, t.MsgID, t.Fingerprint = row.Hop, row.Src, b.Names.Group, row.MsgID, row.Fingerprint
	if row.Src.Topic != b.Names.Source {
		t.Origin = queue.Position{Partition: -1, Offset: -1}
	}
	if t.OrigTime.IsZero() {
		t.OrigTime = g.Record.Time
	}
	t.Class, t.Code, t.Message, t.Attempts = row.Failure.Class, row.Failure.Code, row.Failure.Message, row.Attempts
	t.NotBefore, t.FirstFailure, t.LastFailure = time.Time{}, row.FirstFailure, row.LastFailure
	t.Worker, t.ReplayID, t.BlockedBy, t.Discard = b.Operator, row.ReplayID, "", ""
	return queue.Message{
		Topic: row.At.Topic, Partition: row.At.Partition, Key: g.Record.Key, Value: g.Record.Value, Headers: t.Append(g.Record.Headers), Time: b.Now(),
	}
}
