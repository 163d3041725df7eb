package storetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/store"
)

func effectIsStored(t *testing.T, w *world) {
	now := time.UnixMilli(1_900_000_000_000)
	w.db.Options.Now = func() time.Time { return now }
	s := w.open(t)
	created := sample("A-1", order.Created)
	created.Attributes = map[string]string{"coupon": "<5%>", "address": "上海"}
	wantNone(t, apply(t, s, run(created, 1)))
	for query, want := range map[string]int64{
		`SELECT total_amount FROM orders WHERE status = 'CREATED' AND user_id = 'user-1' AND currency = 'CNY'`:           200,
		`SELECT created_at FROM orders WHERE items = '[{"product_id":"p-1","quantity":2,"unit_price":100}]'`:             1_700_000_000_000,
		`SELECT updated_at FROM orders WHERE attributes = '{"address":"上海","coupon":"<5%>"}'`:                            1_700_000_000_000,
		`SELECT applied_at FROM orders WHERE msg_id = 'A-1:CREATED' AND src_partition = 3 AND src_offset = 1`:            1_900_000_000_000,
		`SELECT count(*) FROM orders WHERE consumer_group = 'orders-worker' AND order_id = 'A-1' AND trace_id IS NULL`:   1,
		`SELECT count(*) FROM orderctl_messages WHERE done_id = 'A-1:CREATED' AND outcome = 'applied' AND at_offset = 1`: 1,
	} {
		if got := w.db.Int(t, query); got != want {
			t.Errorf("%s: %d, want %d", query, got, want)
		}
	}
	paid := sample("A-1", order.Paid)
	paid.UserID, paid.TotalAmount, paid.Timestamp = "user-2", 300, 1_700_000_000_001
	now = now.Add(time.Second)
	wantNone(t, apply(t, s, run(paid, 2)))
	if n := w.db.Int(t, `SELECT count(*) FROM orders WHERE status = 'PAID' AND user_id = 'user-2' AND total_amount = 300
		AND created_at = 1700000000000 AND updated_at = 1700000000001 AND applied_at = 1900000001000
		AND msg_id = 'A-1:PAID' AND src_offset = 2 AND attributes IS NULL`); n != 1 {
		t.Error("the order was not updated in place")
	}
}

func effectCompares(t *testing.T, w *world) {
	s := w.open(t)
	effect := func(id string, insert bool) error {
		r := run(sample(id, order.Paid), 2)
		return apply(t, s, record{r.look, func(seen queue.Seen) queue.Change {
			c := r.decide(seen)
			c.Effect.Insert = insert // whatever was read
			return c
		}})[0]
	}
	wantRaced(t, effect("A-1", false)) // no such order
	wantNone(t, apply(t, s, run(sample("A-1", order.Created), 1)))
	wantRaced(t, effect("A-1", true)) // another process was first
	if n := w.db.Int(t, `SELECT count(*) FROM orderctl_messages`); n != 1 {
		t.Errorf("%d message rows, want the first alone", n)
	}
	wantNone(t, []error{effect("A-1", false)})
}

func stockIsExact(t *testing.T, w *world) {
	s := w.openWith(t, `
-- a comment; with a semicolon
UPDATE stock SET pieces = pieces - 2 WHERE product_id = 'p-1' AND :status = 'CREATED';
`+journaled)
	for round := range 3 { // everything is delivered three times
		var records []record
		for i := range 50 {
			o := sample(fmt.Sprintf("A-%02d", i), order.Created)
			if i%10 == 9 {
				o.UserID = "refused" // after the stock was taken
			}
			records = append(records, run(o, int64(i)))
		}
		for i, err := range apply(t, s, records...) {
			if i%10 == 9 {
				wantClass(t, err, queue.ClassFatal)
			} else {
				wantNone(t, []error{err})
			}
		}
		if n := w.db.Int(t, `SELECT pieces FROM stock`); n != 1000-45*2 {
			t.Fatalf("round %d: stock is %d, want %d", round, n, 1000-45*2)
		}
	}
}

func unknownMembersKept(t *testing.T, w *world) {
	s := w.openWith(t, `INSERT INTO journal (message_id, user_id, body) VALUES (:message_id, :user_id, :order)`)
	r := run(sample("A-1", order.Created), 1)
	value := `{"order_id":"A-1","gift":{"note":"it's :status ? @x $1","n":1.50}}`
	wantNone(t, apply(t, s, record{r.look, func(seen queue.Seen) queue.Change {
		c := r.decide(seen)
		c.Effect.Value = []byte(value)
		return c
	}}))
	if n := w.db.Int(t, `SELECT count(*) FROM journal WHERE body = '`+strings.ReplaceAll(value, "'", "''")+`'`); n != 1 {
		t.Error(":order is not the order as it was sent")
	}
}

func parametersHold(t *testing.T, w *world) {
	s := w.openWith(t, `
/* ':order_id' in a comment and 'in quotes: '':status' are not parameters */
INSERT INTO journal (message_id, user_id, body)
  SELECT :message_id, :user_id, ':status' FROM (SELECT 1 AS one) AS t WHERE :order_id = 'A-1' AND :status = 'CREATED' AND :currency = 'CNY'
  AND :total_amount = 200 AND :items = '[{"product_id":"p-1","quantity":2,"unit_price":100}]'
  AND :order = '{"order_id":"A-1"}' AND :timestamp = 1700000000000 AND :order_id = 'A-1';
`)
	wantNone(t, apply(t, s, run(sample("A-1", order.Created), 1)))
	if n := w.db.Int(t, `SELECT count(*) FROM journal WHERE message_id = 'A-1:CREATED' AND user_id = 'user-1' AND body = ':status'`); n != 1 {
		t.Error("a parameter did not hold what it says")
	}
}

func effectFileMistakes(t *testing.T, w *world) {
	w.migrate(t)
	for _, c := range []struct{ text, want string }{
		{"\n\nUPDATE nowhere SET x = 1", ":3:"},
		{"SELECT 1;\nUPDATE orders SET status = :sttaus", ":2: unknown parameter :sttaus"},
		{"SELECT 1;\n\n-- then\nCOMMIT", ":4: COMMIT is not allowed"},
		{"DELETE FROM orders WHERE order_id = 'x", ":1: what begins with ' has no end"},
		{"-- nothing\n;\n", "there is no statement"},
		{"SELECT 1;\nSELEKT 2", ":2: SELEKT"},
		{"SELECT 1 FORM orders", ":1:"},
	} {
		o := w.db.Options
		o.EffectFile = effectFile(t, c.text)
		_, err := store.Open(t.Context(), o)
		var coded interface{ ExitCode() int }
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), o.EffectFile) {
			t.Errorf("%q: %v, want %s", c.text, err, c.want)
		} else if !errors.As(err, &coded) || coded.ExitCode() != 2 {
			t.Errorf("%q: exit code of %v is not 2", c.text, err)
		}
	}
}
