package observe_test

import (
	"context"
	"math"
	"net"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"commerce.internal/orderctl/internal/broker/brokertest"
	"commerce.internal/orderctl/internal/inspect/lag"
)

// golden plays the scenario of the golden test of package lag: 100 records a partition, record i stamped 30 minutes ago
// plus i seconds.
func golden(t *testing.T) *brokertest.Broker {
	t.Helper()
	b := brokertest.Start(t, brokertest.Topics(4, "orders"))
	fill(t, b, "orders", 4, time.Now().Add(-30*time.Minute))
	b.DeleteRecords("orders", 2, 40)
	commit(t, b, "workers", map[lag.TopicPartition]int64{tp("orders", 0): 90, tp("orders", 2): 5, tp("orders", 3): 120})
	commit(t, b, "audit", map[lag.TopicPartition]int64{tp("orders", 0): 100, tp("orders", 1): 100, tp("orders", 2): 100, tp("orders", 3): 100})
	return b
}

func TestGoldenScenario(t *testing.T) {
	t.Parallel()
	written := time.Now().Add(-30 * time.Minute)
	b := golden(t)
	c := counting(b, 0)
	r := tick(t, watching(t, observer(t, b.Addr()), lag.Query{All: true, SLO: 5 * time.Minute}))
	if n, _ := c.take()(kmsg.ListOffsets); n > 4+15 {
		t.Errorf("%d ListOffsets", n)
	}
	if len(r.Groups) != 2 || !r.Complete {
		t.Fatalf("%+v", r)
	}
	known := lag.Know[int64]
	g := r.Groups[1]
	rows := rowsOf(g)
	for name, want := range map[string]struct {
		unread, lost, ahead int64
		record              int // the next one; -1: nothing waits
		reasons             []lag.Status
	}{
		"orders/0": {10, 0, 0, 90, []lag.Status{lag.NoMembers, lag.TooOld}},
		"orders/1": {100, 0, 0, 0, []lag.Status{lag.NoMembers, lag.TooOld, lag.NeverCommitted}},
		"orders/2": {60, 35, 0, 40, []lag.Status{lag.Lost, lag.NoMembers, lag.TooOld}},
		"orders/3": {0, 0, 20, -1, []lag.Status{lag.Ahead}},
	} {
		row := rows[name]
		age := 0.0
		if want.record >= 0 {
			age = r.AsOf.Sub(written.Add(time.Duration(want.record) * time.Second)).Seconds()
		}
		if math.Abs(row.Oldest.V-age) > 1.5 || !row.Oldest.Known { // a second, and what the clock went on between two lines above
			t.Errorf("%s is %v old, want %v", name, row.Oldest, age)
		}
		if row.Unread != known(want.unread) || row.Stale != known(want.unread) || row.Lost != known(want.lost) ||
			row.Ahead != known(want.ahead) || !slices.Equal(row.Reasons, want.reasons) {
			t.Errorf("%s: %+v; want %+v", name, row, want)
		}
	}
	if g.Unread != known(170) || g.Lost != known(35) || g.Ahead != known(20) || g.Status != lag.SevCritical {
		t.Errorf("total %v unread, %v lost, %v ahead, %v", g.Unread, g.Lost, g.Ahead, g.Status)
	}
	if a := r.Groups[0]; a.Group != "audit" || a.Status != lag.SevOK || a.Unread != known(0) {
		t.Errorf("audit %+v", a)
	}
}

func TestGoldenScenarioWithoutALeader(t *testing.T) {
	t.Parallel()
	b := golden(t)
	o := observer(t, b.Addr())
	b.ControlKey(kmsg.Metadata, func(req kmsg.Request) (kmsg.Response, error, bool) {
		b.KeepControl()
		return leaderless(req.(*kmsg.MetadataRequest), b), nil, true
	})
	_, r := look(t, o, lag.Query{Groups: []string{"workers"}, SLO: 5 * time.Minute})
	g := r.Groups[0]
	if g.Unread != lag.Know[int64](160) || !g.LowerBound || r.Complete || g.Known != 3 || g.Total != 4 {
		t.Errorf("%v unread, lower bound %v, complete %v, %d of %d", g.Unread, g.LowerBound, r.Complete, g.Known, g.Total)
	}
	rows := rowsOf(g)
	if row := rows["orders/0"]; row.Status != lag.Leaderless || row.Unread.Known || row.End.Known || row.Lost.Known || row.Committed != lag.Know[int64](90) {
		t.Errorf("orders/0 %+v", row)
	}
	if row := rows["orders/2"]; row.Unread != lag.Know[int64](60) || row.Lost != lag.Know[int64](35) {
		t.Errorf("orders/2 %+v", row)
	}
}

