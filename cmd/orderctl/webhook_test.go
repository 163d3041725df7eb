package main

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"commerce.internal/orderctl/internal/broker"
)

const hookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// The whole way: config, secret file, signature, outcome.
func TestConsumeDeliversByWebhook(t *testing.T) {
	t.Parallel()
	b, err := broker.Open(broker.Options{Log: slog.New(slog.DiscardHandler), Addr: "127.0.0.1:0", Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	receiver, err := standardwebhooks.NewWebhook(hookSecret)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	got := map[string]int{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if err := receiver.Verify(body, r.Header); err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		got[r.Header.Get("webhook-id")]++
	}))
	defer s.Close()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD\n"+hookSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	environ := []string{
		"HOME=" + t.TempDir(), "ORDERCTL_KAFKA_BROKERS=" + b.Addr(), "ORDERCTL_CONSUME_ADMIN_ADDR=127.0.0.1:0", "ORDERCTL_TOPICS_PARTITIONS=2",
		"ORDERCTL_WEBHOOK_URL=" + s.URL + "/orders", "ORDERCTL_WEBHOOK_SECRET_FILE=" + secret,
		"ORDERCTL_WEBHOOK_ALLOW_HTTP=true", "ORDERCTL_WEBHOOK_ALLOW_CIDRS=127.0.0.0/8",
	}
	for _, args := range [][]string{
		{"topics", "apply", "--yes"},
		{"produce", "--count", "20", "--rate", "max"},
		{"consume", "--handler", "webhook", "--until-empty"},
	} {
		if raw, err := orderctl(t, environ, args...).CombinedOutput(); err != nil {
			t.Fatalf("orderctl %v: %v\n%s", args, err, raw)
		}
	}
	if len(got) != 20 {
		t.Errorf("%d of 20 messages were delivered", len(got))
	}
	for id, n := range got {
		if n != 1 || !strings.Contains(id, ":") {
			t.Errorf("%s was delivered %d times", id, n)
		}
	}
}

// What is wrong with the settings is said before anything is connected to, with exit 2.
func TestWebhookSettingsThatCannotWork(t *testing.T) {
	t.Parallel()
	nobody := []string{"HOME=" + t.TempDir(), "ORDERCTL_KAFKA_BROKERS=127.0.0.1:1", "ORDERCTL_CONSUME_ADMIN_ADDR=127.0.0.1:0"}
	for _, tt := range []struct {
		name string
		env  []string
		text string
	}{
		{"no URL", nil, "webhook.url: is empty, and consume.handler is webhook"},
		{"no secret", []string{"ORDERCTL_WEBHOOK_URL=https://shop.example"}, "webhook.secret_file names no secret"},
		{"http", []string{"ORDERCTL_WEBHOOK_URL=http://shop.example", "ORDERCTL_WEBHOOK_SECRET=" + hookSecret}, "plain http"},
		{"a short secret", []string{"ORDERCTL_WEBHOOK_URL=https://shop.example", "ORDERCTL_WEBHOOK_SECRET=whsec_c2hvcnQ="}, "secret 1 has 5 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cmd := orderctl(t, append(tt.env, nobody...), "consume", "--handler", "webhook")
			raw, _ := cmd.CombinedOutput()
			if cmd.ProcessState.ExitCode() != 2 || !strings.Contains(string(raw), tt.text) {
				t.Errorf("exit %d: %s", cmd.ProcessState.ExitCode(), raw)
			}
			if strings.Contains(string(raw), "c2hvcnQ") {
				t.Error("the secret is shown")
			}
		})
	}
}
