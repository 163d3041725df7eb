package storetest

import (
	"log/slog"
	"path/filepath"
	"testing"

	"commerce.internal/orderctl/internal/store"
)

// SQLite opens an empty SQLite store of its own for one test: for tests of those who use a store.
func SQLite(t testing.TB) *store.Store {
	t.Helper()
	return openStore(t, store.Options{
		Driver: "sqlite", DSN: filepath.Join(t.TempDir(), "orders.db"), Migrate: true, Log: slog.New(slog.DiscardHandler),
	})
}
