package consume_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"commerce.internal/orderctl/internal/consume"
	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

// scrape returns the lines that a scraper gets.
func scrape(reg prometheus.Gatherer) []string {
	rec := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return strings.Split(rec.Body.String(), "\n")
}

// sample finds the value of a metric with all of these labels; of a histogram its count.
func sample(reg prometheus.Gatherer, name string, labels ...string) (float64, bool) {
	for _, line := range scrape(reg) {
		rest, found := strings.CutPrefix(line, name)
		rest = strings.TrimPrefix(rest, "_count")
		if !found || !strings.HasPrefix(rest, "{") && !strings.HasPrefix(rest, " ") {
			continue
		}
		if at := strings.LastIndex(rest, " "); !slices.ContainsFunc(labels, func(l string) bool { return !strings.Contains(rest[:at], l) }) {
			v, err := strconv.ParseFloat(rest[at+1:], 64)
			return v, err == nil
		}
	}
	return 0, false
}

func TestMetricsSayWhatHappened(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.store.Refuse = failing("B:CREATED", queue.ClassRetryable, 3)
		w.produce("A", order.Created, order.Created)
		w.produce("B", order.Created)
		bad := strings.Replace(valid("C"), `"quantity":2`, `"quantity":0`, 1)
		w.log.Append(queue.Message{Topic: "orders", Value: []byte(bad)})
		worker, stop := w.start(t)
		reg := w.o.Reg.(*prometheus.Registry)
		<-time.After(8 * time.Second)
		if err := worker.Pause("orders"); err != nil {
			t.Fatal(err)
		}
		w.produce("D", order.Created)
		<-time.After(time.Second)
		for _, tt := range []struct {
			name   string
			labels []string
			want   float64
		}{
			{"orderctl_consume_records_total", []string{`topic="orders"`, `outcome="applied"`}, 1},
			{"orderctl_consume_records_total", []string{`topic="orders"`, `outcome="duplicate"`}, 1},
			{"orderctl_consume_records_total", []string{`topic="orders"`, `outcome="retried"`}, 1},
			{"orderctl_consume_records_total", []string{`topic="orders"`, `outcome="dead"`}, 1},
			{"orderctl_consume_records_total", []string{`topic="` + names.Retry(5*time.Second), `outcome="applied"`}, 1},
			{"orderctl_consume_errors_total", []string{`class="retryable"`, `code="payment-timeout"`}, 3},
			{"orderctl_consume_errors_total", []string{`class="invalid"`, `code="#/items/*/quantity"`}, 1},
			{"orderctl_consume_hops_total", []string{`to="` + names.DLQ(), `class="invalid"`}, 1},
			{"orderctl_consume_attempt_duration_seconds", []string{`handler="sql"`, `outcome="applied"`}, 2},
			{"orderctl_consume_age_seconds", nil, 2},
			{"orderctl_consume_hop_duration_seconds", nil, 2},
			{"orderctl_consume_retry_lateness_seconds", []string{`tier="` + names.Retry(5*time.Second)}, 1},
			{"orderctl_consume_fetched_records_total", nil, 5},
			{"orderctl_consume_in_flight", nil, 0},
			{"orderctl_consume_queued", []string{`topic="orders"`, `partition="0"`}, 0},
			{"orderctl_consume_breaker_state", []string{`target="database"`}, 0},
			{"orderctl_consume_paused", []string{`topic="orders"`, `partition="0"`, `reason="topic"`}, 1},
			{"consumer_fetch_rate", nil, 0.5},
		} {
			if got, ok := sample(reg, tt.name, tt.labels...); !ok || got != tt.want {
				t.Errorf("%s%v = %v (%v), want %v", tt.name, tt.labels, got, ok, tt.want)
			}
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		if _, ok := sample(reg, "orderctl_consume_paused"); ok {
			t.Error("a partition that is not owned is still shown as paused")
		}
	})
}

func TestMetricNamesAreWellFormed(t *testing.T) {
	t.Parallel()
	o := newWorld(1).o
	reg := prometheus.NewPedanticRegistry()
	o.Reg = reg
	if _, err := consume.New(o); err != nil {
		t.Fatal(err)
	}
	lines := scrape(reg)
	for _, line := range lines {
		f := strings.Fields(line)
		if len(f) == 4 && f[1] == "TYPE" && (f[3] == "counter") != strings.HasSuffix(f[2], "_total") {
			t.Error(line)
		}
		if len(f) == 3 && f[1] == "HELP" {
			t.Errorf("%s has no help", f[2])
		}
	}
	if len(lines) < 20 {
		t.Errorf("only %d lines", len(lines))
	}
}
