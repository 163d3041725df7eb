//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"commerce.internal/orderctl/internal/consume"
	"commerce.internal/orderctl/internal/kafka"
	"commerce.internal/orderctl/internal/kafka/group"
	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/store"
)

// turns sees what every member of a group is handed and what it finishes.
type turns struct {
	mu        sync.Mutex
	delivered map[queue.Position]int
	marked    map[string]int64 // by partition: everything below it was finished by somebody
	again     []string         // finished, and handed out once more
	last      map[string]delivery
	// The longest gaps between two records of a partition since they were last asked for: of one that its member keeps, and of
	// one that has gone to another.
	pause, handover time.Duration
}

// delivery is the last one of a partition.
type delivery struct {
	claim *watched
	at    time.Time
}

// gaps returns the longest gaps since the last call.
func (t *turns) gaps() (pause, handover time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	pause, handover = t.pause, t.handover
	t.pause, t.handover = 0, 0
	return pause, handover
}

// see notes that a record is handed out. The caller holds mu.
func (t *turns) see(c *watched) {
	now := time.Now()
	switch was := t.last[c.name()]; was.claim {
	case nil:
	case c:
		t.pause = max(t.pause, now.Sub(was.at))
	default:
		t.handover = max(t.handover, now.Sub(was.at))
	}
	t.last[c.name()] = delivery{c, now}
}

// watched is a claim under their eyes.
type watched struct {
	*group.Claim
	turns   *turns
	records chan queue.Record
}

func (c *watched) Records() <-chan queue.Record { return c.records }

func (c *watched) name() string { return fmt.Sprintf("%s/%d", c.Topic(), c.Partition()) }

func (c *watched) Mark(next int64) {
	c.turns.mu.Lock()
	c.turns.marked[c.name()] = max(c.turns.marked[c.name()], next)
	c.turns.mu.Unlock()
	c.Claim.Mark(next)
}

func (c *watched) forward() {
	defer close(c.records)
	for r := range c.Claim.Records() {
		c.turns.mu.Lock()
		c.turns.delivered[r.Position()]++
		c.turns.see(c)
		if r.Offset < c.turns.marked[c.name()] {
			c.turns.again = append(c.turns.again, r.Position().String())
		}
		c.turns.mu.Unlock()
		c.records <- r
	}
}

// drain is how long a member finishes what it has in hand when a partition is taken from it: at most half its rebalance time.
const drain = 2 * time.Second

// member is one worker of the group.
type member struct {
	t       *testing.T
	turns   *turns
	brokers string
	db      string
	topic   string
}

// run works until ctx ends; owns is told how many partitions were claimed.
func (m member) run(ctx context.Context, owns func()) error {
	quiet := slog.New(slog.DiscardHandler)
	db, err := store.Open(ctx, store.Options{Driver: "sqlite", DSN: m.db, Migrate: true, Log: quiet})
	if err != nil {
		return err
	}
	defer db.Close()
	g, err := group.New(kafka.Options{Brokers: []string{m.brokers}, ClientID: "member", Timeout: 10 * time.Second, Log: quiet},
		group.Options{Group: "members", Topics: []string{m.topic}, Log: quiet, Reg: prometheus.NewRegistry()})
	if err != nil {
		return err
	}
	w, err := consume.New(consume.Options{
		Source: func(ctx context.Context, handle func(consume.Claim)) error {
			return g.Run(ctx, func(claim *group.Claim) {
				c := &watched{Claim: claim, turns: m.turns, records: make(chan queue.Record)}
				var wg sync.WaitGroup
				wg.Go(c.forward)
				owns()
				handle(c)
				wg.Wait()
			})
		},
		Store: db, Publisher: noHops{}, Names: queue.Names{Source: m.topic, Group: "members"}, Order: consume.ByKey,
		OnDead: consume.Continue, Handler: consume.SQL, Concurrency: 1, Batch: 64,
		Local:        consume.Local{Attempts: 3, Base: 100 * time.Millisecond, Cap: 2 * time.Second},
		Breaker:      consume.BreakerOptions{Failures: 5, Ratio: 0.5, Window: 20, ProbeMin: time.Second, ProbeMax: 30 * time.Second},
		DrainTimeout: drain, Unknown: order.KeepUnknown, Log: quiet, Reg: prometheus.NewRegistry(), Now: time.Now, Instance: "member",
	})
	if err != nil {
		return err
	}
	return w.Run(ctx)
}

// noHops: nothing of this fails.
type noHops struct{}

func (noHops) Publish(queue.Message, func(queue.Ack, error)) error { return errNotYet }

