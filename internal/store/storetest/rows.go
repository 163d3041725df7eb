package storetest

import (
	"strings"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

func fullRow() queue.Row {
	return queue.Row{
		RowKey: queue.RowKey{MsgID: "A-1:PAID", Fingerprint: strings.Repeat("a", 64)},
		State:  queue.StateDead, Outcome: queue.ByOperator, Hop: 7,
		At: queue.Position{Topic: "orders.g.dlq", Partition: 11, Offset: 1 << 60}, OrderID: "A-1",
		Src: queue.Position{Topic: "orders", Partition: 11, Offset: 1<<60 + 1}, Attempts: 6,
		Failure: queue.Failure{Class: queue.ClassInvalid, Code: "#/items/0/quantity", Message: "must be at least 1"},
		DueAt:   time.UnixMilli(1_800_000_000_001).UTC(), BlockedBy: "A-1:CREATED", ReplayID: "job-1/2", Control: 12,
		Starts: 2, TraceID: "4bf92f3577b34da6a3ce929d0e0e4736", FirstFailure: time.UnixMilli(1).UTC(),
		LastFailure: time.UnixMilli(2).UTC(), UpdatedAt: time.UnixMilli(3).UTC(),
	}
}

func insertedRowComesBack(t *testing.T, w *world) {
	s, want := w.open(t), fullRow()
	put(t, s, want)
	if got := get(t, s, want.RowKey); got != want {
		t.Errorf("row is\n%+v, want\n%+v", got, want)
	}
}

func bareRowComesBack(t *testing.T, w *world) {
	s := w.open(t)
	want := queue.Row{
		RowKey: queue.RowKey{MsgID: "orders/3@17", Fingerprint: "f"}, State: queue.StateDead, Hop: 1,
		At: queue.Position{Topic: "orders.g.dlq", Partition: 3, Offset: -1}, Src: at(17), Control: -1,
	}
	before := time.Now().Truncate(time.Millisecond)
	put(t, s, want)
	got := get(t, s, want.RowKey)
	if got.UpdatedAt.Before(before) || got.UpdatedAt.After(time.Now()) {
		t.Errorf("updated_at is %v, want now", got.UpdatedAt)
	}
	if got.UpdatedAt = want.UpdatedAt; got != want {
		t.Errorf("row is\n%+v, want\n%+v", got, want)
	}
	if n := w.db.Int(t, `SELECT count(*) FROM orderctl_messages WHERE order_id IS NULL AND at_offset IS NULL AND class IS NULL
		AND code IS NULL AND message IS NULL AND due_at IS NULL AND replay_id IS NULL AND control_offset IS NULL
		AND first_failure IS NULL AND trace_id IS NULL AND outcome IS NULL AND done_id IS NULL`); n != 1 {
		t.Error("what a row does not have is not NULL")
	}
}

func textComesBack(t *testing.T, w *world) {
	s := w.open(t)
	for i, text := range []string{"订单-1", "a'b\"c`d;--", "%_\\", "👩‍🚀", "e\u0301", "é", "A-1 ", "a-1", " A-1", "A-1"} {
		r := row(text, "f", queue.StateDead, int64(i))
		r.OrderID, r.ReplayID, r.BlockedBy, r.Failure.Message = text, text, text, text
		put(t, s, r) // none of them may be taken for another
		if got := get(t, s, r.RowKey); got != r {
			t.Errorf("row of %q is\n%+v, want\n%+v", text, got, r)
		}
	}
}

func largestOrder(t *testing.T, w *world) {
	s := w.openWith(t, `INSERT INTO journal (message_id, user_id, body) VALUES (:message_id, :user_id, :order);`)
	o := sample(strings.Repeat("o", 64), order.Created)
	o.TotalAmount, o.Timestamp = order.MaxAmount, order.MaxAmount
	o.Items = make([]order.Item, order.MaxItems)
	for i := range o.Items {
		o.Items[i] = order.Item{ProductID: strings.Repeat("产", order.MaxProductChars), Quantity: order.MaxQuantity, UnitPrice: order.MaxAmount}
	}
	o.Attributes = map[string]string{}
	for i := range order.MaxAttributes {
		o.Attributes[strings.Repeat("a", 62)+string(rune('A'+i/26))+string(rune('A'+i%26))] = strings.Repeat("👩", order.MaxAttributeChars)
	}
	r := run(o, 1)
	value := []byte(`{"x":"` + strings.Repeat("v", 1<<20) + `"}`)
	wantNone(t, apply(t, s, record{r.look, func(seen queue.Seen) queue.Change {
		c := r.decide(seen)
		c.Writes[0].Row.Failure.Message = strings.Repeat("m", queue.MaxMessageBytes)
		c.Effect.Value = value
		return c
	}}))
	v, err := s.Order(t.Context(), group, o.OrderID)
	if err != nil || !v.Found || v.TotalAmount != order.MaxAmount {
		t.Errorf("order is %+v, %v", v, err)
	}
	if n := w.db.Int(t, `SELECT length(body) FROM journal`); n != int64(len(value)) {
		t.Errorf(":order has %d bytes, want %d", n, len(value))
	}
	long := row(strings.Repeat("i", 1_000), strings.Repeat("f", 64), queue.StateRetry, 2)
	put(t, s, long)
	if got := get(t, s, long.RowKey); got != long {
		t.Error("a message id of 1,000 bytes does not come back")
	}
}
