package tui_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/tui"
)

// cluster is what clients of a test look at.
type cluster struct {
	mu      sync.Mutex
	dialled int
	closed  int
	ages    int
	down    error
	mute    bool
	unread  int64
	missing bool
	hole    bool  // one partition has no answer
	flows   bool  // each look finds everything a hundred records further
	begun   int64 // of the flow
	gone    bool  // nobody answers, though the client remembers what there is
}

func (c *cluster) dial() tui.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dialled++
	return &client{c}
}

type client struct{ *cluster }

func (c *client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed++
	return nil
}

func (c *client) Snapshot(ctx context.Context, q lag.Query) (lag.Snapshot, error) {
	c.mu.Lock()
	down, mute := c.down, c.mute
	c.mu.Unlock()
	if mute {
		<-ctx.Done()
		return lag.Snapshot{}, fmt.Errorf("ask: %w", ctx.Err())
	}
	if down != nil {
		return lag.Snapshot{}, down
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.snapshot(q), nil
}

func (c *cluster) snapshot(q lag.Query) lag.Snapshot {
	s := lag.Snapshot{
		AsOf: time.Now(), Took: 5 * time.Millisecond, SLO: q.SLO, Groups: map[string]lag.GroupObs{}, Topics: map[string]lag.TopicObs{},
		Partitions: map[lag.TopicPartition]lag.PartitionObs{}, Isolation: lag.ReadCommitted,
	}
	if c.missing {
		s.Groups["orders-worker"] = lag.GroupObs{State: lag.StateDead, Coordinator: 1, Members: lag.Know([]lag.MemberObs{}), Commits: lag.Know(map[lag.TopicPartition]lag.CommitObs{})}
		return s
	}
	commits := map[lag.TopicPartition]lag.CommitObs{}
	var owned []lag.TopicPartition
	add := func(topic string, p int32, committed, end int64) {
		tp := lag.TopicPartition{Topic: topic, Partition: p}
		commits[tp] = lag.CommitObs{Offset: committed, At: s.AsOf}
		owned = append(owned, tp)
		s.Topics[topic] = lag.TopicObs{Exists: lag.Know(true), Partitions: int(p) + 1}
		s.Partitions[tp] = lag.PartitionObs{
			Leader: 1, Epoch: 1, ISR: 3, Replicas: 3, EndAt: s.AsOf, Start: lag.Know[int64](0), High: lag.Know(end), Stable: lag.Know(end),
			Mark: lag.Know(lag.OffsetAt{Offset: -1}), Hour: lag.Know(lag.OffsetAt{Offset: -1}),
		}
		if c.flows && topic == "orders" { // all of it is younger than the SLO
			o := s.Partitions[tp]
			o.Mark = lag.Know(lag.OffsetAt{Offset: 0, Time: s.AsOf.Add(-s.SLO)})
			s.Partitions[tp] = o
		}
	}
	if c.flows {
		c.begun += 100
	}
	add("orders", 0, 1000+c.begun, 1000+c.begun+c.unread)
	add("orders", 1, 500, 500)
	add("orders.orders-worker.retry.5s", 0, 10, 13)
	add("orders.orders-worker.retry.5s", 1, 10, 14)
	if c.hole {
		s.Partitions[lag.TopicPartition{Topic: "orders", Partition: 1}] = lag.PartitionObs{Leader: -1, Epoch: -1, Problem: lag.NoAnswer}
	}
	if c.gone {
		for tp := range s.Partitions {
			s.Partitions[tp] = lag.PartitionObs{Leader: 1, Problem: lag.NoAnswer}
		}
		s.Groups["orders-worker"] = lag.GroupObs{Problem: lag.NoAnswer, Coordinator: -1}
		return s
	}
	dlq := lag.TopicPartition{Topic: "orders.orders-worker.dlq"}
	s.Topics[dlq.Topic] = lag.TopicObs{Exists: lag.Know(true), Partitions: 1}
	s.Partitions[dlq] = lag.PartitionObs{
		Leader: 1, EndAt: s.AsOf, Start: lag.Know[int64](0), High: lag.Know[int64](27), Stable: lag.Know[int64](27), Mark: lag.Know(lag.OffsetAt{Offset: -1}),
	}
	s.Groups["orders-worker"] = lag.GroupObs{
		Type: "classic", State: lag.StateStable, Coordinator: 1, Commits: lag.Know(commits),
		Members: lag.Know([]lag.MemberObs{{ID: "m1", ClientID: "worker-1", Host: "/10.0.0.1", Assigned: owned, Subscribed: []string{"orders", "orders.orders-worker.retry.5s"}}}),
	}
	return s
}

func (c *client) OffsetsAt(_ context.Context, at map[lag.TopicPartition]time.Time) (map[lag.TopicPartition]lag.Maybe[lag.OffsetAt], error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ages++
	found := map[lag.TopicPartition]lag.Maybe[lag.OffsetAt]{}
	for tp := range at {
		old := 40 * time.Second
		if c.flows {
			old = time.Second
		}
		found[tp] = lag.Know(lag.OffsetAt{Offset: 1000 + c.begun, Time: time.Now().Add(-old)})
	}
	return found, nil
}

func newLive(t *testing.T, c *cluster, spoil func(*tui.LiveOptions)) *tui.Live {
	t.Helper()
	o := tui.LiveOptions{
		Group: "orders-worker", Dial: c.dial, Query: lag.Query{Groups: []string{"orders-worker"}, SLO: 5 * time.Minute}, Now: time.Now, Interval: 2 * time.Second,
		Policy: lag.Policy{Configured: "orders-worker"},
	}
	if spoil != nil {
		spoil(&o)
	}
	l, err := tui.NewLive(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func wait(d time.Duration) { <-time.After(d) }

func TestASampleHasTheFiguresOfTheVerdict(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{unread: 7}
		l := newLive(t, c, nil)
		if _, err := l.Sample(t.Context()); err != nil {
			t.Fatal(err)
		}
		wait(2 * time.Second)
		c.mu.Lock()
		c.unread = 27
		c.mu.Unlock()
		s, err := l.Sample(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		g := s.Group
		if g.Unread != lag.Know[int64](27) || g.AtLeast || !g.Complete || g.In != lag.Know(10.0) || g.Out != lag.Know(0.0) || g.Members != lag.Know(1) ||
			!slices.Equal(g.Names, []string{"worker-1"}) || g.State != lag.Know(lag.StateStable) || g.SLO != 300 {
			t.Errorf("the group is %+v", g)
		}
		if len(s.Rows) != 2 || len(s.Pinned) != 2 {
			t.Fatalf("%d rows, %d pinned", len(s.Rows), len(s.Pinned))
		}
		for _, r := range s.Rows {
			if r.Partition == 0 && (r.Unread != lag.Know[int64](27) || r.Owner != lag.Know("worker-1") || r.Leader != lag.Know[int32](1) || !r.Counted) {
				t.Errorf("orders/0 is %+v", r)
			}
		}
		tier, dlq := s.Pinned[0], s.Pinned[1]
		if tier.Name != "retry.5s" || tier.Unread != lag.Know[int64](7) || tier.Partition != -1 || dlq.Name != "dlq" || dlq.Unread != lag.Know[int64](27) || !dlq.AtMost {
			t.Errorf("pinned %+v and %+v", tier, dlq)
		}
		if !s.NoStore || !s.NoMetrics || s.Pending.Known || s.Metrics.Known {
			t.Errorf("without store and metrics: %v %v", s.NoStore, s.NoMetrics)
		}
		if err := l.Close(); err != nil || c.closed != 1 {
			t.Errorf("closed %d, %v", c.closed, err)
		}
	})
}

func TestUnknownPartitionsMakeLowerBounds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{unread: 7, hole: true}
		l := newLive(t, c, nil)
		defer l.Close()
		var s tui.Sample
		for range 2 {
			var err error
			if s, err = l.Sample(t.Context()); err != nil {
				t.Fatal(err)
			}
			wait(2 * time.Second)
		}
		g := s.Group
		if g.Unread != lag.Know[int64](7) || !g.AtLeast || g.Complete || !g.RatesMin || g.Severity != "UNKNOWN" {
			t.Errorf("the group is %+v", g)
		}
		for _, r := range s.Rows {
			if r.Partition == 1 && (r.Unread.Known || r.End.Known || r.In.Known || r.Status != lag.Unknown) {
				t.Errorf("a partition without an answer is %+v", r)
			}
		}
	})
}

func TestAfterAFailureComesANewClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{unread: 7}
		l := newLive(t, c, nil)
		defer l.Close()
		for range 3 {
			if _, err := l.Sample(t.Context()); err != nil || c.dialled != 1 {
				t.Fatalf("%v, %d clients", err, c.dialled)
			}
			wait(2 * time.Second)
		}
		c.down = errors.New("connection refused")
		for i := range 3 {
			if _, err := l.Sample(t.Context()); err == nil || c.closed != i+1 {
				t.Fatalf("%v, %d closed", err, c.closed)
			}
		}
		c.down, c.mute = nil, true
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		if _, err := l.Sample(ctx); err == nil || err.Error() != "Kafka did not answer within 4s" || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("silence is %v", err)
		}
		c.mute, c.gone = false, true
		if _, err := l.Sample(t.Context()); err == nil || err.Error() != "no broker answers" || c.closed != 5 {
			t.Errorf("nobody answers: %v, %d closed", err, c.closed)
		}
		c.gone = false
		if s, err := l.Sample(t.Context()); err != nil || s.Group.Unread.V != 7 || c.dialled != 6 {
			t.Errorf("%v, %+v, %d clients", err, s.Group.Unread, c.dialled)
		}
	})
}

func TestAMissingGroupIsASample(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{missing: true}
		l := newLive(t, c, nil)
		defer l.Close()
		if s, err := l.Sample(t.Context()); err != nil || !s.Group.Missing || s.Group.Unread.Known {
			t.Errorf("%v, %+v", err, s.Group)
		}
	})
}

