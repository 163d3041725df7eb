package ops

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"commerce.internal/orderctl/internal/obs"
)

// named is a check and what it said.
type named struct {
	name string
	obs.Health
}

// ask asks the checks that take part in a probe, or all where it is 0, but for those left out. The status is the worst of
// them.
func (p *Ops) ask(probe obs.Probe, exclude []string) (obs.Status, []named) {
	p.mu.Lock()
	checks := slices.Clone(p.checks)
	p.mu.Unlock()
	status := obs.Pass
	said := make([]named, 0, len(checks))
	for i, c := range checks {
		if probe != 0 && c.Probes&probe == 0 || slices.Contains(exclude, c.Name) {
			continue
		}
		h := p.remember(i, c.Report())
		status = worse(status, h.Status)
		said = append(said, named{c.Name, h})
	}
	return status, said
}

// remember fills in since when a check has had its status.
func (p *Ops) remember(check int, h obs.Health) obs.Health {
	p.mu.Lock()
	defer p.mu.Unlock()
	if last, ok := p.seen[check]; ok && last.Status == h.Status && h.Since.IsZero() {
		h.Since = last.Since
	}
	if h.Since.IsZero() {
		h.Since = time.Now()
	}
	p.seen[check] = h
	return h
}

func worse(a, b obs.Status) obs.Status {
	if a == obs.Fail || b == obs.Fail {
		return obs.Fail
	}
	if a == obs.Warn || b == obs.Warn {
		return obs.Warn
	}
	return obs.Pass
}

// probe answers 503 when a check that gates it fails. ?verbose names every check, ?exclude=name leaves one out.
func (p *Ops) probe(probe obs.Probe) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		status, said := p.ask(probe, q["exclude"])
		code := http.StatusOK
		if status == obs.Fail {
			code = http.StatusServiceUnavailable
		}
		if !q.Has("verbose") {
			writeJSON(w, code, map[string]any{"status": status})
			return
		}
		var b strings.Builder
		for _, n := range said {
			mark := map[obs.Status]string{obs.Pass: "+", obs.Warn: "!"}[n.Status]
			if mark == "" {
				mark = "-"
			}
			fmt.Fprintf(&b, "[%s] %s %s%s\n", mark, n.name, n.Status, reason(n.Err))
		}
		fmt.Fprintf(&b, "%s\n", status)
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(code)
		_, _ = w.Write([]byte(b.String())) // the asker may be gone
	}
}

func reason(err error) string {
	if err == nil {
		return ""
	}
	return ": " + err.Error()
}

type healthBody struct {
	Status  obs.Status             `json:"status"`
	Version string                 `json:"version"`
	UptimeS int64                  `json:"uptime_s"`
	Checks  map[string]checkReport `json:"checks"`
}

type checkReport struct {
	Status obs.Status `json:"status"`
	Since  time.Time  `json:"since"`
	Error  string     `json:"error,omitempty"`
}

// health shows every check.
func (p *Ops) health(w http.ResponseWriter, r *http.Request) {
	status, said := p.ask(0, r.URL.Query()["exclude"])
	body := healthBody{
		Status: status, Version: p.o.Version, UptimeS: int64(time.Since(p.since).Seconds()), Checks: map[string]checkReport{},
	}
	for _, n := range said {
		c := checkReport{Status: n.Status, Since: n.Since.UTC()}
		if n.Err != nil {
			c.Error = n.Err.Error()
		}
		if other, twice := body.Checks[n.name]; twice && worse(other.Status, c.Status) != c.Status {
			continue // two parts of the process speak of one thing: the worse one must be seen
		}
		body.Checks[n.name] = c
	}
	code := http.StatusOK
	if status == obs.Fail {
		code = http.StatusServiceUnavailable
	}
	writeJSON(w, code, body)
}
