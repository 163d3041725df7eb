package serve_test

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/serve"
)

type done = func(queue.Ack, error)

// held keeps every publication under way until the test ends it with an ack.
type held struct {
	mu   sync.Mutex
	ends []func()
}

func (h *held) script(n int, m queue.Message, d done) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ends = append(h.ends, func() { d(ack(m, int64(n)), nil) })
	return nil
}

func (h *held) end(i int) {
	h.mu.Lock()
	f := h.ends[i]
	h.mu.Unlock()
	f()
}

func (h *held) all() {
	for i := range h.ends {
		h.end(i)
	}
}

func fails(kind queue.PublishKind, reason string) func(int, queue.Message, done) error {
	return func(_ int, _ queue.Message, d done) error {
		d(queue.Ack{}, &queue.PublishError{Kind: kind, Reason: reason})
		return nil
	}
}

func refuses(err error) func(int, queue.Message, done) error {
	return func(int, queue.Message, done) error { return err }
}

func TestAnswersToFaultsOfTheQueue(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		script        func(int, queue.Message, done) error
		code          int
		slug, outcome string
	}{
		"the hand-over fails":              {refuses(errors.New("closed")), 503, "kafka-unavailable", "not_sent"},
		"no leader at the hand-over":       {refuses(&queue.PublishError{Kind: queue.NotSent, Reason: "no-leader"}), 503, "kafka-unavailable", "not_sent"},
		"the producer is busy":             {refuses(&queue.PublishError{Kind: queue.NotSent, Reason: "busy"}), 503, "overloaded", "not_sent"},
		"the client finds it too large":    {refuses(&queue.PublishError{Kind: queue.Rejected, Reason: "too-large"}), 422, "record-rejected", ""},
		"a hand-over that knows nothing":   {refuses(&queue.PublishError{Kind: queue.Unknown, Reason: "?"}), 504, "outcome-unknown", "unknown"},
		"never encoded":                    {fails(queue.NotSent, "unreachable"), 503, "kafka-unavailable", "not_sent"},
		"the broker finds it too large":    {fails(queue.Rejected, "too-large"), 422, "record-rejected", ""},
		"not enough replicas":              {fails(queue.Unknown, "not-enough-replicas"), 504, "outcome-unknown", "unknown"},
		"an error that says nothing of it": {func(_ int, _ queue.Message, d done) error { d(queue.Ack{}, errors.New("eof")); return nil }, 504, "outcome-unknown", "unknown"},
	} {
		w := newWorld(t)
		w.pub.set(tt.script)
		a := w.post(good)
		if a.code != tt.code || a.str("code") != tt.slug || a.str("outcome") != tt.outcome {
			t.Errorf("%s: %d %s", name, a.code, a.raw)
		}
		if retry, err := strconv.Atoi(a.header.Get("Retry-After")); tt.code == 503 && (err != nil || retry < 1 || retry > 5) {
			t.Errorf("%s: Retry-After %q", name, a.header.Get("Retry-After"))
		}
		if w.get("/orders/A-1").code != 404 {
			t.Errorf("%s: the order counts as accepted", name)
		}
		w.unused()
	}
}

func TestAnAckWithoutOffset(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pub.set(func(_ int, m queue.Message, d done) error { d(ack(m, -1), nil); return nil })
	a := w.post(good)
	kafka, _ := a.body["kafka"].(map[string]any)
	if v, there := kafka["offset"]; a.code != 202 || v != nil || !there {
		t.Errorf("%d %s", a.code, a.raw)
	}
}

