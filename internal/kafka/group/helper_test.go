package group_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"commerce.internal/orderctl/internal/broker/brokertest"
	"commerce.internal/orderctl/internal/kafka"
	"commerce.internal/orderctl/internal/kafka/group"
	"commerce.internal/orderctl/internal/queue"
)

func TestMain(m *testing.M) {
	kafka.Setup(slog.New(slog.DiscardHandler))
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"))
}

// fast is a clock for tests.
func fast() group.Timing {
	return group.Timing{Session: 3 * time.Second, Heartbeat: 100 * time.Millisecond, Rebalance: 5 * time.Second, Read: 10 * time.Second}
}

func client(addr, id string) kafka.Options {
	return kafka.Options{Brokers: []string{addr}, ClientID: id, Timeout: 10 * time.Second, Log: slog.New(slog.DiscardHandler)}
}

// member is one running member that finishes every record at once.
type member struct {
	*group.Group
	reg  *prometheus.Registry
	stop func() error // ends it cleanly and returns what Run returned
	wait func() error // waits until Run returns by itself

	mu     sync.Mutex
	got    []queue.Record
	claims map[string]int // times that a partition became ours
	open   map[string]*group.Claim
	lost   map[string]int64
	halts  []string
	more   chan struct{}
}

// join starts a member of group "g" on topic "orders".
func join(t *testing.T, b *brokertest.Broker, tweaks ...func(*group.Options)) *member {
	t.Helper()
	m := &member{
		reg: prometheus.NewRegistry(), claims: map[string]int{}, open: map[string]*group.Claim{}, lost: map[string]int64{},
		more: make(chan struct{}, 1),
	}
	o := group.Options{
		Group: "g", Topics: []string{"orders"}, Timing: fast(), MaxWait: 20 * time.Millisecond,
		Log: slog.New(slog.DiscardHandler), Reg: m.reg,
		OnLost: func(topic string, p int32, n int64) { m.note(func() { m.lost[name(topic, p)] += n }) },
		OnHalt: func(topic string, p int32, why string) {
			m.note(func() { m.halts = append(m.halts, name(topic, p)+" "+why) })
		},
	}
	for _, tweak := range tweaks {
		tweak(&o)
	}
	g, err := group.New(client(b.Addr(), "orderctl-test"), o)
	if err != nil {
		t.Fatal(err)
	}
	m.Group = g
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	var result error
	wg.Go(func() { result = g.Run(ctx, m.handle) })
	m.wait = func() error { wg.Wait(); return result }
	m.stop = func() error { cancel(); return m.wait() }
	t.Cleanup(func() { _ = m.stop() })
	return m
}

func name(topic string, p int32) string { return fmt.Sprintf("%s/%d", topic, p) }

func (m *member) note(fn func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	fn()
	select {
	case m.more <- struct{}{}:
	default:
	}
}

func (m *member) handle(c *group.Claim) {
	at := name(c.Topic(), c.Partition())
	m.note(func() { m.claims[at]++; m.open[at] = c })
	for r := range c.Records() {
		m.note(func() { m.got = append(m.got, r) })
		c.Mark(r.Offset + 1)
	}
	m.note(func() { delete(m.open, at) })
}

func (m *member) records() []queue.Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]queue.Record(nil), m.got...)
}

func (m *member) owned() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.open)
}

func (m *member) claim(topic string, p int32) *group.Claim {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.open[name(topic, p)]
}

// count returns the value of a counter, summed over its labels unless one is named.
func (m *member) count(t *testing.T, metric, label string) float64 {
	t.Helper()
	families, err := m.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var sum float64
	for _, f := range families {
		if f.GetName() != metric {
			continue
		}
		for _, one := range f.GetMetric() {
			if label == "" || (len(one.GetLabel()) > 0 && one.GetLabel()[0].GetValue() == label) {
				sum += one.GetCounter().GetValue()
			}
		}
	}
	return sum
}

// until waits until ok says yes.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited 30 s until %s", what)
		}
	}
}

// fill writes n records to each of the first parts partitions.
func fill(t *testing.T, b *brokertest.Broker, parts, n int) {
	t.Helper()
	var all []queue.Message
	for p := range parts {
		for i := range n {
			all = append(all, queue.Message{Topic: "orders", Partition: int32(p), Key: []byte("k"), Value: fmt.Appendf(nil, "%d-%d", p, i)})
		}
	}
	brokertest.Produce(t, b, all...)
}

func committed(t *testing.T, b *brokertest.Broker, p int32) int64 {
	t.Helper()
	at, ok := b.Committed(t, "g")[brokertest.TP{Topic: "orders", Partition: p}]
	if !ok {
		return -1
	}
	return at
}

// distinct returns how many different records there are, and how often the most frequent was received.
func distinct(rs ...[]queue.Record) (n, most int) {
	seen := map[queue.Position]int{}
	for _, all := range rs {
		for _, r := range all {
			seen[r.Position()]++
			most = max(most, seen[r.Position()])
		}
	}
	return len(seen), most
}

// run runs a member with a handler of its own.
func run(t *testing.T, g *group.Group, handle func(*group.Claim)) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	var result error
	wg.Go(func() { result = g.Run(ctx, handle) })
	stop = func() error { cancel(); wg.Wait(); return result }
	t.Cleanup(func() { _ = stop() })
	return stop
}

// start starts a broker that takes the clock of these tests.
func start(t *testing.T, opts ...brokertest.Option) *brokertest.Broker {
	t.Helper()
	return brokertest.Start(t, append(opts, brokertest.MinSession(time.Second))...)
}
