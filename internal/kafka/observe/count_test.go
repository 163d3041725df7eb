package observe_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"commerce.internal/orderctl/internal/broker/brokertest"
	"commerce.internal/orderctl/internal/inspect/lag"
)

// counter counts what each node of a cluster is asked, and makes each answer a little late.
type counter struct {
	mu    sync.Mutex
	nodes map[int32]map[kmsg.Key]int
}

func counting(b *brokertest.Broker, late time.Duration) *counter {
	c := &counter{nodes: map[int32]map[kmsg.Key]int{}}
	b.Control(func(req kmsg.Request) (kmsg.Response, error, bool) {
		b.KeepControl()
		c.mu.Lock()
		node := b.CurrentNode()
		if c.nodes[node] == nil {
			c.nodes[node] = map[kmsg.Key]int{}
		}
		c.nodes[node][kmsg.Key(req.Key())]++
		c.mu.Unlock()
		if late > 0 {
			b.SleepControl(func() { <-time.After(late) })
		}
		return nil, nil, false
	})
	return c
}

// take returns the greatest number of requests of a kind that one node got since the last call, and that of all.
func (c *counter) take() func(kmsg.Key) (most, all int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := c.nodes
	c.nodes = map[int32]map[kmsg.Key]int{}
	return func(k kmsg.Key) (most, all int) {
		for _, n := range taken {
			most, all = max(most, n[k]), all+n[k]
		}
		return most, all
	}
}

