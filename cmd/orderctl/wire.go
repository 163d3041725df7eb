package main

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"commerce.internal/orderctl/internal/consume"
	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/kafka"
	"commerce.internal/orderctl/internal/kafka/admin"
	"commerce.internal/orderctl/internal/kafka/group"
	"commerce.internal/orderctl/internal/kafka/observe"
	"commerce.internal/orderctl/internal/kafka/publish"
	"commerce.internal/orderctl/internal/obs"
	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/produce"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/serve"
	"commerce.internal/orderctl/internal/store"
	"commerce.internal/orderctl/internal/webhook"
)

// What the features ask for is what the adapters are.
var (
	_ serve.Publisher   = (*publish.Producer)(nil)
	_ consume.Publisher = (*publish.Producer)(nil)
	_ consume.Sink      = (*webhook.Client)(nil)
	_ produce.Publisher = (*publish.Producer)(nil)
	_ consume.Store     = (*store.Store)(nil)
	_ group.Memory      = (*store.Store)(nil)
	_ serve.OrderReader = (*store.Store)(nil)
	_ serve.LagSource   = (*lag.Cache)(nil)
	_ lag.Source        = (*observe.Observer)(nil)
)

// kafka returns the options of the clients of one command.
func (s *session) kafka(command string, log *slog.Logger) kafka.Options {
	k := s.cfg.Kafka
	kafka.Setup(obs.Component(log, "sarama"))
	return kafka.Options{
		Brokers: k.Brokers, ClientID: "orderctl-" + command, Timeout: k.Timeout, Idempotent: k.Idempotent, Log: log,
		TLS: kafka.TLSOptions{
			Enabled: k.TLS.Enabled, CAFile: k.TLS.CAFile, CertFile: k.TLS.CertFile, KeyFile: k.TLS.KeyFile, ServerName: k.TLS.ServerName,
		},
		SASL: kafka.SASLOptions{
			Mechanism: k.SASL.Mechanism, Username: k.SASL.Username, Password: k.SASL.Password.Reveal(), AllowPlaintext: k.SASL.AllowPlaintext,
			OAuth: kafka.OAuthOptions{
				TokenURL: k.SASL.OAuth.TokenURL, ClientID: k.SASL.OAuth.ClientID,
				ClientSecret: k.SASL.OAuth.ClientSecret.Reveal(), Scope: k.SASL.OAuth.Scope,
			},
		},
	}
}

// names returns the topics of the configured source and group.
func (s *session) names() queue.Names {
	return queue.Names{Source: s.cfg.Consume.Topic, Group: s.cfg.Consume.Group, Tiers: s.cfg.Consume.Retry}
}

func (s *session) publish(log *slog.Logger, topics ...string) publish.Options {
	p := s.cfg.Producer
	return publish.Options{
		Topics: topics, AckTimeout: p.AckTimeout, RetryMax: p.RetryMax, RetryBackoff: p.RetryBackoff, Compression: p.Compression,
		Linger: p.Linger, MaxMessage: int(p.MaxMessageBytes), MaxBuffer: int64(p.MaxBufferBytes), ChannelBuffer: p.ChannelBuffer,
		PerPartition: s.cfg.Serve.Limits.PerPartition, EnqueueTimeout: s.cfg.Serve.Timeouts.Enqueue, Log: log,
	}
}

// storeOptions says which database remembers. Without a dsn it is a file in the state directory.
func (s *session) storeOptions(log *slog.Logger) store.Options {
	c := s.cfg.Store
	dsn := c.DSN.Reveal()
	if dsn == "" {
		dsn = filepath.Join(stateDir(s.env), "orders.db")
	}
	return store.Options{
		Driver: c.Driver, DSN: dsn, Password: c.Password.Reveal(), Log: log,
		MaxOpen: c.Pool.MaxOpen, MaxIdle: c.Pool.MaxIdle, MaxLife: c.Pool.MaxLifetime,
		Migrate: c.Migrate == "true" || c.Migrate == "auto" && c.Driver == "sqlite",
	}
}

func stateDir(e env) string {
	if dir := e.lookup("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "orderctl")
	}
	return filepath.Join(e.lookup("HOME"), ".local", "state", "orderctl")
}

