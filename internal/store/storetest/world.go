package storetest

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/store"
)

const group = "orders-worker"

// world is one database and the stores that a test opens on it.
type world struct {
	db Database
}

// open opens one more store on the database.
func (w *world) open(t testing.TB) *store.Store {
	t.Helper()
	return openStore(t, w.db.Options)
}

// openWith opens a store with the operator's statements; the shop's tables are made first.
func (w *world) openWith(t testing.TB, effect string) *store.Store {
	t.Helper()
	w.migrate(t)
	w.db.Exec(t, `CREATE TABLE stock (product_id VARCHAR(64) PRIMARY KEY, pieces BIGINT NOT NULL CHECK (pieces >= 0))`)
	w.db.Exec(t, `INSERT INTO stock (product_id, pieces) VALUES ('p-1', 1000)`)
	w.db.Exec(t, `CREATE TABLE journal (message_id VARCHAR(200) NOT NULL, user_id VARCHAR(64) NOT NULL CHECK (user_id <> 'refused'), body `+w.db.LongText+`)`)
	o := w.db.Options
	o.EffectFile = effectFile(t, effect)
	return openStore(t, o)
}

func (w *world) migrate(t testing.TB) {
	t.Helper()
	if _, err := store.Migrate(t.Context(), w.db.Options); err != nil {
		t.Fatalf("migrate: %v", err)
	}
}

func effectFile(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "effect.sql")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func openStore(t testing.TB, o store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), o)
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

// record is one record of a batch, as the worker would hand it over.
type record struct {
	look   queue.Lookup
	decide func(queue.Seen) queue.Change
}

// apply is a batch that must be committed; the result is each record's own error.
func apply(t testing.TB, s *store.Store, records ...record) []error {
	t.Helper()
	look := make([]queue.Lookup, len(records))
	for i, r := range records {
		look[i] = r.look
	}
	errs, err := s.Apply(t.Context(), group, look, func(i int, seen queue.Seen) queue.Change { return records[i].decide(seen) })
	if err != nil {
		t.Fatalf("apply: %v", err)
	}
	return errs
}

// write is a record that makes one write whatever it reads.
func write(w queue.Write) record {
	return record{queue.Lookup{MsgID: w.Row.MsgID, OrderID: w.Row.OrderID}, func(queue.Seen) queue.Change {
		return queue.Change{Writes: []queue.Write{w}}
	}}
}

func insert(r queue.Row) record { return write(queue.Write{Kind: queue.Insert, Row: r}) }

// put inserts rows, which must work.
func put(t testing.TB, s *store.Store, rows ...queue.Row) {
	t.Helper()
	for _, r := range rows {
		if errs := apply(t, s, insert(r)); errs[0] != nil {
			t.Fatalf("insert %s: %v", r.MsgID, errs[0])
		}
	}
}

// get reads a row, which must be there.
func get(t testing.TB, s *store.Store, k queue.RowKey) queue.Row {
	t.Helper()
	rows, err := s.Rows(t.Context(), group, []queue.RowKey{k})
	if err != nil {
		t.Fatalf("read row: %v", err)
	}
	r, ok := rows[k]
	if !ok {
		t.Fatalf("row %s is not there", k.MsgID)
	}
	return r
}

func at(offset int64) queue.Position {
	return queue.Position{Topic: "orders", Partition: 3, Offset: offset}
}

// row is a message in a state, with its copy at an offset of the source.
func row(id, fingerprint string, state queue.State, offset int64) queue.Row {
	return queue.Row{
		RowKey: queue.RowKey{MsgID: id, Fingerprint: fingerprint}, State: state, At: at(offset), Src: at(offset),
		OrderID: "A-1", Control: -1, UpdatedAt: time.UnixMilli(1_700_000_000_123).UTC(),
	}
}

func sample(id string, status order.Status) order.Order {
	return order.Order{
		OrderID: id, UserID: "user-1", Status: status, Currency: "CNY", TotalAmount: 200, Timestamp: 1_700_000_000_000,
		Items: []order.Item{{ProductID: "p-1", Quantity: 2, UnitPrice: 100}},
	}
}

// run is the record of an order as the rules would treat it: done already, else its effect and its row.
func run(o order.Order, offset int64) record {
	look := queue.Lookup{MsgID: o.MessageID(), OrderID: o.OrderID}
	return record{look, func(seen queue.Seen) queue.Change {
		for _, r := range seen.Message {
			if r.State == queue.StateDone {
				return queue.Change{}
			}
		}
		done := row(o.MessageID(), "fp", queue.StateDone, offset)
		done.Outcome, done.OrderID = queue.Applied, o.OrderID
		return queue.Change{
			Writes: []queue.Write{{Kind: queue.Insert, Row: done}},
			Effect: &queue.Effect{
				Order: o, Value: []byte(`{"order_id":"` + o.OrderID + `"}`), MessageID: o.MessageID(), Src: at(offset),
				Insert: seen.Stored == nil,
			},
		}
	}}
}

// wantClass checks that an error is a failure of that class, and says what happened.
func wantClass(t testing.TB, err error, class queue.Class) {
	t.Helper()
	var f *queue.Failure
	if !errors.As(err, &f) {
		t.Fatalf("error is %v, want a failure of class %s", err, class)
	}
	if f.Class != class || f.Code == "" || f.Message == "" {
		t.Fatalf("failure is %+v, want class %s, a code and a message", f, class)
	}
}

func wantRaced(t testing.TB, err error) {
	t.Helper()
	if !errors.Is(err, queue.ErrRaced) {
		t.Fatalf("error is %v, want %v", err, queue.ErrRaced)
	}
}

func wantNone(t testing.TB, errs []error) {
	t.Helper()
	for i, err := range errs {
		if err != nil {
			t.Fatalf("record %d: %v", i, err)
		}
	}
}
