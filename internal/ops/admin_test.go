package ops_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"commerce.internal/orderctl/internal/ops"
)

func full(o *ops.Options) {
	o.Config = func() any { return map[string]any{"kafka": map[string]string{"password": "***"}} }
	o.Token, o.Pprof = "s3cret", true
	o.Pause = func(context.Context, string) error { return nil }
	o.Resume = o.Pause
}

func TestAdminRoutesOffLoopbackNeedTheToken(t *testing.T) {
	t.Parallel()
	d, bare := newDesk(t, full), newDesk(t, func(o *ops.Options) { full(o); o.Token = "" })
	for _, route := range []string{"GET /admin/loglevel", "GET /admin/config", "POST /admin/pause", "POST /admin/resume", "GET /debug/pprof/", "GET /debug/pprof/cmdline"} {
		method, path, _ := strings.Cut(route, " ")
		for name, tt := range map[string]struct {
			h    http.Handler
			with []string
			code int
		}{
			"on loopback":                        {d.ops.Admin(true), nil, 200},
			"on loopback by name":                {d.ops.Admin(true), []string{"Host", "localhost:8090"}, 200},
			"on loopback, IPv6":                  {d.ops.Admin(true), []string{"Host", "[::1]:8090"}, 200},
			"on loopback by a rebound name":      {d.ops.Admin(true), []string{"Host", "evil.example:8090"}, 403},
			"off loopback":                       {d.ops.Admin(false), nil, 403},
			"off loopback, with the token":       {d.ops.Admin(false), []string{"Authorization", "Bearer s3cret"}, 200},
			"off loopback, with another token":   {d.ops.Admin(false), []string{"Authorization", "Bearer s3cre"}, 403},
			"off loopback, basic":                {d.ops.Admin(false), []string{"Authorization", "Basic s3cret"}, 403},
			"off loopback, and there is none":    {bare.ops.Admin(false), []string{"Authorization", "Bearer "}, 403},
			"among what anybody may ask":         {d.ops.Handler(), []string{"Authorization", "Bearer s3cret"}, 404},
			"on loopback, no token configured":   {bare.ops.Admin(true), nil, 200},
			"off loopback, claiming to be local": {d.ops.Admin(false), []string{"X-Forwarded-For", "127.0.0.1"}, 403},
		} {
			if a := ask(t, tt.h, method, path, "", tt.with...); a.code != tt.code {
				t.Errorf("%s %s: %d, want %d", route, name, a.code, tt.code)
			}
		}
	}
	if a := ask(t, d.ops.Admin(false), "GET", "/readyz", ""); a.code == 403 {
		t.Error("probes stay open")
	}
}

func TestRoutesThatWereNotAskedForAreNotThere(t *testing.T) {
	t.Parallel()
	h := newDesk(t).ops.Admin(true)
	for _, route := range []string{"GET /admin/config", "POST /admin/pause", "GET /debug/pprof/"} {
		method, path, _ := strings.Cut(route, " ")
		if a := ask(t, h, method, path, ""); a.code != 404 {
			t.Errorf("%s: %d", route, a.code)
		}
	}
	if a := ask(t, h, "DELETE", "/admin/loglevel", ""); a.code != 405 || a.header.Get("Allow") == "" {
		t.Errorf("DELETE: %d %v", a.code, a.header)
	}
}

func TestTheLogLevelRevertsItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		h := d.ops.Admin(true)
		put := func(body string) reply { return ask(t, h, "PUT", "/admin/loglevel", body) }
		if a := put(`{"level":"debug","for":"10m"}`); a.code != 200 || a.body["level"] != "debug" || a.body["until"] == nil || d.level.Level() != slog.LevelDebug {
			t.Fatalf("%d %s", a.code, a.raw)
		}
		<-time.After(5 * time.Minute)
		put(`{"level":"error","for":"10m"}`) // takes the place of the first
		<-time.After(6 * time.Minute)
		if d.level.Level() != slog.LevelError {
			t.Error("the first change reverted the second")
		}
		<-time.After(5 * time.Minute)
		synctest.Wait()
		if d.level.Level() != slog.LevelInfo || !strings.Contains(d.log.String(), "log level reverted") {
			t.Errorf("level %v, log %s", d.level.Level(), d.log)
		}
		put(`{"level":"warn","for":"1m"}`)
		put(`{"level":"warn"}`) // for ever
		<-time.After(time.Hour)
		if a := ask(t, h, "GET", "/admin/loglevel", ""); a.body["level"] != "warn" || a.body["until"] != nil {
			t.Errorf("%s", a.raw)
		}
	})
}

func TestALogLevelThatMakesNoSense(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for body, code := range map[string]int{
		"": 400, "{": 400, `{"lvl":"debug"}`: 400, `{"level":"loud"}`: 422, `{}`: 422, `{"level":"debug","for":"10"}`: 422,
		`{"level":"debug","for":"-1s"}`: 422, `{"level":"debug","for":"25h"}`: 422, `{"level":"` + strings.Repeat("x", 2000) + `"}`: 400,
	} {
		if a := ask(t, d.ops.Admin(true), "PUT", "/admin/loglevel", body); a.code != code || a.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%.40s: %d %s, want %d", body, a.code, a.raw, code)
		}
	}
	if d.level.Level() != slog.LevelInfo {
		t.Error("the level changed")
	}
}

func TestPauseAndResumeNameTheTopic(t *testing.T) {
	t.Parallel()
	var did []string
	note := func(what string) func(context.Context, string) error {
		return func(_ context.Context, topic string) error {
			did = append(did, what+" "+topic)
			if topic == "nobody's" {
				return errors.New("no partition of nobody's is ours")
			}
			return nil
		}
	}
	d := newDesk(t, func(o *ops.Options) { o.Pause, o.Resume = note("pause"), note("resume") })
	h := d.ops.Admin(true)
	for path, code := range map[string]int{"/admin/pause": 200, "/admin/resume?topic=orders": 200, "/admin/pause?topic=nobody's": 409} {
		if a := ask(t, h, "POST", path, ""); a.code != code {
			t.Errorf("%s: %d %s", path, a.code, a.raw)
		}
	}
	if a := ask(t, h, "GET", "/admin/pause", ""); a.code != 405 {
		t.Errorf("a GET must change nothing: %d", a.code)
	}
	if len(did) != 3 || strings.Count(d.log.String(), "consumption changed by an operator") != 2 {
		t.Errorf("%q\n%s", did, d.log)
	}
}

func TestTheListenerServesAndEnds(t *testing.T) {
	t.Parallel()
	d := newDesk(t, full)
	d.ops.Mount("/metrics/consumer_lag", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "lag") }))
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := d.ops.Run(ctx, ln); err != nil {
			t.Error(err)
		}
	})
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for path, want := range map[string]string{"/metrics/consumer_lag": "lag", "/admin/loglevel": "info", "/admin/config": "***", "/livez": "pass"} {
		res, err := client.Get("http://" + ln.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || !strings.Contains(string(b), want) || res.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %q %v", path, b, err)
		}
	}
	cancel()
	wg.Wait()
	closed, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	if err := d.ops.Run(t.Context(), closed); err == nil || !strings.Contains(err.Error(), "serve admin listener") {
		t.Errorf("Run = %v", err)
	}
}
