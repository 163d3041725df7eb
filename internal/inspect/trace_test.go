package inspect_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/inspect"
	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

func tracing(w *world) inspect.TraceOptions {
	return inspect.TraceOptions{
		Names: names(), Log: w, Source: w, Orders: w, Unknown: order.KeepUnknown, MaxBytes: 1 << 20, Timeout: time.Minute,
		Partition: func([]byte, int32) int32 { return 1 }, Now: func() time.Time { return w.now },
	}
}

func trace(t testing.TB, id string, o inspect.TraceOptions) *inspect.TraceReport {
	t.Helper()
	r, err := inspect.Trace(t.Context(), id, o)
	if err != nil {
		t.Fatalf("Trace: %v", err)
	}
	return r
}

// timeline is the events of a report, as "place event".
func timeline(r *inspect.TraceReport) []string {
	lines := []string{}
	for _, e := range r.Events {
		at := "database"
		if e.Topic != "" {
			at = e.At().String()
		}
		lines = append(lines, at+" "+string(e.Kind))
	}
	return lines
}

const createdOrder = `{"order_id":"A","user_id":"u","status":"CREATED","currency":"CNY","items":[{"product_id":"p","quantity":1,"unit_price":13912}],"total_amount":13912,"timestamp":1}`

func created(fate string) queue.Record {
	r := message(1, "A", createdOrder, fate)
	r.Headers = append(r.Headers, header(queue.HeaderRequestID, "6f1d"), header(queue.HeaderClient, "shop-eu"),
		header(queue.HeaderTraceparent, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"))
	return r
}

// begun is a world with other orders around A, which fares as fate says.
func begun(fate string) *world {
	w := newWorld(2)
	w.put(message(1, "other", "x", "ok"))
	w.put(created(fate))
	w.put(message(1, "other-2", "x", "ok"))
	return w
}

func theRow(w *world) (queue.RowKey, queue.Row) {
	k := queue.Identify(created(""), source, order.KeepUnknown)
	return k, w.rows[k]
}

const (
	tier1m = "orders.g.retry.1m"
	dlq    = "orders.g.dlq"
)

func TestEachStateAndItsTimeline(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		world func() *world
		state inspect.OrderState
		want  []string
	}{
		{"applied", func() *world { w := begun("ok"); w.drain(); return w }, inspect.StateApplied, []string{"database done", "orders/1@1 accepted"}},
		{"waiting", func() *world { return begun("ok") }, inspect.StateWaiting, []string{"orders/1@1 accepted"}},
		{"retrying", func() *world { w := begun("retry"); w.work(source, 1, 0); w.work(source, 1, 0); return w }, inspect.StateRetrying, []string{"orders/1@1 accepted", tier1m + "/1@0 retry"}},
		{"retrying, the hop on its way", func() *world { w := begun("retry"); w.work(source, 1, 0); w.work(source, 1, 1); return w }, inspect.StateRetrying, []string{"database moving", "orders/1@1 accepted"}},
		{"parked", func() *world {
			w := begun("retry")
			w.work(source, 1, 0)
			w.work(source, 1, 0)
			k, r := theRow(w)
			r.State, r.BlockedBy = queue.StateParked, "A:0"
			w.rows[k] = r
			return w
		}, inspect.StateParked, []string{"orders/1@1 accepted", tier1m + "/1@0 retry"}},
		{"dead", func() *world { w := begun("worse"); w.drain(); return w }, inspect.StateDead, []string{"orders/1@1 accepted", tier1m + "/1@0 retry", dlq + "/1@0 dead"}},
		{"blocked", func() *world {
			w := begun("dead")
			w.drain()
			k, r := theRow(w)
			r.Failure.Class = queue.ClassBlocked
			w.rows[k] = r
			return w
		}, inspect.StateBlocked, []string{"orders/1@1 accepted", dlq + "/1@0 dead"}},
		{"sent again, and not read yet", func() *world {
			w := begun("dead")
			w.drain()
			w.replay(w.log(dlq, 1).records[0], "r-17")
			return w
		}, inspect.StateReplaying, []string{"orders/1@1 accepted", dlq + "/1@0 dead", "orders.g.replay/1@0 replay"}},
		{"sent again, and accepted", func() *world {
			w := begun("dead")
			w.drain()
			w.replay(w.log(dlq, 1).records[0], "r-17")
			k, r := theRow(w)
			r.State, r.Hop, r.ReplayID, r.At = queue.StateRetry, 2, "r-17", queue.Position{Topic: names().Replay(), Partition: 1}
			w.rows[k] = r
			return w
		}, inspect.StateReplaying, []string{"orders/1@1 accepted", dlq + "/1@0 dead", "orders.g.replay/1@0 replay"}},
		{"sent again, and applied: both lives", func() *world {
			w := begun("dead")
			w.drain()
			w.put(queue.Record{Topic: names().Audit(), Partition: 1, Key: []byte("1/0"), Value: []byte(`{"state":"replayed","job":"r-17","operator":"oncall@ops1"}`)})
			w.put(queue.Record{Topic: names().Audit(), Partition: 1, Key: []byte("1/7"), Value: []byte(`{"state":"discarded"}`)})
			w.replay(w.log(dlq, 1).records[0], "r-17")
			w.drain()
			return w
		}, inspect.StateApplied, []string{"database done", "orders/1@1 accepted", dlq + "/1@0 dead", dlq + ".audit/1@0 replayed", "orders.g.replay/1@0 replay"}},
		{"discarded", func() *world {
			w := begun("dead")
			w.drain()
			k, r := theRow(w)
			r.State = queue.StateDiscarded
			w.rows[k] = r
			return w
		}, inspect.StateDiscarded, []string{"database discarded", "orders/1@1 accepted", dlq + "/1@0 dead"}},
		{"missing", func() *world {
			w := begun("ok")
			w.drain()
			k, _ := theRow(w)
			delete(w.rows, k)
			return w
		}, inspect.StateMissing, []string{"orders/1@1 accepted"}},
		{"lost: a copy speaks of a record that is gone, and no row does", func() *world {
			w := begun("dead")
			w.drain()
			k, _ := theRow(w)
			delete(w.rows, k)
			w.forget(source, 1, 2)
			return w
		}, inspect.StateLost, []string{dlq + "/1@0 dead"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := tt.world()
			r := trace(t, "A", tracing(w))
			if got := timeline(r); r.State != tt.state || !slices.Equal(got, tt.want) || !r.Complete || r.Elsewhere {
				t.Errorf("%s, complete %v, elsewhere %v: %q\nwant %s: %q", r.State, r.Complete, r.Elsewhere, got, tt.state, tt.want)
			}
			if len(r.Messages) != 1 || r.Messages[0].MsgID != "A:CREATED" || r.Messages[0].Status != order.Created || r.Messages[0].Presumed {
				t.Errorf("messages %+v", r.Messages)
			}
		})
	}
}

// Without a database the log decides, and says that it only presumes.
func TestTheLogAlone(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		world func() *world
		want  inspect.OrderState
	}{
		{"waiting", func() *world { return begun("ok") }, inspect.StateWaiting},
		{"passed, and it went nowhere from there", func() *world { w := begun("ok"); w.drain(); return w }, inspect.StateApplied},
		{"retrying", func() *world { w := begun("retry"); w.work(source, 1, 0); w.work(source, 1, 0); return w }, inspect.StateRetrying},
		{"applied from a tier", func() *world { w := begun("retry"); w.drain(); return w }, inspect.StateApplied},
		{"dead", func() *world { w := begun("worse"); w.drain(); return w }, inspect.StateDead},
		{"discarded", func() *world {
			w := begun("dead")
			w.drain()
			w.put(queue.Record{Topic: names().Audit(), Partition: 1, Key: []byte("1/0"), Value: []byte(`{"state":"discarded"}`)})
			return w
		}, inspect.StateDiscarded},
		{"replaying", func() *world { w := begun("dead"); w.drain(); w.replay(w.log(dlq, 1).records[0], "r"); return w }, inspect.StateReplaying},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := tt.world()
			o := tracing(w)
			o.Orders = nil
			if r := trace(t, "A", o); r.State != tt.want || r.Database || !r.Messages[0].Presumed || !r.Complete {
				t.Errorf("%s, complete %v, messages %+v; want %s", r.State, r.Complete, r.Messages, tt.want)
			}
			o.Orders = w
			w.down = errors.New("no connection")
			if r := trace(t, "A", o); r.State != tt.want || r.Database || r.DatabaseProblem != "no connection" {
				t.Errorf("with one that does not answer: %s %+v", r.State, r.DatabaseProblem)
			}
		})
	}
}

