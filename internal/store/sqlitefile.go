package store

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"

	"commerce.internal/orderctl/internal/queue"
)

// file looks at the database file. One that is missing or empty is an outage: SQLite would take an empty file for a new
// database, and throw away a write-ahead log that lies beside it.
func (d *sqliteDialect) file() (fs.FileInfo, error) {
	info, err := os.Stat(d.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, failAs("open database", fault{class: queue.ClassOutage, code: "gone"}, err)
	case err != nil:
		return nil, failAs("open database", fault{class: queue.ClassOutage, code: "unreadable"}, err)
	case info.Size() == 0:
		return nil, away("empty", "%s is empty: it does not hold the orders", d.path)
	}
	return info, nil
}

// watch remembers which files the connections of l have open, so that l.still can tell. SQLite goes on writing into a
// file that was deleted or renamed, and what is committed there is lost.
func (d *sqliteDialect) watch(ctx context.Context, l *link, before fs.FileInfo) error {
	var tables int // the first read opens the write-ahead log
	if err := l.read.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_master").Scan(&tables); err != nil {
		return fail(d, "open database", err)
	}
	after, err := d.file()
	if err != nil {
		return err
	}
	if !os.SameFile(before, after) {
		return movedError(d.path)
	}
	wal, err := os.Stat(d.path + "-wal")
	if err != nil {
		wal = nil // a file system without shared memory: there is no log to lose
	}
	l.still = func() error { return d.still(after, wal) }
	return nil
}

func (d *sqliteDialect) still(db, wal fs.FileInfo) error {
	now, err := d.file()
	if err != nil {
		return err
	}
	if !os.SameFile(db, now) {
		return movedError(d.path)
	}
	if wal == nil {
		return nil
	}
	if now, err := os.Stat(d.path + "-wal"); err != nil || !os.SameFile(wal, now) {
		return movedError(d.path + "-wal")
	}
	return nil
}

func movedError(path string) error {
	return failAs("check "+path, fault{class: queue.ClassOutage, code: "moved"}, errMoved)
}

// lockEvery is how often a lock that another process holds is asked for again.
const lockEvery = 20 * time.Millisecond

// lockFile waits until no other process holds the lock of that name.
func lockFile(ctx context.Context, path string) (func() error, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(lockEvery)
	defer tick.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f.Close, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.Join(err, f.Close())
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), f.Close())
		}
	}
}
