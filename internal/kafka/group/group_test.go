package group_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"commerce.internal/orderctl/internal/broker/brokertest"
	"commerce.internal/orderctl/internal/kafka"
	"commerce.internal/orderctl/internal/kafka/group"
	"commerce.internal/orderctl/internal/queue"
)

func TestRecordsArriveAsTheyLie(t *testing.T) {
	t.Parallel()
	b := start(t, brokertest.TopicWith("orders", 1, map[string]string{"max.message.bytes": "10000000"}))
	at := time.UnixMilli(1_760_000_000_123)
	cl := b.Client(kgo.ProducerBatchMaxBytes(8<<20), kgo.MaxBufferedBytes(32<<20))
	sent := []*kgo.Record{
		{Topic: "orders", Key: []byte("k"), Value: []byte("v"), Timestamp: at, Headers: []kgo.RecordHeader{
			{Key: "ce_id", Value: []byte("x")}, {Key: "ce_id", Value: []byte{}}, {Key: "", Value: nil}, {Key: "\xff", Value: []byte{0xff}},
		}},
		{Topic: "orders", Key: nil, Value: nil, Timestamp: at},
		{Topic: "orders", Key: []byte{}, Value: []byte{}, Timestamp: at},
		{Topic: "orders", Key: []byte("large"), Value: make([]byte, 5<<20), Timestamp: at}, // pitfall 14
	}
	if err := cl.ProduceSync(t.Context(), sent...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	m := join(t, b)
	until(t, "all have come", func() bool { return len(m.records()) == len(sent) })
	for i, got := range m.records() {
		want := sent[i]
		if got.Offset != int64(i) || got.Topic != "orders" || got.Partition != 0 || !got.Time.Equal(at) {
			t.Errorf("record %d = %v at %v", i, got.Position(), got.Time)
		}
		if !same(got.Key, want.Key) || !same(got.Value, want.Value) || len(got.Headers) != len(want.Headers) {
			t.Errorf("record %d: key %q, %d bytes, %d headers", i, got.Key, len(got.Value), len(got.Headers))
		}
		for j, h := range got.Headers {
			if h.Name != want.Headers[j].Key || !same(h.Value, want.Headers[j].Value) {
				t.Errorf("record %d, header %d = %q %q, want %q %q", i, j, h.Name, h.Value, want.Headers[j].Key, want.Headers[j].Value)
			}
		}
	}
	c := m.claim("orders", 0)
	if c.Start() != 0 || c.High() != 4 || c.Gone() {
		t.Errorf("start %d, high %d, gone %v", c.Start(), c.High(), c.Gone())
	}
}

// same: a missing value is not an empty one.
func same(a, b []byte) bool { return string(a) == string(b) && (a == nil) == (b == nil) }

func TestNothingIsRedeliveredAfterACleanStop(t *testing.T) { // pitfalls 16, 18
	t.Parallel()
	b := start(t, brokertest.Topics(6, "orders"))
	fill(t, b, 6, 50)
	m := join(t, b)
	until(t, "all have come", func() bool { return len(m.records()) == 300 })
	if err := m.stop(); err != nil {
		t.Fatal(err)
	}
	for p := range int32(6) {
		if got := committed(t, b, p); got != 50 {
			t.Errorf("partition %d is committed at %d, want 50", p, got)
		}
	}
	if members := len(b.GroupInfo("g").Members); members != 0 {
		t.Errorf("%d members after the leave", members)
	}
	again := join(t, b)
	fill(t, b, 6, 1)
	until(t, "the new ones have come", func() bool { return len(again.records()) >= 6 })
	if n, most := distinct(m.records(), again.records()); n != 306 || most != 1 {
		t.Errorf("%d records, one came %d times", n, most)
	}
}

func TestWhatIsNotMarkedIsDeliveredAgain(t *testing.T) { // pitfall 15: the mark is the caller's, not the highest received
	t.Parallel()
	b := start(t, brokertest.Topics(1, "orders"))
	fill(t, b, 1, 10)
	seen := make(chan struct{})
	hold := func(c *group.Claim) {
		n := 0
		for r := range c.Records() {
			if n++; r.Offset == 9 {
				c.Mark(3)
				c.Mark(2) // marks only rise
				c.Commit()
				close(seen)
			}
		}
	}
	g, err := group.New(client(b.Addr(), "orderctl-test"), group.Options{Group: "g", Topics: []string{"orders"}, Timing: fast(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	stop := run(t, g, hold)
	<-seen
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if got := committed(t, b, 0); got != 3 {
		t.Errorf("committed %d, want 3", got)
	}
	m := join(t, b)
	until(t, "the rest has come", func() bool { return len(m.records()) == 7 })
	if first := m.records()[0].Offset; first != 3 {
		t.Errorf("went on at %d, want 3", first)
	}
}

func TestAHandoverUnderLoadRedeliversNothingFinished(t *testing.T) { // pitfalls 19, 20
	t.Parallel()
	b := start(t, brokertest.Topics(6, "orders"))
	one := join(t, b)
	until(t, "the first owns all", func() bool { return one.owned() == 6 })
	for range 3 {
		fill(t, b, 6, 200)
	}
	two := join(t, b)
	fill(t, b, 6, 200)
	until(t, "they share", func() bool { return one.owned() == 3 && two.owned() == 3 })
	fill(t, b, 6, 200)
	until(t, "all have come", func() bool { n, _ := distinct(one.records(), two.records()); return n == 6000 })
	if _, most := distinct(one.records(), two.records()); most != 1 {
		t.Errorf("a finished record came %d times", most)
	}
	kept := 0
	one.mu.Lock()
	for at := range one.open {
		if one.claims[at] == 1 {
			kept++
		}
	}
	one.mu.Unlock()
	if kept != 3 {
		t.Errorf("%d of the 3 kept partitions were never given up: cooperative means all", kept)
	}
	if got := one.count(t, "orderctl_consume_rebalances_total", "joined"); got != 1 {
		t.Errorf("%v sessions, want 1", got)
	}
	if err := two.stop(); err != nil {
		t.Fatal(err)
	}
	until(t, "the first owns all again", func() bool { return one.owned() == 6 })
	fill(t, b, 6, 10)
	until(t, "the last have come", func() bool { n, _ := distinct(one.records(), two.records()); return n == 6060 })
	if _, most := distinct(one.records(), two.records()); most != 1 {
		t.Errorf("a finished record came %d times", most)
	}
	until(t, "the rebalances are counted", func() bool { return one.count(t, "orderctl_consume_rebalances_total", "changed") >= 1 })
}

func TestAMissingTopicEndsTheStart(t *testing.T) { // pitfall 27
	t.Parallel()
	b := start(t, brokertest.Topics(1, "orders"))
	m := join(t, b, func(o *group.Options) { o.Topics = []string{"orders", "orders.g.replay"} })
	began := time.Now()
	err := m.wait()
	var e *kafka.Error
	if !errors.As(err, &e) || !errors.Is(err, queue.ErrNotFound) || e.ExitCode() != 7 || !strings.Contains(e.Hint(), "orderctl topics apply") || !strings.Contains(err.Error(), "orders.g.replay") {
		t.Errorf("err = %v", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
	if b.PartitionInfo("orders.g.replay", 0) != nil {
		t.Error("the topic was made")
	}
}

func TestWhatEndsAMemberForGood(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		err  *kerr.Error
		kind error
	}{
		{"no right to the group", kerr.GroupAuthorizationFailed, queue.ErrDenied},
		{"another member with this instance id", kerr.FencedInstanceID, nil},
		{"another protocol in the group", kerr.InconsistentGroupProtocol, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := start(t, brokertest.Topics(1, "orders"))
			b.Fault(brokertest.Fault{Keys: []kmsg.Key{kmsg.JoinGroup}, TopLevel: true, Err: tt.err, Count: -1})
			err := join(t, b).wait()
			if err == nil || (tt.kind != nil && !errors.Is(err, tt.kind)) {
				t.Errorf("err = %v", err)
			}
		})
	}
}

func TestABrokenGroupIsNotAskedInATightLoop(t *testing.T) { // pitfall 23
	t.Parallel()
	b := start(t, brokertest.Topics(1, "orders"))
	broken := b.Fault(brokertest.Fault{Keys: []kmsg.Key{kmsg.JoinGroup}, TopLevel: true, Err: kerr.UnknownServerError, Count: -1})
	m := join(t, b)
	until(t, "it was asked", func() bool { return broken.Hits() > 0 })
	over := time.After(10 * time.Second)
	<-over
	if n := broken.Hits(); n > 10 {
		t.Errorf("%d joins in 10 s", n)
	}
	broken.Remove()
	until(t, "it recovers alone", func() bool { return m.owned() == 1 })
}

func TestAKilledMemberIsTakenOver(t *testing.T) { // pitfall 21
	t.Parallel()
	b := start(t, brokertest.Topics(4, "orders"))
	one, two := join(t, b), join(t, b)
	until(t, "they share", func() bool { return one.owned() == 2 && two.owned() == 2 })
	fill(t, b, 4, 20)
	until(t, "all have come", func() bool { n, _ := distinct(one.records(), two.records()); return n == 80 })
	began := time.Now()
	one.Kill()
	until(t, "the other owns all", func() bool { return two.owned() == 4 })
	if took := time.Since(began); took > fast().Session+fast().Rebalance+3*time.Second {
		t.Errorf("taken over after %v", took)
	}
	fill(t, b, 4, 20)
	until(t, "the rest has come", func() bool { n, _ := distinct(one.records(), two.records()); return n == 160 })
}

func TestTheCoordinatorMoves(t *testing.T) {
	t.Parallel()
	b := start(t, brokertest.Nodes(3), brokertest.Topics(3, "orders"))
	m := join(t, b)
	for range 5 {
		fill(t, b, 3, 20)
		b.RehashCoordinators()
		b.ShufflePartitionLeaders()
	}
	until(t, "all have come", func() bool { n, _ := distinct(m.records()); return n == 300 })
	until(t, "all is committed", func() bool {
		return committed(t, b, 0) == 100 && committed(t, b, 1) == 100 && committed(t, b, 2) == 100
	})
}

func TestAPausedPartitionIsSilentAndEveryClaimBeginsResumed(t *testing.T) {
	t.Parallel()
	b := start(t, brokertest.Topics(2, "orders"))
	m := join(t, b)
	until(t, "it owns both", func() bool { return m.owned() == 2 })
	m.claim("orders", 0).Pause()
	fill(t, b, 2, 10)
	until(t, "the other partition flows", func() bool { return len(m.records()) >= 10 })
	for _, r := range m.records() {
		if r.Partition == 0 && r.Offset > 0 { // one fetch may have been under way
			t.Fatalf("a paused partition gave %v", r.Position())
		}
	}
	m.Rejoin(t.Context(), "test") // the pause would outlive the assignment
	until(t, "all have come", func() bool { n, _ := distinct(m.records()); return n == 20 })
}

func TestAHandlerThatReturnsEarlyOnlyCostsASession(t *testing.T) {
	t.Parallel()
	b := start(t, brokertest.Topics(1, "orders"))
	fill(t, b, 1, 5)
	g, err := group.New(client(b.Addr(), "orderctl-test"), group.Options{Group: "g", Topics: []string{"orders"}, Timing: fast(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	calls := make(chan int64, 100)
	stop := run(t, g, func(c *group.Claim) {
		r, ok := <-c.Records()
		if ok {
			c.Mark(r.Offset + 1)
			calls <- r.Offset
		}
	})
	for want := range int64(3) {
		if got := <-calls; got != want {
			t.Fatalf("call %d began at %d", want, got)
		}
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

func TestTheStopIsBoundedWhileTheCoordinatorIsMute(t *testing.T) {
	t.Parallel()
	b := start(t, brokertest.Topics(1, "orders"))
	fill(t, b, 1, 5)
	m := join(t, b)
	until(t, "all have come", func() bool { return len(m.records()) == 5 })
	b.Mute(kmsg.OffsetCommit, kmsg.LeaveGroup, kmsg.Heartbeat)
	began := time.Now()
	if err := m.stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 9*time.Second {
		t.Errorf("stopped after %v", took)
	}
}

func TestAMemberShowsWhoItIs(t *testing.T) { // pitfall 34
	t.Parallel()
	b := start(t, brokertest.Topics(1, "orders"))
	m := join(t, b, func(o *group.Options) { o.InstanceID = "worker-1" })
	until(t, "it owns the partition", func() bool { return m.owned() == 1 })
	info := b.GroupInfo("g")
	if len(info.Members) != 1 || info.Members[0].ClientID != "orderctl-test" || info.Members[0].InstanceID == nil || *info.Members[0].InstanceID != "worker-1" {
		t.Errorf("members = %+v", info.Members)
	}
	if err := m.stop(); err != nil {
		t.Fatal(err)
	}
	if n := len(b.GroupInfo("g").Members); n != 1 {
		t.Errorf("%d members: a static member does not leave, its restart moves nothing", n)
	}
}
