package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"commerce.internal/orderctl/internal/config"
	"commerce.internal/orderctl/internal/consume"
	"commerce.internal/orderctl/internal/obs"
	"commerce.internal/orderctl/internal/ops"
)

// base is what every process that runs until it is stopped has: a log, metrics, trace context, and an admin listener.
type base struct {
	logs    *obs.Logs
	reg     *prometheus.Registry
	tracing *obs.Tracing
	ops     *ops.Ops
	reload  *config.Reloader
	worker  atomic.Pointer[consume.Worker] // nil: none in this process, or not yet
}

// logs returns the log of a process. A command that only answers is silent unless -v is given; what runs on speaks from
// the configured level on, in text on a terminal and as JSON elsewhere.
func (s *session) logs(service string, long bool) (*obs.Logs, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.cfg.Log.Level)); err != nil {
		return nil, fmt.Errorf("read log.level: %w", err)
	}
	w := s.env.stderr
	text := s.cfg.Log.Format == "text" || s.cfg.Log.Format == "auto" && (s.env.stderrTerminal || !long)
	switch {
	case !long && s.global.verbose == 0:
		w = io.Discard
	case s.global.verbose > 0:
		level = slog.LevelDebug
	}
	return obs.NewLogs(obs.LogOptions{Writer: w, Text: text, Level: level, Service: service}), nil
}

// base builds the base of a long-running command. Where a worker will be in the process, the admin listener can pause it.
func (s *session) base(ctx context.Context, service string, admin config.Admin, worker bool) (*base, error) {
	logs, err := s.logs(service, true)
	if err != nil {
		return nil, err
	}
	v, commit := buildInfo(), "unknown"
	if v.Commit != nil {
		commit = *v.Commit
	}
	b := &base{logs: logs}
	if b.reg, err = ops.NewRegistry(ops.Build{Version: v.Version, Commit: commit}); err != nil {
		return nil, err
	}
	b.tracing, err = obs.NewTracing(ctx, obs.TraceOptions{
		Service: service, Version: v.Version, Endpoint: s.env.lookup("OTEL_EXPORTER_OTLP_ENDPOINT"), Log: logs.Log,
	})
	if err != nil {
		return nil, err
	}
	o := ops.Options{
		Log: obs.Component(logs.Log, "ops"), Level: logs.Level, Gatherer: b.reg, Version: v.Version, Pprof: admin.Pprof, Token: admin.Token.Reveal(),
		Config: func() any { return configValues(s.loaded) },
	}
	if worker {
		o.Pause = func(_ context.Context, topic string) error { return b.steer(topic, (*consume.Worker).Pause) }
		o.Resume = func(_ context.Context, topic string) error { return b.steer(topic, (*consume.Worker).Resume) }
	}
	if b.ops, err = ops.New(o); err != nil {
		return nil, err
	}
	return b, b.follow(s)
}

// steer pauses or resumes the worker, once it is there.
func (b *base) steer(topic string, do func(*consume.Worker, string, ...int32) error) error {
	w := b.worker.Load()
	if w == nil {
		return errors.New("the worker has not started yet")
	}
	return do(w, topic)
}

// around runs the body of a process with the admin listener around it: probes and metrics answer from before the body opens
// its parts until after it has closed them. more are further parts that the body stands on.
func (b *base) around(ctx context.Context, admin net.Listener, body part, more ...part) error {
	back := []part{func(ctx context.Context) error { return b.ops.Run(ctx, admin) }, b.reload.Run}
	return together(ctx, []part{body}, append(back, more...))
}

// configValues is the configuration as the admin listener shows it: each key with its value, secrets as (set), and where
// it came from.
func configValues(l config.Loaded) map[string]map[string]string {
	values := map[string]map[string]string{}
	for _, e := range l.Entries() {
		values[e.Name] = map[string]string{"value": e.Value, "origin": e.Origin.String()}
	}
	return values
}

// follow makes the process take the hot keys of a changed configuration file.
func (b *base) follow(s *session) error {
	reloads := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "orderctl_config_reloads_total", Help: "Reloads of the configuration file.",
	}, []string{"result"})
	if err := b.reg.Register(reloads); err != nil {
		return fmt.Errorf("register metrics of reload: %w", err)
	}
	var err error
	b.reload, err = config.NewReloader(config.ReloadOptions{
		Loaded: s.loaded, Log: obs.Component(b.logs.Log, "config"), Hangup: s.env.hangups,
		Applied: func(now *config.Config) {
			var level slog.Level
			if level.UnmarshalText([]byte(now.Log.Level)) == nil { // validated by the reload
				b.logs.Level.Set(level)
			}
		},
		Count: func(result string) { reloads.WithLabelValues(result).Inc() },
	})
	return err
}

// close writes out what the log and the traces still hold.
func (b *base) close(ctx context.Context) error {
	return errors.Join(b.tracing.Shutdown(ctx), b.logs.Close())
}

// part is a piece of a process that blocks until its ctx ends, and returns only when all that it started has ended.
type part func(ctx context.Context) error

// together runs the front parts until ctx ends or one of them fails, and the back parts, which the front ones need to
// their end, a little longer: they stop when every front part has.
func together(ctx context.Context, front, back []part) error {
	// The back parts outlive ctx, so that metrics and probes answer while the front drains.
	rear, stopRear := context.WithCancel(context.WithoutCancel(ctx))
	defer stopRear()
	fore, stopFore := context.WithCancelCause(ctx)
	defer stopFore(nil)
	var backs errgroup.Group
	for _, run := range back {
		backs.Go(func() error {
			err := run(rear)
			if err != nil {
				stopFore(err) // nobody runs on without its back
			}
			return err
		})
	}
	fronts, foreCtx := errgroup.WithContext(fore)
	for _, run := range front {
		fronts.Go(func() error { return run(foreCtx) })
	}
	err := fronts.Wait()
	stopRear()
	return errors.Join(err, backs.Wait())
}

// listen opens a port, or says which flag names another one.
func listen(ctx context.Context, addr, flag string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, exitWith(exitFailed, fmt.Sprintf("cannot listen on %s: %v", addr, cause(err)), "choose another address with --"+flag)
	}
	return l, nil
}