func TestWhatAnEventSays(t *testing.T) {
	t.Parallel()
	w := begun("worse")
	w.orders["A"] = queue.OrderView{Found: true, Status: order.Paid, Currency: "CNY", TotalAmount: 5}
	w.drain()
	r := trace(t, "A", tracing(w))
	accepted, dead := r.Events[0], r.Events[2]
	if accepted.RequestID != "6f1d" || accepted.Client != "shop-eu" || accepted.TraceID != "4bf92f3577b34da6a3ce929d0e0e4736" || accepted.Status != order.Created || string(accepted.Value) != createdOrder {
		t.Errorf("accepted: %+v", accepted)
	}
	if dead.Class != "exhausted" || dead.Code != "payment-timeout" || dead.Message != "504 from downstream" || dead.Attempts != 3 || dead.Hop != 2 {
		t.Errorf("dead: %+v", dead)
	}
	if r.Order == nil || *r.Order != (inspect.TracedOrder{Status: order.Paid, Currency: "CNY", TotalAmount: 5}) {
		t.Errorf("the order of the database: %+v", r.Order)
	}
	delete(w.orders, "A")
	if r := trace(t, "A", tracing(w)); r.Order == nil || *r.Order != (inspect.TracedOrder{Status: order.Created, Currency: "CNY", TotalAmount: 13912}) {
		t.Errorf("the order of the newest record: %+v", r.Order)
	}
}

