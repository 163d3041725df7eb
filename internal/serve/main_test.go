package serve_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"commerce.internal/orderctl/internal/obs"
	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/serve"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// good is a valid order with every member that would otherwise be filled in.
const good = `{"order_id":"A-1","user_id":"u1","status":"CREATED","currency":"EUR","items":[{"product_id":"p","quantity":2,"unit_price":150}],"total_amount":300,"timestamp":946684800000}`

func goodOrder(id string) string { return strings.Replace(good, "A-1", id, 1) }

// publisher is a scripted queue.
type publisher struct {
	mu     sync.Mutex
	sent   []queue.Message
	health queue.PublisherHealth
	script func(n int, m queue.Message, done func(queue.Ack, error)) error // nil: acknowledge at once
}

func (p *publisher) Publish(m queue.Message, done func(queue.Ack, error)) error {
	p.mu.Lock()
	n := len(p.sent)
	p.sent = append(p.sent, m)
	script := p.script
	p.mu.Unlock()
	if script != nil {
		return script(n, m, done)
	}
	done(ack(m, int64(n)), nil)
	return nil
}

func (p *publisher) Health() queue.PublisherHealth {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.health
}

func (p *publisher) set(script func(int, queue.Message, func(queue.Ack, error)) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.script = script
}

func (p *publisher) messages() []queue.Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]queue.Message(nil), p.sent...)
}

func ack(m queue.Message, offset int64) queue.Ack {
	return queue.Ack{Position: queue.Position{Topic: m.Topic, Partition: m.Partition, Offset: offset}}
}

// world is a server and what stands around it.
type world struct {
	t    *testing.T
	pub  *publisher
	srv  *serve.Server
	reg  *prometheus.Registry
	logs *syncBuffer // everything logged
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func options(t *testing.T, pub serve.Publisher, reg prometheus.Registerer, logs io.Writer) serve.Options {
	t.Helper()
	tracing, err := obs.NewTracing(t.Context(), obs.TraceOptions{Service: "test"})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewJSONHandler(logs, nil))
	return serve.Options{
		Publisher: pub, Partition: func(key []byte, n int32) int32 { return int32(len(key)) % n }, Partitions: 4,
		Topic: "orders", Group: "g", Log: log, Audit: log, Reg: reg, Tracer: tracing.Provider.Tracer("test"),
		Timeouts: serve.Timeouts{ReadHeader: 5 * time.Second, Read: 10 * time.Second, Write: 20 * time.Second, Idle: time.Minute, Publish: 5 * time.Second},
		Drain:    serve.Drain{HTTP: 20 * time.Second},
		Limits: serve.Limits{
			Body: 512 << 10, BatchBody: 4 << 20, Batch: 1000, Header: 16 << 10, Connections: 100, InFlight: 2000, PerPartition: 512,
			InFlightBytes: 64 << 20,
		},
		Breaker: serve.Breaker{Failures: 5, Probe: time.Second},
		Unknown: order.RejectUnknown, Currency: "CNY",
	}
}

func newWorld(t *testing.T, change ...func(*serve.Options)) *world {
	t.Helper()
	w := &world{t: t, pub: &publisher{}, reg: prometheus.NewRegistry(), logs: &syncBuffer{}}
	o := options(t, w.pub, w.reg, w.logs)
	for _, c := range change {
		c(&o)
	}
	var err error
	if w.srv, err = serve.New(o); err != nil {
		t.Fatal(err)
	}
	return w
}

// answer is what came back.
type answer struct {
	code   int
	header http.Header
	closed bool // the connection is not used again
	raw    string
	body   map[string]any
}

func (w *world) do(r *http.Request) answer {
	w.t.Helper()
	rec := httptest.NewRecorder()
	w.srv.Handler().ServeHTTP(rec, r)
	return read(w.t, rec.Result())
}

func read(t *testing.T, res *http.Response) answer {
	t.Helper()
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Errorf("read answer: %v", err)
	}
	a := answer{code: res.StatusCode, header: res.Header, closed: res.Close, raw: string(raw)}
	if strings.Contains(res.Header.Get("Content-Type"), "json") && len(raw) > 0 {
		if err := json.Unmarshal(raw, &a.body); err != nil {
			t.Errorf("answer is not JSON: %v\n%s", err, raw)
		}
	}
	return a
}

func post(path, body string, headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

func (w *world) post(body string, headers ...string) answer {
	w.t.Helper()
	return w.do(post("/orders", body, headers...))
}

func (w *world) get(path string) answer {
	w.t.Helper()
	return w.do(httptest.NewRequest(http.MethodGet, path, nil))
}

// str reads a string member of the body.
func (a answer) str(name string) string {
	s, _ := a.body[name].(string)
	return s
}

// pointers are the places named by the errors of a problem.
func (a answer) pointers() []string {
	var out []string
	errs, _ := a.body["errors"].([]any)
	for _, e := range errs {
		m, _ := e.(map[string]any)
		p, _ := m["pointer"].(string)
		out = append(out, p)
	}
	return out
}

// metric is the sum of the series of a name, over those whose labels hold all of want ("name=value").
func (w *world) metric(name string, want ...string) float64 {
	w.t.Helper()
	families, err := w.reg.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			labels := map[string]bool{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()+"="+l.GetValue()] = true
			}
			all := true
			for _, l := range want {
				all = all && labels[l]
			}
			if all {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return sum
}

// lines are the log lines with that message.
func (w *world) lines(message string) []map[string]any {
	w.t.Helper()
	var out []map[string]any
	for l := range strings.Lines(w.logs.String()) {
		m := map[string]any{}
		if err := json.Unmarshal([]byte(l), &m); err != nil {
			w.t.Errorf("log line %q: %v", l, err)
		}
		if m["msg"] == message {
			out = append(out, m)
		}
	}
	return out
}

// unused is the check of every end: nothing is still counted.
func (w *world) unused() {
	w.t.Helper()
	if n := w.srv.InFlight(); n != 0 {
		w.t.Errorf("%d orders are still counted", n)
	}
	if n := w.metric("orderctl_publish_in_flight_bytes"); n != 0 {
		w.t.Errorf("%v bytes are still counted", n)
	}
	if n := w.metric("orderctl_publish_in_flight"); n != 0 {
		w.t.Errorf("%v permits are still taken", n)
	}
}

// pause lets time pass inside a bubble.
func pause(d time.Duration) { <-time.After(d) }
