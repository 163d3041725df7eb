package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"commerce.internal/orderctl/internal/queue"
)

// fault is what an error of the database means.
type fault struct {
	class  queue.Class
	code   string
	unique bool // a UNIQUE key refused the row
	busy   bool // another process has it: worth another try at once
	ours   bool // the statement itself is wrong: whoever wrote it is to blame, not the connection
	slow   bool // the database itself stopped a statement that took too long
	lost   bool // the connection is worth nothing any more
}

// failure is an error that says what it means for a record or a batch. Both the meaning and the cause can be found in
// it with errors.As and errors.Is.
type failure struct {
	doing string
	means *queue.Failure
	cause error
}

func (f *failure) Error() string   { return f.doing + ": " + f.means.Error() }
func (f *failure) Unwrap() []error { return []error{f.means, f.cause} }

// fail wraps err with its meaning.
func fail(d dialect, doing string, err error) error {
	var known *failure
	if errors.As(err, &known) {
		return err
	}
	return failAs(doing, meaning(d, err), err)
}

func failAs(doing string, f fault, err error) error {
	return &failure{doing: doing, means: failureOf(f, err), cause: err}
}

// away is a failure that has no error of the driver behind it: the database is not what it should be.
func away(code, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	return failAs("reach database", fault{class: queue.ClassOutage, code: code}, err)
}

// meaning is blame for errors of any origin.
func meaning(d dialect, err error) fault {
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fault{class: queue.ClassTimeout, code: "deadline"}
	case errors.Is(err, driver.ErrBadConn), errors.Is(err, sql.ErrConnDone), errors.Is(err, sql.ErrTxDone):
		return fault{class: queue.ClassOutage, code: "connection", lost: true}
	}
	return d.blame(err)
}

// whole makes a failure one of the batch: nobody's order is to blame for it, so it is an outage unless time ran out.
func whole(d dialect, doing string, err error) error {
	var known *failure
	if errors.As(err, &known) && (known.means.Class == queue.ClassOutage || known.means.Class == queue.ClassTimeout) {
		return err
	}
	f := meaning(d, err)
	if f.class != queue.ClassTimeout {
		f.class = queue.ClassOutage
	}
	return failAs(doing, f, err)
}

// failureOf is the meaning as it stands on a record.
func failureOf(f fault, err error) *queue.Failure {
	return &queue.Failure{Class: f.class, Code: f.code, Message: queue.Cut(err.Error(), queue.MaxMessageBytes)}
}
