package store_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	"commerce.internal/orderctl/internal/store/storetest"
)

func TestSQLiteIsAStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, "TestAnotherProcess", func(t *testing.T) storetest.Database {
		return sqliteDatabase(filepath.Join(t.TempDir(), "state", "orders.db"))
	})
}

func sqliteDatabase(path string) storetest.Database {
	return storetest.Database{
		Options: options(path),
		Exec: func(t testing.TB, query string) {
			t.Helper()
			if _, err := raw(t, path).ExecContext(t.Context(), query); err != nil {
				t.Fatalf("%s: %v", query, err)
			}
		},
		Int: func(t testing.TB, query string) int64 {
			t.Helper()
			var n int64
			if err := raw(t, path).QueryRowContext(t.Context(), query).Scan(&n); err != nil {
				t.Fatalf("%s: %v", query, err)
			}
			return n
		},
	}
}

// raw is a connection of the test's own.
func raw(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(20000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}
