package store

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

// writeOrder puts the effect of a record into the orders table: a new order where none was read, else the locked one,
// which must still have the status that was read.
func (x *session) writeOrder(ctx context.Context, group string, c *change, now time.Time) (int64, error) {
	if c.Effect.Insert {
		return x.exec(ctx, x.store.text.insertOrder, insertOrderArgs(group, c, now)...)
	}
	if c.seen.Stored == nil {
		return 0, nil // decided from an older look: there is no order to update
	}
	return x.exec(ctx, x.store.text.updateOrder, append(updateOrderArgs(c, now), group, c.Effect.Order.OrderID, string(c.seen.Stored.Status))...)
}

// orderValues hands the columns of a new order to v, in the order of texts.insertOrder.
func orderValues(v values, group string, e *queue.Effect, now time.Time) {
	o := &e.Order
	v.same(group)
	v.text(o.OrderID)
	v.text(o.UserID)
	v.text(string(o.Status))
	v.text(o.Currency)
	v.number(o.TotalAmount)
	v.text(itemsJSON(o.Items))
	v.textOrNull(attributesJSON(o.Attributes))
	v.number(o.Timestamp)
	v.number(o.Timestamp)
	v.text(e.MessageID)
	v.number(int64(e.Src.Partition))
	v.number(e.Src.Offset)
	v.textOrNull(e.TraceID)
	v.number(now.UnixMilli())
}

// insertOrderArgs are the parameters of texts.insertOrder.
func insertOrderArgs(group string, c *change, now time.Time) []any {
	list := make(valueList, 0, 15)
	orderValues(&list, group, c.Effect, now)
	return list
}

// updateOrderArgs are the values that texts.updateOrder sets.
func updateOrderArgs(c *change, now time.Time) []any {
	e := c.Effect
	o := &e.Order
	return []any{
		o.UserID, string(o.Status), o.Currency, o.TotalAmount, itemsJSON(o.Items), orNull(attributesJSON(o.Attributes)),
		o.Timestamp, e.MessageID, e.Src.Partition, e.Src.Offset, orNull(e.TraceID), now.UnixMilli(),
	}
}

// itemsJSON is the items as a JSON array, as the orders table and :items have them.
func itemsJSON(items []order.Item) string {
	var few [1024]byte // most orders fit, and need no memory of their own
	return string(order.AppendItems(few[:0], items))
}

// attributesJSON is the attributes as a JSON object, "" where there are none.
func attributesJSON(m map[string]string) string {
	if len(m) == 0 {
		return ""
	}
	return text(m)
}

// text encodes strings, which cannot fail. People read it in the database, so < stays <.
func text(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "null"
	}
	return strings.TrimSuffix(b.String(), "\n")
}
