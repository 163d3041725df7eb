// Package group takes part in a consumer group: which partitions are ours, their records in order, and the offsets that
// are done. Kafka forgets a record only when the caller has marked it; what a record means is not known here.
package group

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/prometheus/client_golang/prometheus"

	"commerce.internal/orderctl/internal/kafka"
	"commerce.internal/orderctl/internal/obs"
	"commerce.internal/orderctl/internal/queue"
)

const (
	minBackoff  = 200 * time.Millisecond // between two sessions
	maxBackoff  = 5 * time.Second
	longSession = 5 * time.Second // after one that lasted so long the pause begins small again
	closeGrace  = 5 * time.Second // for the last commit and the leave, once all claims are drained
)

// Group is one member of a consumer group.
type Group struct {
	kafka kafka.Options
	opts  Options
	log   *slog.Logger
	met   *metrics

	commits *commits

	mu      sync.Mutex
	session sarama.ConsumerGroupSession // the current one; nil: none
	end     context.CancelCauseFunc     // ends the current session
	claims  map[place]*Claim
	parked  map[place]string // partitions that are not read, and why
	reads   map[place]string // the ids of the topics that are read
	running *running

	generation int32 // of the session, when it was last looked at
}

// running is what lives while Run runs.
type running struct {
	client *kafka.Client // of the group: JoinGroup, Fetch, OffsetCommit
	look   *kafka.Client // of questions beside it, which must not wait behind a Fetch
	member sarama.ConsumerGroup
}

type place struct {
	topic     string
	partition int32
}

// New returns a member; Run makes it join.
func New(k kafka.Options, o Options) (*Group, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	met, err := newMetrics(o.Reg)
	if err != nil {
		return nil, err
	}
	if o.Memory == nil {
		o.Memory = &forgetful{logs: map[place]queue.Log{}}
	}
	return &Group{
		kafka: k, opts: o, log: o.Log, met: met, commits: newCommits(met),
		claims: map[place]*Claim{}, parked: map[place]string{}, reads: map[place]string{},
	}, nil
}

// Run joins the group and calls handle for every partition that becomes ours, each in a goroutine of its own, until ctx is
// done. Then every claim's channel closes; when all handlers have returned, the last offsets are committed and the group is
// left. handle returns when the channel of its claim is closed and what it holds is drained, not before: an early return
// ends the session of all partitions. Run returns nil when ctx ended it.
func (g *Group) Run(ctx context.Context, handle func(*Claim)) error {
	r, err := g.connect(ctx)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("join group %s: %w", g.opts.Group, err)
	}
	g.setRunning(r)
	defer g.setRunning(nil)

	beside, stop := context.WithCancel(context.WithoutCancel(ctx)) // the drain after ctx still needs errors counted
	defer stop()
	left := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { g.drain(beside, r.member.Errors()) })
	wg.Go(func() { g.watch(beside) })
	wg.Go(func() { g.hurry(ctx, r, left) })

	err = g.loop(ctx, r.member, &handler{g: g, handle: handle})
	if e := r.member.Close(); e != nil && err == nil && ctx.Err() == nil {
		err = g.kafka.Explain(e)
	}
	close(left)
	stop()
	wg.Wait()
	if e := errors.Join(r.client.Close(), r.look.Close()); e != nil {
		g.log.WarnContext(ctx, "closing the kafka clients failed", slog.Any(obs.KeyError, e))
	}
	if err != nil {
		return fmt.Errorf("consume as group %s: %w", g.opts.Group, err)
	}
	return nil
}

// connect checks that the topics are there and makes the clients.
func (g *Group) connect(ctx context.Context) (*running, error) {
	if err := g.awaitTopics(ctx); err != nil {
		return nil, err
	}
	client, err := kafka.Dial(ctx, g.kafka, kafka.ForGroup, g.opts.apply)
	if err != nil {
		return nil, err
	}
	look, err := kafka.Dial(ctx, g.kafka, kafka.ForRead)
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	member, err := sarama.NewConsumerGroupFromClient(g.opts.Group, gate{Client: client.Client, admit: g.admit, look: look})
	if err != nil {
		return nil, errors.Join(err, client.Close(), look.Close())
	}
	return &running{client: client, look: look, member: member}, nil
}

func (g *Group) awaitTopics(ctx context.Context) error {
	// Dial waits for a broker that is still starting; the question for topics alone would not.
	client, err := kafka.Dial(ctx, g.kafka, kafka.ForRead)
	if err != nil {
		return err
	}
	if err := client.Close(); err != nil {
		return err
	}
	_, err = kafka.Partitions(ctx, g.kafka, g.opts.Topics...)
	return err
}

// loop keeps a session up. Consume returns whenever a session ends, with an error or without; the pause keeps a broken
// group from being asked again and again.
func (g *Group) loop(ctx context.Context, member sarama.ConsumerGroup, h *handler) error {
	pause := minBackoff
	var last string
	for ctx.Err() == nil {
		began := time.Now()
		err := g.consume(ctx, member, h)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			g.met.errors.Inc()
			if fatal(err) || (!h.joined() && denied(err)) {
				return g.kafka.Explain(err)
			}
			if err.Error() != last {
				last = err.Error()
				g.log.WarnContext(ctx, "the group session failed", slog.String(obs.KeyGroup, g.opts.Group), slog.Any(obs.KeyError, err))
			}
		}
		if time.Since(began) >= longSession {
			pause, last = minBackoff, ""
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause + rand.N(pause/4)):
		}
		pause = min(2*pause, maxBackoff)
	}
	return nil
}

// consume is one session.
func (g *Group) consume(ctx context.Context, member sarama.ConsumerGroup, h *handler) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	g.mu.Lock()
	g.end = cancel
	g.mu.Unlock()
	return member.Consume(ctx, g.opts.Topics, h)
}

// Rejoin ends the current session: every claim is drained, and the member joins anew.
func (g *Group) Rejoin(ctx context.Context, reason string) {
	g.mu.Lock()
	end := g.end
	g.mu.Unlock()
	if end == nil {
		return
	}
	g.log.WarnContext(ctx, "the group session is ended to join anew", slog.String(obs.KeyGroup, g.opts.Group), slog.String(obs.KeyReason, reason))
	end(errors.New(reason))
}

// hurry bounds the end: once ctx is done and all claims are drained, the last commit and the leave get closeGrace, for a
// silent coordinator would hold them for as long as a JoinGroup may take.
func (g *Group) hurry(ctx context.Context, r *running, left <-chan struct{}) {
	select {
	case <-left:
		return
	case <-ctx.Done():
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for held := time.Now(); time.Since(held) < closeGrace; {
		select {
		case <-left:
			return
		case now := <-tick.C:
			if g.held() > 0 {
				held = now
			}
		}
	}
	g.log.WarnContext(ctx, "the coordinator does not answer: leaving without its word", slog.String(obs.KeyGroup, g.opts.Group))
	r.client.Cut()
	r.look.Cut()
}

func (g *Group) held() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.claims)
}

func (g *Group) setRunning(r *running) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running = r
}

func (g *Group) looker() *kafka.Client {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.running == nil {
		return nil
	}
	return g.running.look
}

// register keeps prometheus out of the way of groups without a registry.
func register(reg prometheus.Registerer, all ...prometheus.Collector) error {
	if reg == nil {
		return nil
	}
	for _, c := range all {
		if err := reg.Register(c); err != nil {
			return fmt.Errorf("register metric: %w", err)
		}
	}
	return nil
}
