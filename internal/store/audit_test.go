package store

import (
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"commerce.internal/orderctl/internal/queue"
)

func openForAudit(t testing.TB) *Store {
	t.Helper()
	s, err := Open(t.Context(), Options{
		Driver: "sqlite", DSN: filepath.Join(t.TempDir(), "orders.db"), Migrate: true, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatalf("open store: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	return s
}

// remember inserts rows as they are.
func remember(t testing.TB, s *Store, group string, rows ...queue.Row) {
	t.Helper()
	look := make([]queue.Lookup, len(rows))
	for i, r := range rows {
		look[i] = queue.Lookup{MsgID: r.MsgID}
	}
	errs, err := s.Apply(t.Context(), group, look, func(i int, _ queue.Seen) queue.Change {
		return queue.Change{Writes: []queue.Write{{Kind: queue.Insert, Row: rows[i]}}}
	})
	if err := errors.Join(append(errs, err)...); err != nil {
		t.Fatalf("insert rows: %v", err)
	}
}

// A page goes straight to its rows by the index of the source, however many there are before and behind; only rows of one
// offset are sorted.
func TestAPageWalksTheIndexOfTheSource(t *testing.T) {
	t.Parallel()
	s := openForAudit(t)
	for _, more := range []string{"", " AND state = 'dead'"} {
		query := sourcedText(s.text.syntax, more)
		plan := auditPlan(t, s, query)
		want := "(consumer_group=? AND src_topic=? AND src_partition=? AND src_offset>? AND src_offset<?)"
		sorts := strings.ReplaceAll(plan, "USE TEMP B-TREE FOR LAST 2 TERMS OF ORDER BY", "")
		if !strings.Contains(plan, want) || strings.Contains(sorts, "B-TREE") || strings.Contains(plan, "SCAN") {
			t.Errorf("%s\nis done by\n%s", query, plan)
		}
	}
}

func auditPlan(t *testing.T, s *Store, query string) string {
	t.Helper()
	rows, err := s.link.read.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, "g", "orders", 1, 5, 10, 5, "a", "a", "f", 10)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	plan := ""
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		plan += step + "\n"
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return plan
}
