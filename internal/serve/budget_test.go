package serve_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"commerce.internal/orderctl/internal/obs"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/serve"
)

// sink takes an answer and keeps nothing.
type sink struct{ h http.Header }

func (s *sink) Header() http.Header         { return s.h }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }
func (s *sink) WriteHeader(int)             {}

// acker acknowledges and allocates nothing.
type acker struct{}

func (acker) Publish(m queue.Message, d func(queue.Ack, error)) error {
	d(queue.Ack{Position: queue.Position{Topic: m.Topic, Partition: m.Partition, Offset: 7}}, nil)
	return nil
}
func (acker) Health() queue.PublisherHealth { return queue.PublisherHealth{} }

// one is a server with its real audit log, and a request that can be sent again.
func one(tb testing.TB, path, content, body string) func() {
	tb.Helper()
	logs := obs.NewLogs(obs.LogOptions{Writer: io.Discard, Level: slog.LevelInfo, Service: "orderctl"})
	tb.Cleanup(func() { logs.Close() })
	tracing, err := obs.NewTracing(tb.Context(), obs.TraceOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	o := serve.Options{
		Publisher: acker{}, Partition: func(key []byte, n int32) int32 { return int32(len(key)) % n }, Partitions: 12, Topic: "orders", Group: "g",
		Log: logs.Log, Audit: logs.Audit, Reg: prometheus.NewRegistry(), Tracer: tracing.Provider.Tracer("t"), Currency: "CNY", Unknown: "reject",
		Timeouts: serve.Timeouts{Publish: 5e9}, Breaker: serve.Breaker{Failures: 5, Probe: 1e9},
		Limits: serve.Limits{Body: 512 << 10, BatchBody: 4 << 20, Batch: 1000, Header: 16 << 10, Connections: 10, InFlight: 2000, PerPartition: 512, InFlightBytes: 64 << 20},
	}
	srv, err := serve.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	h, rd := srv.Handler(), strings.NewReader(body)
	r := httptest.NewRequest(http.MethodPost, path, nil)
	r.Header.Set("Content-Type", content)
	r.Body, r.ContentLength = io.NopCloser(rd), int64(len(body))
	out := &sink{h: http.Header{}}
	return func() {
		rd.Reset(body)
		clear(out.h)
		h.ServeHTTP(out, r)
	}
}

func TestAnOrderStaysInItsAllocationBudget(t *testing.T) { //nolint:paralleltest // it counts the allocations of the process
	if raced {
		t.Skip("the race detector allocates by itself")
	}
	if n := testing.AllocsPerRun(500, one(t, "/orders", "application/json", good)); n > 24+35 {
		t.Errorf("%v allocations an order, at most 59", n)
	} else {
		t.Logf("%v allocations an order", n)
	}
	var body strings.Builder
	for i := range 100 {
		body.WriteString(goodOrder("A-"+strings.Repeat("x", i%40)+string(rune('a'+i/40))) + "\n")
	}
	if n := testing.AllocsPerRun(50, one(t, "/orders/batch", ndjson, body.String())) / 100; n > 20 {
		t.Errorf("%.1f allocations an order of a batch, at most 20", n)
	} else {
		t.Logf("%.1f allocations an order of a batch", n)
	}
}

func BenchmarkPostOrder(b *testing.B) {
	call := one(b, "/orders", "application/json", good)
	b.ReportAllocs()
	for b.Loop() {
		call()
	}
}

func BenchmarkPostBatch100(b *testing.B) {
	var body strings.Builder
	for i := range 100 {
		body.WriteString(goodOrder("A-"+strings.Repeat("x", i%40)+string(rune('a'+i/40))) + "\n")
	}
	call := one(b, "/orders/batch", ndjson, body.String())
	b.ReportAllocs()
	for b.Loop() {
		call()
	}
}
