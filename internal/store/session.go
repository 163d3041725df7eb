package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// commitWithin bounds the wait for the answer to a commit, and to a rollback.
const commitWithin = 5 * time.Second

// session is a writing connection. One transaction uses it at a time.
type session struct {
	store *Store
	link  *link
	conn  *sql.Conn
	born  time.Time
	stmts map[string]*sql.Stmt

	runs     int         // transactions so far
	used     bool        // by a transaction before this one
	answered bool        // the database has answered in this transaction
	unbegun  bool        // the transaction begins with what is sent next
	queued   []statement // goes out in front of what is sent next
	ended    bool        // no transaction is open
}

// take waits for the right to write and returns a connection that leads to the database of the options.
func (s *Store) take(ctx context.Context) (*session, error) {
	select {
	case s.writers <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	x, err := s.session(ctx)
	if err != nil {
		<-s.writers
	}
	return x, err
}

func (s *Store) session(ctx context.Context) (*session, error) {
	l, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	if n := len(s.idle); n > 0 {
		x := s.idle[n-1]
		s.idle = s.idle[:n-1]
		s.mu.Unlock()
		return x, nil
	}
	s.mu.Unlock()
	conn, err := l.write.Conn(ctx)
	if err != nil {
		s.abandon(ctx, l, err)
		return nil, err
	}
	return &session{store: s, link: l, conn: conn, born: time.Now(), stmts: map[string]*sql.Stmt{}, ended: true}, nil
}

// give hands a connection back for the next transaction.
func (s *Store) give(x *session) {
	defer func() { <-s.writers }()
	s.mu.Lock()
	if x.ended && s.link == x.link && s.dialect.keeps(x, len(s.idle)) {
		x.used, x.answered = true, false
		s.idle = append(s.idle, x)
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	_ = x.close() // the link was given up meanwhile, or the connection is stuck in a transaction: nothing to save
}

// begin starts the transaction. Where statements are sent together it goes with the first of them.
func (x *session) begin(ctx context.Context) error {
	if x.piped() {
		x.runs++
		x.unbegun = true
		return nil
	}
	_, err := x.exec(ctx, x.store.dialect.syntax().begin)
	x.ended = err != nil && ctx.Err() == nil // cut short, it may have begun all the same
	return err
}

// commit ends the transaction. Once asked for, its answer is waited for: cut short, a commit may have happened or not.
func (x *session) commit(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if x.unbegun && len(x.queued) == 0 {
		x.unbegun = false // nothing was asked of the database
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitWithin)
	defer cancel()
	err := x.send(ctx, statement{text: "COMMIT", index: nobody, commits: true})
	x.ended = err == nil
	return err
}

// rollback ends the transaction also when ctx is done: the next one needs the connection.
func (x *session) rollback(ctx context.Context) {
	x.queued = nil
	if x.unbegun || x.ended {
		x.unbegun = false
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitWithin)
	defer cancel()
	_, err := x.exec(ctx, "ROLLBACK")
	x.ended = err == nil
}

// exec runs a statement and returns how many rows it changed.
func (x *session) exec(ctx context.Context, text string, args ...any) (int64, error) {
	if err := x.flush(ctx); err != nil {
		return 0, err
	}
	r, err := x.execute(ctx, text, args)
	if err != nil {
		return 0, err
	}
	x.answered = true
	return r.RowsAffected()
}

func (x *session) execute(ctx context.Context, text string, args []any) (sql.Result, error) {
	if !x.store.dialect.syntax().prepares {
		return x.conn.ExecContext(ctx, text, args...)
	}
	if err := x.prepare(ctx, text); err != nil {
		return nil, err
	}
	return x.stmts[text].ExecContext(ctx, args...)
}

// rows runs a query and calls scan for each row.
func (x *session) rows(ctx context.Context, text string, args []any, scan func(answer) error) error {
	if err := x.flush(ctx); err != nil {
		return err
	}
	rs, err := x.query(ctx, text, args)
	return eachRow(rs, err, func(rs *sql.Rows) error { return scan(rs) })
}

func (x *session) query(ctx context.Context, text string, args []any) (*sql.Rows, error) {
	if !x.store.dialect.syntax().prepares {
		return x.conn.QueryContext(ctx, text, args...)
	}
	if err := x.prepare(ctx, text); err != nil {
		return nil, err
	}
	return x.stmts[text].QueryContext(ctx, args...)
}

func eachRow(rs *sql.Rows, err error, scan func(*sql.Rows) error) error {
	if err != nil {
		return err
	}
	for rs.Next() {
		if err := scan(rs); err != nil {
			return errors.Join(err, rs.Close())
		}
	}
	return errors.Join(rs.Err(), rs.Close())
}

// prepare compiles a statement unless it is there already.
func (x *session) prepare(ctx context.Context, text string) error {
	if x.stmts[text] != nil {
		return nil
	}
	st, err := x.conn.PrepareContext(ctx, text) //nolint:sqlclosecheck // close does it
	if err != nil {
		return fmt.Errorf("prepare statement: %w", err)
	}
	x.stmts[text] = st
	return nil
}

// close ends the connection. The statements go first: an open one would keep the locks of the database.
func (x *session) close() error {
	var errs []error
	for _, st := range x.stmts {
		errs = append(errs, st.Close())
	}
	return errors.Join(append(errs, x.conn.Close())...)
}
