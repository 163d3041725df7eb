package store_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

// What the operator's statements do wrong concerns the records that run them, each by itself.
func TestTheOperatorsStatementsFail(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		tables []string
		effect string
		spoil  string
		class  queue.Class
		code   string
	}{
		{
			name:   "a UNIQUE key of the shop's own is no lost compare",
			tables: []string{"CREATE TABLE shop (x UNIQUE)", "INSERT INTO shop VALUES ('bad')"},
			effect: "INSERT INTO shop VALUES (:order_id)", class: queue.ClassFatal, code: "19",
		},
		{
			name:   "a statement that rolls everything back",
			tables: []string{"CREATE TABLE shop (x UNIQUE)", "INSERT INTO shop VALUES ('bad')"},
			effect: "INSERT OR ROLLBACK INTO shop VALUES (:order_id)", class: queue.ClassFatal, code: "19",
		},
		{
			name: "a trigger that rolls everything back",
			tables: []string{
				"CREATE TABLE shop (x)",
				"CREATE TRIGGER no BEFORE INSERT ON shop WHEN new.x = 'bad' BEGIN SELECT RAISE(ROLLBACK, 'not this one'); END",
			},
			effect: "INSERT INTO shop VALUES (:order_id)", class: queue.ClassFatal, code: "19",
		},
		{
			name: "a constraint that the commit checks",
			tables: []string{
				"CREATE TABLE good (x PRIMARY KEY)", "INSERT INTO good VALUES ('A'), ('B'), ('C'), ('D')",
				"CREATE TABLE shop (x REFERENCES good (x) DEFERRABLE INITIALLY DEFERRED)",
			},
			effect: "INSERT INTO shop VALUES (:order_id)", class: queue.ClassFatal, code: "19",
		},
		{
			name:   "an order that the statement cannot compute",
			tables: []string{"CREATE TABLE shop (x)"},
			effect: "INSERT INTO shop SELECT json('{') WHERE :order_id = 'bad'", class: queue.ClassOutage, code: "1",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "orders.db")
			open(t, options(path))
			execute(t, path, c.tables...)
			o := options(path)
			o.EffectFile = effectFile(t, c.effect)
			s := open(t, o)
			errs, err := applyOrders(t, s, sample("A"), sample("B"), sample("bad"), sample("C"))
			if err != nil {
				t.Fatal(err)
			}
			for i, err := range errs {
				if i == 2 {
					refused(t, err, c.class, c.code)
				} else if err != nil {
					t.Errorf("record %d: %v", i, err)
				}
			}
			mustFind(t, s, true, "A", "B", "C")
			mustFind(t, s, false, "bad")
			mustApply(t, s, "D")
		})
	}
}

func TestATableOfTheShopGoesMissing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "orders.db")
	open(t, options(path))
	execute(t, path, "CREATE TABLE shop (x)")
	o := options(path)
	o.EffectFile = effectFile(t, "INSERT INTO shop VALUES (:order_id)")
	s := open(t, o)
	mustApply(t, s, "A")
	execute(t, path, "ALTER TABLE shop RENAME TO lost")
	errs, err := applyOrders(t, s, sample("B"), sample("C"))
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range errs {
		refused(t, err, queue.ClassOutage, "1")
		if !strings.Contains(err.Error(), "line 1") {
			t.Errorf("%v does not name the statement", err)
		}
	}
	execute(t, path, "ALTER TABLE lost RENAME TO shop")
	mustApply(t, s, "B", "C")
	if n := count(t, path, "SELECT count(*) FROM shop"); n != 3 {
		t.Errorf("%d effects, want 3", n)
	}
}

// An outage in the middle of one transaction for each record: what was committed before it stands.
func TestAnOutageBehindARefusedCommit(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "orders.db")
	open(t, options(path))
	execute(t, path, "CREATE TABLE good (x PRIMARY KEY)", "CREATE TABLE shop (x REFERENCES good (x) DEFERRABLE INITIALLY DEFERRED)",
		"INSERT INTO good VALUES ('A'), ('C')")
	o := options(path)
	o.EffectFile = effectFile(t, "INSERT INTO shop VALUES (:order_id)")
	s := open(t, o)
	calls := 0
	ids := []string{"A", "bad", "C"}
	look := make([]queue.Lookup, len(ids))
	for i, id := range ids {
		look[i] = queue.Lookup{MsgID: id, OrderID: id}
	}
	errs, err := s.Apply(t.Context(), "g", look, func(i int, _ queue.Seen) queue.Change {
		if calls++; calls == 9 { // together, with savepoints, then apart: the last record
			move(t, path, path+".old")
		}
		row := queue.Row{RowKey: queue.RowKey{MsgID: ids[i], Fingerprint: "f"}, State: queue.StateDone, Control: -1, OrderID: ids[i]}
		return queue.Change{
			Writes: []queue.Write{{Kind: queue.Insert, Row: row}},
			Effect: &queue.Effect{Order: sample(ids[i]), MessageID: ids[i], Insert: true},
		}
	})
	if err != nil || errs[0] != nil {
		t.Fatalf("%v, %v", errs, err)
	}
	refused(t, errs[1], queue.ClassFatal, "19")
	refused(t, errs[2], queue.ClassOutage, "gone")
	move(t, path+".old", path)
	mustFind(t, s, true, "A")
}

// The order that is updated must still have the status from which the change was decided.
func TestAnOrderChangesUnderTheDecision(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "orders.db")
	s := open(t, options(path))
	mustApply(t, s, "A")
	execute(t, path, "CREATE TRIGGER other AFTER INSERT ON orderctl_messages BEGIN UPDATE orders SET status = 'CANCELLED'; END")
	paid := sample("A")
	paid.Status = order.Paid
	errs, err := applyOrders(t, s, paid)
	if err != nil || !errors.Is(errs[0], queue.ErrRaced) {
		t.Errorf("%v, %v, want %v", errs, err, queue.ErrRaced)
	}
	if n := count(t, path, "SELECT count(*) FROM orders WHERE status = 'CREATED'"); n != 1 {
		t.Error("what was undone is there")
	}
}
