package main

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"commerce.internal/orderctl/internal/broker/brokertest"
)

func serveEnv(t *testing.T, b *brokertest.Broker, more ...string) []string {
	t.Helper()
	return append([]string{
		"HOME=" + t.TempDir(), "ORDERCTL_KAFKA_BROKERS=" + b.Addr(), "ORDERCTL_TOPICS_PARTITIONS=2",
		"ORDERCTL_TOPICS_REPLICATION_FACTOR=1", "ORDERCTL_TOPICS_MIN_INSYNC_REPLICAS=1",
	}, more...)
}

// Between SIGTERM and the refusal of new orders the API serves on: what it takes then is applied before the process ends.
func TestTheEmbeddedWorkerAppliesWhatTheServerStillTakes(t *testing.T) {
	t.Parallel()
	environ := serveEnv(t, brokertest.Start(t), "ORDERCTL_SERVE_DRAIN_DELAY=15s")
	if raw, err := orderctl(t, environ, "topics", "apply", "--yes").CombinedOutput(); err != nil {
		t.Fatalf("topics apply: %v\n%s", err, raw)
	}
	r := startServe(t, environ)
	if code, body := r.post("A-1"); code != 202 {
		t.Fatalf("POST: %d %s", code, body)
	}
	r.applied("A-1")
	told := time.Now()
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	r.until("not ready", func() (bool, string) {
		code, body := r.ask("GET", r.admin+"/readyz?verbose", "")
		return code == 503 && strings.Contains(body, "draining"), body
	})
	if code, body := r.post("A-2"); code != 202 {
		t.Fatalf("POST while leaving: %d %s", code, body)
	}
	r.until("A-2 is applied, or the process has gone", func() (bool, string) {
		code, body := r.ask("GET", r.api+"/orders/A-2", "")
		return code == 0 || strings.Contains(body, `"state":"applied"`), body
	})
	if code, body := r.ask("GET", r.api+"/orders/A-2", ""); !strings.Contains(body, `"state":"applied"`) {
		t.Errorf("taken %v after SIGTERM: %d %s, want it applied", time.Since(told), code, body)
	}
	if err := r.cmd.Wait(); err != nil {
		t.Errorf("it ended with %v\n%s", err, r.stderr)
	}
}

func TestAPartRunsUntilItsOwnStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("SIGTERM")
		ctx, cancel := context.WithCancelCause(t.Context())
		stop, ended := make(chan struct{}), make(chan error, 1)
		go func() {
			ended <- runsUntil(stop, func(ctx context.Context) error {
				<-ctx.Done()
				return context.Cause(ctx)
			})(ctx)
		}()
		cancel(why)
		synctest.Wait()
		select {
		case err := <-ended:
			t.Fatalf("it ended with ctx: %v", err)
		default:
		}
		close(stop)
		if err := <-ended; !errors.Is(err, why) {
			t.Errorf("cause %v, want that of ctx", err)
		}
		if err := runsUntil(make(chan struct{}), func(context.Context) error { return why })(t.Context()); !errors.Is(err, why) {
			t.Errorf("a part that ends by itself: %v", err)
		}
	})
}

// startServe starts serve with a worker, and finds its ports in its log.
func startServe(t *testing.T, environ []string) *running {
	t.Helper()
	return launched(t, environ, "serve", "--with-consumer", "--addr", "127.0.0.1:0")
}

// launched starts a command that runs on, and finds its ports in its log.
func launched(t *testing.T, environ []string, args ...string) *running {
	t.Helper()
	cmd := orderctl(t, environ, append(args, "--admin-addr", "127.0.0.1:0", "--log-format", "json")...)
	r := &running{t: t, cmd: cmd, stderr: &lockedBuffer{}}
	cmd.Stderr = r.stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	r.until("it has started", func() (bool, string) {
		for line := range strings.Lines(r.stderr.String()) {
			var told struct{ API, Admin string }
			if json.Unmarshal([]byte(line), &told) == nil && told.Admin != "" {
				r.api, r.admin = "http://"+told.API, "http://"+told.Admin
				return true, ""
			}
		}
		return false, r.stderr.String()
	})
	return r
}