// large is a cluster of three nodes with 1,200 partitions in 30 topics and 60 groups, two to a topic, that have read half of
// it. The command itself is held against a cluster ten times as large.
func large(t *testing.T) *brokertest.Broker {
	t.Helper()
	b := brokertest.Start(t, brokertest.Nodes(3), brokertest.SleepOutOfOrder())
	var recs []*kgo.Record
	for i := range 30 {
		topic := fmt.Sprintf("orders-%d", i)
		b.CreateTopic(topic, 40, nil)
		for p := range int32(40) {
			at := time.Now().Add(-time.Duration(i) * time.Minute)
			recs = append(recs, &kgo.Record{Topic: topic, Partition: p, Value: []byte("v"), Timestamp: at},
				&kgo.Record{Topic: topic, Partition: p, Value: []byte("v"), Timestamp: at.Add(30 * time.Second)})
		}
	}
	if err := client(b).ProduceSync(t.Context(), recs...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	cl := b.Client(kgo.MaxVersions(kversion.V3_0_0())) // from v10 on a commit wants topic ids
	for i := range 60 {
		req := kmsg.NewPtrOffsetCommitRequest()
		req.Group, req.Generation = fmt.Sprintf("group-%d", i), -1
		rt := kmsg.NewOffsetCommitRequestTopic()
		rt.Topic = fmt.Sprintf("orders-%d", i%30)
		for p := range int32(40) {
			rp := kmsg.NewOffsetCommitRequestTopicPartition()
			rp.Partition, rp.Offset = p, 1
			rt.Partitions = append(rt.Partitions, rp)
		}
		req.Topics = append(req.Topics, rt)
		if _, err := req.RequestWith(t.Context(), cl); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func TestBudgetOfALargeCluster(t *testing.T) {
	t.Parallel()
	b := large(t)
	c := counting(b, 5*time.Millisecond)
	w := watching(t, observer(t, b.Addrs()...), lag.Query{All: true, SLO: 5 * time.Minute, Reuse: 30 * time.Second})
	if r := tick(t, w); len(r.Groups) != 60 || !r.Complete || r.Groups[0].Total != 40 || !r.Groups[0].Oldest.Known {
		t.Fatalf("%d groups, complete %v, %+v", len(r.Groups), r.Complete, r.Groups[0].Oldest)
	}
	of := c.take()
	for k, limit := range map[kmsg.Key]int{
		kmsg.ListGroups: 1, kmsg.OffsetFetch: 1, kmsg.DescribeGroups: 1, kmsg.FindCoordinator: 0, kmsg.ListOffsets: 4 + 15, kmsg.DescribeConfigs: 1,
	} {
		if most, _ := of(k); most > limit {
			t.Errorf("%s: one node was asked %d times, more than %d", k.Name(), most, limit)
		}
	}
	if _, all := of(kmsg.Metadata); all > 3+2 { // three probes of the dial, the cluster once, the dead-letter topics once
		t.Errorf("%d metadata requests", all)
	}
	// A tick: commits, stable ends, ends, marks, and whether members have come. Nothing has moved, so no age is looked for.
	tick(t, w)
	of = c.take()
	for k, limit := range map[kmsg.Key]int{
		kmsg.OffsetFetch: 1, kmsg.ListOffsets: 3, kmsg.Metadata: 0, kmsg.ListGroups: 0, kmsg.DescribeGroups: 1, kmsg.DescribeConfigs: 0,
	} {
		if most, _ := of(k); most > limit {
			t.Errorf("tick: %s: one node was asked %d times, more than %d", k.Name(), most, limit)
		}
	}
}

func watching(t *testing.T, src lag.Source, q lag.Query) *lag.Window {
	t.Helper()
	w, err := lag.NewWindow(src, q, lag.Policy{}, "")
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func tick(t *testing.T, w *lag.Window) lag.Report {
	t.Helper()
	s, err := w.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.Add(s)
	return w.Report()
}

func TestATickSeesWhatChanges(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(2, "orders"), brokertest.Nodes(2))
	fill(t, b, "orders", 2, time.Now().Add(-10*time.Minute))
	commit(t, b, "g", map[lag.TopicPartition]int64{tp("orders", 0): 10, tp("orders", 1): 20})
	c := counting(b, 0)
	o := observer(t, b.Addrs()...)
	w := watching(t, o, lag.Query{Groups: []string{"g"}, SLO: 5 * time.Minute, Reuse: time.Hour})
	tick(t, w)
	c.take()
	commit(t, b, "g", map[lag.TopicPartition]int64{tp("orders", 0): 60})
	fill(t, b, "orders", 1, time.Now())
	b.MoveTopicPartition("orders", 1, 1-b.LeaderFor("orders", 1))
	r := tick(t, w)
	rows := rowsOf(r.Groups[0])
	if a, z := rows["orders/0"], rows["orders/1"]; a.Unread.V != 140 || z.Unread.V != 80 || !a.Oldest.Known || !z.Start.Known || !r.Complete || a.Out.V <= 0 {
		t.Errorf("%+v\n%+v", a, z)
	}
	of := c.take()
	if _, lists := of(kmsg.ListGroups); lists > 0 {
		t.Errorf("%d times asked for all groups", lists)
	}
	b.RehashCoordinators()
	b.RemoveNode(b.CoordinatorFor("g"))
	b.CutConnections()
	if r := tick(t, w); r.Groups[0].Known != 2 || r.Groups[0].Unread.V != 220 {
		t.Errorf("after the coordinator and all connections have gone: %d known, %v unread", r.Groups[0].Known, r.Groups[0].Unread)
	}
}

// A group that comes, and members that come, are seen by the next tick.
func TestATickSeesWhoComes(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(1, "orders"))
	fill(t, b, "orders", 1, time.Now())
	w := watching(t, observer(t, b.Addr()), lag.Query{Groups: []string{"g"}, SLO: time.Minute, Reuse: time.Hour})
	if r := tick(t, w); len(r.MissingGroups) != 1 {
		t.Fatalf("%+v", r)
	}
	commit(t, b, "g", map[lag.TopicPartition]int64{tp("orders", 0): 1})
	if r := tick(t, w); len(r.Groups) != 1 || r.Groups[0].State.V != lag.StateEmpty || r.Groups[0].Unread.V != 99 {
		t.Fatalf("%+v", r)
	}
	c := counting(b, 0)
	worker := client(b, kgo.ConsumerGroup("g"), kgo.ConsumeTopics("orders"), kgo.DisableAutoCommit())
	worker.PollFetches(t.Context())
	b.WaitGroupStable("g", 1)
	c.take()
	if g := tick(t, w).Groups[0]; g.State.V != lag.StateStable || g.Members != lag.Know(1) || g.Partitions[0].Owner == nil {
		t.Errorf("%+v", g)
	}
	if _, n := c.take()(kmsg.ListGroups); n > 0 {
		t.Errorf("all groups were asked for %d times", n)
	}
}

func TestTheConfigurationOfTopics(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.TopicWith("orders", 1, map[string]string{
		"retention.ms": "600000", "retention.bytes": "1000000", "message.timestamp.type": "LogAppendTime", "cleanup.policy": "delete",
	}), brokertest.TopicWith("payments", 1, map[string]string{"retention.ms": "9223372036854775807"}))
	c := counting(b, 0)
	commit(t, b, "g", map[lag.TopicPartition]int64{tp("orders", 0): 0, tp("payments", 0): 0})
	b.ControlKey(kmsg.DescribeConfigs, func(kreq kmsg.Request) (kmsg.Response, error, bool) { // once
		req := kreq.(*kmsg.DescribeConfigsRequest)
		res := req.ResponseKind().(*kmsg.DescribeConfigsResponse)
		for _, r := range req.Resources {
			refused := kmsg.NewDescribeConfigsResponseResource()
			refused.ErrorCode, refused.ResourceType, refused.ResourceName = kerr.TopicAuthorizationFailed.Code, r.ResourceType, r.ResourceName
			res.Resources = append(res.Resources, refused)
		}
		return res, nil, true
	})
	denied := observer(t, b.Addr())
	q := lag.Query{Groups: []string{"g"}, SLO: time.Minute}
	s, r := look(t, denied, q)
	if obs := s.Topics["orders"]; obs.Retention.Known || obs.Cleanup != "" || !r.Complete {
		t.Errorf("refused: %+v, complete %v", obs, r.Complete)
	}
	o := observer(t, b.Addr())
	c.take()
	for range 3 {
		s, _ = look(t, o, q)
	}
	want := lag.TopicObs{
		Exists: lag.Know(true), Partitions: 1, Cleanup: "delete", TimestampType: "LogAppendTime",
		Retention: lag.Know(10 * time.Minute), RetentionBytes: lag.Know[int64](1_000_000),
	}
	if obs := s.Topics["payments"]; obs.Retention.V < 290*365*24*time.Hour {
		t.Errorf("kept as long as can be said: %v", obs.Retention.V)
	}
	if obs := s.Topics["orders"]; obs != want {
		t.Errorf("%+v, want %+v", obs, want)
	}
	if _, n := c.take()(kmsg.DescribeConfigs); n != 1 {
		t.Errorf("asked %d times within a minute", n)
	}
}
