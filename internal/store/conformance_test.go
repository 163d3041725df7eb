package store_test

import (
	"database/sql"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"commerce.internal/orderctl/internal/store"
	"commerce.internal/orderctl/internal/store/dbtest"
	"commerce.internal/orderctl/internal/store/storetest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	store.TestServers.Stop()
	os.Exit(code)
}

func TestSQLiteIsAStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, "TestAnotherProcess", func(t *testing.T) storetest.Database {
		return sqliteDatabase(filepath.Join(t.TempDir(), "state", "orders.db"))
	})
}

func TestPostgresIsAStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, "TestAnotherProcess", func(t *testing.T) storetest.Database { return postgresDatabase(t) })
}

func TestMySQLIsAStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, "TestAnotherProcess", func(t *testing.T) storetest.Database { return mysqlDatabase(t) })
}

func sqliteDatabase(path string) storetest.Database {
	d := database("sqlite", path, func(t testing.TB) *sql.DB { return raw(t, path) })
	d.Options = options(path)
	return d
}

// postgresDatabase is an empty database on the PostgreSQL server of this binary.
func postgresDatabase(t testing.TB) storetest.Database {
	t.Helper()
	dsn := store.TestServers.Postgres(t)
	return database("postgres", dsn, func(t testing.TB) *sql.DB { return dbtest.Open(t, "postgres", dsn) })
}

// mysqlDatabase is an empty database on the MariaDB server of this binary.
func mysqlDatabase(t testing.TB) storetest.Database {
	t.Helper()
	dsn := store.TestServers.MySQL(t)
	d := database("mysql", dsn, func(t testing.TB) *sql.DB { return dbtest.Open(t, "mysql", dsn) })
	d.LongText = "LONGTEXT"
	return d
}

func database(driver, dsn string, connect func(testing.TB) *sql.DB) storetest.Database {
	return storetest.Database{
		LongText: "TEXT",
		Options:  store.Options{Driver: driver, DSN: dsn, Migrate: true, Log: slog.New(slog.DiscardHandler)},
		Exec: func(t testing.TB, query string) {
			t.Helper()
			db := connect(t)
			defer db.Close()
			if _, err := db.ExecContext(t.Context(), query); err != nil {
				t.Fatalf("%s: %v", query, err)
			}
		},
		Int: func(t testing.TB, query string) int64 {
			t.Helper()
			var n int64
			db := connect(t)
			defer db.Close()
			if err := db.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
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
