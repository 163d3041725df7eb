package dbtest

import (
	"context"
	"database/sql"
	"fmt"
	"testing"

	_ "github.com/go-sql-driver/mysql" // drivers of the
	_ "github.com/jackc/pgx/v5/stdlib" // servers
)

// home is a database that every server of the kind has.
func (k kind) home() string {
	if k.driver == "mysql" {
		return "mysql"
	}
	return "postgres"
}

func (s *Server) exec(database, query string) error {
	db, err := sql.Open(s.kind.driver, s.DSN(database))
	if err != nil {
		return err
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := db.ExecContext(ctx, query); err != nil {
		return fmt.Errorf("%s: %w", query, err)
	}
	return nil
}

// Exec runs a statement on a connection of its own.
func (s *Server) Exec(t testing.TB, database, query string) {
	t.Helper()
	if err := s.exec(database, query); err != nil {
		t.Fatal(err)
	}
}

// Open connects to a database of a server; the caller closes it.
func Open(t testing.TB, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(map[string]string{"postgres": "pgx", "mysql": "mysql"}[driver], dsn)
	if err != nil {
		t.Fatal(err)
	}
	return db
}
