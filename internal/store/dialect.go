package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"strings"

	"github.com/pressly/goose/v3"
)

// dialect is what one database does in its own way. Everything else is written once, in texts and in the files that
// use them.
type dialect interface {
	// connect opens the database that the options name. It never makes one.
	connect(ctx context.Context) (*link, error)
	// create makes an empty database where there is none and may be one, and keeps other processes from doing the
	// same until release is called. A database server is asked for nothing: its databases are its owner's.
	create(ctx context.Context) (release func() error, err error)
	// openNew opens the database for its migrations; it may be empty. Between create and release only.
	openNew() (*sql.DB, error)
	// blame says what an error of the driver means.
	blame(err error) fault
	// writers is how many transactions may run at once.
	writers() int
	// keeps reports whether a connection that is done may stay open beside so many idle ones.
	keeps(x *session, idle int) bool
	// syntax returns how the database spells what SQL does not agree on.
	syntax() syntax
	// schema returns the migrations, and how the migration library treats the database.
	schema() (fs.FS, goose.Dialect, []goose.ProviderOption, error)
	// where names the database for a person, without secrets.
	where() string
}

// syntax is how a database spells what SQL does not agree on.
type syntax struct {
	begin       string                // starts a transaction that means to write
	looks       sql.TxOptions         // of a transaction that reads, all of it at one moment
	prepares    bool                  // a statement that is run again is worth preparing
	same        string                // equality that holds between NULLs
	state       string                // the column, hidden from an index that may be long; "": as it is
	lockRows    string                // ends a SELECT whose rows shall stay as they are until the end
	hasTable    string                // counts the tables of a name
	placeholder func(n int) string    // the n-th parameter, from 1
	lookup      func(q lookup) string // where the usual text is not good enough; its names are one parameter
	names       func([]string) any    // which is made by this
	number      string                // what says, behind a parameter, that it is a number
	foreign     string                // bytes that begin parameters which the store never fills
	brackets    bool                  // [name] is a quoted name
	dollars     bool                  // $$text$$ and $tag$text$tag$ are quoted, E'' knows backslashes, comments nest
	backslashes bool                  // a backslash quotes the next byte of a text, # begins a comment, -- only before a blank
}

// link is an open database.
type link struct {
	write, read *sql.DB
	id          string       // of orderctl_store
	still       func() error // nil while the connections lead to the database that the options name
}

func (l *link) close() error {
	err := l.read.Close()
	if w := l.write.Close(); w != nil {
		err = w
	}
	return err
}

// UsageError is a mistake in the options: the command ends with exit code 2.
type UsageError struct {
	Text string
	Help string
}

// Error implements error.
func (e *UsageError) Error() string { return e.Text }

// ExitCode returns the exit code of a command that fails with this error.
func (e *UsageError) ExitCode() int { return 2 }

// Hint says what to do.
func (e *UsageError) Hint() string { return e.Help }

func dialectOf(o Options) (dialect, error) {
	switch o.Driver {
	case "sqlite":
		return newSQLite(o)
	case "postgres":
		return newPostgres(o)
	case "mysql":
		return newMySQL(o)
	}
	return nil, &UsageError{
		Text: fmt.Sprintf("store.driver: no database %q in this orderctl", o.Driver),
		Help: "write sqlite, postgres or mysql",
	}
}

// render writes a text of this package in the words of a database: ? is a parameter, <=> equality between NULLs too,
// {lock} the end of a locking read, {state} the column where its index shall not be used.
func render(y syntax, text string) string {
	text = strings.ReplaceAll(text, "<=>", y.same)
	text = strings.ReplaceAll(text, "{lock}", y.lockRows)
	text = strings.ReplaceAll(text, "{state}", cmp.Or(y.state, "state"))
	var b strings.Builder
	for n := 1; ; n++ {
		before, after, found := strings.Cut(text, "?")
		b.WriteString(before)
		if !found {
			return strings.TrimSpace(b.String())
		}
		b.WriteString(y.placeholder(n))
		text = after
	}
}
