package produce_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/produce"
)

// api is an order API that keeps the rules of an order and nothing else.
type api struct {
	mu     sync.Mutex
	bodies [][]byte
	heads  []http.Header
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	a.mu.Lock()
	a.bodies, a.heads = append(a.bodies, body), append(a.heads, r.Header)
	a.mu.Unlock()
	o, err := order.Parse(r.Header.Get("Content-Type"), body, order.RejectUnknown)
	if err == nil {
		o.Fill(order.Defaults{OrderID: "x", Currency: "CNY", Now: time.Now()})
		err = o.Validate(time.Now())
	}
	var malformed *order.Malformed
	switch {
	case r.Method != http.MethodPost || r.URL.Path != "/orders":
		w.WriteHeader(http.StatusNotFound)
	case errors.As(err, &malformed):
		problem(w, http.StatusBadRequest, "malformed-json")
	case err != nil:
		problem(w, http.StatusUnprocessableEntity, "validation-failed")
	default:
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprint(w, `{"status":"accepted"}`)
	}
}

func problem(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"code": code, "detail": "because of " + code})
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(alive(h))
	t.Cleanup(s.Close)
	return s.URL
}

// alive answers the question with which a run begins.
func alive(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodOptions {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		h.ServeHTTP(w, r)
	})
}

func overHTTP(url string) produce.Options {
	return produce.Options{HTTP: &produce.HTTP{URL: url}, Rate: produce.Max(), Count: 100, RunID: "run", Seed: 1}
}

// The promise of the issue: 1,550 accepted, 253 refused as predicted, exit 0.
func TestTheRealOrdersOverHTTP(t *testing.T) {
	t.Parallel()
	a := &api{}
	o := overHTTP(serve(t, a))
	o.File, o.Rate, o.Count = produce.RealOrders(), produce.Rate{}, 0
	var acked bytes.Buffer
	o.Acked = &acked
	r := run(t.Context(), t, o)
	if r.Sent != 1_803 || r.Acknowledged != 1_550 || r.Rejected != 253 || r.Expected != 253 || r.ExitCode() != 0 || len(r.Errors) != 0 {
		t.Errorf("report %+v", r)
	}
	if n := strings.Count(acked.String(), "\n"); n != 1_550 {
		t.Errorf("%d ids noted", n)
	}
	left := map[string]int{}
	for _, line := range realLines(t) {
		left[string(line)]++
	}
	for _, body := range a.bodies {
		left[string(body)]--
	}
	for line, n := range left {
		if n != 0 {
			t.Fatalf("a line was posted %d times too rarely: %.80s", n, line)
		}
	}
}

func TestMalformedLinesAreExpectedToBeRefused(t *testing.T) {
	t.Parallel()
	o := overHTTP(serve(t, &api{}))
	o.File, o.Rate, o.Count = lines("broken\n{\"user_id\":\"u\",\"items\":[{\"product_id\":\"P\",\"quantity\":1,\"unit_price\":1}]}\n{\"user_id\":null}\n"), produce.Rate{}, 0
	if r := run(t.Context(), t, o); r.Acknowledged != 1 || r.Expected != 2 || r.ExitCode() != 0 {
		t.Errorf("report %+v", r)
	}
}

func TestRequestsCarryWhatTheyMust(t *testing.T) {
	t.Parallel()
	for format, content := range map[string]string{produce.FormatJSON: "application/json", produce.FormatProtobuf: "application/x-protobuf"} {
		a := &api{}
		o := overHTTP(serve(t, a) + "/")
		o.Format, o.Count = format, 3
		o.HTTP.Headers = []string{"X-Shop: eu ", "X-Shop:cn"}
		o.HTTP.Token = "s3cret"
		if r := run(t.Context(), t, o); r.Acknowledged != 3 {
			t.Fatalf("report %+v", r)
		}
		h := a.heads[0]
		if h.Get("Content-Type") != content || h.Get("Orderctl-Load-Test") != "run" || h.Get("Authorization") != "Bearer s3cret" ||
			strings.Join(h["X-Shop"], ",") != "eu,cn" || !strings.HasPrefix(h.Get("X-Request-Id"), "run-") {
			t.Errorf("headers %v", h)
		}
	}
}

