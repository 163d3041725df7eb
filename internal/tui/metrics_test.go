package tui_test

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/tui"
)

// exposition is what serve and consume expose after n rounds.
func exposition(n int) string {
	return fmt.Sprintf(`# TYPE http_server_request_duration_seconds histogram
http_server_request_duration_seconds_bucket{method="POST",route="/orders",code="202",le="0.005"} %[1]d
http_server_request_duration_seconds_bucket{method="POST",route="/orders",code="202",le="0.01"} %[2]d
http_server_request_duration_seconds_bucket{method="POST",route="/orders",code="202",le="+Inf"} %[2]d
http_server_request_duration_seconds_sum{method="POST",route="/orders",code="202"} 1
http_server_request_duration_seconds_count{method="POST",route="/orders",code="202"} %[2]d
http_server_request_duration_seconds_bucket{method="POST",route="/orders",code="422",le="+Inf"} %[3]d
http_server_request_duration_seconds_count{method="POST",route="/orders",code="422"} %[3]d
http_server_request_duration_seconds_bucket{method="GET",route="/orders/{order_id}",code="404",le="+Inf"} %[2]d
http_server_request_duration_seconds_count{method="GET",route="/orders/{order_id}",code="404"} %[2]d
# TYPE orderctl_consume_attempt_duration_seconds histogram
orderctl_consume_attempt_duration_seconds_bucket{handler="sql",outcome="applied",le="0.1"} %[2]d
orderctl_consume_attempt_duration_seconds_bucket{handler="sql",outcome="applied",le="+Inf"} %[2]d
orderctl_consume_attempt_duration_seconds_count{handler="sql",outcome="applied"} %[2]d
orderctl_consume_attempt_duration_seconds_bucket{handler="sql",outcome="retried",le="+Inf"} %[3]d
orderctl_consume_attempt_duration_seconds_count{handler="sql",outcome="retried"} %[3]d
`, 980*n, 1000*n, 20*n)
}

func TestRatesComeFromTwoReadingsOfAllURLs(t *testing.T) {
	t.Parallel()
	var round atomic.Int64
	serve := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, exposition(int(round.Load()))) }
	a, b := httptest.NewServer(http.HandlerFunc(serve)), httptest.NewServer(http.HandlerFunc(serve))
	defer a.Close()
	defer b.Close()
	now := noon
	s := tui.NewScraper([]string{a.URL, b.URL}, a.Client(), func() time.Time { return now })
	scrape := func() tui.Metrics {
		t.Helper()
		m, err := s.Scrape(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	round.Store(5)
	if m := scrape(); m != (tui.Metrics{}) {
		t.Errorf("one reading gives %+v", m)
	}
	round.Store(6)
	now = now.Add(2 * time.Second)
	m := scrape()
	if m.Accepted != lag.Know(1000.0) || m.Refused != lag.Know(20.0) || m.Busy != lag.Know(0.0) || math.Abs(m.Errors.V-20.0/1020) > 1e-9 {
		t.Errorf("two processes with 500/s each: %+v", m)
	}
	if !m.APIP99.Known || m.APIP99.V < 0.005 || m.APIP99.V > 0.01 || m.WorkP99.V != 0.1 {
		t.Errorf("p99 %+v, %+v", m.APIP99, m.WorkP99)
	}
	round.Store(1)
	now = now.Add(2 * time.Second)
	if m := scrape(); m != (tui.Metrics{}) {
		t.Errorf("after a restart: %+v", m)
	}
	b.Close()
	if _, err := s.Scrape(t.Context()); err == nil {
		t.Error("one of two that is gone is not told")
	}
}

func TestBadMetricsAreAnError(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(w http.ResponseWriter){
		"a status":      func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) },
		"no metrics":    func(w http.ResponseWriter) { fmt.Fprint(w, "{hello") },
		"far too large": func(w http.ResponseWriter) { fmt.Fprint(w, strings.Repeat("# a comment of some length\n", 200_000)) },
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w) }))
		if _, err := tui.NewScraper([]string{srv.URL}, srv.Client(), time.Now).Scrape(t.Context()); err == nil {
			t.Errorf("%s: no error", name)
		}
		srv.Close()
	}
	if _, err := tui.NewScraper([]string{"://"}, &http.Client{}, time.Now).Scrape(t.Context()); err == nil {
		t.Error("a bad URL: no error")
	}
}

// The names are those that serve and consume register; a name that changes there must change here.
func TestTheNamesAreThoseOfTheProcesses(t *testing.T) {
	t.Parallel()
	for path, names := range map[string][]string{
		"../serve/metrics.go":   {`"http_server_request_duration_seconds"`, `"method", "route", "code"`},
		"../consume/metrics.go": {`subsystem = "orderctl_consume_"`, `histogram("attempt_duration_seconds"`, `"handler", "outcome"`},
		"../consume/decide.go":  {`= "retried"`, `= "dead"`, `= "abandoned"`},
	} {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if !strings.Contains(string(raw), name) {
				t.Errorf("%s does not register %s any more", path, name)
			}
		}
	}
}