// Of several messages the one that needs most attention says where the order is.
func TestTheMostUrgentMessageDecides(t *testing.T) {
	t.Parallel()
	w := begun("dead")
	paid := message(1, "A", strings.Replace(createdOrder, "CREATED", "PAID", 1), "ok")
	paid.Headers[0] = header(queue.HeaderID, "A:PAID")
	w.put(paid)
	w.drain()
	r := trace(t, "A", tracing(w))
	if r.State != inspect.StateDead || len(r.Messages) != 2 || r.Messages[0].State != inspect.StateDead || r.Messages[1].State != inspect.StateApplied || r.Messages[1].Status != order.Paid {
		t.Errorf("%s %+v", r.State, r.Messages)
	}
}

func TestHowLongAWaitingOrderWaits(t *testing.T) {
	t.Parallel()
	w := begun("ok")
	for i := range 8 {
		w.put(message(1, fmt.Sprintf("b-%d", i), "x", "ok"))
	}
	r := created("ok")
	r.Headers[0] = header(queue.HeaderID, "A:again")
	w.put(r)
	w.work(source, 1, 0)
	looks := 0
	w.step = func() {
		if len(w.reads) == 1 { // while the source is read
			if looks++; looks == 2 {
				for range 4 {
					w.work(source, 1, 0)
				}
				w.now = w.now.Add(2 * time.Second)
			}
		}
	}
	got := trace(t, "A", tracing(w)).Messages[1]
	if got.State != inspect.StateWaiting || got.Before == nil || *got.Before != 6 || got.ETASeconds == nil || *got.ETASeconds != 3.5 {
		t.Errorf("%+v: want 6 before it, and 3.5 s at two a second", got)
	}
	w = begun("ok")
	if got := trace(t, "A", tracing(w)).Messages[0]; got.ETASeconds != nil || *got.Before != 1 {
		t.Errorf("nobody works: %+v", got)
	}
}