func (s *session) unknown(byDefault order.Unknown) order.Unknown {
	if s.cfg.Order.Unknown == "" {
		return byDefault
	}
	return order.Unknown(s.cfg.Order.Unknown)
}

// groupOptions says how the consumer group is joined.
func (s *session) groupOptions(b *base, topics []string, memory group.Memory) group.Options {
	return group.Options{
		Memory: memory,
		Group:  s.cfg.Consume.Group, Topics: topics, From: s.cfg.Consume.From, InstanceID: s.cfg.Consume.InstanceID,
		Log: obs.Component(b.logs.Log, "group"), Reg: b.reg,
	}
}

// worker builds the worker on the parts that it is made of.
func (s *session) worker(b *base, g *group.Group, st *store.Store, p *publish.Producer, more func(*consume.Options)) (*consume.Worker, error) {
	c := s.cfg.Consume
	o := consume.Options{
		Source: func(ctx context.Context, handle func(consume.Claim)) error {
			return g.Run(ctx, func(claim *group.Claim) { handle(claim) })
		},
		Store: st, Publisher: p, Names: s.names(), Order: consume.Ordering(c.Order), OnDead: consume.OnDead(c.OnDead),
		Handler: consume.Handler(c.Handler), Concurrency: s.concurrency(), Batch: s.batch(),
		Local:        consume.Local{Attempts: c.Local.Attempts, Base: c.Local.Base, Cap: c.Local.Cap},
		DrainTimeout: c.DrainTimeout, Unknown: s.unknown(order.KeepUnknown), Currency: s.cfg.Order.Currency,
		Breaker: consume.BreakerOptions{
			Failures: c.Breaker.Failures, Ratio: float64(c.Breaker.Ratio), Window: c.Breaker.Window,
			ProbeMin: c.Breaker.ProbeMin, ProbeMax: c.Breaker.ProbeMax,
		},
		MaxAge: c.MaxAge, Rate: float64(c.Rate), LoadTest: c.LoadTest, OnTooLarge: c.DLQ.OnTooLarge, Instance: s.instance(),
		Log: obs.Component(b.logs.Log, "consume"), Reg: b.reg, Now: s.env.now, Out: s.stdout,
	}
	if more != nil {
		more(&o)
	}
	w, err := consume.New(o)
	if err != nil {
		return nil, fmt.Errorf("build worker: %w", err)
	}
	b.ops.Add(w.Checks()...)
	return w, nil
}

// concurrency is how many transactions run at once: SQLite has one writer, always.
func (s *session) concurrency() int {
	switch c := s.cfg.Consume; {
	case s.cfg.Store.Driver == "sqlite":
		return 1
	case c.Concurrency > 0:
		return c.Concurrency
	case c.Handler == string(consume.SQL):
		return 4
	default:
		return 16
	}
}

// deliveries is how many orders are on their way to another service at once: no transaction is open meanwhile.
func (s *session) deliveries() int {
	if n := s.cfg.Consume.Concurrency; n > 0 {
		return n
	}
	return 16
}

func (s *session) webhookOptions() webhook.Options {
	w := s.cfg.Webhook
	return webhook.Options{
		URL: w.URL, Secrets: w.Secrets(), Timeout: w.Timeout, Now: s.env.now, AllowCIDRs: w.AllowCIDRs, AllowHTTP: w.AllowHTTP,
	}
}

func (s *session) batch() int {
	switch {
	case s.cfg.Consume.Batch > 0:
		return s.cfg.Consume.Batch
	case s.cfg.Store.Driver == "sqlite":
		return 256
	default:
		return 64
	}
}

// instance is this worker's name in the headers of its hops.
func (s *session) instance() string {
	if id := s.cfg.Consume.InstanceID; id != "" {
		return id
	}
	return "orderctl-consume"
}