func TestAgesAreLookedForEveryFiveSecondsAndEstimatedBetween(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{unread: 7}
		l := newLive(t, c, nil)
		defer l.Close()
		asked := []int{}
		for range 6 {
			s, err := l.Sample(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			asked = append(asked, c.ages)
			if r := s.Rows[0]; !r.Oldest.Known || r.Oldest.V < 39 || r.Oldest.V > 52 {
				t.Errorf("the oldest is %+v old", r.Oldest)
			}
			c.mu.Lock()
			c.unread++
			c.mu.Unlock()
			wait(2 * time.Second)
		}
		if asked[0] == 0 || asked[1] != asked[0] || asked[2] != asked[0] {
			t.Errorf("rounds of ages by sample: %v", asked)
		}
	})
}

// A queue that is always a second behind is not about to break its SLO, though ages are only looked for every five seconds.
func TestEstimatedAgesAreNoTrend(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{unread: 7, flows: true}
		l := newLive(t, c, nil)
		defer l.Close()
		for i := range 60 {
			s, err := l.Sample(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if s.Group.Breach.Known && s.Group.Breach.V != "no" || i > 30 && !s.Group.Breach.Known {
				t.Fatalf("sample %d: breach %+v in %+v, oldest %+v", i, s.Group.Breach, s.Group.BreachIn, s.Group.Oldest)
			}
			wait(2 * time.Second)
		}
	})
}

