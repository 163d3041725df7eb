package store

import (
	"errors"
	"log/slog"
	"path/filepath"
	"testing"

	"commerce.internal/orderctl/internal/queue"
)

// busyError is what SQLite says at once when two that hold a lock want more.
func busyError(t *testing.T, s *Store) error {
	t.Helper()
	db := s.link.write
	db.SetMaxOpenConns(2)
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(t.Context(), "PRAGMA busy_timeout = 0"); err != nil {
		t.Fatal(err)
	}
	var busy error
	err = s.transact(t.Context(), "hold", func(*session) error {
		_, busy = conn.ExecContext(t.Context(), "BEGIN IMMEDIATE")
		return nil
	})
	if err != nil || busy == nil || !meaning(s.dialect, busy).busy {
		t.Fatalf("no busy database: %v, %v", err, busy)
	}
	return busy
}

func TestABusyDatabaseIsAskedTenTimes(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), Options{
		Driver: "sqlite", DSN: filepath.Join(t.TempDir(), "orders.db"), Migrate: true, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	busy := busyError(t, s)
	for _, c := range []struct{ fails, calls int }{{0, 1}, {2, 3}, {9, 10}, {100, 10}} {
		calls := 0
		err := s.transact(t.Context(), "test", func(*session) error {
			if calls++; calls <= c.fails {
				return busy
			}
			return nil
		})
		var f *queue.Failure
		if failed := errors.As(err, &f); calls != c.calls || failed != (c.fails > 10) || failed && f.Class != queue.ClassOutage {
			t.Errorf("busy %d times: asked %d times, %v", c.fails, calls, err)
		}
	}
}

func TestWhatErrorsMean(t *testing.T) {
	t.Parallel()
	d := &sqliteDialect{path: "orders.db"}
	plain := errors.New("something")
	if f := meaning(d, plain); f.class != queue.ClassRetryable || f.code != "unknown" {
		t.Errorf("an unknown error is %+v", f)
	}
	err := fail(d, "read order", plain)
	if !errors.Is(err, plain) || err.Error() != "read order: retryable unknown: something" {
		t.Errorf("%v", err)
	}
	if again := fail(d, "twice", err); !errors.Is(again, plain) || again.Error() != err.Error() {
		t.Errorf("%v has two meanings", again)
	}
	var f *queue.Failure
	if err := whole(d, "apply batch", err); !errors.As(err, &f) || f.Class != queue.ClassOutage {
		t.Errorf("of a batch it is %v", err)
	}
	if own := (&recordError{index: 3, err: queue.ErrRaced}); own.Error() != "record 3: row was changed meanwhile" {
		t.Error(own)
	}
}
