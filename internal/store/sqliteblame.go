package store

import (
	"errors"
	"strconv"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"commerce.internal/orderctl/internal/queue"
)

// blame says what an error of SQLite means. A wrong schema or a missing right is our mistake, never the order's.
func (d *sqliteDialect) blame(err error) fault {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return fault{class: queue.ClassRetryable, code: "unknown"}
	}
	f := fault{class: queue.ClassRetryable, code: strconv.Itoa(e.Code() & 0xff)}
	switch e.Code() & 0xff {
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED:
		f.class, f.busy = queue.ClassOutage, true
	case lib.SQLITE_ERROR:
		f.class, f.ours = queue.ClassOutage, true
	case lib.SQLITE_NOMEM, lib.SQLITE_READONLY, lib.SQLITE_IOERR, lib.SQLITE_CORRUPT, lib.SQLITE_CANTOPEN,
		lib.SQLITE_MISUSE, lib.SQLITE_NOTADB:
		f.class, f.lost = queue.ClassOutage, true
	case lib.SQLITE_PERM, lib.SQLITE_FULL, lib.SQLITE_SCHEMA, lib.SQLITE_AUTH: // another connection would say the same
		f.class = queue.ClassOutage
	case lib.SQLITE_TOOBIG, lib.SQLITE_CONSTRAINT, lib.SQLITE_MISMATCH, lib.SQLITE_RANGE:
		f.class = queue.ClassFatal
	}
	switch e.Code() {
	case lib.SQLITE_CONSTRAINT_UNIQUE, lib.SQLITE_CONSTRAINT_PRIMARYKEY:
		f.unique = true
	}
	return f
}
