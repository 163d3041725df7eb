package storetest

import (
	"fmt"
	"strings"
	"testing"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

func noTextIsRefused(t *testing.T, w *world) {
	s := w.open(t)
	never := func(queue.Seen) queue.Change {
		t.Error("a record whose id no database can hold was decided")
		return queue.Change{}
	}
	errs := apply(t, s, run(sample("A-1", order.Created), 1),
		record{queue.Lookup{MsgID: "a\x00b", OrderID: "B-1"}, never}, run(sample("A-2", order.Created), 2),
		record{queue.Lookup{MsgID: "m", OrderID: "\xff"}, never}, run(sample("A-1", order.Paid), 3))
	for i, err := range errs {
		if i%2 == 1 {
			wantClass(t, err, queue.ClassFatal)
		} else {
			wantNone(t, []error{err})
		}
	}
	if n := w.db.Int(t, `SELECT count(*) FROM orders`); n != 2 {
		t.Errorf("%d orders, want those of the others", n)
	}
	if v, err := s.Order(t.Context(), group, "a\x00b"); err != nil || v.Found || len(v.Rows) != 0 {
		t.Errorf("an order that cannot be: %+v, %v", v, err)
	}
	if rows, err := s.Rows(t.Context(), group, []queue.RowKey{{MsgID: "\xc3\x28", Fingerprint: "f"}}); err != nil || len(rows) != 0 {
		t.Errorf("a message that cannot be: %v, %v", rows, err)
	}
	if rows, err := s.Messages(t.Context(), group, []string{"a\x00", "A-1:PAID"}); err != nil || len(rows) != 1 {
		t.Errorf("messages by id: %v, %v", rows, err)
	}
}

func failureOfAnyBytes(t *testing.T, w *world) {
	s := w.open(t)
	r := row("m1", "a", queue.StateDead, 1)
	r.Failure = queue.Failure{Class: queue.ClassInvalid, Code: "#/\x00" + strings.Repeat("c", 2_000), Message: "no \x00 \xff\xfe " + strings.Repeat("ü", 1_000)}
	put(t, s, r)
	got := get(t, s, r.RowKey)
	if !strings.HasPrefix(got.Failure.Code, "#/\uFFFDcc") || !strings.HasPrefix(got.Failure.Message, "no \uFFFD  üü") ||
		len(got.Failure.Code) > queue.MaxMessageBytes || len(got.Failure.Message) > queue.MaxMessageBytes {
		t.Errorf("failure is %.40q %.40q", got.Failure.Code, got.Failure.Message)
	}
	again := got
	again.Failure.Message = "then \x00"
	wantNone(t, apply(t, s, write(queue.Write{Kind: queue.Update, Was: got, Row: again})))
}

// typedParameters: a parameter is whatever the operator's column wants.
func typedParameters(t *testing.T, w *world) {
	w.migrate(t)
	w.db.Exec(t, `CREATE TABLE typed (order_id VARCHAR(64) PRIMARY KEY, amount NUMERIC(20,2) NOT NULL, cents BIGINT NOT NULL,
		at BIGINT NOT NULL, body `+w.db.LongText+` NOT NULL, note VARCHAR(200))`)
	o := w.db.Options
	o.EffectFile = effectFile(t, `INSERT INTO typed (order_id, amount, cents, at, body, note)
		VALUES (:order_id, :total_amount / 100.0, :total_amount, :timestamp, :items, 'it''s :status? yes');`)
	s := openStore(t, o)
	big := sample("A-2", order.Created)
	big.TotalAmount, big.Timestamp = order.MaxAmount, order.MaxAmount
	wantNone(t, apply(t, s, run(sample("A-1", order.Created), 1), run(big, 2)))
	for query, want := range map[string]int64{
		`SELECT count(*) FROM typed WHERE order_id = 'A-1' AND amount = 2 AND cents = 200 AND at = 1700000000000`: 1,
		fmt.Sprintf(`SELECT count(*) FROM typed WHERE cents = %d AND at = %d`, order.MaxAmount, order.MaxAmount):  1,
		`SELECT count(*) FROM typed WHERE note = 'it''s :status? yes'`:                                            2,
	} {
		if got := w.db.Int(t, query); got != want {
			t.Errorf("%s: %d, want %d", query, got, want)
		}
	}
}
