package bench

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"commerce.internal/orderctl/internal/broker/brokertest"
	"commerce.internal/orderctl/internal/consume"
	"commerce.internal/orderctl/internal/kafka"
	"commerce.internal/orderctl/internal/kafka/group"
	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/store"
	"commerce.internal/orderctl/internal/store/dbtest"
)

// server is PostgreSQL that keeps what it has committed, as one in production does.
type server struct {
	mu sync.Mutex
	*dbtest.Server
	n int
}

func (s *server) database(b *testing.B) string {
	b.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Server == nil {
		s.Server = dbtest.StartPostgresWith(b, "fsync=on")
	}
	s.n++
	name := fmt.Sprintf("bench_%d", s.n)
	s.Exec(b, "postgres", "CREATE DATABASE "+name)
	return s.DSN(name)
}

var postgres server

func TestMain(m *testing.M) {
	kafka.Setup(quiet())
	code := m.Run()
	if postgres.Server != nil {
		postgres.Close()
	}
	os.Exit(code)
}

const partitions = 6

// place is a log full of orders and a kind of database.
type place struct {
	broker *brokertest.Broker
	driver string
	rounds int
}

// produce writes n new orders to a topic of its own.
func (p *place) produce(b *testing.B, n int) (topic string) {
	b.Helper()
	p.rounds++
	topic = fmt.Sprintf("orders%d", p.rounds)
	p.broker.CreateTopic(topic, partitions, nil)
	cl := p.broker.Client()
	now := time.Now()
	records := make([]*kgo.Record, n)
	for i := range records {
		o := order.Order{
			OrderID: fmt.Sprintf("%s-%d", topic, i), UserID: "u-17850", Status: order.Created, Currency: "EUR", Timestamp: now.UnixMilli(),
			HasTotal: true, TotalAmount: 3 * 6 * 255,
		}
		for _, product := range []string{"85123A", "71053", "84406B"} {
			o.Items = append(o.Items, order.Item{ProductID: product, Quantity: 6, UnitPrice: 255})
		}
		records[i] = &kgo.Record{
			Topic: topic, Key: []byte(o.OrderID), Value: o.AppendJSON(nil),
			Headers: []kgo.RecordHeader{{Key: queue.HeaderID, Value: []byte(o.MessageID())}},
		}
	}
	if err := cl.ProduceSync(b.Context(), records...).FirstErr(); err != nil {
		b.Fatal(err)
	}
	return topic
}

// dsn is an empty database.
func (p *place) dsn(b *testing.B) string {
	b.Helper()
	if p.driver == "postgres" {
		return postgres.database(b)
	}
	return filepath.Join(b.TempDir(), "orders.db")
}

// clock measures from the first transaction to the last: joining a group is not what is compared.
type clock struct {
	consume.Store
	mu          sync.Mutex
	first, last time.Time
}

func (c *clock) tick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last = time.Now(); c.first.IsZero() {
		c.first = c.last
	}
}

func (c *clock) Apply(ctx context.Context, group string, look []queue.Lookup, decide func(int, queue.Seen) queue.Change) ([]error, error) {
	c.tick()
	defer c.tick()
	return c.Store.Apply(ctx, group, look, decide)
}

// nobody publishes: no order of these fails.
type nobody struct{}

func (nobody) Publish(queue.Message, func(queue.Ack, error)) error { return os.ErrInvalid }

// worker applies n orders and returns how many a second.
func (p *place) worker(b *testing.B, n, batch int) float64 {
	b.Helper()
	topic := p.produce(b, n)
	db, err := store.Open(b.Context(), store.Options{Driver: p.driver, DSN: p.dsn(b), MaxOpen: 16, Migrate: true, Log: quiet()})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	g, err := group.New(kafka.Options{Brokers: []string{p.broker.Addr()}, ClientID: "bench", Timeout: 10 * time.Second, Log: quiet()},
		group.Options{Group: topic, Topics: []string{topic}, Log: quiet(), Reg: prometheus.NewRegistry()})
	if err != nil {
		b.Fatal(err)
	}
	c := &clock{Store: db}
	concurrency := 4
	if p.driver == "sqlite" {
		concurrency = 1
	}
	w, err := consume.New(consume.Options{
		Source: func(ctx context.Context, handle func(consume.Claim)) error {
			return g.Run(ctx, func(claim *group.Claim) { handle(claim) })
		},
		Store: c, Publisher: nobody{}, Names: queue.Names{Source: topic, Group: topic}, Order: consume.ByKey, OnDead: consume.Continue,
		Handler: consume.SQL, Concurrency: concurrency, Batch: batch,
		Local:        consume.Local{Attempts: 3, Base: 100 * time.Millisecond, Cap: 2 * time.Second},
		Breaker:      consume.BreakerOptions{Failures: 5, Ratio: 0.5, Window: 20, ProbeMin: time.Second, ProbeMax: 30 * time.Second},
		DrainTimeout: 5 * time.Second, Unknown: order.KeepUnknown, Log: quiet(), Reg: prometheus.NewRegistry(), Now: time.Now,
		MaxMessages: n, Instance: "bench",
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := w.Run(b.Context()); err != nil {
		b.Fatal(err)
	}
	return float64(n) / c.last.Sub(c.first).Seconds()
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// usual applies n orders as it is usually done.
func (p *place) usual(b *testing.B, n int) float64 {
	b.Helper()
	topic := p.produce(b, n)
	name, dsn := "sqlite", p.dsn(b)
	if p.driver == "postgres" {
		name = "pgx"
	} else {
		dsn = "file:" + dsn + "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate"
	}
	db, err := sql.Open(name, dsn)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	if p.driver == "sqlite" {
		db.SetMaxOpenConns(1) // one writer, always: more of them only wait for each other
	}
	l := &loop{db: db, want: n, done: make(chan struct{})}
	if err := l.create(b.Context()); err != nil {
		b.Fatal(err)
	}
	if err := l.run(b.Context(), p.broker.Addr(), topic); err != nil {
		b.Fatal(err)
	}
	return float64(n) / l.last.Sub(l.first).Seconds()
}

// compare runs two ways in turn, so that what else the machine does meets both, and reports medians.
func compare(b *testing.B, fast, slow string, one, other func() float64) {
	var a, z, ratios []float64
	for range b.N {
		x, y := one(), other()
		a, z, ratios = append(a, x), append(z, y), append(ratios, x/y)
	}
	b.ReportMetric(0, "ns/op") // of no meaning here
	b.ReportMetric(median(a), fast+"/s")
	b.ReportMetric(median(z), slow+"/s")
	b.ReportMetric(median(ratios), "times")
	b.Logf("pairs: %.1f", ratios)
}

func median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}

// BenchmarkWorker is batches of 64 against batches of one, and against the loop that is usually written: interleaved pairs,
// medians of orders a second. Run it with -benchtime 5x.
func BenchmarkWorker(b *testing.B) {
	const many, few = 20_000, 2_000
	for _, driver := range []string{"sqlite", "postgres"} {
		b.Run(driver, func(b *testing.B) {
			start := func(b *testing.B) *place { return &place{broker: brokertest.Start(b), driver: driver} }
			b.Run("batch64-batch1", func(b *testing.B) {
				p := start(b)
				compare(b, "batch64", "batch1", func() float64 { return p.worker(b, many, 64) }, func() float64 { return p.worker(b, few, 1) })
			})
			b.Run("batch64-usual", func(b *testing.B) {
				p := start(b)
				compare(b, "batch64", "usual", func() float64 { return p.worker(b, many, 64) }, func() float64 { return p.usual(b, few) })
			})
		})
	}
}