func TestEachStatusIsCountedForWhatItPromises(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		status                     int
		body                       string
		notSent, rejected, unknown int64
		code                       string
	}{
		{503, `{"code":"kafka-unavailable"}`, 1, 0, 0, "kafka-unavailable"},
		{503, `<html>`, 1, 0, 0, "http-503"},
		{429, `{"code":"rate-limited"}`, 1, 0, 0, "rate-limited"},
		{504, `{"code":"outcome-unknown"}`, 0, 0, 1, "outcome-unknown"},
		{500, `{"code":"internal"}`, 0, 0, 1, "internal"},
		{502, ``, 0, 0, 1, "http-502"},
		{409, `{"code":"idempotency-in-flight"}`, 0, 0, 1, "idempotency-in-flight"},
		{408, ``, 0, 0, 1, "http-408"},
		{200, `{}`, 0, 0, 1, "http-200"},
		{307, ``, 0, 1, 0, "http-307"},
		{401, `{"code":"unauthenticated"}`, 0, 1, 0, "unauthenticated"},
		{413, `{"code":"body-too-large"}`, 0, 1, 0, "body-too-large"},
		{422, `{"code":"validation-failed"}`, 0, 1, 0, "validation-failed"},
		{422, `{"code":"\u001b[2J not a code"}`, 0, 1, 0, "http-422"},
		{404, `{"code":"` + strings.Repeat("a", 41) + `"}`, 0, 1, 0, "http-404"},
	} {
		t.Run(fmt.Sprint(row.status, " ", row.code), func(t *testing.T) {
			t.Parallel()
			o := overHTTP(serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(row.status)
				_, _ = io.WriteString(w, row.body)
			})))
			o.Count = 1
			r := run(t.Context(), t, o)
			if r.NotSent != row.notSent || r.Rejected != row.rejected || r.Unknown != row.unknown || r.Errors[row.code] != 1 || r.ExitCode() != 1 {
				t.Errorf("report %+v", r)
			}
		})
	}
}

func TestAnAPIThatIsNotThereIsAnErrorAtOnce(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	err = runError(t, overHTTP("http://"+addr))
	var e *produce.Error
	if !errors.As(err, &e) || e.ExitCode() != 3 || e.Hint() == "" || !strings.Contains(err.Error(), addr) || errors.Unwrap(err) == nil {
		t.Errorf("error %v", err)
	}
}

// A port that accepts and never answers is unreachable too: nothing of the run has begun, so nothing is unknown.
func TestAMuteAPIIsUnreachable(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // the kernel accepts, and nobody reads
	o := overHTTP("http://" + l.Addr().String())
	o.HTTP.Timeout = 200 * time.Millisecond
	begin := time.Now()
	err = runError(t, o)
	var e *produce.Error
	if !errors.As(err, &e) || e.ExitCode() != 3 || !strings.Contains(err.Error(), l.Addr().String()+" did not answer within 200ms (TCP connected)") {
		t.Errorf("error %v", err)
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}

// Whoever answers is there: the run finds out itself what becomes of its orders.
func TestAnAPIThatRefusesTheFirstQuestionIsAsked(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Method != http.MethodPost {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	defer s.Close()
	o := overHTTP(s.URL)
	o.Count = 2
	if r := run(t.Context(), t, o); r.Acknowledged != 2 || r.ExitCode() != 0 {
		t.Errorf("report %+v", r)
	}
}

// Connections that are refused in the middle of a run certainly wrote nothing; those that are cut may have.
func TestARequestWithoutConnectionWasNotSent(t *testing.T) {
	t.Parallel()
	var served atomic.Int64
	var s *httptest.Server
	s = httptest.NewUnstartedServer(alive(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if served.Add(1) == 3 {
			_ = s.Listener.Close()
			c, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_ = c.Close()
			}
			return
		}
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusAccepted)
	})))
	s.Start()
	defer s.Close()
	o := overHTTP(s.URL)
	o.Rate, o.Count, o.HTTP.Connections = produce.PerSecond(100), 10, 1
	r := run(t.Context(), t, o)
	if r.Acknowledged != 2 || r.Unknown != 1 || r.NotSent != 7 || r.Errors["connect"] != 7 || r.Errors["no-answer"] != 1 {
		t.Errorf("report %+v", r)
	}
}

func TestASilentAPIIsUnknownAfterTheTimeout(t *testing.T) {
	t.Parallel()
	block := make(chan struct{})
	url := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-block:
		case <-r.Context().Done():
		}
	}))
	defer close(block)
	o := overHTTP(url)
	o.Count, o.HTTP.Timeout = 2, time.Second
	if r := run(t.Context(), t, o); r.Unknown != 2 || r.Errors["timeout"] != 2 {
		t.Errorf("report %+v", r)
	}
	o.HTTP.Timeout, o.Drain = time.Minute, time.Second
	begin := time.Now()
	if r := run(t.Context(), t, o); r.Unknown != 2 || time.Since(begin) > 30*time.Second {
		t.Errorf("after %v: report %+v", time.Since(begin), r)
	}
}

