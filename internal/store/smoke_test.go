package store_test

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/store"
)

func TestSmoke(t *testing.T) {
	t.Parallel()
	s, err := store.Open(t.Context(), store.Options{Driver: "sqlite", DSN: filepath.Join(t.TempDir(), "x", "o.db"), Migrate: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	o := order.Order{OrderID: "A", UserID: "u", Status: order.Created, Currency: "CNY", Items: []order.Item{{"p", 1, 2}}, TotalAmount: 2, Timestamp: 5}
	row := queue.Row{
		RowKey: queue.RowKey{MsgID: "A:CREATED", Fingerprint: "f"}, State: queue.StateDone, Outcome: queue.Applied, OrderID: "A", Control: -1,
		At: queue.Position{Topic: "orders", Partition: 1, Offset: 7}, Src: queue.Position{Topic: "orders", Partition: 1, Offset: 7}, UpdatedAt: time.UnixMilli(77).UTC(),
	}
	errs, err := s.Apply(t.Context(), "g", []queue.Lookup{{MsgID: "A:CREATED", OrderID: "A"}}, func(_ int, seen queue.Seen) queue.Change {
		return queue.Change{Writes: []queue.Write{{Kind: queue.Insert, Row: row}}, Effect: &queue.Effect{Order: o, Insert: true, MessageID: "A:CREATED"}}
	})
	t.Log(errs, err)
	v, err := s.Order(t.Context(), "g", "A")
	t.Logf("%+v %v", v, err)
	if len(v.Rows) != 1 || v.Rows[0] != row || !v.Found {
		t.Fatal("differs")
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
}
