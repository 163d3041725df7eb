package dlq

import (
	"context"
	"errors"
	"fmt"
	"strconv"
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
	if role == queue.RoleReplay && queue.ReadTrail(rec.Headers).Discard != "" {
		return Grave{}, refused("%s is a discard or its undo, no message", at)
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

// dead is the row as it will be.
func (b *Bury) dead(g Grave) queue.Row {
	now := b.Now().UTC()
	row := queue.Row{RowKey: g.Key, OrderID: g.OrderID, Control: -1}
	row.Src, _ = queue.OriginOf(g.Record, b.Names.Source)
	if row.Src.Offset < 0 {
		row.Src = g.Record.Position()
	}
	t := queue.Believed(g.Record, b.Names.Source)
	switch {
	case g.was == nil:
		row.Hop, row.ReplayID, row.Attempts = t.Hop, t.ReplayID, t.Attempts
	case g.begun(b.Names.Source):
		return *g.was
	case g.accepted(b.Names.Source):
		row = *g.was
		row.Hop, row.ReplayID, row.Attempts = t.Hop, t.ReplayID, 0
	default:
		row = *g.was
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
	if !g.begun(b.Names.Source) {
		if err := b.write(ctx, g); err != nil {
			return queue.Position{}, err
		}
		failpoint.Hit("bury-written")
	}
	sent, err := send(ctx, b.Producer, []queue.Message{b.letter(g)}, func() { failpoint.Hit("bury-sending") })
	if err == nil {
		err = sent[0].err
	}
	if err != nil {
		return queue.Position{}, fmt.Errorf("write letter of %s, whose row is dead: %w: %w", g.Key.MsgID, ErrUnsent, err)
	}
	err = b.Store.Place(ctx, b.Names.Group, g.Key, g.row.Hop, sent[0].at)
	if err != nil && !errors.Is(err, queue.ErrRaced) {
		return sent[0].at, fmt.Errorf("write place of the letter: %w", err)
	}
	return sent[0].at, nil
}

// write changes the row from what it was found to be.
func (b *Bury) write(ctx context.Context, g Grave) error {
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
		return refused("the worker has got past %s meanwhile", g.Record.Position())
	}
	if err != nil {
		return fmt.Errorf("write row of %s: %w", g.Key.MsgID, err)
	}
	return nil
}

// letter is the record's copy, with what its row says.
func (b *Bury) letter(g Grave) queue.Message {
	t := queue.Believed(g.Record, b.Names.Source)
	entered := t.OrigTime
	if entered.IsZero() {
		entered = g.Record.Time
	}
	t = t.Follow(g.row, b.Names, b.Operator, entered)
	return queue.Message{
		Topic: g.row.At.Topic, Partition: g.row.At.Partition, Key: g.Record.Key, Value: g.Record.Value, Headers: t.Append(g.Record.Headers), Time: b.Now(),
	}
}
