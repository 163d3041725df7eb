package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"commerce.internal/orderctl/internal/consume"
	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/inspect/lag/export"
	"commerce.internal/orderctl/internal/kafka/group"
	"commerce.internal/orderctl/internal/kafka/observe"
	"commerce.internal/orderctl/internal/kafka/publish"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/serve"
	"commerce.internal/orderctl/internal/store"
)

func newServeCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "serve", Short: "Takes orders over HTTP and answers 202 once Kafka has them on all in-sync replicas.",
		GroupID: groupRun, Args: noArgs,
		Example: `# take orders on port 8080
orderctl serve
# take them and apply them in one process
orderctl serve --with-consumer
# another port, metrics on a port of their own
orderctl serve --addr 127.0.0.1:8081 --admin-addr 127.0.0.1:8092`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.load(cmd)
			if err != nil {
				return err
			}
			a.tuneMemory()
			return runServe(cmd.Context(), s)
		},
	}
	fs := cmd.Flags()
	keyFlag(cmd, fs, "serve.addr", "addr", "", "`HOST:PORT` of the API")
	keyFlag(cmd, fs, "serve.admin.addr", "admin-addr", "", "`HOST:PORT` of probes, metrics and log level")
	keyFlag(cmd, fs, "serve.with_consumer", "with-consumer", "", "apply orders too, in the same process")
	exits(cmd, exitOK, "stopped, every order in hand answered", exitFailed, "", exitUsage, "", exitUnreachable, "no Kafka within serve.startup.grace",
		exitDenied, "", exitNotFound, "a topic is missing: orderctl topics apply")
	seeAlso(cmd, "orderctl consume", "orderctl topics apply", "orderctl help config")
	return cmd
}

// runServe runs order intake, and the worker where it is asked for. It stops in this order: intake and worker drain side
// by side, then probes and metrics end, then the producers, the database and the log are closed.
func runServe(ctx context.Context, s *session) (err error) {
	c := s.cfg.Serve
	b, err := s.base(ctx, "orderctl-serve", c.Admin, c.WithConsumer)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close(context.WithoutCancel(ctx))) }()
	api, err := listen(ctx, c.Addr, "addr")
	if err != nil {
		return err
	}
	admin, err := listen(ctx, c.Admin.Addr, "admin-addr")
	if err != nil {
		return errors.Join(err, api.Close())
	}
	p, err := s.openPlant(ctx, b, "serve", plantOptions{intake: true, worker: c.WithConsumer})
	if err != nil {
		return errors.Join(err, api.Close(), admin.Close())
	}
	defer func() { err = errors.Join(err, p.close(context.WithoutCancel(ctx))) }()
	s.runsUntilStopped(p.inHand)
	front := []part{func(ctx context.Context) error { return p.server.Run(ctx, api) }}
	if p.worker != nil {
		front = append(front, p.worker.Run)
	}
	b.ops.Started()
	b.logs.Log.InfoContext(ctx, "listening", slog.String("api", api.Addr().String()), slog.String("admin", admin.Addr().String()))
	return together(ctx, front, []part{
		func(ctx context.Context) error { return b.ops.Run(ctx, admin) }, p.cache.Run, b.reload.Run,
	})
}

// plantOptions says which parts a process has.
type plantOptions struct {
	intake, worker, tests bool
	tune                  func(*consume.Options) // of the worker; nil: nothing
}

// plant is the working parts of a process: intake, worker, and what they stand on.
type plant struct {
	s        *session
	observer *observe.Observer
	cache    *lag.Cache
	store    *store.Store // nil: none
	server   *serve.Server
	worker   *consume.Worker
	closers  []func(context.Context) error // closed last to first
}

// openPlant opens the parts in the order in which they need each other. What is open when one fails is closed again.
func (s *session) openPlant(ctx context.Context, b *base, command string, o plantOptions) (*plant, error) {
	p := &plant{s: s}
	if err := p.open(ctx, b, command, o); err != nil {
		return nil, errors.Join(err, p.close(context.WithoutCancel(ctx)))
	}
	return p, nil
}

func (p *plant) open(ctx context.Context, b *base, command string, o plantOptions) error {
	if err := p.openLag(b, command); err != nil {
		return err
	}
	if o.worker || p.s.cfg.Store.DSN.Reveal() != "" {
		if err := p.openStore(ctx, b, o.worker); err != nil {
			return err
		}
	}
	if o.worker {
		if err := p.openWorker(ctx, b, command, o.tune); err != nil {
			return err
		}
	}
	if o.intake {
		return p.openIntake(ctx, b, command, o.tests)
	}
	return nil
}

