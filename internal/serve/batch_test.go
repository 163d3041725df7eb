package serve_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/serve"
)

const ndjson = "application/x-ndjson"

func (w *world) batch(body string, headers ...string) answer {
	w.t.Helper()
	return w.do(post("/orders/batch", body, headers...))
}

// results are the outcomes of a batch, by index.
func (a answer) results() []map[string]any {
	list, _ := a.body["results"].([]any)
	out := make([]map[string]any, len(list))
	for i := range list {
		out[i], _ = list[i].(map[string]any)
	}
	return out
}

func (a answer) outcomes() []string {
	var out []string
	for _, r := range a.results() {
		s, _ := r["outcome"].(string)
		out = append(out, s)
	}
	return out
}

func TestABatchIsSentInOrderAsReceived(t *testing.T) {
	t.Parallel()
	first, second := strings.Replace(goodOrder("A-1"), "{", "{ \t", 1), goodOrder("A-2")
	for name, tt := range map[string]struct{ content, body string }{
		"an array":                {"application/json", " [\n" + first + " , " + second + "]\n"},
		"lines":                   {ndjson, first + "\n\n" + second},
		"lines with CR":           {ndjson, first + "\r\n" + second + "\r\n"},
		"lines, charset by name":  {ndjson + "; charset=utf-8", first + "\n" + second},
		"an array, under /v1 too": {"application/json", "[" + first + "," + second + "]"},
	} {
		w := newWorld(t)
		r := post("/orders/batch", tt.body, "Content-Type", tt.content)
		if strings.Contains(name, "/v1") {
			r.URL.Path = "/v1/orders/batch"
		}
		a := w.do(r)
		if a.code != 202 || !slices.Equal(a.outcomes(), []string{"accepted", "accepted"}) {
			t.Fatalf("%s: %d %s", name, a.code, a.raw)
		}
		m := w.pub.messages()
		if len(m) != 2 || string(m[0].Value) != first || string(m[1].Value) != second {
			t.Errorf("%s: records %q", name, m)
		}
		if r := a.results()[1]; r["index"] != 1.0 || r["order_id"] != "A-2" || r["partition"] != 3.0 || r["offset"] != 1.0 || r["replayed"] != false || r["errors"] == nil {
			t.Errorf("%s: result %v", name, r)
		}
		if len(w.lines("order accepted")) != 2 || w.metric("orderctl_orders_accepted_total") != 2 {
			t.Errorf("%s: the audit trail has %d lines", name, len(w.lines("order accepted")))
		}
		w.unused()
	}
}

func TestABatchIsRefusedWhole(t *testing.T) {
	t.Parallel()
	bad := strings.Replace(goodOrder("A-2"), `"u1"`, `""`, 1)
	many := func(n int) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(goodOrder(fmt.Sprintf("A-%d", i)) + "\n")
		}
		return b.String()
	}
	for name, tt := range map[string]struct {
		content, body string
		code          int
		slug, pointer string
	}{
		"one bad order":          {"application/json", "[" + good + "," + bad + "]", 422, "validation-failed", "#/1/user_id"},
		"one bad line":           {ndjson, good + "\n" + bad, 422, "validation-failed", "#/1/user_id"},
		"an element of no order": {"application/json", "[" + good + ",7]", 422, "validation-failed", "#/1"},
		"a message twice":        {ndjson, good + "\n" + good, 422, "validation-failed", "#/1"},
		"no order":               {"application/json", "[]", 422, "validation-failed", "#"},
		"no line":                {ndjson, "\n \n", 422, "validation-failed", "#"},
		"1,001 orders":           {ndjson, many(1001), 422, "validation-failed", "#"},
		"1,001 elements":         {"application/json", "[" + strings.Repeat("1,", 1000) + "1]", 422, "validation-failed", "#"},
		"an object":              {"application/json", good, 422, "validation-failed", "#"},
		"null":                   {"application/json", "null", 422, "validation-failed", "#"},
		"an object and more":     {"application/json", good + good, 400, "malformed-json", ""},
		"nothing":                {"application/json", "", 400, "malformed-json", ""},
		"an open array":          {"application/json", "[" + good, 400, "malformed-json", ""},
		"a comma too many":       {"application/json", "[" + good + ",]", 400, "malformed-json", ""},
		"two arrays":             {"application/json", "[" + good + "][]", 400, "malformed-json", ""},
		"bad UTF-8":              {"application/json", "[\"\xff\"]", 400, "malformed-json", ""},
		"a broken line":          {ndjson, good + "\n{", 400, "malformed-json", ""},
		"two orders in a line":   {ndjson, good + good, 400, "malformed-json", ""},
		"Protobuf":               {"application/x-protobuf", good, 415, "unsupported-media-type", ""},
		"too large":              {ndjson, good + strings.Repeat(" ", 4<<20), 413, "body-too-large", ""},
	} {
		w := newWorld(t)
		a := w.batch(tt.body, "Content-Type", tt.content)
		if a.code != tt.code || a.str("code") != tt.slug || tt.pointer != "" && !slices.Contains(a.pointers(), tt.pointer) {
			t.Errorf("%s: %d %.400s, want %d %s %s", name, a.code, a.raw, tt.code, tt.slug, tt.pointer)
		}
		if n := len(w.pub.messages()); n != 0 {
			t.Errorf("%s: %d records", name, n)
		}
		w.unused()
	}
	w := newWorld(t)
	if a := w.batch(many(1000), "Content-Type", ndjson); a.code != 202 || len(a.results()) != 1000 {
		t.Errorf("1,000 orders: %d %.200s", a.code, a.raw)
	}
	if a := w.batch(strings.Repeat(bad+"\n", 1000), "Content-Type", ndjson); len(a.pointers()) != 20 {
		t.Errorf("%d errors, want 20", len(a.pointers()))
	}
}

