//go:build e2e

package e2e

import (
	"bufio"
	"database/sql"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/store/dbtest"
)

// effect is the shop's own SQL: it takes the goods from the stock when an order is created and notes every message that
// took effect. The journal has no unique key, so a second effect would stand there.
const effect = `
INSERT INTO journal (message_id, status) VALUES (:message_id, :status);
UPDATE stock SET quantity = quantity - (
  SELECT coalesce(sum(json_extract(value, '$.quantity')), 0) FROM json_each(:items)
  WHERE json_extract(value, '$.product_id') = stock.product_id)
WHERE :status = 'CREATED' AND product_id IN (SELECT json_extract(value, '$.product_id') FROM json_each(:items));
`

const firstStock = 1_000_000_000

// shop is a database with the shop's own tables, and what load was sent to it.
type shop struct {
	t      *testing.T
	driver string // sqlite, postgres or mysql
	db     string // path, or address
	effect string // path
	acked  string // path: message ids that were answered with 202, one a line
}

func newShop(t *testing.T, dir string) *shop {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s := &shop{t: t, driver: "sqlite", db: filepath.Join(dir, "orders.db"), effect: filepath.Join(t.TempDir(), "effect.sql"), acked: filepath.Join(t.TempDir(), "acked")}
	db, err := sql.Open("sqlite", "file:"+s.db+"?_pragma=journal_mode(WAL)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s.furnish(db, effect)
	return s
}

// furnish makes the shop's tables and its SQL.
func (s *shop) furnish(db *sql.DB, effect string) {
	t := s.t
	t.Helper()
	if err := os.WriteFile(s.effect, []byte(effect), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{
		"CREATE TABLE journal (message_id VARCHAR(300) NOT NULL, status VARCHAR(20) NOT NULL)",
		"CREATE TABLE stock (product_id VARCHAR(64) PRIMARY KEY, quantity BIGINT NOT NULL)",
	} {
		if _, err := db.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	// Every product that the generator names is on stock; one that is not would fail the check of the stock.
	var rows []string
	for i := range 5_000 {
		rows = append(rows, fmt.Sprintf("('P%d', %d)", 20_000+i, firstStock))
	}
	if _, err := db.ExecContext(t.Context(), "INSERT INTO stock VALUES "+strings.Join(rows, ",")); err != nil {
		t.Fatal(err)
	}
}

// open connects to the shop's database, to look.
func (s *shop) open() *sql.DB {
	s.t.Helper()
	if s.driver == "sqlite" {
		return openDB(s.t, s.db)
	}
	db := dbtest.Open(s.t, s.driver, s.db)
	s.t.Cleanup(func() { _ = db.Close() })
	return db
}

func (s *shop) ackedIDs() []string {
	s.t.Helper()
	f, err := os.Open(s.acked)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	var ids []string
	for sc := bufio.NewScanner(f); sc.Scan(); {
		ids = append(ids, sc.Text())
	}
	return ids
}

// settled waits until every message that was answered with 202 is finished.
func (s *shop) settled(bound time.Duration) {
	s.t.Helper()
	db := s.open()
	ids := s.ackedIDs()
	if len(ids) == 0 {
		s.t.Fatal("no order was accepted: the test shows nothing")
	}
	eventually(s.t, bound, "every accepted order is a row or a letter", func() error {
		finished := map[string]bool{}
		rows, err := db.QueryContext(s.t.Context(), "SELECT msg_id FROM orderctl_messages WHERE state IN ('done', 'dead')")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id string
			if err := rows.Scan(&id); err != nil {
				return err
			}
			finished[id] = true
		}
		missing, one := 0, ""
		for _, id := range ids {
			if !finished[id] {
				missing, one = missing+1, id
			}
		}
		if missing > 0 {
			return fmt.Errorf("%d of %d accepted messages are unfinished, such as %s", missing, len(ids), one)
		}
		return rows.Err()
	})
}

// exact checks that nothing took effect twice and that the stock is what the orders took from it.
func (s *shop) exact() {
	s.t.Helper()
	db := s.open()
	if twice := count(s.t, db, "SELECT count(*) - count(DISTINCT message_id) FROM journal"); twice != 0 {
		s.t.Errorf("%d messages took effect twice", twice)
	}
	applied := count(s.t, db, "SELECT count(*) FROM orderctl_messages WHERE state = 'done' AND outcome = 'applied'")
	if n := count(s.t, db, "SELECT count(*) FROM journal"); n != applied {
		s.t.Errorf("%d effects, %d messages are applied", n, applied)
	}
	sold := map[string]int64{}
	// An order whose CREATED was refused with 503 may begin with PAID: it took nothing.
	rows, err := db.QueryContext(s.t.Context(), `SELECT items FROM orders o WHERE EXISTS (
		SELECT 1 FROM orderctl_messages m WHERE m.msg_id = concat(o.order_id, ':CREATED') AND m.outcome = 'applied')`)
	if err != nil {
		s.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var raw string
		var items []struct {
			ProductID string `json:"product_id"`
			Quantity  int64  `json:"quantity"`
		}
		if err := rows.Scan(&raw); err != nil {
			s.t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(raw), &items); err != nil {
			s.t.Fatal(err)
		}
		for _, i := range items {
			sold[i.ProductID] += i.Quantity
		}
	}
	if err := rows.Err(); err != nil {
		s.t.Fatal(err)
	}
	if len(sold) == 0 {
		s.t.Error("no order took anything: the stock shows nothing")
	}
	stock := left(s.t, db)
	for product, n := range sold {
		if stock[product] != firstStock-n {
			s.t.Errorf("stock of %s is off by %d", product, stock[product]-(firstStock-n))
		}
	}
}

// left is what is on stock.
func left(t *testing.T, db *sql.DB) map[string]int64 {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "SELECT product_id, quantity FROM stock")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	stock := map[string]int64{}
	for rows.Next() {
		var product string
		var n int64
		if err := rows.Scan(&product, &n); err != nil {
			t.Fatal(err)
		}
		stock[product] = n
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return stock
}

// port asks the kernel for a port that is free now.
func port(t *testing.T) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// serving waits until the API at addr is ready.
func serving(t *testing.T, addr string) {
	t.Helper()
	eventually(t, time.Minute, "the API is ready", func() error {
		code, body, err := call("GET", "http://"+addr+"/readyz", "", "")
		if err != nil || code != 200 {
			return fmt.Errorf("readyz: %d %s %w", code, body, err)
		}
		return nil
	})
}