func (p *plant) openLag(b *base, command string) (err error) {
	log := b.logs.Log
	p.observer = observe.New(p.s.kafka(command, log))
	p.closers = append(p.closers, func(context.Context) error { return p.observer.Close() })
	if p.cache, err = p.s.lagCache(p.observer, log); err != nil {
		return err
	}
	c, err := export.New(export.Options{Reporter: p.cache})
	if err != nil {
		return err
	}
	if err := b.reg.Register(c); err != nil {
		return fmt.Errorf("register metrics of lag: %w", err)
	}
	return nil
}

// openStore opens the database; the operator's statements are read only where orders are applied.
func (p *plant) openStore(ctx context.Context, b *base, effect bool) (err error) {
	o := p.s.storeOptions(b.logs.Log)
	if effect {
		o.EffectFile = p.s.cfg.Consume.EffectFile
	}
	if p.store, err = store.Open(ctx, o); err != nil {
		return err
	}
	p.closers = append(p.closers, func(context.Context) error { return p.store.Close() })
	return nil
}

func (p *plant) openWorker(ctx context.Context, b *base, command string, tune func(*consume.Options)) error {
	names := p.s.names()
	hops, err := p.openProducer(ctx, b, command+"-hops", append(names.Consumed()[1:], names.DLQ())...)
	if err != nil {
		return err
	}
	g, err := group.New(p.s.kafka(command, b.logs.Log), p.s.groupOptions(b))
	if err != nil {
		return err
	}
	p.worker, err = p.s.worker(b, g, p.store, hops, tune)
	b.worker = p.worker
	return err
}

func (p *plant) openIntake(ctx context.Context, b *base, command string, tests bool) error {
	topic := p.s.cfg.Consume.Topic
	producer, err := p.openProducer(ctx, b, command, topic)
	if err != nil {
		return err
	}
	n, err := producer.Partitions(topic)
	if err != nil {
		return err
	}
	var orders serve.OrderReader
	if p.store != nil {
		orders = p.store
	}
	p.server, err = p.s.server(b, producer, n, orders, p.cache, tests)
	return err
}

// openProducer makes a producer that waits for Kafka as long as a start may take, and ends within producer drain time.
func (p *plant) openProducer(ctx context.Context, b *base, command string, topics ...string) (*publish.Producer, error) {
	k := p.s.kafka(command, b.logs.Log)
	k.Grace = p.s.cfg.Serve.Startup.Grace
	producer, err := publish.New(ctx, k, p.s.publish(b.logs.Log, topics...))
	if err != nil {
		return nil, err
	}
	p.closers = append(p.closers, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, p.s.cfg.Serve.Drain.Producer)
		defer cancel()
		return producer.Close(ctx)
	})
	return producer, nil
}

// inHand is how many orders wait for their end.
func (p *plant) inHand() int {
	n := 0
	if p.server != nil {
		n += p.server.InFlight()
	}
	if p.worker != nil {
		n += p.worker.Health().InFlight
	}
	return n
}

func (p *plant) close(ctx context.Context) error {
	var errs []error
	for i := len(p.closers) - 1; i >= 0; i-- {
		errs = append(errs, p.closers[i](ctx))
	}
	return errors.Join(errs...)
}

// lagSource shows the newest verdict to GET /metrics/consumer_lag.
type lagSource struct{ cache *lag.Cache }

// Consumer implements serve.LagSource.
func (l lagSource) Consumer(_ context.Context, group, topic string) (serve.ConsumerLag, error) {
	r, err := l.cache.Report()
	if err != nil {
		return serve.ConsumerLag{}, err
	}
	c, ok := r.Consumer(group, topic)
	if !ok {
		return serve.ConsumerLag{}, fmt.Errorf("group %q, topic %q: %w", group, topic, queue.ErrNotFound)
	}
	v := serve.ConsumerLag{Group: group, Topic: topic, Complete: c.Complete, TotalLag: ptr(c.TotalLag), TotalLagMin: c.TotalLagMin, Timestamp: c.Timestamp}
	for _, p := range c.Partitions {
		v.Partitions = append(v.Partitions, serve.PartitionLag{
			Partition: p.Partition, CurrentOffset: ptr(p.CurrentOffset), LogEndOffset: ptr(p.LogEndOffset), Lag: ptr(p.Lag),
			Status: string(p.Status), Member: ptr(p.Member),
		})
	}
	return v, nil
}

func ptr[T any](m lag.Maybe[T]) *T {
	if !m.Known {
		return nil
	}
	return &m.V
}
