package store_test

import (
	"log/slog"
	"testing"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/store"
)

func options(path string) store.Options {
	return store.Options{Driver: "sqlite", DSN: path, Migrate: true, Log: slog.New(slog.DiscardHandler)}
}

func open(t testing.TB, o store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("open store: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	return s
}

func sample(id string) order.Order {
	return order.Order{
		OrderID: id, UserID: "user-1", Status: order.Created, Currency: "CNY", TotalAmount: 700, Timestamp: 1_700_000_000_000,
		Items: []order.Item{{ProductID: "p-1", Quantity: 2, UnitPrice: 100}, {ProductID: "p-2", Quantity: 1, UnitPrice: 500}},
	}
}
