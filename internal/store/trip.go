package store

import (
	"context"
	"database/sql"
	"time"

	"commerce.internal/orderctl/internal/queue"
)

// answer is a row that the database returned.
type answer interface {
	Scan(dest ...any) error
}

// nobody is the record of a statement that belongs to the whole transaction.
const nobody = -1

// statement is one statement of a transaction, with all that is needed to judge the answer.
type statement struct {
	text      string
	args      []any
	row       func(answer) error // takes a row of the answer; nil: there are none
	index     int                // the record that it belongs to, one of them where it writes for many, or nobody
	compares  bool               // the database raises an error where a row is not as it was read
	operators bool               // it is the operator's own
	commits   bool               // it ends the transaction
}

// piper is a dialect whose database takes many statements at once. Such a transaction is two round trips: what it reads,
// with the begin in front, and what it writes, with the commit at the end. So a write that misses its row has to stop the
// database itself, before the commit.
type piper interface {
	// trip runs statements in order, in as few round trips as it can. None that follows a failed one has any effect; the
	// failed one is returned, or where that is not known another of its kind.
	trip(ctx context.Context, conn *sql.Conn, list []statement) (failed statement, err error)
	// begins are the statements in front of the first of a transaction, the n-th of its connection.
	begins(n int) []statement
	// writes are the statements that do what some records change, without what the operator adds.
	writes(t texts, group string, changes []change, now time.Time) []statement
	// unequal reports whether err is what a statement raises that compares in vain.
	unequal(err error) bool
}

func (x *session) piped() bool {
	_, ok := x.store.dialect.(piper)
	return ok
}

// send runs statements, and what is queued before them: in one round trip where the database can, else one by one.
func (x *session) send(ctx context.Context, list ...statement) error {
	p, piped := x.store.dialect.(piper)
	if !piped {
		return x.each(ctx, list)
	}
	all := append(x.queued, list...)
	x.queued = nil
	if x.unbegun {
		x.unbegun, x.ended = false, false
		all = append(p.begins(x.runs), all...)
	}
	failed, err := p.trip(ctx, x.conn, all)
	if err == nil {
		x.answered = true
		return nil
	}
	if failed.compares && p.unequal(err) {
		return &recordError{index: failed.index, err: queue.ErrRaced}
	}
	return x.judged(failed, err)
}

func (x *session) each(ctx context.Context, list []statement) (err error) {
	for _, st := range list {
		if st.row != nil {
			err = x.rows(ctx, st.text, st.args, st.row)
		} else {
			_, err = x.exec(ctx, st.text, st.args...)
		}
		if err != nil {
			return x.judged(st, err)
		}
	}
	return nil
}

// flush sends what is queued, and the begin.
func (x *session) flush(ctx context.Context) error {
	if x.unbegun || len(x.queued) > 0 {
		return x.send(ctx)
	}
	return nil
}

// judged says whose an error of a statement is.
func (x *session) judged(st statement, err error) error {
	switch {
	case st.commits:
		return &commitError{err}
	case st.index == nobody:
		return err
	}
	return x.blamed(st.index, err, st.operators)
}
