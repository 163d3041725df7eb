package ops

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"strings"

	"commerce.internal/orderctl/internal/obs"
)

// guard lets a request through that comes over loopback, or brings the token.
func (p *Ops) guard(loopback bool, next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.token(r) || loopback && localHost(r.Host) {
			next(w, r)
			return
		}
		refuse(w, http.StatusForbidden, "off loopback this route needs the bearer token of admin.token_file")
	})
}

func (p *Ops) token(r *http.Request) bool {
	given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || p.o.Token == "" {
		return false
	}
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(p.o.Token))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// localHost reports whether the asker named this host as itself. A page in a browser here that had a name resolved to
// loopback sends that name.
func localHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.Unmap().IsLoopback()
}

func (p *Ops) config(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, p.o.Config())
}

// steer pauses or resumes one topic, or all without ?topic=.
func (p *Ops) steer(state string, act func(context.Context, string) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		topic := r.URL.Query().Get("topic")
		if err := act(r.Context(), topic); err != nil {
			refuse(w, http.StatusConflict, err.Error())
			return
		}
		p.o.Log.InfoContext(r.Context(), "consumption changed by an operator",
			slog.String(obs.KeyState, state), slog.String(obs.KeyTopic, topic))
		writeJSON(w, http.StatusOK, map[string]any{"state": state, "topic": topic})
	}
}

func profiles(mux *http.ServeMux, guard func(http.HandlerFunc) http.Handler) {
	mux.Handle("GET /debug/pprof/", guard(pprof.Index))
	mux.Handle("GET /debug/pprof/cmdline", guard(pprof.Cmdline))
	mux.Handle("GET /debug/pprof/profile", guard(pprof.Profile))
	mux.Handle("GET /debug/pprof/symbol", guard(pprof.Symbol))
	mux.Handle("GET /debug/pprof/trace", guard(pprof.Trace))
}

func writeJSON(w http.ResponseWriter, code int, body any) {
	b, err := json.Marshal(body)
	if err != nil {
		refuse(w, http.StatusInternalServerError, "the answer cannot be encoded")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(append(b, '\n')) // the asker may be gone
}

// refuse answers with an RFC 9457 problem.
func refuse(w http.ResponseWriter, code int, detail string) {
	b, _ := json.Marshal(map[string]any{"status": code, "title": http.StatusText(code), "detail": detail}) // strings always encode
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(code)
	_, _ = w.Write(append(b, '\n')) // the asker may be gone
}