func TestWhereTheSearchBegins(t *testing.T) {
	t.Parallel()
	base := newWorld(2).now
	v7 := "01a213c2-6e67-765b-a013-b0389ca5f253" // 2026-11-25T17:30:39.079Z
	for _, tt := range []struct {
		name string
		id   string
		set  func(o *inspect.TraceOptions, w *world)
		want time.Time
	}{
		{"nothing is known", "A", func(*inspect.TraceOptions, *world) {}, base.Add(-24 * time.Hour)},
		{"about then", "A", func(o *inspect.TraceOptions, _ *world) { o.At = base.Add(-time.Hour) }, base.Add(-70 * time.Minute)},
		{"so far back", "A", func(o *inspect.TraceOptions, _ *world) { o.Back = time.Hour }, base.Add(-time.Hour)},
		{"the id tells", v7, func(o *inspect.TraceOptions, _ *world) {
			o.Now = func() time.Time { return base.Add(240 * time.Hour) }
		}, time.Date(2026, 11, 25, 17, 20, 39, 79e6, time.UTC)},
		{"the id lies in the future", v7, func(*inspect.TraceOptions, *world) {}, base.Add(-24 * time.Hour)},
		{"an id of another version", strings.Replace(v7, "-765b", "-465b", 1), func(o *inspect.TraceOptions, _ *world) {
			o.Now = func() time.Time { return base.Add(240 * time.Hour) }
		}, base.Add(216 * time.Hour)},
		{"no id at all", "01a213c2-6e67-765b-a013-b0389ca5f25z", func(*inspect.TraceOptions, *world) {}, base.Add(-24 * time.Hour)},
		{"the first row, by its record", "A", func(_ *inspect.TraceOptions, w *world) {
			r := created("ok")
			r.Time = base.Add(-5 * time.Hour)
			w.put(r)
			w.drain()
		}, base.Add(-5*time.Hour - 10*time.Minute)},
		{"the first row, its record gone", "A", func(_ *inspect.TraceOptions, w *world) {
			k := queue.RowKey{MsgID: "A:CREATED", Fingerprint: "f"}
			w.rows[k] = queue.Row{RowKey: k, OrderID: "A", State: queue.StateDead, Src: queue.Position{Topic: source, Partition: 1, Offset: 0}, FirstFailure: base.Add(-9 * time.Hour), UpdatedAt: base}
		}, base.Add(-9*time.Hour - 10*time.Minute)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(2)
			o := tracing(w)
			tt.set(&o, w)
			if r := trace(t, tt.id, o); !r.Since.Equal(tt.want) {
				t.Errorf("since %v, want %v", r.Since, tt.want)
			}
		})
	}
}

