package obs_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/obs"
)

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestTraceContextIsInheritedOrNew(t *testing.T) {
	t.Parallel()
	tracing, err := obs.NewTracing(t.Context(), obs.TraceOptions{Service: "s"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := tracing.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	tracer := tracing.Provider.Tracer("t")
	ctx, span := tracer.Start(obs.WithTraceparent(t.Context(), parent), "child")
	defer span.End()
	if got := obs.Traceparent(ctx); !strings.HasPrefix(got, parent[:36]) || got == parent || obs.TraceID(ctx) != parent[3:35] {
		t.Errorf("child %s of %s", got, parent)
	}
	root, rootSpan := tracer.Start(t.Context(), "root")
	defer rootSpan.End()
	if got := obs.Traceparent(root); len(got) != 55 || !strings.HasSuffix(got, "-00") {
		t.Errorf("root %q: want ids, and not sampled: nobody records it", got)
	}
	if obs.TraceID(t.Context()) != "" || obs.Traceparent(t.Context()) != "" {
		t.Error("a context without a span has no trace")
	}
}

func TestATraceparentThatIsNotWellFormedChangesNothing(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "00", parent + "-x", strings.ToUpper(parent), strings.Replace(parent, "00-", "ff-", 1), "\x00", strings.Repeat("0-", 4000)} {
		if id := obs.TraceID(obs.WithTraceparent(t.Context(), bad)); id != "" {
			t.Errorf("%.60q gave trace %s", bad, id)
		}
	}
}

func FuzzTraceparent(f *testing.F) {
	f.Add(parent)
	f.Add("00-")
	f.Fuzz(func(t *testing.T, s string) {
		ctx := obs.WithTraceparent(t.Context(), s)
		if got := obs.Traceparent(ctx); got != "" && (len(got) != 55 || obs.TraceID(ctx) != got[3:35]) {
			t.Fatalf("%q became %q", s, got)
		}
	})
}

//nolint:paralleltest // the error handler of OpenTelemetry is one per process
func TestSpansReachTheCollectorAndADeadOneIsALogLine(t *testing.T) {
	got := make(chan string, 10)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.URL.Path }))
	l, w := newLogs(t, false)
	export(t, l, collector.URL+"/")
	select {
	case path := <-got:
		if path != "/v1/traces" {
			t.Errorf("exported to %s", path)
		}
	case <-time.After(10 * time.Second):
		t.Error("nothing was exported")
	}
	if w.String() != "" {
		t.Errorf("log: %s", w)
	}
	collector.Close()
	began := time.Now()
	export(t, l, collector.URL)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("a dead collector holds the end up for %v", took)
	}
	if !strings.Contains(w.String(), "traces not exported") {
		t.Error("a dead collector is silent")
	}
}

func export(t *testing.T, l *obs.Logs, endpoint string) {
	t.Helper()
	tracing, err := obs.NewTracing(t.Context(), obs.TraceOptions{Service: "s", Endpoint: endpoint, Log: l.Log})
	if err != nil {
		t.Fatal(err)
	}
	_, span := tracing.Provider.Tracer("t").Start(t.Context(), "op")
	if !span.SpanContext().IsSampled() {
		t.Error("with a collector roots are sampled")
	}
	span.End()
	if err := tracing.Shutdown(t.Context()); err != nil {
		t.Errorf("the process fails with its collector: %v", err)
	}
}

func TestTracingRefusesToExportWithoutALog(t *testing.T) {
	t.Parallel()
	if _, err := obs.NewTracing(t.Context(), obs.TraceOptions{Endpoint: "http://127.0.0.1:1"}); err == nil || !strings.Contains(err.Error(), "Log") {
		t.Errorf("%v", err)
	}
}