// server builds the order intake.
func (s *session) server(b *base, p intake, partitions int32, orders serve.OrderReader, cache *lag.Cache, tests bool) (*serve.Server, error) {
	c := s.cfg.Serve
	topic := s.cfg.Consume.Topic
	o := serve.Options{
		Publisher: p, Partition: kafka.Partitioner(), Partitions: partitions, Topic: topic, Group: s.cfg.Consume.Group,
		Log: obs.Component(b.logs.Log, "serve"), Audit: obs.Component(b.logs.Audit, "serve"), Reg: b.reg,
		Tracer: b.tracing.Provider.Tracer("orderctl/serve"),
		Timeouts: serve.Timeouts{
			ReadHeader: c.Timeouts.ReadHeader, Read: c.Timeouts.Read, Write: c.Timeouts.Write, Idle: c.Timeouts.Idle, Publish: c.Timeouts.Publish,
		},
		Drain: serve.Drain{Delay: c.Drain.Delay, HTTP: c.Drain.HTTP},
		Limits: serve.Limits{
			Body: int64(c.Limits.Body), BatchBody: int64(c.Limits.BatchBody), Batch: c.Limits.Batch, Header: int(c.Limits.Header),
			Connections: c.Limits.Connections, InFlight: c.Limits.InFlight, PerPartition: c.Limits.PerPartition,
			InFlightBytes: int64(c.Limits.InFlightBytes),
		},
		Breaker: serve.Breaker{Failures: c.Breaker.Failures, Probe: c.Breaker.Probe},
		Unknown: s.unknown(order.RejectUnknown), Currency: s.cfg.Order.Currency, Orders: orders, Lag: cache,
		PartitionsNow: func() (int32, error) { return p.Partitions(topic) }, TestRoutes: tests || c.TestRoutes,
		ProblemBase: c.ProblemBase, ReadyNeedKafka: c.Ready.RequireKafka,
	}
	watch := s.kafka("serve-watch", b.logs.Log)
	watch.Timeout = min(watch.Timeout, 5*time.Second) // a silent broker is down; the answer of the others must not be old by then
	cluster := admin.New(watch)
	o.Cluster = func(ctx context.Context) (serve.Cluster, error) {
		r, err := cluster.Reach(ctx, topic)
		return serve.Cluster{Up: r.Up, MinInSync: r.MinInSync}, err
	}
	if c.PublicOps {
		o.Ops = b.ops.Handler()
	}
	srv, err := serve.New(o)
	if err != nil {
		return nil, fmt.Errorf("build server: %w", err)
	}
	b.ops.Add(srv.Checks()...)
	b.ops.Mount("/metrics/consumer_lag", srv.ConsumerLag())
	return srv, nil
}

// lagCache refreshes what /metrics and /metrics/consumer_lag show.
func (s *session) lagCache(o *observe.Observer, log *slog.Logger) (*lag.Cache, error) {
	m := s.cfg.Metrics.ConsumerLag
	groups := m.Groups
	if len(groups) == 0 {
		groups = []string{s.cfg.Consume.Group}
	}
	return lag.NewCache(lag.CacheOptions{
		Source: o, Query: lag.Query{Groups: groups, Topics: s.names().All(), SLO: s.cfg.Lag.SLO}, Policy: s.lagPolicy(),
		Every: m.Refresh, Log: obs.Component(log, "lag"),
	})
}

func (s *session) lagPolicy() lag.Policy {
	c := s.cfg.Lag
	return lag.Policy{
		Configured: s.cfg.Consume.Group, FromLatest: s.cfg.Consume.From == "latest", Tolerance: int64(c.Tolerance),
		StallAfter: c.StallAfter, WarnAge: c.WarnAge, CritAge: c.CritAge, WarnUnread: int64(c.WarnUnread), CritUnread: int64(c.CritUnread),
		WarnDLQ: int64(c.WarnDLQ), CritDLQ: int64(c.CritDLQ),
	}
}

// brokers names the cluster's addresses in texts.
func (s *session) brokers() string { return strings.Join(s.cfg.Kafka.Brokers, ", ") }

// ask runs one question to Kafka under --timeout.
func ask[T any](ctx context.Context, s *session, call func(context.Context) (T, error)) (T, error) {
	return within(ctx, s.timeout(), "Kafka at "+s.brokers(), call)
}

func (s *session) timeout() time.Duration { return s.cfg.Kafka.Timeout }
