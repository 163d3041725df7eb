package consume_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/consume"
	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/store/storetest"
)

// The real orders, dirty ones among them, into a real database; then once more from the start.
func TestTheRealOrdersEndAsRowsOrLetters(t *testing.T) {
	t.Parallel()
	f, err := os.Open("../produce/sample/online-retail-2010-12.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, db := newWorld(3), storetest.SQLite(t)
	w.o.Store, w.o.Concurrency, w.o.Batch = db, 1, 256
	var ids []string
	n := 0
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for ; lines.Scan(); n++ {
		w.log.Append(queue.Message{
			Topic: "orders", Partition: int32(n % 3), Key: []byte(fmt.Sprint(n)), Value: []byte(lines.Text()),
			Headers: []queue.Header{{Name: queue.HeaderID, Value: fmt.Append(nil, "line ", n)}},
		})
		var o struct {
			OrderID string `json:"order_id"`
		}
		if json.Unmarshal(lines.Bytes(), &o) == nil {
			ids = append(ids, o.OrderID)
		}
	}
	for _, letters := range []int64{253, 0} {
		wantLetters(t, w.run(t), letters)
		counts, err := db.Counts(t.Context(), "g")
		if done := found(t, db, ids); err != nil || n != 1_803 || done != 1_550 || counts[queue.StateDead] != 253 || unfinished(counts) != 0 {
			t.Errorf("%d orders became %d rows and %v: %v", n, done, counts, err)
		}
		w.log.Rewind("orders")
	}
	for _, r := range w.log.Records(names.DLQ()) {
		l := queue.ReadTrail(r.Headers)
		if l.Class != queue.ClassInvalid && l.Class != queue.ClassDecode || !strings.HasPrefix(l.Code, "#/") || l.Message == "" || len(r.Value) == 0 {
			t.Errorf("letter %+v", l)
		}
	}
}

// The worker ends at random moments, with no time to drain, while answers of the log get lost and effects fail. At the end
// each message is done once, or is a letter.
func TestEndsAtAnyMomentLoseAndDoubleNothing(t *testing.T) {
	t.Parallel()
	const orders = 150
	w, db := newWorld(2), storetest.SQLite(t)
	w.o.Names.Tiers = []time.Duration{time.Millisecond, 2 * time.Millisecond}
	w.o.Local = consume.Local{Attempts: 2, Base: time.Millisecond, Cap: time.Millisecond}
	w.o.Source = w.log.Source(w.o.Names.Consumed()...)
	w.o.Empty = func(context.Context) (bool, error) { return w.log.Empty(w.o.Names), nil }
	w.o.Store, w.o.Concurrency, w.o.DrainTimeout = &flaky{Store: db}, 2, time.Nanosecond
	for i := range orders {
		for _, s := range []order.Status{order.Created, order.Paid, order.Shipped} {
			m := consume.OrderMessage("orders", consume.SampleOrder(fmt.Sprintf("A-%d", i), s))
			if m.Partition = int32(i % 2); i%10 == 0 {
				m.Value = m.Value[1:]
			}
			w.log.Append(m)
		}
	}
	w.o.UntilEmpty = false
	for range 40 {
		worker := w.worker(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(40))*time.Millisecond)
		w.log.Set(func() { w.log.Mute = rand.IntN(4) == 0 })
		if err := worker.Run(ctx); err != nil {
			t.Fatalf("Run: %v", err)
		}
		cancel()
	}
	w.log.Set(func() { w.log.Mute = false })
	w.o.UntilEmpty, w.o.DrainTimeout = true, time.Second
	_ = w.run(t) // it may have letters to write, or not
	counts, err := db.Counts(t.Context(), "g")
	if err != nil || counts[queue.StateDead] != orders*3/10 || unfinished(counts) != 0 {
		t.Errorf("counts %v: %v", counts, err)
	}
	for i := range orders {
		v, err := db.Order(t.Context(), "g", fmt.Sprintf("A-%d", i))
		if err != nil || v.Found != (i%10 != 0) || v.Found && v.Status != order.Shipped {
			t.Errorf("order A-%d: %+v, %v", i, v, err)
		}
		if v.Found && len(v.Rows) != 3 {
			t.Errorf("order A-%d has %d messages", i, len(v.Rows))
		}
		for _, r := range v.Rows {
			if r.Outcome != queue.Applied {
				t.Errorf("message %s is %s", r.MsgID, r.Outcome)
			}
		}
	}
}

func unfinished(counts map[queue.State]int64) int64 {
	return counts[queue.StateRetry] + counts[queue.StateParked] + counts[queue.StateDiscarded]
}

// found counts the orders that are in the database.
func found(t *testing.T, db interface {
	Order(ctx context.Context, group, id string) (queue.OrderView, error)
}, ids []string,
) (n int) {
	t.Helper()
	for _, id := range ids {
		v, err := db.Order(t.Context(), "g", id)
		if err != nil {
			t.Fatal(err)
		}
		if v.Found {
			n++
		}
	}
	return n
}

// flaky fails the effect of some records, and loses some answers to a transaction that was committed.
type flaky struct{ consume.Store }

func (f *flaky) Apply(ctx context.Context, group string, look []queue.Lookup, decide func(int, queue.Seen) queue.Change) ([]error, error) {
	if rand.IntN(20) == 0 {
		return nil, outage()
	}
	errs, err := f.Store.Apply(ctx, group, look, decide)
	if rand.IntN(20) == 0 {
		return nil, timeout()
	}
	return errs, err
}
