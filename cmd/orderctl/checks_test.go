package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"commerce.internal/orderctl/internal/broker/brokertest"
	"commerce.internal/orderctl/internal/kafka"
	"commerce.internal/orderctl/internal/kafka/publish"
	"commerce.internal/orderctl/internal/obs"
	"commerce.internal/orderctl/internal/ops"
	"commerce.internal/orderctl/internal/queue"
)

func TestResultsAreStuckAfterAMinute(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for ago, want := range map[time.Duration]obs.Status{-1: obs.Pass, 0: obs.Pass, 59 * time.Second: obs.Pass, time.Minute: obs.Fail, time.Hour: obs.Fail} {
		var h queue.PublisherHealth
		if ago >= 0 {
			h.Stuck = now.Add(-ago)
		}
		c := resultsCheck(func() queue.PublisherHealth { return h }, func() time.Time { return now })
		if got := c.Report(); got.Status != want || c.Probes != obs.Live || want == obs.Fail && !got.Since.Equal(h.Stuck) {
			t.Errorf("stuck for %v: %+v, want %s", ago, got, want)
		}
	}
}

// A minute passes while whoever was to be told of a record does not return: the process is of no use any more.
func TestLivezFailsWhenResultsAreStuck(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(1, "orders"))
	log := slog.New(slog.DiscardHandler)
	kafka.Setup(log)
	p, err := publish.New(t.Context(), kafka.Options{Brokers: b.Addrs(), ClientID: "t", Timeout: 10 * time.Second, Idempotent: true, Log: log},
		publish.Options{Topics: []string{"orders"}, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	o, err := ops.New(ops.Options{Log: log, Level: new(slog.LevelVar), Gatherer: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	var later atomic.Int64
	o.Add(resultsCheck(p.Health, func() time.Time { return time.Now().Add(time.Duration(later.Load())) }))
	o.Started()
	live := func(path string) (int, string) {
		w := httptest.NewRecorder()
		o.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w.Code, w.Body.String()
	}
	release, ended := make(chan struct{}), make(chan struct{})
	err = p.Publish(queue.Message{Topic: "orders", Value: []byte("x"), Time: time.Now()}, func(queue.Ack, error) {
		<-release
		close(ended)
	})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, "an outcome is stuck", func() error {
		if h := p.Health(); h.Stuck.IsZero() {
			return fmt.Errorf("%+v", h)
		}
		return nil
	})
	if code, body := live("/livez"); code != 200 {
		t.Errorf("at once: %d %s", code, body)
	}
	later.Store(int64(time.Minute))
	for path, want := range map[string]int{"/livez": 503, "/livez?verbose": 503, "/health": 503, "/readyz": 200} {
		code, body := live(path)
		if code != want || strings.Contains(path, "verbose") && !strings.Contains(body, "[-] results fail") {
			t.Errorf("%s after a minute: %d %s, want %d", path, code, body, want)
		}
	}
	close(release)
	<-ended
	eventually(t, 30*time.Second, "it lives again", func() error {
		if code, _ := live("/livez"); code != 200 {
			_, body := live("/health")
			return errors.New(body)
		}
		return nil
	})
}

// What is wrong with the commits takes a worker out of service; a server takes orders on.
func TestRefusedCommitsAreNotTheServersFault(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t)
	environ := serveEnv(t, b)
	if raw, err := orderctl(t, environ, "topics", "apply", "--yes").CombinedOutput(); err != nil {
		t.Fatalf("topics apply: %v\n%s", err, raw)
	}
	r := startServe(t, environ)
	if code, body := r.post("A-1"); code != 202 {
		t.Fatalf("POST: %d %s", code, body)
	}
	r.applied("A-1")
	b.Fault(brokertest.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: kerr.GroupAuthorizationFailed, Count: -1})
	if code, body := r.post("A-2"); code != 202 {
		t.Fatalf("POST: %d %s", code, body)
	}
	r.until("the commits are told", func() (bool, string) {
		code, body := r.ask("GET", r.admin+"/health", "")
		return code == 200 && strings.Contains(body, `"commits":{"status":"warn"`), body
	})
	for path, text := range map[string]string{"/readyz?verbose": "[+] started pass", "/livez?verbose": "[+] results pass"} {
		if code, body := r.ask("GET", r.admin+path, ""); code != 200 || !strings.Contains(body, text) || strings.Contains(body, "commits") {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	r.stop()
}

// A worker that was told to stop and still has an order in hand is alive, and not ready.
func TestAWorkerThatDrainsIsNotReady(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t)
	got, release := make(chan struct{}, 10), make(chan struct{})
	hook := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		got <- struct{}{}
		<-release
	}))
	defer hook.Close()
	environ := serveEnv(t, b, "ORDERCTL_WEBHOOK_URL="+hook.URL, "ORDERCTL_WEBHOOK_SECRET="+hookSecret, "ORDERCTL_WEBHOOK_ALLOW_HTTP=true",
		"ORDERCTL_WEBHOOK_ALLOW_CIDRS=127.0.0.0/8", "ORDERCTL_CONSUME_HANDLER=webhook")
	for _, args := range [][]string{{"topics", "apply", "--yes"}, {"produce", "--count", "1", "--via", "kafka", "-q"}} {
		if raw, err := orderctl(t, environ, args...).CombinedOutput(); err != nil {
			t.Fatalf("orderctl %v: %v\n%s", args, err, raw)
		}
	}
	r := startConsume(t, environ)
	<-got
	if code, body := r.ask("GET", r.admin+"/readyz", ""); code != 200 {
		t.Errorf("readyz at work: %d %s", code, body)
	}
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	r.until("not ready", func() (bool, string) {
		code, body := r.ask("GET", r.admin+"/readyz?verbose", "")
		return code == 503 && strings.Contains(body, "[-] draining fail"), body
	})
	if code, body := r.ask("GET", r.admin+"/livez", ""); code != 200 {
		t.Errorf("livez: %d %s", code, body)
	}
	close(release)
	if err := r.cmd.Wait(); err != nil {
		t.Errorf("it ended with %v\n%s", err, r.stderr)
	}
}

// startConsume starts a worker, and finds its port in its log.
func startConsume(t *testing.T, environ []string, args ...string) *running {
	t.Helper()
	return launched(t, environ, append([]string{"consume"}, args...)...)
}
