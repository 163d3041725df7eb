package main

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"commerce.internal/orderctl/internal/broker/brokertest"
	"commerce.internal/orderctl/internal/queue"
)

// scrape is what a scraper gets.
func (r *running) scrape() string {
	r.t.Helper()
	code, body := r.ask(http.MethodGet, r.admin+"/metrics", "")
	if code != 200 {
		r.t.Fatalf("/metrics: %d %s", code, body)
	}
	return body
}

// families lists the metrics of a scrape, with type and labels. What the Go runtime and the process show is not ours.
func families(t *testing.T, text string) []string {
	t.Helper()
	p := expfmt.NewTextParser(model.UTF8Validation)
	all, err := p.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatalf("not the text format: %v\n%s", err, text)
	}
	var lines []string
	for name, f := range all {
		if !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") {
			lines = append(lines, strings.Join(append([]string{name, strings.ToLower(f.GetType().String())}, labelsOf(f)...), " "))
		}
	}
	slices.Sort(lines)
	return lines
}

// labelsOf is every label that one of the series has.
func labelsOf(f *dto.MetricFamily) []string {
	all := map[string]bool{}
	for _, m := range f.GetMetric() {
		for _, l := range m.GetLabel() {
			all[l.GetName()] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// lint holds a scrape to what promtool check metrics says.
func lint(t *testing.T, of, text string) {
	t.Helper()
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Errorf("%s: %v", of, err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s: %s", of, p.Metric, p.Text)
	}
}

// settings is a configuration file that changes while a process runs on it.
type settings struct {
	t    *testing.T
	path string
}

func newSettings(t *testing.T) settings {
	t.Helper()
	s := settings{t: t, path: filepath.Join(t.TempDir(), "orderctl.yaml")}
	s.level("info")
	return s
}

func (s settings) level(level string) {
	s.t.Helper()
	if err := os.WriteFile(s.path, []byte("log: {level: "+level+"}\n"), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// A worker to which everything happens that it counts shows the metrics that boards and alerts know, and no others.
func TestMetricsOfConsumeAreTheContract(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t)
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Header.Get("webhook-id"), "late") {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer hook.Close()
	file := newSettings(t)
	environ := serveEnv(t, b, "ORDERCTL_WEBHOOK_URL="+hook.URL, "ORDERCTL_WEBHOOK_SECRET="+hookSecret, "ORDERCTL_WEBHOOK_ALLOW_HTTP=true",
		"ORDERCTL_WEBHOOK_ALLOW_CIDRS=127.0.0.0/8", "ORDERCTL_CONSUME_HANDLER=webhook", "ORDERCTL_CONSUME_RETRY=1s", "ORDERCTL_TOPICS_PARTITIONS=1",
		"ORDERCTL_CONFIG="+file.path)
	if raw, err := orderctl(t, environ, "topics", "apply", "--yes").CombinedOutput(); err != nil {
		t.Fatalf("topics apply: %v\n%s", err, raw)
	}
	order := func(id string) queue.Message {
		return queue.Message{
			Topic: "orders", Key: []byte(id), Time: time.Now(), Headers: []queue.Header{{Name: "ce_id", Value: []byte(id)}},
			Value: []byte(`{"order_id":"` + id + `","user_id":"u","items":[{"product_id":"p","quantity":1,"unit_price":5}]}`),
		}
	}
	broken := order("broken")
	broken.Value = []byte("{")
	brokertest.Produce(t, b, order("lost"), order("A"), order("late"), broken)
	b.Commit(t, "orders-worker", "orders", 0, 0)
	b.DeleteRecords("orders", 0, 1)
	names := queue.Names{Source: "orders", Group: "orders-worker"}
	b.Fault(
		brokertest.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: names.DLQ(), Err: kerr.TopicAuthorizationFailed},
		brokertest.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: kerr.GroupAuthorizationFailed, Count: 2},
	)
	r := startConsume(t, environ)
	b.WaitRecords(t, names.DLQ(), 2)
	file.level("warn")
	raw, err := os.ReadFile(filepath.Join("testdata", "metrics", "consume.txt"))
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(strings.TrimSpace(string(raw)), "\n")
	r.until("the metrics are those of the golden file", func() (bool, string) {
		got := families(t, r.scrape())
		return slices.Equal(got, want), "got\n" + strings.Join(got, "\n")
	})
	lint(t, "consume", r.scrape())
	r.stop()
}

// serve and dev after some traffic, good and bad.
func TestMetricsOfServeAndDevAreClean(t *testing.T) {
	t.Parallel()
	environ := serveEnv(t, brokertest.Start(t))
	if raw, err := orderctl(t, environ, "topics", "apply", "--yes").CombinedOutput(); err != nil {
		t.Fatalf("topics apply: %v\n%s", err, raw)
	}
	for name, start := range map[string]func(*testing.T, ...string) *running{
		"serve": func(t *testing.T, more ...string) *running {
			return launched(t, append(more, environ...), "serve", "--addr", "127.0.0.1:0")
		},
		"serve --with-consumer": func(t *testing.T, more ...string) *running { return startServe(t, append(more, environ...)) },
		"dev":                   func(t *testing.T, more ...string) *running { return startDev(t, t.TempDir(), more...) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := newSettings(t)
			r := start(t, "ORDERCTL_CONFIG="+file.path)
			for i, body := range []string{"", "{", "{}", `{"order_id":"x"}`} {
				if code, answer := r.ask(http.MethodPost, r.api+"/orders", body); code < 400 {
					t.Errorf("bad order %d: %d %s", i, code, answer)
				}
			}
			if code, body := r.post("A-1"); code != 202 {
				t.Fatalf("POST: %d %s", code, body)
			}
			file.level("warn")
			r.until("what is asked now and then has been asked", func() (bool, string) {
				text := r.scrape()
				for _, metric := range []string{"orderctl_kafka_up{", "orderctl_config_reloads_total{", "orderctl_orders_accepted_total 1"} {
					if !strings.Contains(text, metric) {
						return false, "no " + metric
					}
				}
				return true, ""
			})
			lint(t, name, r.scrape())
			r.stop()
		})
	}
}
