package store

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"
)

// Right after its first orders a server has not counted anything, and takes any group for a small one. Also then every
// statement goes straight to its rows.
func TestNoStatementWalksThroughAGroupOfAServer(t *testing.T) {
	t.Parallel()
	for driver, fresh := range map[string]func(testing.TB) string{"postgres": TestServers.Postgres, "mysql": TestServers.MySQL} {
		t.Run(driver, func(t *testing.T) {
			t.Parallel()
			s, err := Open(t.Context(), Options{Driver: driver, DSN: fresh(t), Migrate: true, Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			s.fill(t)
			x := s.text
			for query, columns := range map[string]string{
				x.rowsOfIDs(1): "consumer_group msg_id", x.rowsOfIDs(64): "consumer_group msg_id",
				x.unfinished(1): "consumer_group order_id", x.unfinished(64): "consumer_group order_id",
				x.orders(1): "consumer_group order_id", x.orders(64): "consumer_group order_id",
				x.updateRow: "consumer_group msg_id fingerprint", x.controlRow: "consumer_group msg_id fingerprint",
				x.placeRow: "consumer_group msg_id fingerprint", x.updateOrder: "consumer_group order_id",
				x.rowsOfOrder: "consumer_group order_id", x.oneOrder: "consumer_group order_id",
				x.expired: "consumer_group src_topic src_partition src_offset", x.expireRow: "consumer_group msg_id fingerprint",
			} {
				if plan := s.serverPlan(t, query); !s.straight(plan, columns) {
					t.Errorf("%s\nis done by\n%s", query, plan)
				}
			}
		})
	}
}

// fill makes a group of a few thousand messages and orders.
func (s *Store) fill(t *testing.T) {
	t.Helper()
	var rows, orders []string
	for i := range 3_000 {
		state := []string{"done", "done", "dead"}[i%3]
		rows = append(rows, fmt.Sprintf("('g', 'm-%d', 'f', '%s', 0, 'o-%d', 'orders', 1, %d, 0, 0, 1)", i, state, i, i))
		orders = append(orders, fmt.Sprintf("('g', 'o-%d', 'u', 'CREATED', 'CNY', 1, '[]', 1, 1, 'm-%d', 1, %d, 1)", i, i, i))
	}
	for _, query := range []string{
		`INSERT INTO orderctl_messages (consumer_group, msg_id, fingerprint, state, hop, order_id, src_topic, src_partition, src_offset,
			attempts, starts, updated_at) VALUES ` + strings.Join(rows, ", "),
		`INSERT INTO orders (consumer_group, order_id, user_id, status, currency, total_amount, items, created_at, updated_at, msg_id,
			src_partition, src_offset, applied_at) VALUES ` + strings.Join(orders, ", "),
	} {
		if _, err := s.link.write.ExecContext(t.Context(), query); err != nil {
			t.Fatal(err)
		}
	}
}

// serverPlan is how a statement would be done: of PostgreSQL the conditions of its indexes, of MySQL the lengths of the
// keys, one a line.
func (s *Store) serverPlan(t *testing.T, query string) string {
	t.Helper()
	args := make([]any, strings.Count(query, "?"))
	if n := regexp.MustCompile(`\$\d+`).FindAllString(query, -1); len(n) > 0 {
		most := 0
		for _, p := range n {
			var i int
			_, _ = fmt.Sscanf(p, "$%d", &i)
			most = max(most, i)
		}
		args = make([]any, most)
	}
	for i := range args {
		args[i] = "1"
		if strings.Contains(query, fmt.Sprintf("$%d::text[]", i+1)) {
			args[i] = "{1}"
		}
	}
	if s.dialect.syntax().begin == "START TRANSACTION" {
		for i := range args {
			args[i] = []any{"g", "1"}[min(i, 1)]
		}
		if strings.Contains(query, "LIMIT") {
			args[len(args)-1] = 10
		}
	}
	rows, err := s.link.read.QueryContext(context.WithoutCancel(t.Context()), "EXPLAIN "+query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var plan strings.Builder
	for rows.Next() {
		cells := make([]sql.NullString, len(names))
		into := make([]any, len(names))
		for i := range cells {
			into[i] = &cells[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		for i, c := range cells {
			plan.WriteString(names[i] + "=" + c.String + " ")
		}
		plan.WriteString("\n")
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return plan.String()
}

// straight reports whether a plan reaches its rows by an index, with conditions on all of these columns.
func (s *Store) straight(plan, columns string) bool {
	if strings.Contains(plan, "Seq Scan") || strings.Contains(plan, "type=ALL") || strings.Contains(plan, "type=index ") {
		return false
	}
	if !strings.Contains(plan, "Index Cond") { // MySQL: at most a few rows
		n := 0
		for _, m := range regexp.MustCompile(`\brows=(\d+)`).FindAllStringSubmatch(plan, -1) {
			var rows int
			_, _ = fmt.Sscanf(m[1], "%d", &rows)
			n += rows
		}
		return n <= 256
	}
	for _, line := range strings.Split(plan, "\n") {
		_, cond, found := strings.Cut(line, "Index Cond:")
		for _, c := range strings.Fields(columns) {
			if found && !strings.Contains(cond, c) {
				return false
			}
		}
	}
	return true
}

// What was decided while a table was empty is decided again, ever more rarely.
func TestPlansAreMadeAnew(t *testing.T) {
	t.Parallel()
	var anew []int
	for n := 1; n <= 1_000; n++ {
		if list := (&postgresDialect{}).begins(n); list[len(list)-1].text == "DISCARD PLANS" {
			anew = append(anew, n)
		}
	}
	if fmt.Sprint(anew) != "[16 32 64 128 256 512]" {
		t.Errorf("plans are made anew at transactions %v", anew)
	}
}