// A permit belongs to the record: it is freed by done, not by the answer. And a late ack is counted.
func TestASilentBroker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var ends held
		w := newWorld(t)
		w.pub.set(ends.script)
		began := time.Now()
		a := w.post(good)
		if took := time.Since(began); a.code != 504 || took != 5*time.Second || a.str("outcome") != "unknown" {
			t.Fatalf("%d %s after %v", a.code, a.raw, took)
		}
		if w.srv.InFlight() != 1 || w.metric("orderctl_publish_in_flight", "partition=3") != 1 || w.metric("orderctl_publish_in_flight_bytes") != float64(len(good)) {
			t.Error("the answer freed what the record holds")
		}
		if left := w.pub.messages()[0].Deadline.Sub(began.Truncate(time.Millisecond)); left != 4900*time.Millisecond {
			t.Errorf("deadline of the record %v after its acceptance", left)
		}
		ends.end(0)
		w.unused()
		if w.metric("orderctl_publish_late_acks_total") != 1 || w.metric("orderctl_publish_unknown_total") != 1 || w.metric("orderctl_orders_accepted_total") != 0 {
			t.Error("the late ack is not counted")
		}
		late := w.lines("late ack")
		if len(late) != 1 || late[0]["order_id"] != "A-1" || late[0]["offset"] != 0.0 || late[0]["request_id"] == "" || len(w.lines("order unknown")) != 1 {
			t.Errorf("log:\n%s", w.logs)
		}
		if a := w.get("/orders/A-1"); a.str("state") != "accepted" {
			t.Errorf("%s", a.raw)
		}
	})
}

func TestDoneTwiceFreesOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pub.set(func(_ int, m queue.Message, d done) error { d(ack(m, 0), nil); d(ack(m, 0), nil); return nil })
	if a := w.post(good); a.code != 202 {
		t.Errorf("%d", a.code)
	}
	w.unused()
}

func TestLimitsAreFixed(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		limit  func(*serve.Options)
		reason string
		fits   int
	}{
		"orders":    {func(o *serve.Options) { o.Limits.InFlight = 3 }, "orders", 3},
		"partition": {func(o *serve.Options) { o.Limits.PerPartition = 2 }, "partition", 2},
		"bytes": {func(o *serve.Options) {
			o.Limits.Body, o.Limits.BatchBody, o.Limits.InFlightBytes = int64(len(good)), 1, int64(4*len(good))+1
		}, "bytes", 4},
		"all are apart": {func(*serve.Options) {}, "", 6},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var ends held
				w := newWorld(t, tt.limit)
				w.pub.set(ends.script)
				codes := make([]int, 6)
				var wg sync.WaitGroup
				for i := range codes {
					wg.Go(func() { codes[i] = w.post(goodOrder(fmt.Sprintf("A-%d", i))).code })
					synctest.Wait()
				}
				ends.all()
				wg.Wait()
				for i, c := range codes {
					if want := 202 + 301*min(1, i/tt.fits); c != want {
						t.Errorf("order %d: %d, want %d", i, c, want)
					}
				}
				if tt.reason != "" && w.metric("orderctl_publish_shed_total", "reason="+tt.reason) != float64(6-tt.fits) {
					t.Error("what was shed is not counted")
				}
				w.unused()
				w.pub.set(nil)
				if a := w.post(good); a.code != 202 {
					t.Errorf("with room again: %d", a.code)
				}
			})
		})
	}
}

func TestTheBreakerOfAPartition(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.pub.set(fails(queue.Unknown, "not-enough-replicas"))
		for i := range 5 {
			if a := w.post(good); a.code != 504 {
				t.Fatalf("order %d: %d", i, a.code)
			}
		}
		probe := func(want int) {
			t.Helper()
			sent := len(w.pub.messages())
			if a := w.post(good); a.code != want {
				t.Errorf("%d %s, want %d", a.code, a.raw, want)
			}
			if a := w.post(good); want != 202 && (a.code != 503 || a.str("code") != "kafka-unavailable") {
				t.Errorf("meanwhile: %d %s", a.code, a.raw)
			}
			if n := len(w.pub.messages()) - sent; want == 504 && n != 1 {
				t.Errorf("%d orders were let through, want one", n)
			}
		}
		if a := w.post(good); a.code != 503 {
			t.Errorf("after five unknowns: %d", a.code)
		}
		if w.metric("orderctl_breaker_state", "partition=3") != 2 {
			t.Error("the metric does not say open")
		}
		if a := w.post(goodOrder("A-10")); a.code != 504 {
			t.Errorf("another partition: %d, it must not suffer", a.code)
		}
		for range 3 { // always a second
			pause(time.Second + time.Millisecond)
			probe(504)
		}
		w.pub.set(nil)
		pause(time.Second + time.Millisecond)
		probe(202)
		if w.metric("orderctl_breaker_state", "partition=3") != 0 {
			t.Error("the metric does not say closed")
		}
		w.unused()
	})
}

