package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// SchemaError says that the database was not made for this binary: the command ends with exit code 2.
type SchemaError struct {
	Have, Want int64
}

// Error implements error.
func (e *SchemaError) Error() string {
	return fmt.Sprintf("database schema is at %d, this binary needs %d", e.Have, e.Want)
}

// ExitCode returns the exit code of a command that fails with this error.
func (e *SchemaError) ExitCode() int { return 2 }

// Hint says what to do.
func (e *SchemaError) Hint() string {
	if e.Have > e.Want {
		return "a newer orderctl has been here; install that one ('orderctl db migrate' goes forward only)"
	}
	return "run: orderctl db migrate"
}

// check returns an error unless the schema is the one that this binary wants.
func (s Schema) check() error {
	if s.Have == s.Want {
		return nil
	}
	return &SchemaError{Have: s.Have, Want: s.Want}
}

func checkSchema(ctx context.Context, d dialect, db *sql.DB) error {
	steps, err := migrations(d)
	if err != nil {
		return err
	}
	have, err := version(ctx, d, db)
	if err != nil {
		return err
	}
	return schemaAt(have, steps).check()
}

// version reads how far the schema is; 0 where orderctl has never been.
func version(ctx context.Context, d dialect, db *sql.DB) (int64, error) {
	var tables int
	if err := db.QueryRowContext(ctx, render(d.syntax(), d.syntax().hasTable), versionTable).Scan(&tables); err != nil {
		return 0, fmt.Errorf("read tables: %w", err)
	}
	if tables == 0 {
		return 0, nil
	}
	var v sql.NullInt64
	if err := db.QueryRowContext(ctx, "SELECT max(version_id) FROM "+versionTable).Scan(&v); err != nil {
		return 0, fmt.Errorf("read version of schema: %w", err)
	}
	return v.Int64, nil
}

// StartError says that the database cannot be used: the command ends with exit code 3.
type StartError struct {
	Where string
	Err   error
}

// Error implements error.
func (e *StartError) Error() string {
	return fmt.Sprintf("cannot use database %s: %s", e.Where, oneLine(e.Err.Error()))
}

// oneLine is the text of a driver that writes a line for each address that it tried, often the same.
func oneLine(s string) string {
	var lines []string
	for line := range strings.Lines(s) {
		if line = strings.TrimSpace(line); line != "" && !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return strings.ReplaceAll(strings.Join(lines, "; "), ":; ", ": ")
}

// Unwrap returns the cause.
func (e *StartError) Unwrap() error { return e.Err }

// ExitCode returns the exit code of a command that fails with this error.
func (e *StartError) ExitCode() int { return 3 }

// Hint says what to do.
func (e *StartError) Hint() string {
	return "store.driver and store.dsn name it; 'orderctl doctor' checks it"
}

// startError is what a command says that cannot open the database: a wrong schema is a matter of usage, no file at all
// too, the rest is a dependency that does not answer.
func startError(d dialect, err error) error {
	if wrong := (*SchemaError)(nil); errors.As(err, &wrong) {
		return wrong
	}
	if usage := (*UsageError)(nil); errors.As(err, &usage) {
		return usage
	}
	if absent(err) {
		return &UsageError{Text: "no database at " + d.where(), Help: "run: orderctl db migrate"}
	}
	return &StartError{Where: d.where(), Err: err}
}

// absent reports whether there is no database at all.
func absent(err error) bool {
	var f *failure
	return errors.As(err, &f) && (f.means.Code == "gone" || f.means.Code == "empty")
}
