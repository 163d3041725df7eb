package dlq

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

// mayDie is whether the row lets the record be the one that lives: nobody knows it yet, it is where the row says, or it is a
// replay that the worker would accept.
func (b *Bury) mayDie(g Grave) error {
	row := g.was
	if row == nil || g.begun(b.Names.Source) || g.accepted(b.Names.Source) {
		return nil
	}
	switch id := g.Key.MsgID; {
	case row.State == queue.StateDone:
		return refused("message %s is done already", id)
	case row.At.Offset < 0:
		return refused("message %s is on its way to %s: the worker writes it there as soon as that topic takes it, and its log says why not yet", id, row.At.Topic)
	case row.State == queue.StateDead:
		return refused("message %s is dead already: orderctl dlq list --order-id %s", id, row.OrderID)
	case row.State == queue.StateDiscarded:
		return refused("message %s is discarded already", id)
	case row.At != g.Record.Position():
		return refused("%s is an old copy: message %s is at %s", g.Record.Position(), id, row.At)
	}
	return nil
}

// begun reports whether a burial of this record ended between its row and its letter.
func (g Grave) begun(source string) bool {
	t, row := queue.Believed(g.Record, source), g.was
	return row != nil && row.State == queue.StateDead && row.At.Offset < 0 && row.Failure.Class == queue.ClassOperator &&
		row.Hop == t.Hop+1 && row.ReplayID == t.ReplayID
}

// accepted reports whether the record is a replay that the worker would take for the living copy.
func (g Grave) accepted(source string) bool {
	t, row := queue.Believed(g.Record, source), g.was
	return row != nil && (row.State == queue.StateDead || row.State == queue.StateDiscarded) && t.Hop == row.Hop+1 && t.ReplayID != ""
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