func TestStoreAndMetricsAreAskedBesideAndNeverInTheWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{unread: 7}
		var silent atomic.Bool
		asked := 0
		due := time.Now().Add(time.Minute)
		l := newLive(t, c, func(o *tui.LiveOptions) {
			o.Whole = true
			o.Pending = func(ctx context.Context) (tui.Pending, error) {
				asked++
				if silent.Load() {
					<-ctx.Done()
					return tui.Pending{}, ctx.Err()
				}
				return tui.Pending{At: time.Now(), Retry: 3, Dead: int64(asked), Tiers: map[string]tui.TierCount{"orders.orders-worker.retry.5s": {Count: 3, NextDue: due}}}, nil
			}
			o.Scrape = func(context.Context) (tui.Metrics, error) { return tui.Metrics{Accepted: lag.Know(12.0)}, nil }
		})
		ctx, cancel := context.WithCancel(t.Context())
		var beside sync.WaitGroup
		beside.Go(func() {
			if err := l.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		sample := func() tui.Sample {
			t.Helper()
			begin := time.Now()
			s, err := l.Sample(t.Context())
			if took := time.Since(begin); err != nil || took > 100*time.Millisecond {
				t.Fatalf("%v, took %s", err, took)
			}
			return s
		}
		s := sample()
		if !s.Pending.Known || s.Pending.V.Dead != 1 || s.Metrics.V.Accepted != lag.Know(12.0) || s.NoStore || s.NoMetrics || s.Pinned[0].Due != lag.Know(60.0) {
			t.Errorf("the first sample: %+v %+v, tier due %+v", s.Pending, s.Metrics, s.Pinned[0].Due)
		}
		wait(11 * time.Second)
		synctest.Wait()
		if s = sample(); s.Pending.V.Dead != 2 {
			t.Errorf("after 11 s the store was asked %d times", s.Pending.V.Dead)
		}
		silent.Store(true) // it does not answer any more
		wait(30 * time.Second)
		s = sample()
		if !s.Pending.Known || s.Pending.V.Dead != 2 || s.At.Sub(s.Pending.V.At) < 25*time.Second || s.NoStore {
			t.Errorf("a store that stops: %+v", s.Pending)
		}
		cancel()
		beside.Wait()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestALiveNeedsItsParts(t *testing.T) {
	t.Parallel()
	good := tui.LiveOptions{Group: "g", Dial: (&cluster{}).dial, Now: time.Now}
	for _, spoil := range []func(*tui.LiveOptions){
		func(o *tui.LiveOptions) { o.Group = "" }, func(o *tui.LiveOptions) { o.Dial = nil }, func(o *tui.LiveOptions) { o.Now = nil },
	} {
		o := good
		spoil(&o)
		if _, err := tui.NewLive(o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}

func TestRowsOfTheStoreAddUp(t *testing.T) {
	t.Parallel()
	tier := "orders.orders-worker.retry.1m"
	p := tui.NewPending(noon, []queue.PendingSum{
		{State: queue.StateRetry, Class: queue.ClassTimeout, Topic: tier, Count: 100, NextDue: after(9)},
		{State: queue.StateRetry, Class: queue.ClassRetryable, Topic: tier, Count: 50, NextDue: after(3)},
		{State: queue.StateRetry, Class: queue.ClassRetryable, Topic: "", Count: 1},
		{State: queue.StateParked, Topic: tier, Count: 41, NextDue: after(7)},
		{State: queue.StateDead, Class: queue.ClassDecode, Topic: "orders.orders-worker.dlq", Count: 2, Newest: after(-60)},
		{State: queue.StateDead, Class: queue.ClassExhausted, Topic: "orders.orders-worker.dlq", Count: 18, Newest: after(-40), OrderID: "536412", Attempts: 5},
		{State: queue.StateDead, Class: queue.ClassExhausted, Topic: "", Count: 1, Newest: after(-90)},
		{State: queue.StateDiscarded, Class: queue.ClassDecode, Count: 9},
	})
	if p.Retry != 151 || p.Parked != 41 || p.Dead != 21 || !p.NextDue.Equal(after(3)) || p.Tiers[tier] != (tui.TierCount{Count: 191, NextDue: after(3)}) {
		t.Errorf("%+v", p)
	}
	if want := (tui.ClassCount{Class: "exhausted", Count: 19, Newest: after(-40), OrderID: "536412", Attempts: 5}); len(p.Classes) != 2 || p.Classes[0] != want {
		t.Errorf("classes %+v", p.Classes)
	}
}
