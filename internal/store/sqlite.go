package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/sqlite/*.sql
var sqliteMigrations embed.FS

// sqliteReaders is how many connections read beside the one that writes.
const sqliteReaders = 4

// sqliteDialect is SQLite: one file, one writer, any number of readers that do not wait for it.
type sqliteDialect struct {
	path    string
	pragmas []string // of the operator
	readers int
}

func newSQLite(o Options) (*sqliteDialect, error) {
	if o.Password != "" {
		return nil, &UsageError{Text: "store.password_file: sqlite has no password"}
	}
	path, query, err := sqlitePath(o.DSN)
	if err != nil {
		return nil, err
	}
	pragmas, err := sqlitePragmas(query)
	if err != nil {
		return nil, err
	}
	readers := sqliteReaders
	if o.MaxOpen > 1 {
		readers = min(readers, o.MaxOpen-1)
	}
	return &sqliteDialect{path: path, pragmas: pragmas, readers: readers}, nil
}

// sqlitePath takes a dsn apart: the path of a file, or file:path?parameters.
func sqlitePath(dsn string) (path, query string, err error) {
	path = dsn
	if rest, isURI := strings.CutPrefix(dsn, "file:"); isURI {
		path, query, _ = strings.Cut(strings.TrimPrefix(rest, "//"), "?")
		if path, err = url.PathUnescape(path); err != nil {
			return "", "", &UsageError{Text: fmt.Sprintf("store.dsn: %v", err)}
		}
	}
	if path == "" {
		return "", "", &UsageError{Text: "store.dsn: sqlite needs the path of a file"}
	}
	if strings.HasPrefix(path, ":memory:") {
		return "", "", &UsageError{Text: "store.dsn: a database in memory would forget what is done", Help: "name a file"}
	}
	if path, err = filepath.Abs(path); err != nil {
		return "", "", &UsageError{Text: fmt.Sprintf("store.dsn: %v", err)}
	}
	return path, query, nil
}

// sqlitePragmas are the settings in a dsn, but for those on which the promises of the store rest.
func sqlitePragmas(query string) ([]string, error) {
	q, err := url.ParseQuery(query)
	if err != nil {
		return nil, &UsageError{Text: fmt.Sprintf("store.dsn: %v", err)}
	}
	pragmas := q["_pragma"]
	delete(q, "_pragma")
	for name := range q {
		return nil, &UsageError{Text: fmt.Sprintf("store.dsn: unknown parameter %s", name), Help: "sqlite takes _pragma=name(value)"}
	}
	for _, p := range pragmas {
		name := firstWord(strings.ReplaceAll(p, "_", ""))
		if slices.Contains([]string{"JOURNALMODE", "SYNCHRONOUS", "BUSYTIMEOUT", "QUERYONLY", "LOCKINGMODE"}, name) || strings.Contains(p, ";") {
			return nil, &UsageError{Text: fmt.Sprintf("store.dsn: _pragma=%s is not yours to set", p)}
		}
	}
	return pragmas, nil
}

func (d *sqliteDialect) where() string { return d.path }
func (d *sqliteDialect) writers() int  { return 1 }

func (d *sqliteDialect) keeps(*session, int) bool { return true }

func (d *sqliteDialect) syntax() syntax {
	return syntax{
		begin:       "BEGIN IMMEDIATE",
		looks:       sql.TxOptions{ReadOnly: true},
		prepares:    true,
		same:        "IS",
		hasTable:    "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?",
		placeholder: func(int) string { return "?" },
		foreign:     "?@$",
		brackets:    true,
	}
}

func (d *sqliteDialect) schema() (fs.FS, goose.Dialect, []goose.ProviderOption, error) {
	files, err := fs.Sub(sqliteMigrations, "migrations/sqlite")
	return files, goose.DialectSQLite3, nil, err
}

// dsn is the file with our settings. mode=rw: a file that is gone is never made anew in passing. FULL, since with
// NORMAL a power cut may lose what Kafka was told is done.
func (d *sqliteDialect) dsn(pragmas ...string) string {
	q := url.Values{"mode": {"rw"}, "_txlock": {"immediate"}, "_pragma": append([]string{
		"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)",
	}, append(pragmas, d.pragmas...)...)}
	return (&url.URL{Scheme: "file", Path: d.path, RawQuery: q.Encode()}).String()
}

func (d *sqliteDialect) connect(ctx context.Context) (*link, error) {
	before, err := d.file()
	if err != nil {
		return nil, err
	}
	l := &link{}
	if l.write, err = sql.Open("sqlite", d.dsn()); err != nil {
		return nil, err
	}
	l.write.SetMaxOpenConns(1)
	l.write.SetMaxIdleConns(-1) // a connection that is given up shall be closed, not kept with its locks
	if l.read, err = sql.Open("sqlite", d.dsn("query_only(1)")); err != nil {
		return nil, errors.Join(err, l.write.Close())
	}
	l.read.SetMaxOpenConns(d.readers)
	l.read.SetMaxIdleConns(d.readers)
	if err := d.watch(ctx, l, before); err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

// create makes the file and its folder, for nobody else to read: orders name people. The lock is a file of its own,
// since closing any handle of the database would drop SQLite's locks in this process.
func (d *sqliteDialect) create(ctx context.Context) (func() error, error) {
	if err := os.MkdirAll(filepath.Dir(d.path), 0o700); err != nil {
		return nil, err
	}
	release, err := lockFile(ctx, d.path+".migrate")
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(d.path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return release, nil
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return nil, errors.Join(err, release())
	}
	return release, nil
}

func (d *sqliteDialect) openNew() (*sql.DB, error) {
	db, err := sql.Open("sqlite", d.dsn())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return db, nil
}