// An open model: no answer slows the schedule down while there are connections left.
func TestSlowAnswersDoNotSlowTheScheduleDown(t *testing.T) {
	t.Parallel()
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-time.After(300 * time.Millisecond)
		w.WriteHeader(http.StatusAccepted)
	}))
	o := overHTTP(url)
	o.Rate, o.Count = produce.PerSecond(100), 30
	r := run(t.Context(), t, o)
	if r.Acknowledged != 30 || r.Service.P50 < 290 || r.SendDelay.P50 > 250 {
		t.Errorf("service %+v, delay %+v", r.Service, r.SendDelay)
	}
	o.HTTP.Connections, o.Rate, o.Count = 1, produce.PerSecond(20), 5
	if r = run(t.Context(), t, o); r.SendDelay.Max < 500 || r.Latency.Max < 800 {
		t.Errorf("one connection: the queue must show: delay %+v, latency %+v", r.SendDelay, r.Latency)
	}
}

// The statuses of one order must not overtake each other, however many connections there are.
func TestChainsKeepTheirOrderOverHTTP(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	stored := map[string]order.Status{}
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		o, err := order.ParseJSON(body, order.RejectUnknown)
		mu.Lock()
		defer mu.Unlock()
		if err != nil || order.Transition(stored[o.OrderID], o.Status) != order.Advance {
			t.Errorf("%s came as %s after %q", o.OrderID, o.Status, stored[o.OrderID])
		}
		stored[o.OrderID] = o.Status
		w.WriteHeader(http.StatusAccepted)
	}))
	o := overHTTP(url)
	o.Keys, o.Count = 5, 1_000
	if r := run(t.Context(), t, o); r.Acknowledged != 1_000 {
		t.Errorf("report %+v", r)
	}
}

func TestInterruptLetsRequestsEnd(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		cancel()
		<-time.After(100 * time.Millisecond)
		w.WriteHeader(http.StatusAccepted)
	}))
	o := overHTTP(url)
	o.Count, o.HTTP.Connections = 1_000, 4
	r := run(ctx, t, o)
	if r.Acknowledged < 1 || r.Acknowledged != r.Sent || r.ExitCode() != 130 {
		t.Errorf("report %+v", r)
	}
}

func TestTLSWithACertificateOfOnesOwn(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(&api{})
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	defer s.Close()
	o := overHTTP(s.URL)
	o.Count = 5
	o.HTTP.CACert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if r := run(t.Context(), t, o); r.Acknowledged != 5 {
		t.Errorf("report %+v", r)
	}
	o.HTTP.CACert = nil
	var e *produce.Error
	if err := runError(t, o); !errors.As(err, &e) || e.ExitCode() != 3 || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown authority: %v", err)
	}
}

func TestSecretsStandInNoErrorNorReport(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	var log bytes.Buffer
	o := overHTTP(serve(t, http.NotFoundHandler()))
	o.Count, o.HTTP.Token, o.Log = 1, secret, slog.New(slog.NewTextHandler(&log, nil))
	raw, err := json.Marshal(run(t.Context(), t, o))
	if err != nil || bytes.Contains(raw, []byte(secret)) || strings.Contains(log.String(), secret) {
		t.Errorf("the token shows: %s %s %v", raw, log.String(), err)
	}
	for name, change := range map[string]func(*produce.HTTP){
		"password in the address": func(h *produce.HTTP) { h.URL = "http://u:" + secret + "@127.0.0.1:1" },
		"token of two lines":      func(h *produce.HTTP) { h.Token = secret + "\nX: y" },
		"address without scheme":  func(h *produce.HTTP) { h.URL = "u:" + secret + "@127.0.0.1:1" },
		"header of two lines":     func(h *produce.HTTP) { h.Headers = []string{"A: " + secret + "\r\nB: c"} },
		"header without a colon":  func(h *produce.HTTP) { h.Headers = []string{"A"} },
		"header name, a space":    func(h *produce.HTTP) { h.Headers = []string{"A b: c"} },
		"header name, empty":      func(h *produce.HTTP) { h.Headers = []string{": c"} },
		"header of our own":       func(h *produce.HTTP) { h.Headers = []string{"orderctl-load-test: c"} },
		"no address":              func(h *produce.HTTP) { h.URL = "" },
		"another scheme":          func(h *produce.HTTP) { h.URL = "ftp://127.0.0.1" },
		"connections":             func(h *produce.HTTP) { h.Connections = -1 },
		"no PEM":                  func(h *produce.HTTP) { h.CACert = []byte(secret) },
	} {
		o := overHTTP("http://127.0.0.1:1")
		change(o.HTTP)
		if err := runError(t, o); !usageError(err) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v, want exit code 2 and no secret", name, err)
		}
	}
}
