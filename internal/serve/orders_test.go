package serve_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/serve"
)

func TestAnAcceptedOrderIsOneRecordWithEveryHeader(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *serve.Options) { o.Orders = rows{} })
	a := w.post(good, "X-Request-Id", "req-7", "Orderctl-Load-Test", "run.1",
		"Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	if a.code != 202 {
		t.Fatalf("answer %d %s", a.code, a.raw)
	}
	m := w.pub.messages()
	if len(m) != 1 {
		t.Fatalf("%d records", len(m))
	}
	if string(m[0].Value) != good || string(m[0].Key) != "A-1" || m[0].Topic != "orders" || m[0].Partition != 3 {
		t.Errorf("record %s/%d key %q value %s", m[0].Topic, m[0].Partition, m[0].Key, m[0].Value)
	}
	got := map[string]string{}
	for _, h := range m[0].Headers {
		got[h.Name] = string(h.Value)
	}
	o, err := order.ParseJSON([]byte(good), order.RejectUnknown)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"ce_specversion": "1.0", "ce_id": "A-1:CREATED", "ce_type": "internal.commerce.order.created.v1", "ce_source": "/orderctl/serve",
		"ce_time": a.str("received_at"), "content-type": "application/json", "traceparent": a.header.Get("Traceresponse"),
		"orderctl-request-id": "req-7", "orderctl-client": "anonymous", "orderctl-fingerprint": o.Fingerprint(), "orderctl-load-test": "run.1",
	}
	for name, value := range want {
		if got[name] != value || value == "" {
			t.Errorf("header %s = %q, want %q", name, got[name], value)
		}
	}
	if len(got) != len(want) || len(m[0].Headers) != len(want) {
		t.Errorf("headers %v", got)
	}
	if at := m[0].Time.Format("2006-01-02T15:04:05.000Z"); at != a.str("received_at") {
		t.Errorf("record time %s, received_at %s", at, a.str("received_at"))
	}
	kafka, _ := a.body["kafka"].(map[string]any)
	if a.str("order_id") != "A-1" || a.str("status") != "accepted" || a.str("order_status") != "CREATED" || a.body["replayed"] != false ||
		kafka["topic"] != "orders" || kafka["partition"] != 3.0 || kafka["offset"] != 0.0 {
		t.Errorf("answer %s", a.raw)
	}
	if a.header.Get("Location") != "/orders/A-1" || a.header.Get("X-Request-Id") != "req-7" {
		t.Errorf("headers %v", a.header)
	}
	if b := w.do(post("/v1/orders", good)); b.header.Get("Location") != "/v1/orders/A-1" {
		t.Errorf("under /v1: %v", b.header)
	}
	w.unused()
}

// One trace id can be followed from the caller to the answer, the record and the log; the span is a new one.
func TestOneTraceIDEverywhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const id, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	a := w.post(good, "Traceparent", "00-"+id+"-"+span+"-01", "Baggage", "secret=1")
	parent, _ := queue.First(w.pub.messages()[0].Headers, queue.HeaderTraceparent)
	lines := w.lines("order accepted")
	if a.str("trace_id") != id || !strings.HasPrefix(a.header.Get("Traceresponse"), "00-"+id+"-") || !strings.HasPrefix(parent, "00-"+id+"-") ||
		len(lines) != 1 || lines[0]["trace_id"] != id {
		t.Errorf("answer %s, record %s, log %v", a.raw, parent, lines)
	}
	if strings.Contains(parent, span) || !strings.HasSuffix(parent, "-01") {
		t.Errorf("record traceparent %s: want a span of our own, sampled as the caller's", parent)
	}
	for _, bad := range []string{"", "x", "00-" + strings.Repeat("0", 32) + "-" + span + "-01", "ff-" + id + "-" + span + "-01", strings.Repeat("0", 5000)} {
		a := w.post(good, "Traceparent", bad)
		if got := a.str("trace_id"); a.code != 202 || len(got) != 32 || got == id || got == strings.Repeat("0", 32) {
			t.Errorf("traceparent %.20q: %d, trace id %q; want a new one", bad, a.code, got)
		}
	}
}

