package serve_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/serve"
)

// rows is a store that knows these orders.
type rows map[string]queue.OrderView

func (r rows) Order(_ context.Context, _, id string) (queue.OrderView, error) { return r[id], nil }

// stuckStore answers nobody.
type stuckStore struct{}

func (stuckStore) Order(ctx context.Context, _, _ string) (queue.OrderView, error) {
	<-ctx.Done()
	return queue.OrderView{}, ctx.Err()
}

func row(msgID string, state queue.State) queue.Row {
	return queue.Row{RowKey: queue.RowKey{MsgID: msgID}, State: state, Attempts: 2}
}

func TestWhereAnOrderIs(t *testing.T) {
	t.Parallel()
	due := time.Date(2026, 11, 22, 8, 0, 5, 0, time.UTC)
	retry := row("R:PAID", queue.StateRetry)
	retry.Failure, retry.DueAt = queue.Failure{Class: queue.ClassRetryable, Code: "40001"}, due
	done := row("R:CREATED", queue.StateDone)
	w := newWorld(t, func(o *serve.Options) {
		o.Orders = rows{
			"R": {Found: true, Status: order.Created, Currency: "EUR", TotalAmount: 300, AppliedAt: due, Rows: []queue.Row{done, row("R:X", queue.StateDead), retry}},
			"P": {Rows: []queue.Row{row("P:PAID", queue.StateParked), row("P:CREATED", queue.StateDead)}},
			"D": {Found: true, Status: order.Paid, Rows: []queue.Row{row("D:SHIPPED", queue.StateDead)}},
			"A": {Found: true, Status: order.Paid, Rows: []queue.Row{row("A:X", queue.StateDiscarded)}},
			"W": {Rows: []queue.Row{row("W:CREATED", queue.StateDone)}}, // a sink without an orders table
			"X": {Rows: []queue.Row{row("X:CREATED", queue.StateDiscarded)}},
		}
	})
	w.post(goodOrder("N"))
	for id, want := range map[string]string{
		"R": "retrying", "P": "parked", "D": "dead", "A": "applied", "W": "applied", "X": "discarded", "N": "accepted",
	} {
		if a := w.get("/orders/" + id); a.code != 200 || a.str("state") != want || a.str("order_id") != id {
			t.Errorf("%s: %d %s, want %s", id, a.code, a.raw, want)
		}
	}
	a := w.get("/orders/R")
	if a.str("status") != "CREATED" || a.body["total_amount"] != 300.0 || a.str("currency") != "EUR" || a.str("applied_at") != "2026-11-22T08:00:05Z" {
		t.Errorf("what was applied so far: %s", a.raw)
	}
	messages, _ := a.body["messages"].([]any)
	if len(messages) != 2 {
		t.Fatalf("messages: want the unfinished ones alone: %s", a.raw)
	}
	m, _ := messages[1].(map[string]any)
	if m["message_id"] != "R:PAID" || m["state"] != "retry" || m["class"] != "retryable" || m["code"] != "40001" || m["attempts"] != 2.0 || m["due_at"] != "2026-11-22T08:00:05Z" {
		t.Errorf("message %v", m)
	}
	n := w.get("/orders/N")
	for _, member := range []string{"status", "currency", "total_amount", "applied_at"} {
		if v, there := n.body[member]; v != nil || !there {
			t.Errorf("%s = %v before anything is applied, want null", member, v)
		}
	}
	if v, _ := n.body["messages"].([]any); v == nil || len(v) != 0 {
		t.Errorf("messages must be an empty list: %s", n.raw)
	}
	if a := w.get("/orders/Z"); a.code != 404 || a.str("code") != "not-found" {
		t.Errorf("unknown: %d %s", a.code, a.raw)
	}
}

func TestWithoutAStoreOnlyAcceptedIsKnown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.post(good)
	if a.header.Get("Location") != "" {
		t.Error("Location points where nothing can be told for long")
	}
	if a := w.get("/orders/A-1"); a.code != 200 || a.str("state") != "accepted" {
		t.Errorf("%d %s", a.code, a.raw)
	}
	if a := w.get("/orders/B"); a.code != 404 {
		t.Errorf("%d %s", a.code, a.raw)
	}
}

func TestASilentStoreIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(o *serve.Options) { o.Orders = stuckStore{} })
		began := time.Now()
		a := w.get("/orders/A-1")
		if took := time.Since(began); a.code != 503 || a.str("code") != "store-unavailable" || took != time.Second {
			t.Errorf("%d %s after %v", a.code, a.raw, took)
		}
		if a := w.post(good); a.code != 202 {
			t.Errorf("orders must be taken on: %d", a.code)
		}
		if h := check(t, w, "store"); h.Status != "warn" || h.Err == nil {
			t.Errorf("health %+v", h)
		}
	})
}

// failing fails as told.
type failing struct{ err error }

func (f failing) Order(context.Context, string, string) (queue.OrderView, error) {
	return queue.OrderView{}, f.err
}

func TestAStoreThatSaysNotFoundIsWell(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *serve.Options) { o.Orders = failing{queue.ErrNotFound} })
	w.post(good)
	if a := w.get("/orders/A-1"); a.str("state") != "accepted" || check(t, w, "store").Status != "pass" {
		t.Errorf("%d %s", a.code, a.raw)
	}
	w = newWorld(t, func(o *serve.Options) { o.Orders = failing{errors.New("disk I/O error")} })
	if a := w.get("/orders/A-1"); a.code != 503 || len(w.lines("order not read")) != 1 {
		t.Errorf("%d %s", a.code, a.raw)
	}
}