func TestWhatMovesTheBreaker(t *testing.T) {
	t.Parallel()
	unknown := fails(queue.Unknown, "timeout")
	for name, tt := range map[string]struct {
		scripts []func(int, queue.Message, done) error
		opens   bool
	}{
		"four unknowns":                         {[]func(int, queue.Message, done) error{unknown, unknown, unknown, unknown}, false},
		"a success between":                     {[]func(int, queue.Message, done) error{unknown, unknown, unknown, unknown, nil, unknown}, false},
		"a refusal by the broker":               {[]func(int, queue.Message, done) error{unknown, unknown, unknown, unknown, fails(queue.Rejected, "x"), unknown}, false},
		"a busy producer changes none":          {[]func(int, queue.Message, done) error{unknown, unknown, refuses(&queue.PublishError{Kind: queue.NotSent, Reason: "busy"}), unknown, unknown, unknown}, true},
		"busy, again and again":                 {[]func(int, queue.Message, done) error{refuses(&queue.PublishError{Kind: queue.NotSent, Reason: "busy"}), refuses(&queue.PublishError{Kind: queue.NotSent, Reason: "busy"}), refuses(&queue.PublishError{Kind: queue.NotSent, Reason: "busy"}), refuses(&queue.PublishError{Kind: queue.NotSent, Reason: "busy"}), refuses(&queue.PublishError{Kind: queue.NotSent, Reason: "busy"})}, false},
		"no leader, once":                       {[]func(int, queue.Message, done) error{fails(queue.NotSent, "no-leader")}, true},
		"no leader after an attempt":            {[]func(int, queue.Message, done) error{fails(queue.Unknown, "no-leader")}, true},
		"the client says nothing of the broker": {[]func(int, queue.Message, done) error{unknown, unknown, unknown, unknown, refuses(&queue.PublishError{Kind: queue.Rejected, Reason: "too-large"}), unknown}, true},
		"refused, once":                         {[]func(int, queue.Message, done) error{refuses(&queue.PublishError{Kind: queue.NotSent, Reason: "refused"})}, true},
		"a client-side rejection":               {[]func(int, queue.Message, done) error{unknown, unknown, unknown, unknown, refuses(&queue.PublishError{Kind: queue.Rejected, Reason: "too-large"})}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for _, s := range tt.scripts {
				w.pub.set(s)
				w.post(good)
			}
			if open := w.metric("orderctl_breaker_state", "partition=3") == 2; open != tt.opens {
				t.Errorf("open: %v, want %v", open, tt.opens)
			}
		})
	}
}

// Silence counts at the deadline; the late outcome of an order from before does not move the breaker again.
func TestSilenceOpensTheBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var ends held
		w := newWorld(t)
		w.pub.set(ends.script)
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() { w.post(good) })
		}
		wg.Wait()
		if w.metric("orderctl_breaker_state", "partition=3") != 2 {
			t.Fatal("five orders without an outcome, and still open for more")
		}
		ends.all()
		if w.metric("orderctl_breaker_state", "partition=3") != 2 {
			t.Error("late acks closed it")
		}
		w.unused()
	})
}

func TestAPanicIsAnAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pub.set(func(int, queue.Message, done) error { panic("secret detail") })
	a := w.post(good)
	if a.code != 500 || a.str("code") != "internal" || a.str("outcome") != "unknown" || len(w.lines("request panicked")) != 1 {
		t.Errorf("%d %s", a.code, a.raw)
	}
	if l := w.lines("request panicked")[0]; l["request_id"] != a.header.Get("X-Request-Id") || l["stack"] == "" {
		t.Errorf("log %v", l)
	}
	if w.metric("http_server_active_requests") != 0 {
		t.Error("the request is still counted")
	}
	w = newWorld(t, func(o *serve.Options) {
		o.Partition = func([]byte, int32) int32 { panic("before the hand-over") }
	})
	if a := w.post(good); a.code != 500 || a.str("outcome") != "" {
		t.Errorf("%d %s", a.code, a.raw)
	}
	w.unused()
}