// leaderless answers for topic orders as the broker would, had partition 0 no leader.
func leaderless(req *kmsg.MetadataRequest, b *brokertest.Broker) kmsg.Response {
	res := req.ResponseKind().(*kmsg.MetadataResponse)
	host, port := split(b.Addr())
	node := kmsg.NewMetadataResponseBroker()
	node.Host, node.Port = host, port
	res.Brokers = append(res.Brokers, node)
	asked := []string{"orders"}
	for i, t := range req.Topics {
		if i == 0 {
			asked = nil
		}
		asked = append(asked, *t.Topic)
	}
	for _, name := range asked {
		topic := kmsg.NewMetadataResponseTopic()
		topic.Topic = &name
		if name != "orders" {
			topic.ErrorCode = 3
		}
		for p := range int32(4) {
			part := kmsg.NewMetadataResponseTopicPartition()
			part.Partition, part.Replicas, part.ISR = p, []int32{0}, []int32{0}
			if p == 0 {
				part.Leader, part.ErrorCode, part.ISR = -1, 5, nil
			}
			if name == "orders" {
				topic.Partitions = append(topic.Partitions, part)
			}
		}
		res.Topics = append(res.Topics, topic)
	}
	return res
}

func split(addr string) (host string, port int32) {
	h, p, _ := net.SplitHostPort(addr)
	n, _ := strconv.ParseInt(p, 10, 32)
	return h, int32(n)
}

// One order stamped in the future spoils what timestamps tell, and is no reason to say that all is well.
func TestAnOrderFromTheFuture(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(1, "orders"))
	fill(t, b, "orders", 1, time.Now().Add(time.Hour))
	commit(t, b, "g", map[lag.TopicPartition]int64{tp("orders", 0): 99})
	r := tick(t, watching(t, observer(t, b.Addr()), lag.Query{Groups: []string{"g"}, SLO: 5 * time.Minute}))
	row := r.Groups[0].Partitions[0]
	if !slices.Contains(row.Reasons, lag.Suspect) || row.Oldest.Known || row.Stale.Known || r.Complete || r.Groups[0].Status == lag.SevOK {
		t.Errorf("%v, oldest %v, stale %v, %v", row.Reasons, row.Oldest, row.Stale, r.Groups[0].Status)
	}
}

func TestABrokerThatGoesSilent(t *testing.T) {
	t.Parallel()
	b := golden(t)
	o := observer(t, b.Addr())
	if _, err := o.Snapshot(t.Context(), lag.Query{Groups: []string{"workers"}}); err != nil {
		t.Fatal(err)
	}
	unmute := b.Mute(kmsg.ListOffsets)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	s, err := o.Snapshot(ctx, lag.Query{Groups: []string{"workers"}})
	if err != nil {
		t.Fatal(err)
	}
	g := lag.Evaluate([]lag.Snapshot{s}, lag.Policy{}).Groups[0]
	if g.Unread.Known || g.Known != 0 || g.Total != 4 || g.Complete {
		t.Errorf("%+v", g)
	}
	unmute()
	if _, r := look(t, o, lag.Query{Groups: []string{"workers"}}); r.Groups[0].Unread != lag.Know[int64](170) {
		t.Errorf("it recovers: %v unread", r.Groups[0].Unread)
	}
	b.CutConnections()
	if _, r := look(t, o, lag.Query{Groups: []string{"workers"}}); r.Groups[0].Unread != lag.Know[int64](170) {
		t.Errorf("after all connections were cut: %v unread", r.Groups[0].Unread)
	}
}