func TestTheSearchIsBounded(t *testing.T) {
	t.Parallel()
	build := func() *world {
		w := newWorld(2)
		for i := range 50 {
			w.put(message(1, fmt.Sprintf("b-%d", i), strings.Repeat("x", 1000), "ok"))
			w.put(message(0, fmt.Sprintf("c-%d", i), strings.Repeat("x", 1000), "ok"))
		}
		w.put(created("retry"))
		w.drain()
		return w
	}
	t.Run("one partition of each topic is read, once, and no more than lies in it", func(t *testing.T) {
		t.Parallel()
		w := build()
		trace(t, "A", tracing(w))
		size := int64(0)
		for _, topic := range names().All() {
			for _, r := range w.log(topic, 1).records {
				size += int64(len(r.Value))
			}
		}
		if w.bytes > size || slices.ContainsFunc(w.reads, func(s string) bool { return strings.Contains(s, "/0[") }) {
			t.Errorf("%d bytes of %d: %v", w.bytes, size, w.reads)
		}
	})
	t.Run("old records are not read", func(t *testing.T) {
		t.Parallel()
		w := build()
		o := tracing(w)
		o.Orders, o.At = nil, w.log(source, 1).records[45].Time.Add(10*time.Minute)
		if r := trace(t, "A", o); r.Searched[0].From != 45 || r.Searched[0].Records != 6 || r.State != inspect.StateApplied {
			t.Errorf("%+v", r.Searched)
		}
	})
	t.Run("bytes: cut, said, and the rows still speak", func(t *testing.T) {
		t.Parallel()
		w := build()
		o := tracing(w)
		o.MaxBytes = 10_000
		r := trace(t, "A", o)
		if r.Complete || w.bytes > 12_000 || r.State != inspect.StateApplied || !strings.Contains(r.Searched[len(r.Searched)-1].Problem, "--max-bytes") {
			t.Errorf("%s, complete %v, %d bytes, %+v", r.State, r.Complete, w.bytes, r.Searched)
		}
		if got := timeline(r); !slices.Contains(got, "orders/1@50 accepted") {
			t.Errorf("what the row names is fetched: %v", got)
		}
	})
	t.Run("time: cut and said", func(t *testing.T) {
		t.Parallel()
		w := build()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		o := tracing(w)
		o.Orders, o.Timeout = nil, time.Nanosecond
		r, err := inspect.Trace(ctx, "A", o)
		if err != nil || r.Complete || !strings.Contains(r.Searched[0].Problem, "--timeout") {
			t.Errorf("%+v, %v", r, err)
		}
		cancel()
		if _, err := inspect.Trace(ctx, "A", tracing(w)); !errors.Is(err, context.Canceled) {
			t.Errorf("stopped by the user: %v", err)
		}
	})
}

func TestAForeignPartitioner(t *testing.T) {
	t.Parallel()
	w := begun("ok") // in partition 1
	o := tracing(w)
	o.Partition = func([]byte, int32) int32 { return 0 }
	r := trace(t, "A", o)
	if !r.Elsewhere || r.State != inspect.StateWaiting || !slices.Equal(timeline(r), []string{"orders/1@1 accepted"}) || r.Partition != 0 {
		t.Errorf("%s elsewhere %v: %v", r.State, r.Elsewhere, timeline(r))
	}
	w.drain() // now the rows know where it is
	if r := trace(t, "A", o); r.Elsewhere || r.State != inspect.StateApplied || len(r.Events) != 2 {
		t.Errorf("%s elsewhere %v: %v", r.State, r.Elsewhere, timeline(r))
	}
	if r := trace(t, "nobody", o); r.State != inspect.StateNotFound || !r.Complete || !r.Elsewhere || len(r.Events) != 0 {
		t.Errorf("%+v", r)
	}
	o.Orders = nil
	if r := trace(t, "nobody", o); r.State != inspect.StateNotFound || r.Complete {
		t.Errorf("without database nothing found is no proof: %+v", r)
	}
}

func TestPlacesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	w := begun("worse")
	w.drain()
	w.problems[lag.TopicPartition{Topic: tier1m, Partition: 1}] = lag.NoLeader
	w.broken[dlq+"/1"] = errors.New("batch is unreadable")
	r := trace(t, "A", tracing(w))
	problems := map[string]string{}
	for _, s := range r.Searched {
		if !s.Complete {
			problems[s.Topic] = s.Problem
		}
	}
	if r.Complete || problems[tier1m] != "no-leader" || problems[dlq] != "batch is unreadable" || r.State != inspect.StateDead {
		t.Errorf("%s, complete %v, %v", r.State, r.Complete, problems)
	}
	var missing *inspect.NotFoundError
	o := tracing(w)
	o.Names.Source = "order"
	if _, err := inspect.Trace(t.Context(), "A", o); !errors.As(err, &missing) || missing.Kind != "topic" {
		t.Errorf("no such topic: %v", err)
	}
	if _, err := inspect.Trace(t.Context(), "", tracing(w)); err == nil {
		t.Error("an empty id is taken")
	}
	delete(w.logs, lag.TopicPartition{Topic: names().Audit(), Partition: 0})
	delete(w.logs, lag.TopicPartition{Topic: names().Audit(), Partition: 1})
	w.problems, w.broken = nil, nil
	if r := trace(t, "A", tracing(w)); !r.Complete {
		t.Errorf("a ledger that nobody wrote is no hole: %+v", r.Searched)
	}
}