// The invariant of every fault run: 202 ids are in the log; ids that only ever got 503 or 4xx never; 504 either. And when
// all has ended nothing is counted.
func TestAnswersNeverLie(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		fates := rapid.SliceOfN(rapid.IntRange(0, 7), 1, 60).Draw(rt, "fates")
		delays := rapid.SliceOfN(rapid.IntRange(0, 9000), len(fates), len(fates)).Draw(rt, "delays")
		size := rapid.IntRange(1, 10).Draw(rt, "batch")
		synctest.Test(t, func(t *testing.T) { faultRun(t, rt, fates, delays, size) })
	})
}

func faultRun(t *testing.T, rt *rapid.T, fates, delays []int, size int) {
	w := newWorld(t, func(o *serve.Options) { o.Limits.InFlight, o.Limits.PerPartition = 20, 8 })
	var mu sync.Mutex
	log := map[string]bool{}
	var late sync.WaitGroup
	w.pub.set(func(n int, m queue.Message, d done) error {
		fate, wait := fates[n%len(fates)], time.Duration(delays[n%len(delays)])*time.Millisecond
		write := func() { mu.Lock(); defer mu.Unlock(); log[string(m.Key)] = true }
		end := func(a queue.Ack, err error) {
			late.Go(func() { pause(wait); d(a, err) })
		}
		switch fate {
		case 0:
			return &queue.PublishError{Kind: queue.NotSent, Reason: "busy"}
		case 1:
			end(queue.Ack{}, &queue.PublishError{Kind: queue.NotSent, Reason: "no-leader"})
		case 2:
			write()
			end(queue.Ack{}, &queue.PublishError{Kind: queue.Unknown, Reason: "timeout"})
		case 3:
			end(queue.Ack{}, &queue.PublishError{Kind: queue.Unknown, Reason: "timeout"})
		case 4:
			end(queue.Ack{}, &queue.PublishError{Kind: queue.Rejected, Reason: "policy"})
		default:
			write()
			end(ack(m, int64(n)), nil)
		}
		return nil
	})
	said := map[string]string{} // order id: what the client was told
	var clients sync.WaitGroup
	tell := func(id, outcome string) { mu.Lock(); defer mu.Unlock(); said[id] = outcome }
	for i := range 40 {
		clients.Go(func() {
			pause(time.Duration(i) * 300 * time.Millisecond)
			if i%4 == 0 {
				sendBatch(w, fmt.Sprintf("B%d", i), size, tell)
				return
			}
			id := fmt.Sprintf("S%0*d", 1+i%4, i)
			a := w.post(goodOrder(id))
			tell(id, map[int]string{202: "accepted", 504: "unknown"}[a.code])
		})
	}
	clients.Wait()
	late.Wait()
	for id, outcome := range said {
		if outcome == "accepted" && !log[id] {
			rt.Errorf("%s: 202, and not in the log", id)
		}
		if outcome == "" && log[id] {
			rt.Errorf("%s: certainly not written, and in the log", id)
		}
	}
	w.unused()
}

func sendBatch(w *world, prefix string, size int, tell func(id, outcome string)) {
	body := ""
	for j := range size {
		body += goodOrder(fmt.Sprintf("%s-%0*d", prefix, 1+j%4, j)) + "\n"
	}
	r := post("/orders/batch", body, "Content-Type", "application/x-ndjson")
	rec := httptest.NewRecorder()
	w.srv.Handler().ServeHTTP(rec, r)
	a := read(w.t, rec.Result())
	results, _ := a.body["results"].([]any)
	for _, res := range results {
		m, _ := res.(map[string]any)
		id, _ := m["order_id"].(string)
		outcome, _ := m["outcome"].(string)
		if outcome != "accepted" && outcome != "unknown" {
			outcome = ""
		}
		tell(id, outcome)
	}
}
