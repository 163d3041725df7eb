package store

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
)

// Every statement goes straight to its rows. One that walks through a whole group is fast in every other test, and
// unbearable after a week.
func TestNoStatementWalksThroughAGroup(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), Options{
		Driver: "sqlite", DSN: filepath.Join(t.TempDir(), "orders.db"), Migrate: true, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	x := s.text
	for _, c := range []struct{ query, want string }{
		{x.rowsOfIDs(1), "(consumer_group=? AND msg_id=?)"},
		{x.rowsOfIDs(256), "(consumer_group=? AND msg_id=?)"},
		{x.unfinished(1), "(consumer_group=? AND order_id=?)"},
		{x.unfinished(256), "(consumer_group=? AND order_id=?)"},
		{x.orders(1), "(consumer_group=? AND order_id=?)"},
		{x.orders(256), "(consumer_group=? AND order_id=?)"},
		{x.updateRow, "(consumer_group=? AND msg_id=? AND fingerprint=?)"},
		{x.controlRow, "(consumer_group=? AND msg_id=? AND fingerprint=?)"},
		{x.placeRow, "(consumer_group=? AND msg_id=? AND fingerprint=?)"},
		{x.updateOrder, "(consumer_group=? AND order_id=?)"},
		{x.rowsOfOrder, "(consumer_group=? AND order_id=?)"},
		{x.oneOrder, "(consumer_group=? AND order_id=?)"},
		{x.countRows, "COVERING INDEX orderctl_messages_unfinished"},
		{x.expired, "(consumer_group=? AND src_topic=? AND src_partition=? AND src_offset>? AND src_offset<?)"},
		{x.expireRow, "(consumer_group=? AND msg_id=? AND fingerprint=?)"},
	} {
		if plan := s.plan(t, c.query); !strings.Contains(plan, c.want) || strings.Contains(plan, "B-TREE") || strings.Contains(plan, "SCAN") {
			t.Errorf("%s\nis done by\n%s", c.query, plan)
		}
	}
	for _, query := range []string{x.sumRows, x.newestDead} { // these sort, but only what is not done
		if plan := s.plan(t, query); !strings.Contains(plan, "USING INDEX orderctl_messages_unfinished") {
			t.Errorf("%s\nis done by\n%s", query, plan)
		}
	}
}

func (s *Store) plan(t *testing.T, query string) string {
	t.Helper()
	args := make([]any, strings.Count(query, "?"))
	for i := range args {
		args[i] = "x"
	}
	rows, err := s.link.read.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	var plan strings.Builder
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		plan.WriteString(step + "\n")
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return plan.String()
}
