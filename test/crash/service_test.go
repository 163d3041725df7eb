//go:build crash

package crash

import (
	"hash/fnv"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const hookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// service takes orders by webhook. Some it takes at the third attempt only, or later; poisoned ones it refuses.
type service struct {
	mu      sync.Mutex
	seen    map[string]int
	took    []string          // ids, as they were taken first
	bodies  map[string]string // what each id brought
	healed  bool
	strange []string // what should never come
}

func (w *world) openHook(home string) {
	receiver, err := standardwebhooks.NewWebhook(hookSecret)
	if err != nil {
		w.t.Fatal(err)
	}
	w.hook = &service{seen: map[string]int{}, bodies: map[string]string{}}
	s := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if err := receiver.Verify(body, r.Header); err != nil {
			out.WriteHeader(http.StatusUnauthorized)
			return
		}
		out.WriteHeader(w.hook.take(r.Header.Get("webhook-id"), string(body)))
	}))
	w.t.Cleanup(s.Close)
	secret := filepath.Join(home, "secret")
	if err := os.WriteFile(secret, []byte(hookSecret), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.env = append(w.env, "ORDERCTL_CONSUME_HANDLER=webhook", "ORDERCTL_WEBHOOK_URL="+s.URL, "ORDERCTL_WEBHOOK_SECRET_FILE="+secret,
		"ORDERCTL_WEBHOOK_ALLOW_HTTP=true", "ORDERCTL_WEBHOOK_ALLOW_CIDRS=127.0.0.0/8")
}

// take answers one delivery.
func (s *service) take(id, body string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[id]++
	if old, found := s.bodies[id]; found && old != body {
		s.strange = append(s.strange, "D3: "+id+" brought two contents")
	}
	h := fnv.New32a()
	_, _ = io.WriteString(h, id)
	switch {
	case strings.HasSuffix(id, ":CREATED") && h.Sum32()%poisoned == 0 && !s.healed:
		return http.StatusUnprocessableEntity
	case h.Sum32()%4 == 1 && s.seen[id] < 3+int(h.Sum32()/4%3): // over the local attempts, into the tiers
		return http.StatusInternalServerError
	}
	if _, found := s.bodies[id]; !found {
		s.bodies[id] = body
		s.took = append(s.took, id)
	}
	return http.StatusNoContent
}
