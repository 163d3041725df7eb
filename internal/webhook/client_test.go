package webhook_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/webhook"
)

const (
	secret  = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	secret2 = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
	msgID   = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	payload = `{"test": 2432232314}`
)

// loopback is what every test but those of the guard may connect to.
var loopback = []string{"127.0.0.0/8", "::1/128"}

func options(url string) webhook.Options {
	return webhook.Options{URL: url, Secrets: []string{secret}, Timeout: 5 * time.Second, Now: time.Now, AllowCIDRs: loopback, AllowHTTP: true}
}

func client(t *testing.T, o webhook.Options) *webhook.Client {
	t.Helper()
	c, err := webhook.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// failure is the failure of a delivery.
func failure(t *testing.T, err error) queue.Failure {
	t.Helper()
	var f *queue.Failure
	if !errors.As(err, &f) {
		t.Fatalf("Deliver = %v, want a failure", err)
	}
	return *f
}

// stub remembers what it was sent.
type stub struct {
	*httptest.Server
	mu   sync.Mutex
	got  []*http.Request
	body []string
}

func newStub(t *testing.T, answer http.HandlerFunc) *stub {
	t.Helper()
	s := &stub{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.got, s.body = append(s.got, r), append(s.body, string(b))
		s.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *stub) requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.got)
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func TestTheSignatureOfTheSpecification(t *testing.T) {
	t.Parallel()
	s := newStub(t, status(http.StatusNoContent))
	o := options(s.URL + "/orders?tenant=1")
	o.Now = func() time.Time { return time.Unix(1614265330, 0) }
	if err := client(t, o).Deliver(t.Context(), msgID, []byte(payload)); err != nil {
		t.Fatal(err)
	}
	r := s.got[0]
	for name, want := range map[string]string{
		"webhook-id": msgID, "webhook-timestamp": "1614265330", "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
		"Idempotency-Key": msgID, "Content-Type": "application/json", "User-Agent": "orderctl", "Accept-Encoding": "",
	} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if s.body[0] != payload || r.Method != http.MethodPost || r.URL.String() != "/orders?tenant=1" {
		t.Errorf("%s %s %q", r.Method, r.URL, s.body[0])
	}
}

func TestAReceiverWithAnyOfTheSecretsBelieves(t *testing.T) {
	t.Parallel()
	s := newStub(t, status(http.StatusOK))
	o := options(s.URL)
	o.Secrets = []string{secret, secret2}
	if err := client(t, o).Deliver(t.Context(), "A-1:PAID", []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	if n := len(strings.Split(s.got[0].Header.Get("webhook-signature"), " ")); n != 2 {
		t.Errorf("%d signatures for two secrets", n)
	}
	for _, known := range []string{secret, secret2} {
		receiver, err := standardwebhooks.NewWebhook(known)
		if err != nil {
			t.Fatal(err)
		}
		if err := receiver.Verify([]byte(s.body[0]), s.got[0].Header); err != nil {
			t.Errorf("a receiver refuses it: %v", err)
		}
		if receiver.Verify([]byte(`{"x":1}`), s.got[0].Header) == nil {
			t.Error("another body is believed")
		}
	}
}

func TestAnIDThatIsNoHeaderValueGoesByItsHash(t *testing.T) {
	t.Parallel()
	s := newStub(t, status(http.StatusOK))
	c := client(t, options(s.URL))
	for _, id := range []string{"a\r\nX-Evil: 1", "订单", "a b", " a", "", "\x00"} {
		if err := c.Deliver(t.Context(), id, []byte(`{}`)); err != nil {
			t.Fatalf("%q: %v", id, err)
		}
	}
	seen := map[string]bool{}
	for i, r := range s.got {
		id := r.Header.Get("webhook-id")
		if !strings.HasPrefix(id, "sha256:") || seen[id] || r.Header.Get("X-Evil") != "" || r.Header.Get("Idempotency-Key") != id {
			t.Errorf("request %d has id %q", i, id)
		}
		seen[id] = true
	}
}

// The table of the HTTP row: whose fault is it.
func TestTheClassOfEachStatus(t *testing.T) {
	t.Parallel()
	classes := map[queue.Class][]int{
		"":                   {200, 201, 202, 204, 299},
		queue.ClassRetryable: {408, 425, 429, 500, 501, 502, 503, 504, 507, 599},
		queue.ClassOutage:    {300, 301, 302, 303, 307, 308, 304, 401, 403, 404, 410},
		queue.ClassFatal:     {400, 402, 405, 406, 409, 411, 412, 413, 414, 415, 418, 422, 423, 424, 426, 428, 431, 451},
	}
	code := 0
	s := newStub(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
	c := client(t, options(s.URL))
	for class, codes := range classes {
		for _, code = range codes {
			err := c.Deliver(t.Context(), "m", []byte(`{}`))
			if class == "" {
				if err != nil {
					t.Errorf("%d: %v", code, err)
				}
				continue
			}
			if f := failure(t, err); f.Class != class || f.Code != strconv.Itoa(code) {
				t.Errorf("%d is %s %s, want %s", code, f.Class, f.Code, class)
			}
		}
	}
}

func TestRetryAfterIsKeptWithinAnHour(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name, value string
		code        int
		want        time.Duration
	}{
		{"seconds", "30", 503, 30 * time.Second},
		{"a date", now.Add(90 * time.Second).Format(http.TimeFormat), 429, 90 * time.Second},
		{"a date that has passed", now.Add(-time.Hour).Format(http.TimeFormat), 429, 0},
		{"more than an hour", "86400", 503, time.Hour},
		{"a date next year", now.AddDate(1, 0, 0).Format(http.TimeFormat), 503, time.Hour},
		{"more than a number can hold", "9223372036854775807", 503, time.Hour},
		{"below zero", "-5", 503, 0},
		{"no number", "soon", 503, 0},
		{"absent", "", 500, 0},
		{"of an answer that is no reason to wait", "30", 422, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newStub(t, func(w http.ResponseWriter, _ *http.Request) {
				if tt.value != "" {
					w.Header().Set("Retry-After", tt.value)
				}
				w.WriteHeader(tt.code)
			})
			o := options(s.URL)
			o.Now = func() time.Time { return now }
			if f := failure(t, client(t, o).Deliver(t.Context(), "m", nil)); f.RetryAfter != tt.want {
				t.Errorf("Retry-After %q is %v, want %v", tt.value, f.RetryAfter, tt.want)
			}
		})
	}
}

func TestWhatTheServiceSaysIsInTheReasonAndSafe(t *testing.T) {
	t.Parallel()
	s := newStub(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = io.WriteString(w, "no such \x1b[2Jproduct "+strings.Repeat("x", 5_000))
	})
	f := failure(t, client(t, options(s.URL)).Deliver(t.Context(), "m", nil))
	if !strings.Contains(f.Message, `no such \x1b[2Jproduct`) || len(f.Message) > 400 {
		t.Errorf("message %q", f.Message)
	}
}

func TestTheEndOfTheContextEndsADelivery(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s := newStub(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	c := client(t, options(s.URL))
	if f := failure(t, c.Deliver(ctx, "m", nil)); f.Class != queue.ClassOutage || f.Code != "canceled" {
		t.Errorf("class %s %s", f.Class, f.Code)
	}
}
