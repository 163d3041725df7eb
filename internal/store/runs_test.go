package store_test

import (
	"path/filepath"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/store"
	"commerce.internal/orderctl/internal/store/storetest"
)

// A run without an end is unclean once its instance begins another one; how long ago that was decides what it counts for.
func TestUncleanEndsAreCountedByTheRunThatFollows(t *testing.T) {
	t.Parallel()
	for name, fresh := range map[string]func(*testing.T) storetest.Database{
		"SQLite":   func(t *testing.T) storetest.Database { return sqliteDatabase(filepath.Join(t.TempDir(), "orders.db")) },
		"Postgres": func(t *testing.T) storetest.Database { return postgresDatabase(t) },
		"MySQL":    func(t *testing.T) storetest.Database { return mysqlDatabase(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := store.Open(t.Context(), fresh(t).Options)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			noon := time.UnixMilli(1_700_000_000_000)
			at := func(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }
			begin := func(group, instance string, minutes int) {
				t.Helper()
				if err := s.BeginRun(t.Context(), group, instance, at(minutes)); err != nil {
					t.Fatal(err)
				}
			}
			want := func(group string, since, n int) {
				t.Helper()
				if got, err := s.UncleanEnds(t.Context(), group, at(since)); err != nil || got != n {
					t.Errorf("%d unclean ends of %s since minute %d, want %d: %v", got, group, since, n, err)
				}
			}
			begin("g", "a", 0)
			begin("g", "b", 0) // runs beside it
			want("g", -1, 0)
			begin("g", "a", 1) // the first had no end
			begin("g", "a", 2)
			begin("h", "a", 2)
			want("g", -1, 2)
			want("g", 1, 1) // one of them was followed by a run that began after minute 1
			want("h", -1, 0)
			if err := s.EndRun(t.Context(), "g", "a", at(2), at(3)); err != nil {
				t.Fatal(err)
			}
			begin("g", "a", 4) // the one before ended as it should
			want("g", -1, 2)
			begin("g", "a", 30*24*60) // so late that all of it is forgotten
			want("g", -1, 0)
		})
	}
}
