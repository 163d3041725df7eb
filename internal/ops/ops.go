// Package ops is what operators and orchestrators ask a running process: probes, health, metrics, log level, the
// configuration in force, pause and profiles. It knows nothing of orders: the parts of the process bring their checks
// and handlers. Probes read cached state and open no connection.
package ops

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"commerce.internal/orderctl/internal/obs"
)

// Options says what there is to ask.
type Options struct {
	Log      *slog.Logger
	Level    *slog.LevelVar
	Gatherer prometheus.Gatherer

	Version string
	Config  func() any // the configuration in force, redacted; nil: no such route
	Token   string     // opens /admin/* and profiles off loopback; "": nothing does
	Pprof   bool

	// Pause and Resume stop and start the consumption of one topic, or of all ("" names all); nil: no such route.
	Pause, Resume func(ctx context.Context, topic string) error
}

// Ops answers the questions. Checks and handlers are added before Run.
type Ops struct {
	o       Options
	started atomic.Bool
	since   time.Time
	level   *levels

	mu     sync.Mutex
	checks []obs.Check
	seen   map[int]obs.Health // by place in checks: since when it has which status
	mounts map[string]http.Handler
}

// New checks the options.
func New(o Options) (*Ops, error) {
	switch {
	case o.Log == nil:
		return nil, errors.New("ops: Options.Log is required")
	case o.Level == nil:
		return nil, errors.New("ops: Options.Level is required")
	case o.Gatherer == nil:
		return nil, errors.New("ops: Options.Gatherer is required")
	}
	p := &Ops{o: o, since: time.Now(), level: &levels{v: o.Level, log: o.Log}, seen: map[int]obs.Health{}, mounts: map[string]http.Handler{}}
	p.Add(obs.Check{Name: "started", Probes: obs.Startup | obs.Ready, Report: p.starting})
	return p, nil
}

// Add adds checks.
func (p *Ops) Add(checks ...obs.Check) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.checks = append(p.checks, checks...)
}

// Mount adds a route that is read only and as public as /metrics, such as "/metrics/consumer_lag".
func (p *Ops) Mount(path string, h http.Handler) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mounts[path] = h
}

// Started says that the process has what it needs to begin its work.
func (p *Ops) Started() { p.started.Store(true) }

func (p *Ops) starting() obs.Health {
	if p.started.Load() {
		return obs.Health{Status: obs.Pass}
	}
	return obs.Health{Status: obs.Fail, Since: p.since, Err: errors.New("starting")}
}

// Handler serves what anybody may ask: probes, health and metrics.
func (p *Ops) Handler() http.Handler { return p.serve(p.public()) }

// Admin serves everything. On loopback the admin routes are open; elsewhere they need the token.
func (p *Ops) Admin(loopback bool) http.Handler {
	mux := p.public()
	guard := func(h http.HandlerFunc) http.Handler { return p.guard(loopback, h) }
	mux.Handle("GET /admin/loglevel", guard(p.level.get))
	mux.Handle("PUT /admin/loglevel", guard(p.level.put))
	if p.o.Config != nil {
		mux.Handle("GET /admin/config", guard(p.config))
	}
	if p.o.Pause != nil && p.o.Resume != nil {
		mux.Handle("POST /admin/pause", guard(p.steer("paused", p.o.Pause)))
		mux.Handle("POST /admin/resume", guard(p.steer("resumed", p.o.Resume)))
	}
	if p.o.Pprof {
		profiles(mux, guard)
	}
	return p.serve(mux)
}

func (p *Ops) public() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", p.probe(obs.Live))
	mux.HandleFunc("GET /readyz", p.probe(obs.Ready))
	mux.HandleFunc("GET /startupz", p.probe(obs.Startup))
	mux.HandleFunc("GET /health", p.health)
	mux.Handle("GET /metrics", promhttp.HandlerFor(p.o.Gatherer, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, // one broken collector must not hide the others
		ErrorLog:      slog.NewLogLogger(p.o.Log.Handler(), slog.LevelWarn),
	}))
	return mux
}

// serve sets the headers that every answer has, and finds what was mounted, also after the handler was made.
func (p *Ops) serve(mux http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'")
		p.mu.Lock()
		mounted := p.mounts[r.URL.Path]
		p.mu.Unlock()
		switch {
		case mounted == nil:
			mux.ServeHTTP(w, r)
		case r.Method == http.MethodGet, r.Method == http.MethodHead:
			mounted.ServeHTTP(w, r)
		default:
			h.Set("Allow", "GET, HEAD")
			refuse(w, http.StatusMethodNotAllowed, "this route is read only")
		}
	})
}