func TestWhatTheSenderLeftOutIsFilledIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const short = `{"user_id":"u1","items":[{"product_id":"p","quantity":2,"unit_price":150}],"freight_amount":50}`
	a := w.post(short)
	if a.code != 202 {
		t.Fatalf("%d %s", a.code, a.raw)
	}
	m := w.pub.messages()[0]
	o, err := order.ParseJSON(m.Value, order.RejectUnknown)
	if err != nil {
		t.Fatal(err)
	}
	if o.Status != order.Created || o.Currency != "CNY" || o.TotalAmount != 350 || o.Timestamp != m.Time.UnixMilli() ||
		o.OrderID != a.str("order_id") || o.OrderID[14] != '7' {
		t.Errorf("filled in as %+v", o)
	}
	if string(m.Value) != string(o.AppendJSON(nil)) {
		t.Errorf("value %s is not the canonical encoding", m.Value)
	}
}

func TestProtobufGoesThroughUnchanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o, err := order.ParseJSON([]byte(good), order.RejectUnknown)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := o.MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	a := w.post(string(raw), "Content-Type", "application/x-protobuf")
	if a.code != 202 {
		t.Fatalf("%d %s", a.code, a.raw)
	}
	m := w.pub.messages()[0]
	content, _ := queue.First(m.Headers, queue.HeaderContentType)
	if string(m.Value) != string(raw) || content != queue.ContentProtobuf {
		t.Errorf("value %q as %s", m.Value, content)
	}
	if a := w.post("\xff\xff\xff", "Content-Type", "application/x-protobuf"); a.code != 400 || a.str("code") != "malformed-protobuf" {
		t.Errorf("broken Protobuf: %d %s", a.code, a.raw)
	}
}

func TestAnIdempotencyKeyNamesTheOrder(t *testing.T) {
	t.Parallel()
	body := strings.Replace(good, `"order_id":"A-1",`, "", 1)
	id := ""
	for _, key := range []string{"k-1", `"k-1"`, "k-1"} {
		w := newWorld(t) // another replica
		a := w.post(body, "Idempotency-Key", key)
		if a.code != 202 || a.str("order_id")[14] != '8' {
			t.Fatalf("key %s: %d %s", key, a.code, a.raw)
		}
		if id != "" && a.str("order_id") != id {
			t.Errorf("key %s gave %s, another replica %s", key, a.str("order_id"), id)
		}
		id = a.str("order_id")
	}
	w := newWorld(t)
	if a := w.post(good, "Idempotency-Key", "k-1"); a.str("order_id") != "A-1" {
		t.Errorf("a given id must win over the key: %s", a.raw)
	}
	if a := w.post(body, "Idempotency-Key", "k-2"); a.str("order_id") == id {
		t.Error("another key gave the same order")
	}
	for name, keys := range map[string][]string{
		"256 characters": {strings.Repeat("k", 256)}, "two keys": {"a", "b"}, "not ASCII": {"schlüssel"}, "a control character": {"a\tb"},
		"empty": {""}, "empty in quotes": {`""`}, "an open quote": {`"a`}, "a quote inside": {`"a"b"`}, "two joined": {`"a", "b"`}, "a dangling escape": {`"a\"`},
	} {
		r := post("/orders", body)
		r.Header["Idempotency-Key"] = keys
		if a := w.do(r); a.code != 400 || a.str("code") != "idempotency-key-invalid" {
			t.Errorf("%s: %d %s", name, a.code, a.raw)
		}
	}
	if a := w.post(body, "Idempotency-Key", strings.Repeat("k", 255)); a.code != 202 {
		t.Errorf("255 characters: %d %s", a.code, a.raw)
	}
}

