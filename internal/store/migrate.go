package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
)

// versionTable remembers which migrations were applied. The shop's own migrations may use the library's usual name.
const versionTable = "orderctl_schema"

// Migration is one step of the schema.
type Migration struct {
	Version int64
	Name    string        // of its file
	SQL     string        // what it runs
	Took    time.Duration // zero where it has not run
}

// Schema says what stands in a database and what this binary wants.
type Schema struct {
	Have, Want int64
	Pending    []Migration // what lies between, oldest first
}

// Migrate brings the schema up to date and returns what it applied. Any number of processes may do so at once.
func Migrate(ctx context.Context, opts Options) ([]Migration, error) {
	d, err := dialectOf(opts)
	if err != nil {
		return nil, err
	}
	return migrate(ctx, d)
}

// Status reads the version of the schema and changes nothing. A database that does not exist is at 0.
func Status(ctx context.Context, opts Options) (Schema, error) {
	d, err := dialectOf(opts)
	if err != nil {
		return Schema{}, err
	}
	steps, err := migrations(d)
	if err != nil {
		return Schema{}, err
	}
	l, err := d.connect(ctx)
	if absent(err) {
		return schemaAt(0, steps), nil
	}
	if err != nil {
		return Schema{}, startError(d, err)
	}
	have, err := version(ctx, d, l.read)
	if err = errors.Join(err, l.close()); err != nil {
		return Schema{}, startError(d, err)
	}
	return schemaAt(have, steps), nil
}

func schemaAt(have int64, steps []Migration) Schema {
	s := Schema{Have: have}
	for _, m := range steps {
		s.Want = m.Version
		if m.Version > have {
			s.Pending = append(s.Pending, m)
		}
	}
	return s
}

func migrate(ctx context.Context, d dialect) (_ []Migration, err error) {
	release, err := d.create(ctx)
	if err != nil {
		return nil, startError(d, err)
	}
	defer func() { err = errors.Join(err, release()) }()
	db, err := d.openNew()
	if err != nil {
		return nil, startError(d, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	steps, err := migrations(d)
	if err != nil {
		return nil, err
	}
	have, err := version(ctx, d, db)
	if err != nil {
		return nil, startError(d, err)
	}
	if s := schemaAt(have, steps); s.Have >= s.Want {
		return nil, s.check()
	}
	return apply(ctx, d, db, steps)
}

func apply(ctx context.Context, d dialect, db *sql.DB, steps []Migration) ([]Migration, error) {
	files, kind, more, err := d.schema()
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	more = append(more, goose.WithTableName(versionTable), goose.WithDisableGlobalRegistry(true))
	p, err := goose.NewProvider(kind, db, files, more...)
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	results, err := p.Up(ctx)
	if err != nil {
		return nil, startError(d, err)
	}
	var out []Migration
	for _, r := range results {
		for _, m := range steps {
			if m.Version == r.Source.Version {
				m.Took = r.Duration
				out = append(out, m)
			}
		}
	}
	return out, nil
}

// migrations lists the steps that this binary knows, oldest first.
func migrations(d dialect) ([]Migration, error) {
	files, _, _, err := d.schema()
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	var out []Migration
	for _, name := range names {
		v, err := goose.NumericComponent(name)
		if err != nil {
			return nil, fmt.Errorf("read name of migration %s: %w", name, err)
		}
		raw, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("read migration %s: %w", name, err)
		}
		out = append(out, Migration{Version: v, Name: path.Base(name), SQL: plainSQL(string(raw))})
	}
	return out, nil
}

// plainSQL leaves out what only the migration library reads.
func plainSQL(s string) string {
	var lines []string
	for line := range strings.Lines(s) {
		if !strings.HasPrefix(line, "-- +goose") {
			lines = append(lines, line)
		}
	}
	return strings.TrimSpace(strings.Join(lines, "")) + "\n"
}