func TestAnOpenTransaction(t *testing.T) {
	t.Parallel()
	w := begun("ok")
	w.log(source, 1).held = 2
	o := tracing(w)
	o.Timeout = 50 * time.Millisecond
	r := trace(t, "A", o)
	if r.Complete || r.State != inspect.StateNotFound || !strings.Contains(fmt.Sprint(r.Searched), "open transaction") {
		t.Errorf("%s, complete %v: %+v", r.State, r.Complete, r.Searched)
	}
	o.Timeout = 10 * time.Second
	w.step = func() {
		if len(w.reads) > 0 {
			w.log(source, 1).held = 0 // it ends while we wait
		}
	}
	if r := trace(t, "A", o); !r.Complete || r.State != inspect.StateWaiting {
		t.Errorf("%s, complete %v: %+v", r.State, r.Complete, r.Searched)
	}
}

// An order that moves while it is looked for is seen twice rather than never.
func TestAnOrderOnTheMove(t *testing.T) {
	t.Parallel()
	for moment := 1; moment < 40; moment++ {
		for _, fate := range []string{"ok", "dead", "worse", "retry"} {
			w := begun(fate)
			n := 0
			w.step = func() {
				if n++; n >= moment {
					w.work(source, 1, 0)
					w.work(tier1m, 1, 0)
				}
			}
			r := trace(t, "A", tracing(w))
			if r.State == inspect.StateNotFound || r.State == inspect.StateMissing || r.State == inspect.StateLost {
				t.Errorf("%s, moved at look %d: %s %v", fate, moment, r.State, timeline(r))
			}
		}
	}
}

func TestRetentionDuringTheSearch(t *testing.T) {
	t.Parallel()
	w := begun("ok")
	w.step = func() {
		if len(w.reads) == 1 {
			w.forget(source, 1, 1)
		}
	}
	if r := trace(t, "A", tracing(w)); !r.Complete || r.State != inspect.StateWaiting || r.Elsewhere {
		t.Errorf("%s, complete %v: %+v", r.State, r.Complete, r.Searched)
	}
}

// What rows name is shown, however long ago it was, and with it what operators did about it.
func TestAnOldOrder(t *testing.T) {
	t.Parallel()
	w := begun("dead")
	w.drain()
	w.put(queue.Record{Topic: names().Audit(), Partition: 1, Key: []byte("1/0"), Value: []byte(`{"state":"replayed","job":"r-17"}`)})
	o := tracing(w)
	o.At = w.now.Add(time.Hour)
	if got := timeline(trace(t, "A", o)); !slices.Equal(got, []string{"orders/1@1 accepted", dlq + "/1@0 dead", dlq + ".audit/1@0 replayed"}) {
		t.Errorf("%q", got)
	}
	w = begun("ok")
	w.put(queue.Record{Topic: names().Audit(), Partition: 1, Key: []byte("1/0"), Value: []byte("{}")})
	trace(t, "A", tracing(w))
	if slices.ContainsFunc(w.reads, func(s string) bool { return strings.HasPrefix(s, names().Audit()) }) {
		t.Errorf("a ledger is read for an order without letters: %v", w.reads)
	}
}

// The partition that the rows name is searched too: partitions were added since.
func TestThePartitionOfTheRows(t *testing.T) {
	t.Parallel()
	w := begun("worse")
	w.drain()
	o := tracing(w)
	o.Partition = func([]byte, int32) int32 { return 0 }
	if got := timeline(trace(t, "A", o)); !slices.Equal(got, []string{"orders/1@1 accepted", tier1m + "/1@0 retry", dlq + "/1@0 dead"}) {
		t.Errorf("%q", got)
	}
}

