package kafka

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/queue"
)

// tokens is a token service: each answer is another token, unless it is down.
type tokens struct {
	asked atomic.Int64
	down  atomic.Int64 // status to answer with; 0: up
}

func (s *tokens) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := s.asked.Add(1)
	id, secret, _ := r.BasicAuth()
	if r.FormValue("grant_type") != "client_credentials" || id != "orders" || secret != "s3cret" || r.FormValue("scope") != "kafka" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if status := s.down.Load(); status != 0 {
		w.WriteHeader(int(status))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"access_token":"t` + string(rune('0'+n)) + `","expires_in":100,"token_type":"bearer"}`))
}

func source(t *testing.T, s http.Handler, now *time.Time) *tokenSource {
	t.Helper()
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	src, err := newTokenSource(OAuthOptions{TokenURL: srv.URL, ClientID: "orders", ClientSecret: "s3cret", Scope: "kafka"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	src.now = func() time.Time { return *now }
	return src
}

func TestATokenIsKeptUntilFourFifthsOfItsLife(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	service := &tokens{}
	src := source(t, service, &now)
	for _, step := range []struct {
		after time.Duration
		want  string
	}{{0, "t1"}, {79 * time.Second, "t1"}, {time.Second, "t2"}, {79 * time.Second, "t2"}} {
		now = now.Add(step.after)
		got, err := src.Token()
		if err != nil || got.Token != step.want {
			t.Fatalf("after %v: %v, %v; want %s", step.after, got, err, step.want)
		}
	}
	if n := service.asked.Load(); n != 2 {
		t.Errorf("asked %d times, want 2", n)
	}
}

func TestAnOldTokenServesWhileTheTokenServiceIsDown(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	service := &tokens{}
	src := source(t, service, &now)
	if _, err := src.Token(); err != nil {
		t.Fatal(err)
	}
	service.down.Store(http.StatusServiceUnavailable)
	now = now.Add(85 * time.Second)
	for range 10 {
		if got, err := src.Token(); err != nil || got.Token != "t1" {
			t.Fatalf("a valid token was not used: %v, %v", got, err)
		}
	}
	if n := service.asked.Load(); n != 2 {
		t.Errorf("a service that is down was asked %d times at once, want 2", n)
	}
	now = now.Add(16 * time.Second)
	if _, err := src.Token(); !errors.Is(err, errToken) || errors.Is(err, errTokenRefused) {
		t.Fatalf("an expired token must not be used: %v", err)
	}
	service.down.Store(0)
	if got, err := src.Token(); err != nil || got.Token == "t1" {
		t.Fatalf("back again: %v, %v", got, err)
	}
}

func TestRefusedClientCredentialsAreDenied(t *testing.T) {
	t.Parallel()
	now := time.Now()
	src := source(t, &tokens{}, &now)
	src.opts.ClientSecret = "wrong"
	_, err := src.Token()
	e := Classify(err, []string{"k:9092"})
	var known *Error
	if !errors.As(e, &known) || known.ExitCode() != 4 || !errors.Is(e, queue.ErrDenied) {
		t.Errorf("Classify(%v) = %#v, want exit code 4", err, e)
	}
}

func TestTokenServiceWithoutAnAnswerIsUnreachable(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]http.HandlerFunc{
		"an answer without a token": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{}`)) },
		"an answer that is no JSON": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`<html>`)) },
		"a redirect":                func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/other", http.StatusFound) },
		"status 500":                func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := time.Now()
			_, err := source(t, handler, &now).Token()
			if e := Classify(err, nil); !errors.Is(e, queue.ErrUnreachable) {
				t.Errorf("Classify(%v) = %v, want unreachable", err, e)
			}
		})
	}
}

func TestTokenServiceThatHangsBlocksLessThanADial(t *testing.T) {
	t.Parallel()
	if tokenTimeout >= DialTimeout {
		t.Errorf("a token may take %v, a dial %v", tokenTimeout, DialTimeout)
	}
	release := make(chan struct{})
	now := time.Now()
	src := source(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }), &now)
	t.Cleanup(func() { close(release) })
	src.client.Timeout = 50 * time.Millisecond
	if _, err := src.Token(); !errors.Is(err, errToken) {
		t.Errorf("err = %v", err)
	}
}

func TestALifeThatIsNotToBeBelievedIsCutShort(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]time.Duration{
		`{"access_token":"x","expires_in":100}`:    100 * time.Second,
		`{"access_token":"x"}`:                     300 * time.Second,
		`{"access_token":"x","expires_in":-5}`:     300 * time.Second,
		`{"access_token":"x","expires_in":1e12}`:   300 * time.Second,
		`{"access_token":"x","expires_in":999999}`: 300 * time.Second,
	} {
		rec := httptest.NewRecorder()
		_, _ = rec.WriteString(body)
		res := rec.Result()
		_, life, err := readToken(res)
		_ = res.Body.Close()
		if err != nil || life != want {
			t.Errorf("%s: life %v, %v; want %v", body, life, err, want)
		}
	}
}