func TestTheKeyOfABatchNamesEachOrder(t *testing.T) {
	t.Parallel()
	bare := strings.Replace(good, `"order_id":"A-1",`, "", 1)
	ids := func() []any {
		var out []any
		for _, r := range newWorld(t).batch("["+bare+","+bare+"]", "Idempotency-Key", "k").results() {
			out = append(out, r["order_id"])
		}
		return out
	}
	a, b := ids(), ids()
	if len(a) != 2 || a[0] == a[1] || !slices.Equal(a, b) {
		t.Errorf("%v, then %v", a, b)
	}
}

// An order's later message waits for its earlier one, and is not sent when that failed.
func TestMessagesOfOneOrderDoNotOvertake(t *testing.T) {
	t.Parallel()
	paid := strings.Replace(good, "CREATED", "PAID", 1)
	body := good + "\n" + goodOrder("B-1") + "\n" + paid
	synctest.Test(t, func(t *testing.T) {
		var ends held
		w := newWorld(t)
		w.pub.set(ends.script)
		var a answer
		var wg sync.WaitGroup
		wg.Go(func() { a = w.batch(body, "Content-Type", ndjson) })
		synctest.Wait()
		if n := len(w.pub.messages()); n != 2 {
			t.Fatalf("%d records before the first has landed, want 2", n)
		}
		ends.end(0)
		synctest.Wait()
		if n := len(w.pub.messages()); n != 3 {
			t.Fatalf("%d records after the first has landed, want 3", n)
		}
		ends.end(1)
		ends.end(2)
		wg.Wait()
		if a.code != 202 {
			t.Errorf("%d %s", a.code, a.raw)
		}
	})
	for kind, want := range map[queue.PublishKind]int{queue.Unknown: 504, queue.NotSent: 503} {
		w := newWorld(t)
		w.pub.set(func(n int, m queue.Message, d done) error {
			if n == 0 {
				d(queue.Ack{}, &queue.PublishError{Kind: kind, Reason: "x"})
			} else {
				d(ack(m, 9), nil)
			}
			return nil
		})
		a := w.batch(body, "Content-Type", ndjson)
		if a.code != want || !slices.Equal(a.outcomes(), []string{kind.String(), "accepted", "not_sent"}) || len(w.pub.messages()) != 2 {
			t.Errorf("%v: %d %s", kind, a.code, a.raw)
		}
		if e, _ := a.results()[0]["errors"].([]any); len(e) != 1 {
			t.Errorf("errors of the first: %v", a.results()[0])
		}
		w.unused()
	}
}

func TestABatchTakesAWindowOfAPartition(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var ends held
		w := newWorld(t)
		w.pub.set(ends.script)
		var body strings.Builder
		for i := range 400 {
			body.WriteString(goodOrder(fmt.Sprintf("A-%04d", i)) + "\n") // one length: one partition
		}
		var a answer
		var wg sync.WaitGroup
		wg.Go(func() { a = w.batch(body.String(), "Content-Type", ndjson) })
		synctest.Wait()
		if n := len(w.pub.messages()); n != 256 {
			t.Fatalf("%d records under way, want 256", n)
		}
		for i := 0; i < 400; i++ {
			ends.end(i)
			synctest.Wait()
		}
		wg.Wait()
		if a.code != 202 || len(a.results()) != 400 {
			t.Errorf("%d %.200s", a.code, a.raw)
		}
		w.unused()
	})
}

func TestABatchIsAnsweredInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var ends held
		w := newWorld(t)
		w.pub.set(ends.script)
		paid := strings.Replace(good, "CREATED", "PAID", 1)
		began := time.Now()
		a := w.batch(good+"\n"+paid+"\n"+goodOrder("B-1"), "Content-Type", ndjson)
		if took := time.Since(began); a.code != 504 || took != 5*time.Second || !slices.Equal(a.outcomes(), []string{"unknown", "not_sent", "not_sent"}) {
			t.Errorf("%d %s after %v", a.code, a.raw, took)
		}
		if a.header.Get("Retry-After") != "2" || a.str("code") != "outcome-unknown" {
			t.Errorf("%v %s", a.header, a.raw)
		}
		if w.srv.InFlight() != 1 {
			t.Errorf("%d orders counted, want the one without an outcome", w.srv.InFlight())
		}
		ends.end(0)
		if w.metric("orderctl_publish_late_acks_total") != 1 {
			t.Error("the late ack is not counted")
		}
		w.unused()
	})
}

func TestABatchThatDoesNotFitIsNotBegun(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *serve.Options) { o.Limits.InFlight = 2 })
	a := w.batch(goodOrder("A")+"\n"+goodOrder("B")+"\n"+goodOrder("C"), "Content-Type", ndjson)
	if a.code != http.StatusServiceUnavailable || a.str("code") != "overloaded" || len(w.pub.messages()) != 0 {
		t.Errorf("%d %s", a.code, a.raw)
	}
	w.unused()
}

// An open breaker, a probe under way and a full partition refuse single orders of a batch, not the whole.
func TestABatchMeetsTheGatesOneByOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var ends held
		w := newWorld(t, func(o *serve.Options) { o.Limits.PerPartition = 2 })
		w.pub.set(func(n int, m queue.Message, d done) error {
			if m.Partition == 3 {
				return &queue.PublishError{Kind: queue.NotSent, Reason: "no-leader"}
			}
			return ends.script(n, m, d)
		})
		var a answer
		var wg sync.WaitGroup
		body := []string{goodOrder("A-1"), goodOrder("A-2"), goodOrder("AB-1"), goodOrder("AB-2"), goodOrder("AB-3")}
		wg.Go(func() { a = w.batch(strings.Join(body, "\n"), "Content-Type", ndjson) })
		synctest.Wait()
		ends.all()
		wg.Wait()
		if want := []string{"not_sent", "not_sent", "accepted", "accepted", "not_sent"}; a.code != 503 || !slices.Equal(a.outcomes(), want) {
			t.Errorf("%d %s, want %v", a.code, a.raw, want)
		}
		var codes []any
		for _, r := range a.results() {
			errs, _ := r["errors"].([]any)
			for _, e := range errs {
				m, _ := e.(map[string]any)
				codes = append(codes, m["code"])
			}
		}
		if !slices.Equal(codes, []any{"kafka-unavailable", "kafka-unavailable", "overloaded"}) || len(w.pub.messages()) != 3 {
			t.Errorf("errors %v, %d records", codes, len(w.pub.messages()))
		}
		if len(w.lines("order accepted")) != 2 || len(w.lines("order rejected")) != 3 || a.body["outcome"] != nil {
			t.Errorf("%s\n%s", a.raw, w.logs)
		}
		w.unused()
	})
}

func TestARefusedBatchIsOneLineOfTheAuditTrail(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.batch(good+"\n"+strings.Replace(goodOrder("A-2"), `"u1"`, `""`, 1), "Content-Type", ndjson)
	l := w.lines("order rejected")
	if len(l) != 1 || l[0]["count"] != 2.0 || l[0]["code"] != "validation-failed" || l[0]["order_id"] != nil {
		t.Errorf("%v", l)
	}
	if n := w.metric("orderctl_orders_rejected_total", "code=validation-failed"); n != 1 {
		t.Errorf("counted %v times", n)
	}
}

// A batch whose time is up while its window is full sends nothing more.
func TestABatchStopsSendingWhenItsTimeIsUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var ends held
		w := newWorld(t)
		w.pub.set(ends.script)
		var body strings.Builder
		for i := range 300 {
			body.WriteString(goodOrder(fmt.Sprintf("A-%04d", i)) + "\n")
		}
		body.WriteString(goodOrder("B-1") + "\n") // another partition, with room
		a := w.batch(body.String(), "Content-Type", ndjson)
		count := map[string]int{}
		for _, o := range a.outcomes() {
			count[o]++
		}
		if a.code != 504 || count["unknown"] != 256 || count["not_sent"] != 45 || len(w.pub.messages()) != 256 {
			t.Errorf("%d %v, %d records", a.code, count, len(w.pub.messages()))
		}
		ends.all()
		w.unused()
		if n := w.metric("orderctl_publish_late_acks_total"); n != 256 {
			t.Errorf("%v late acks", n)
		}
	})
}
