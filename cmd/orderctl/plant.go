package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"commerce.internal/orderctl/internal/consume"
	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/inspect/lag/export"
	"commerce.internal/orderctl/internal/kafka/group"
	"commerce.internal/orderctl/internal/kafka/observe"
	"commerce.internal/orderctl/internal/kafka/publish"
	"commerce.internal/orderctl/internal/serve"
	"commerce.internal/orderctl/internal/setup"
	"commerce.internal/orderctl/internal/store"
	"commerce.internal/orderctl/internal/webhook"
)

// plantOptions says which parts a process has.
type plantOptions struct {
	intake, worker, tests bool
	tune                  func(*consume.Options) // of the worker; nil: nothing
	full                  func() error           // why the broker takes no order now; nil: nobody knows before it answers
}

// plant is the working parts of a process: intake, worker, and what they stand on.
type plant struct {
	s        *session
	observer *observe.Observer
	cache    *lag.Cache
	store    *store.Store    // nil: none
	sink     *webhook.Client // nil: orders go to no other service
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
	if err := p.openSink(o.worker); err != nil {
		return err
	}
	if err := p.openLag(b, command, o.worker && !o.intake); err != nil {
		return err
	}
	if o.worker || p.s.cfg.Store.DSN.Reveal() != "" {
		if err := p.openStore(ctx, b, o.worker); err != nil {
			return err
		}
	}
	if o.worker {
		if err := p.openWorker(ctx, b, command, o); err != nil {
			return err
		}
	}
	if o.intake {
		return p.openIntake(ctx, b, command, o)
	}
	return nil
}

// openSink comes first: it connects to nothing, so what is wrong with its settings is said at once.
func (p *plant) openSink(worker bool) (err error) {
	if !worker || p.s.cfg.Consume.Handler != string(consume.Webhook) {
		return nil
	}
	if p.sink, err = webhook.New(p.s.webhookOptions()); err != nil {
		return err
	}
	p.closers = append(p.closers, func(context.Context) error {
		p.sink.Close()
		return nil
	})
	return nil
}

// openLag begins with the lag that metrics show: of a worker alone that of the partitions it owns, else all.
func (p *plant) openLag(b *base, command string, owned bool) (err error) {
	log := b.logs.Log
	p.observer = observe.New(p.s.kafka(command, log))
	p.closers = append(p.closers, func(context.Context) error { return p.observer.Close() })
	if p.cache, err = p.s.lagCache(p.observer, log); err != nil {
		return err
	}
	o := export.Options{Reporter: p.cache}
	if owned {
		o.Owned = func(tp lag.TopicPartition) bool {
			w := b.worker.Load()
			return w != nil && w.Owns(tp.Topic, tp.Partition)
		}
	}
	c, err := export.New(o)
	if err != nil {
		return err
	}
	if err := b.reg.Register(c); err != nil {
		return fmt.Errorf("register metrics of lag: %w", err)
	}
	return nil
}

// openStore opens the database; the operator's statements are read only where orders are applied. Who only takes orders
// does so without it: it is opened when an order is asked for, and neither made nor migrated.
func (p *plant) openStore(ctx context.Context, b *base, applies bool) (err error) {
	o := p.s.storeOptions(b.logs.Log)
	if applies {
		o.EffectFile = p.s.cfg.Consume.EffectFile
		p.store, err = store.Open(ctx, o)
	} else {
		p.store, err = store.OpenLater(o)
	}
	if err != nil {
		return err
	}
	p.closers = append(p.closers, func(context.Context) error { return p.store.Close() })
	return nil
}

func (p *plant) openWorker(ctx context.Context, b *base, command string, with plantOptions) error {
	names := p.s.names()
	o := p.s.publish(b.logs.Log, append(names.Consumed()[1:], names.DLQ())...)
	o.MaxMessage += maxMessageRoom + setup.LetterRoom - maxFrame // whatever the source took, and our headers: else the partition would wait for ever
	hops, err := p.startProducer(ctx, b, command+"-hops", o)
	if err != nil {
		return err
	}
	k := p.s.kafka(command, b.logs.Log)
	if id := p.s.cfg.Consume.InstanceID; id != "" {
		k.ClientID = id
	}
	topics, err := p.subscription(ctx, b)
	if err != nil {
		return err
	}
	g, err := group.New(k, p.s.groupOptions(b, topics, p.store))
	if err != nil {
		return err
	}
	b.ops.Add(groupChecks(g, !with.intake)...)
	guards, err := p.guards(ctx, b, command, g)
	if err != nil {
		return err
	}
	p.worker, err = p.s.worker(b, g, p.store, hops, p.tuned(guards, with.tune))
	if err == nil {
		b.worker.Store(p.worker)
	}
	return err
}

// tuned gives the worker its guards and its sink, and then what the command says.
func (p *plant) tuned(guards consume.Guards, tune func(*consume.Options)) func(*consume.Options) {
	return func(o *consume.Options) {
		o.Guards = guards
		if p.sink != nil {
			o.Sink, o.Deliveries = p.sink, p.s.deliveries()
		}
		if tune != nil {
			tune(o)
		}
	}
}

func (p *plant) openIntake(ctx context.Context, b *base, command string, o plantOptions) error {
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
	var to intake = producer
	if o.full != nil {
		to = guarded{producer, o.full}
	}
	p.server, err = p.s.server(b, to, n, orders, p.cache, o.tests)
	return err
}

// maxFrame is what the frame of a batch adds to its one record.
const maxFrame = 1 << 10

// openProducer makes a producer of records that are as large as the configuration says.
func (p *plant) openProducer(ctx context.Context, b *base, command string, topics ...string) (*publish.Producer, error) {
	return p.startProducer(ctx, b, command, p.s.publish(b.logs.Log, topics...))
}

// startProducer makes a producer that waits for Kafka as long as a start may take, and ends within producer drain time.
func (p *plant) startProducer(ctx context.Context, b *base, command string, o publish.Options) (*publish.Producer, error) {
	k := p.s.kafka(command, b.logs.Log)
	k.Grace = p.s.cfg.Serve.Startup.Grace
	producer, err := publish.New(ctx, k, o)
	if err != nil {
		return nil, err
	}
	b.ops.Add(resultsCheck(producer.Health, time.Now))
	p.closers = append(p.closers, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, p.s.cfg.Serve.Drain.Producer)
		defer cancel()
		return producer.Close(ctx)
	})
	return producer, nil
}

// run runs the worker, where there is one, beside what else is in front, until ctx ends; lag is observed until they have
// drained.
func (p *plant) run(ctx context.Context, front ...part) error {
	switch {
	case p.worker == nil:
	case p.server != nil:
		front = append(front, runsUntil(p.server.Draining(), p.worker.Run))
	default:
		front = append(front, p.worker.Run)
	}
	return together(ctx, front, []part{p.cache.Run})
}

// runsUntil is run, whose end is asked for when stop is closed, and not when ctx ends: a server that was told to stop still
// takes orders for a while, and those are applied too. Whoever ends ctx closes stop.
func runsUntil(stop <-chan struct{}, run part) part {
	return func(ctx context.Context) error {
		own, end := context.WithCancelCause(context.WithoutCancel(ctx))
		var wg sync.WaitGroup
		defer wg.Wait()
		defer end(nil)
		wg.Go(func() {
			select {
			case <-stop:
				end(context.Cause(ctx))
			case <-own.Done():
			}
		})
		return run(own)
	}
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