func TestRequestIDsAreOursOrWellFormed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for given, kept := range map[string]bool{
		"a.b_c-1": true, strings.Repeat("x", 64): true, strings.Repeat("x", 65): false, "a b": false, "": false, "ä": false, "a\x1b": false,
	} {
		a := w.post(good, "X-Request-Id", given)
		got := a.header.Get("X-Request-Id")
		if (got == given) != kept || got == "" {
			t.Errorf("X-Request-Id %q came back as %q", given, got)
		}
	}
	if a := w.post(good, "Orderctl-Load-Test", "not a run id"); a.code != 202 {
		t.Errorf("%d", a.code)
	}
	m := w.pub.messages()
	if run, there := queue.First(m[len(m)-1].Headers, queue.HeaderLoadTest); there {
		t.Errorf("a load-test header that is not well-formed became %q", run)
	}
}

// The fields of a problem, by status.
func TestProblemsSayWhatToDo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *serve.Options) { o.ProblemBase = "https://shop.test" })
	w.pub.set(func(_ int, _ queue.Message, done func(queue.Ack, error)) error {
		done(queue.Ack{}, &queue.PublishError{Kind: queue.Unknown, Reason: "timeout"})
		return nil
	})
	a := w.post(good)
	want := map[string]any{
		"type": "https://shop.test/problems/outcome-unknown", "status": 504.0, "code": "outcome-unknown", "retryable": true, "outcome": "unknown",
		"instance": "/orders", "request_id": a.header.Get("X-Request-Id"), "trace_id": strings.Split(a.header.Get("Traceresponse"), "-")[1],
	}
	for k, v := range want {
		if a.body[k] != v {
			t.Errorf("%s = %v, want %v", k, a.body[k], v)
		}
	}
	if a.str("title") == "" || a.str("detail") == "" || a.header.Get("Content-Type") != "application/problem+json" || a.header.Get("Retry-After") != "2" {
		t.Errorf("%v %s", a.header, a.raw)
	}
	bad := newWorld(t).post(`{"user_id":null}`)
	if bad.code != 422 || bad.body["retryable"] != false || bad.body["outcome"] != nil || bad.str("type") != "/problems/validation-failed" ||
		!slices.Contains(bad.pointers(), "#/user_id") || bad.header.Get("Retry-After") != "" {
		t.Errorf("%s", bad.raw)
	}
}

func TestTheAuditTrailHasALineForEveryOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.post(strings.Replace(good, `"u1"`, `"secret-user"`, 1), "Idempotency-Key", "secret-key", "X-Request-Id", "r1")
	w.post(`{`, "X-Request-Id", "r2")
	accepted, rejected := w.lines("order accepted"), w.lines("order rejected")
	if len(accepted) != 1 || len(rejected) != 1 {
		t.Fatalf("log:\n%s", w.logs)
	}
	for k, v := range map[string]any{
		"order_id": "A-1", "message_id": "A-1:CREATED", "topic": "orders", "partition": 3.0, "offset": 0.0, "request_id": "r1",
		"client_id": "anonymous", "http_status": 202.0, "outcome": "accepted", "bytes": float64(len(good) + len("secret-user") - len("u1")),
	} {
		if accepted[0][k] != v {
			t.Errorf("accepted: %s = %v, want %v", k, accepted[0][k], v)
		}
	}
	if rejected[0]["code"] != "malformed-json" || rejected[0]["http_status"] != 400.0 || rejected[0]["request_id"] != "r2" {
		t.Errorf("rejected: %v", rejected[0])
	}
	if _, ok := accepted[0]["duration_ms"].(float64); !ok || strings.Contains(w.logs.String(), "secret") {
		t.Errorf("log:\n%s", w.logs)
	}
}

func TestTestOrdersAreValidAndOptional(t *testing.T) {
	t.Parallel()
	if a := newWorld(t).do(post("/test/order", "")); a.code != 404 {
		t.Errorf("without the option: %d", a.code)
	}
	w := newWorld(t, func(o *serve.Options) { o.TestRoutes = true })
	seen := map[string]bool{}
	for range 20 {
		a := w.do(post("/test/order", ""))
		if a.code != 202 || seen[a.str("order_id")] {
			t.Fatalf("%d %s", a.code, a.raw)
		}
		seen[a.str("order_id")] = true
	}
	for _, m := range w.pub.messages() {
		o, err := order.ParseJSON(m.Value, order.RejectUnknown)
		if err == nil {
			err = o.Validate(time.Now())
		}
		if client, _ := queue.First(m.Headers, queue.HeaderClient); err != nil || client != "test" {
			t.Errorf("client %q: %v in %s", client, err, m.Value)
		}
	}
	w.unused()
}

