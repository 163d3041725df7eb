// Package store remembers the orders and what became of every message, in a SQL database. One transaction holds the
// rows of a batch of messages, the orders they change and the operator's own statements, so an effect happens once.
// It decides nothing: the rules are the caller's, the store reads, compares and sets.
package store

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// Options says which database the store opens.
type Options struct {
	Driver     string           // required: "sqlite", "postgres" or "mysql"
	DSN        string           // required: for sqlite the path of the file, else the address of the database
	Password   string           // of a database server; sqlite has none
	MaxOpen    int              // connections at once, readers and writers; 0: 16. sqlite has one writer, always
	MaxIdle    int              // connections to a server that stay open while nobody uses them; 0: 4
	MaxLife    time.Duration    // after which a connection to a server is replaced; 0: 30 minutes
	Migrate    bool             // bring the schema up to date first; sqlite: create the file too
	EffectFile string           // path of the operator's SQL statements; "": none
	Log        *slog.Logger     // required
	Now        func() time.Time // the clock of applied_at and updated_at; nil: time.Now
}

// Store is an open database. All methods may be called at once.
type Store struct {
	opts    Options
	dialect dialect
	text    texts
	effect  []effectStatement
	writers chan struct{} // one token for each transaction that runs
	dial    chan struct{} // held by whoever looks whether the link is still good

	mu     sync.Mutex
	link   *link      // nil: to be opened again
	idle   []*session // writing connections of link that nobody uses
	id     string     // the database that was opened first; no other may take its place
	closed bool
}

// Open connects to the database and refuses one whose schema is not the one this binary was built for.
// Its errors carry ExitCode and, where there is a remedy, Hint.
func Open(ctx context.Context, opts Options) (*Store, error) {
	s, err := OpenLater(opts)
	if err != nil {
		return nil, err
	}
	if opts.Migrate {
		if _, err := migrate(ctx, s.dialect); err != nil {
			return nil, err
		}
	}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// OpenLater returns a store that connects when it is first asked, and again until it can: for a process that has other
// work too while the database is away. It neither makes nor migrates one. Only mistakes in the options are errors here;
// a schema that does not fit is an outage later.
func OpenLater(opts Options) (*Store, error) {
	d, err := dialectOf(opts)
	if err != nil {
		return nil, err
	}
	if opts.Log == nil {
		return nil, errors.New("store: Options.Log is required")
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	s := &Store{
		opts: opts, dialect: d, text: newTexts(d.syntax()),
		writers: make(chan struct{}, d.writers()), dial: make(chan struct{}, 1),
	}
	if s.effect, err = readEffectFile(d, opts.EffectFile); err != nil {
		return nil, err
	}
	return s, nil
}

// start makes the first connection and lets the database check the operator's statements.
func (s *Store) start(ctx context.Context) error {
	x, err := s.take(ctx)
	if err != nil {
		return startError(s.dialect, err)
	}
	defer s.give(x)
	return x.prepareEffect(ctx, s.opts.EffectFile)
}

// Ping asks the database for an answer, and fails when there is none before ctx ends.
func (s *Store) Ping(ctx context.Context) error {
	return s.look(ctx, "ping database", func(tx *sql.Tx) error {
		var one int
		return tx.QueryRowContext(ctx, "SELECT 1 FROM orderctl_store").Scan(&one)
	})
}

// Close waits for the transactions that run and ends all connections. Later calls fail.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	for range cap(s.writers) {
		s.writers <- struct{}{}
	}
	err := s.hangUp(nil)
	for range cap(s.writers) {
		<-s.writers // whoever still waits learns that the store is closed
	}
	return err
}
