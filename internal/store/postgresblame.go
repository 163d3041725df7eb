package store

import (
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"commerce.internal/orderctl/internal/queue"
)

// blame says what an error of PostgreSQL means. A wrong schema or a missing right is our mistake, never the order's.
func (d *postgresDialect) blame(err error) fault {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return blameNoAnswer(err)
	}
	f := fault{class: queue.ClassRetryable, code: e.Code}
	switch {
	case oneOf(e.Code, "40001", "40P01", "55P03"):
		f.busy = true
	case e.Code == "57014":
		f.class, f.slow = queue.ClassTimeout, true
	case oneOf(e.Code, "53", "58", "28", "3D"): // another connection would say the same
		f.class = queue.ClassOutage
	case oneOf(e.Code, "08", "0A", "25006", "25P03", "26", "57P"): // 0A: a prepared statement that no longer fits its table
		f.class, f.lost = queue.ClassOutage, true
	case oneOf(e.Code, "42"):
		f.class, f.ours = queue.ClassOutage, true
	case oneOf(e.Code, "22", "23"):
		f.class = queue.ClassFatal
		f.unique = e.Code == "23505" && oneOf(e.TableName, "orders", "orderctl_messages")
	}
	return f
}

// blameNoAnswer is for errors that the database did not send.
func blameNoAnswer(err error) fault {
	var dial *pgconn.ConnectError
	var network net.Error
	if errors.As(err, &dial) || errors.As(err, &network) || pgconn.SafeToRetry(err) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) {
		return fault{class: queue.ClassOutage, code: "connection", lost: true}
	}
	return fault{class: queue.ClassRetryable, code: "unknown"}
}

// oneOf reports whether s begins with one of the prefixes.
func oneOf(s string, prefixes ...string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}