// Faults 4: two workers on one host and one database, on real Kafka. For a minute a member joins and leaves every two
// seconds, under load. Nothing that was finished is handed out again (I6), every message takes effect once (I2), and in the
// order of the log (I5): one that came too late would be stale, not applied.
func TestMembersJoinAndLeaveUnderLoad(t *testing.T) {
	t.Parallel()
	kafka.Setup(slog.New(slog.DiscardHandler))
	k := startKafka(t, 1)
	b := newBox(t, "ORDERCTL_KAFKA_BROKERS="+k.Addrs())
	b.must(0, time.Minute, "topics", "apply", "--yes")
	m := member{
		t: t, brokers: k.Addrs(), db: filepath.Join(b.home, "orders.db"), topic: "orders",
		turns: &turns{delivered: map[queue.Position]int{}, marked: map[string]int64{}, last: map[string]delivery{}},
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	all, ctx := errgroup.WithContext(ctx)
	joined := make(chan struct{}, 1_000)
	owns := func() { joined <- struct{}{} }
	all.Go(func() error { return m.run(ctx, owns) })
	select {
	case <-joined:
	case <-ctx.Done():
		t.Fatal(all.Wait())
	}

	loading, enough := context.WithCancel(ctx)
	sent := make(chan int, 1)
	all.Go(func() error {
		n, err := load(loading, k.Addrs())
		sent <- n
		return err
	})
	guests := 0
	var pauses, handovers []time.Duration
	for began := time.Now(); time.Since(began) < time.Minute; guests++ {
		m.turns.gaps()
		here, leave := context.WithCancel(ctx)
		var guest errgroup.Group
		came := make(chan struct{}, 1_000)
		guest.Go(func() error { return m.run(here, func() { came <- struct{}{} }) })
		select {
		case <-came: // it owns something, and keeps it for two seconds
		case <-time.After(time.Minute):
			t.Error("a member joined, and was given nothing within a minute")
		}
		<-time.After(2 * time.Second)
		pause, handover := m.turns.gaps()
		pauses, handovers = append(pauses, pause), append(handovers, handover)
		leave()
		if err := guest.Wait(); err != nil {
			t.Errorf("a member that leaves ends with %v", err)
		}
	}
	enough()
	n := <-sent
	db := openDB(t, m.db)
	eventually(t, 2*time.Minute, "all that was sent is applied", func() error {
		if applied := count(t, db, "SELECT count(*) FROM orderctl_messages WHERE state = 'done' AND outcome = 'applied'"); applied != n {
			return fmt.Errorf("%d of %d", applied, n)
		}
		return nil
	})
	stop()
	if err := all.Wait(); err != nil {
		t.Error(err)
	}
	m.turns.mu.Lock()
	defer m.turns.mu.Unlock()
	if len(m.turns.again) > 0 {
		t.Errorf("%d finished records were handed out again, such as %s", len(m.turns.again), m.turns.again[0])
	}
	if n < 5_000 || guests < 5 {
		t.Errorf("only %d records and %d guests: the test shows little", n, guests)
	}
	slices.Sort(pauses)
	slices.Sort(handovers)
	pause, handover := pauses[guests/2], handovers[guests/2] // of one join something else of the machine may hold up
	t.Logf("%d records, %d guests, %d deliveries; a member joins: partitions that stay pause %v to %v, median %v; those that move %v to %v, median %v",
		n, guests, len(m.turns.delivered), pauses[0], pauses[guests-1], pause, handovers[0], handovers[guests-1], handover)
	if pause >= time.Second {
		t.Errorf("partitions that stay pause %v when a member joins, want less than 1 s", pause)
	}
	if handover >= drain+time.Second || handover == 0 {
		t.Errorf("a partition changes hands in %v, want less than the drain and 1 s", handover)
	}
}

// load sends orders, each through three of its statuses in order, until ctx ends. It returns how many records are written.
func load(ctx context.Context, brokers string) (int, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers), kgo.DefaultProduceTopic("orders"))
	if err != nil {
		return 0, err
	}
	defer cl.Close()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	n := 0
	for i := 0; ; i++ {
		var records []*kgo.Record
		for k := range 4 {
			o := order.Order{
				OrderID: fmt.Sprintf("M-%d-%d", i, k), UserID: "u-1", Currency: "EUR", Timestamp: time.Now().UnixMilli(), HasTotal: true,
				TotalAmount: 500, Items: []order.Item{{ProductID: "P1", Quantity: 2, UnitPrice: 250}},
			}
			for _, o.Status = range []order.Status{order.Created, order.Paid, order.Shipped} {
				records = append(records, &kgo.Record{
					Key: []byte(o.OrderID), Value: o.AppendJSON(nil), Headers: []kgo.RecordHeader{{Key: queue.HeaderID, Value: []byte(o.MessageID())}},
				})
			}
		}
		// What was begun is finished: its outcome must be known.
		if err := cl.ProduceSync(context.WithoutCancel(ctx), records...).FirstErr(); err != nil {
			return n, err
		}
		n += len(records)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return n, nil
		}
	}
}