func TestOnlyTheReplayOfThisDeathCounts(t *testing.T) {
	t.Parallel()
	w := begun("dead")
	w.drain()
	w.replay(w.log(dlq, 1).records[0], "r-1")
	k, r := theRow(w)
	r.Hop = 3 // it died again since
	w.rows[k] = r
	if got := trace(t, "A", tracing(w)).State; got != inspect.StateDead {
		t.Errorf("an old replay: %s", got)
	}
	r.Hop = 1
	w.rows[k] = r
	w.commits[lag.TopicPartition{Topic: names().Replay(), Partition: 1}] = 1
	if got := trace(t, "A", tracing(w)).State; got != inspect.StateDead {
		t.Errorf("a replay that was passed by: %s", got)
	}
}

func TestADiscardIsAboutTheLetterBeforeIt(t *testing.T) {
	t.Parallel()
	w := begun("dead")
	w.drain()
	letter := w.log(dlq, 1).records[0]
	control := func(what string) {
		tr := queue.ReadTrail(letter.Headers)
		tr.Discard = what
		w.put(queue.Record{Topic: names().Replay(), Partition: 1, Key: letter.Key, Headers: tr.Append(letter.Headers)})
	}
	o := tracing(w)
	o.Orders = nil
	for _, step := range []struct {
		what  string
		state inspect.OrderState
		kind  inspect.EventKind
	}{{"true", inspect.StateDiscarded, inspect.EventDiscard}, {"undo", inspect.StateDead, inspect.EventUndo}} {
		control(step.what)
		if r := trace(t, "A", o); r.State != step.state || r.Events[len(r.Events)-1].Kind != step.kind || len(r.Messages) != 1 {
			t.Errorf("after %s: %s %v", step.what, r.State, timeline(r))
		}
	}
}

func TestOddRecords(t *testing.T) {
	t.Parallel()
	t.Run("a duplicate that waits is one message, at its first offset", func(t *testing.T) {
		t.Parallel()
		w := begun("ok")
		w.put(created("ok"))
		r := trace(t, "A", tracing(w))
		if len(r.Messages) != 1 || r.Messages[0].Offset != 1 || len(r.Events) != 2 {
			t.Errorf("%+v %v", r.Messages, timeline(r))
		}
	})
	t.Run("a letter that does not say where it came from", func(t *testing.T) {
		t.Parallel()
		w := newWorld(2)
		w.put(queue.Record{Topic: dlq, Partition: 1, Key: []byte("A"), Value: []byte("x")})
		if r := trace(t, "A", tracing(w)); r.State != inspect.StateDead || r.Messages[0].Offset != -1 {
			t.Errorf("%s %+v", r.State, r.Messages)
		}
	})
	t.Run("in the source nobody's hops are believed", func(t *testing.T) {
		t.Parallel()
		w := newWorld(2)
		forged := created("ok")
		forged.Headers = queue.Trail{Hop: 9, Class: "fatal", Code: "x", Message: "gone", Attempts: 5, BlockedBy: "B"}.Append(forged.Headers)
		w.put(forged)
		r := trace(t, "A", tracing(w))
		if e := r.Events[0]; r.State != inspect.StateWaiting || e.Class != "" || e.Hop != 0 || e.Message != "" || e.BlockedBy != "" || e.Attempts != 0 {
			t.Errorf("%s %+v", r.State, e)
		}
	})
	t.Run("an undecodable record, and a ledger that is none", func(t *testing.T) {
		t.Parallel()
		w := newWorld(2)
		w.put(queue.Record{Topic: source, Partition: 1, Key: []byte("A"), Value: []byte("\xff\x00")})
		w.put(queue.Record{Topic: dlq, Partition: 1, Key: []byte("A"), Value: []byte("\xff\x00"), Headers: queue.Trail{Hop: 1, Origin: queue.Position{Topic: source, Partition: 1}}.Append(nil)})
		w.put(queue.Record{Topic: names().Audit(), Partition: 1, Key: []byte("1/0"), Value: nil})
		r := trace(t, "A", tracing(w))
		if len(r.Events) != 2 || r.Events[0].Order != nil || r.Order != nil {
			t.Errorf("%+v", r.Events)
		}
	})
}