func TestEveryAnswerIsHardened(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, a := range map[string]answer{"202": w.post(good), "422": w.post(`[]`), "404": w.get("/nothing"), "405": w.get("/orders")} {
		for k, v := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Content-Security-Policy": "default-src 'none'",
			"Server": "", "Access-Control-Allow-Origin": "", "Connection": "",
		} {
			if a.header.Get(k) != v {
				t.Errorf("%s: %s = %q, want %q", name, k, a.header.Get(k), v)
			}
		}
		if a.header.Get("X-Request-Id") == "" || !regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$`).MatchString(a.header.Get("Traceresponse")) {
			t.Errorf("%s: %v", name, a.header)
		}
	}
}

func TestOnlyTLSPromisesTLS(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := post("/orders", good)
	r.TLS = &tls.ConnectionState{}
	if a := w.do(r); a.header.Get("Strict-Transport-Security") == "" {
		t.Error("no HSTS under TLS")
	}
	if a := w.post(good); a.header.Get("Strict-Transport-Security") != "" {
		t.Error("HSTS without TLS")
	}
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	ops := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "ops "+r.URL.Path) })
	w := newWorld(t, func(o *serve.Options) { o.Ops, o.Orders = ops, rows{"A-1": {Found: true, Status: order.Paid}} })
	tests := []struct {
		method, path string
		code         int
		allow        string
	}{
		{"GET", "/orders/A-1", 200, ""},
		{"GET", "/v1/orders/A-1", 200, ""},
		{"HEAD", "/orders/A-1", 200, ""},
		{"GET", "/livez", 200, ""},
		{"HEAD", "/metrics/consumer_lag", 200, ""},
		{"GET", "/admin/loglevel", 404, ""},
		{"GET", "/debug/pprof/", 404, ""},
		{"GET", "/orders", 405, "POST, OPTIONS"},
		{"HEAD", "/orders", 405, "POST, OPTIONS"},
		{"PUT", "/orders/A-1", 405, "GET, HEAD, OPTIONS"},
		{"TRACE", "/orders", 405, "POST, OPTIONS"},
		{"BREW", "/v1/orders", 405, "POST, OPTIONS"},
		{"OPTIONS", "/orders", 204, "POST, OPTIONS"},
		{"OPTIONS", "/orders/A-1", 204, "GET, HEAD, OPTIONS"},
		{"OPTIONS", "/nothing", 404, ""},
		{"POST", "/orders/", 404, ""},
		{"GET", "/orders/", 404, ""},
		{"POST", "//orders", 404, ""},
		{"POST", "/v2/orders", 404, ""},
		{"GET", "/orders/a/b", 404, ""},
		{"GET", "/orders/a%2Fb", 404, ""},
		{"GET", "/orders/-x", 404, ""},
		{"GET", "/orders/%1b%5b31m", 404, ""},
		{"GET", "/", 404, ""},
	}
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			t.Parallel()
			r, err := http.NewRequest(tt.method, "http://shop.test"+tt.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			a := w.do(r)
			if a.code != tt.code || a.header.Get("Allow") != tt.allow {
				t.Errorf("%d, Allow %q; want %d, %q", a.code, a.header.Get("Allow"), tt.code, tt.allow)
			}
			if a.code >= 400 && tt.method != "HEAD" && a.body["status"] != float64(tt.code) {
				t.Errorf("not a problem: %s", a.raw)
			}
			if strings.ContainsRune(a.raw, 0x1b) || len(a.raw) > 16<<10 {
				t.Errorf("answer %q", a.raw)
			}
		})
	}
}
