package group_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"commerce.internal/orderctl/internal/broker/brokertest"
	"commerce.internal/orderctl/internal/kafka/group"
)

func TestWhereAGroupBegins(t *testing.T) { // pitfall 11
	t.Parallel()
	tests := []struct {
		name, from string
		committed  int64 // below 0: none
		start      int64 // of the log, of 20 records
		want       int64
		lost       int64
	}{
		{"nothing committed: at the start", "", -1, 0, 0, 0},
		{"nothing committed, earliest", group.Earliest, -1, 0, 0, 0},
		{"nothing committed, latest", group.Latest, -1, 0, 20, 0},
		{"nothing committed, log already cut", "", -1, 5, 5, 0},
		{"committed", "", 7, 0, 7, 0},
		{"committed, whatever from says", group.Latest, 7, 0, 7, 0},
		{"committed at the end", "", 20, 0, 20, 0},
		{"deleted before it was read", "", 3, 10, 10, 7},
		{"deleted before it was read, latest", group.Latest, 3, 10, 10, 7},
		{"above the end, and the operator says earliest", group.Earliest, 100, 0, 0, 0},
		{"above the end, and the operator says latest", group.Latest, 100, 0, 20, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := start(t, brokertest.Topics(1, "orders"))
			fill(t, b, 1, 20)
			if tt.start > 0 {
				b.DeleteRecords("orders", 0, tt.start)
			}
			if tt.committed >= 0 {
				b.Commit(t, "g", "orders", 0, tt.committed)
			}
			m := join(t, b, func(o *group.Options) { o.From = tt.from })
			until(t, "the partition is ours", func() bool { return m.owned() == 1 })
			if got := m.claim("orders", 0).Start(); got != tt.want {
				t.Errorf("began at %d, want %d", got, tt.want)
			}
			until(t, "all have come", func() bool { return len(m.records()) == int(20-tt.want) })
			m.mu.Lock()
			lost := m.lost["orders/0"]
			m.mu.Unlock()
			if lost != tt.lost || m.count(t, "orderctl_consume_lost_records_total", "orders") != float64(tt.lost) {
				t.Errorf("lost %d, want %d", lost, tt.lost)
			}
			until(t, "the beginning is pinned", func() bool { return committed(t, b, 0) == 20 })
			if joined := m.count(t, "orderctl_consume_rebalances_total", "joined"); joined != 1 {
				t.Errorf("%v sessions for it, want 1", joined)
			}
		})
	}
}

func TestAnOffsetAboveTheEndHaltsItsPartitionAlone(t *testing.T) { // pitfalls 12, 13
	t.Parallel()
	b := start(t, brokertest.Topics(3, "orders"))
	fill(t, b, 3, 10)
	b.Commit(t, "g", "orders", 1, 100)
	m := join(t, b)
	until(t, "the others flow", func() bool { return len(m.records()) == 20 })
	if why := m.Halted()["orders"][1]; why != "offset-above-end" || len(m.Halted()["orders"]) != 1 {
		t.Errorf("halted = %v", m.Halted())
	}
	fill(t, b, 3, 10)
	until(t, "the others flow on", func() bool { return len(m.records()) == 40 })
	until(t, "they are committed", func() bool { return committed(t, b, 0) == 20 && committed(t, b, 2) == 20 })
	if got := committed(t, b, 1); got != 100 {
		t.Errorf("the halted partition is committed at %d: nobody may touch it", got)
	}
	if joined := m.count(t, "orderctl_consume_rebalances_total", "joined"); joined != 1 {
		t.Errorf("%v sessions: the halt must not end one", joined)
	}
	two := join(t, b)
	until(t, "they share", func() bool { return m.owned()+two.owned() == 2 && two.owned() > 0 })
	if err := m.stop(); err != nil {
		t.Fatal(err)
	}
	until(t, "the other has all", func() bool { return two.owned() == 2 })
	if got := committed(t, b, 1); got != 100 {
		t.Errorf("after a handover it is committed at %d", got)
	}
	if err := two.stop(); err != nil {
		t.Fatal(err)
	}
	b.Commit(t, "g", "orders", 1, 15) // orderctl offsets reset
	three := join(t, b)
	until(t, "it is read again", func() bool { return len(three.records()) == 5 })
}

// A log that was made anew grows. Once it is longer than the committed offset, that looks like any other, and what lies below
// would be skipped without a word.
func TestAHaltedPartitionStaysHaltedWhenItsLogHasGrownPastTheOffset(t *testing.T) {
	t.Parallel()
	b := start(t, brokertest.Topics(2, "orders"))
	fill(t, b, 2, 10)
	b.Commit(t, "g", "orders", 1, 15)
	m := join(t, b)
	until(t, "the other flows", func() bool { return len(m.records()) == 10 })
	until(t, "it halts", func() bool { return m.Halted()["orders"][1] == "offset-above-end" })
	fill(t, b, 2, 10)
	m.Rejoin(t.Context(), "test")
	until(t, "there is another session", func() bool { return m.count(t, "orderctl_consume_rebalances_total", "joined") == 2 })
	fill(t, b, 2, 1)
	until(t, "the other flows on", func() bool { return len(m.records()) >= 21 })
	until(t, "it halts again", func() bool { return m.Halted()["orders"][1] == "offset-above-end" })
	for _, r := range m.records() {
		if r.Partition == 1 {
			t.Fatalf("record %d was read: those below 15 are skipped", r.Offset)
		}
	}
	if got := committed(t, b, 1); got != 15 {
		t.Errorf("committed at %d", got)
	}
	if err := m.stop(); err != nil {
		t.Fatal(err)
	}
}

func TestRecordsDeletedUnderAReaderAreCountedAndTheRestIsRead(t *testing.T) { // pitfall 13
	t.Parallel()
	b := start(t, brokertest.Topics(2, "orders"))
	fill(t, b, 2, 5)
	m := join(t, b)
	until(t, "all have come", func() bool { return len(m.records()) == 10 })
	m.claim("orders", 0).Pause()
	fill(t, b, 2, 200)
	until(t, "the other partition flows", func() bool { return len(m.records()) >= 210 })
	at := committed(t, b, 0)
	until(t, "all that came is committed", func() bool {
		at = committed(t, b, 0)
		n := 0
		for _, r := range m.records() {
			if r.Partition == 0 {
				n++
			}
		}
		return at == int64(n)
	})
	b.DeleteRecords("orders", 0, 205)
	fill(t, b, 1, 5)
	m.claim("orders", 0).Resume()
	until(t, "the rest has come", func() bool {
		rs := m.records()
		for _, r := range rs {
			if r.Partition == 0 && r.Offset == 209 {
				return true
			}
		}
		return false
	})
	if joined := m.count(t, "orderctl_consume_rebalances_total", "joined"); joined > 2 {
		t.Errorf("%v sessions, at most 2", joined)
	}
	if lost := m.count(t, "orderctl_consume_lost_records_total", "orders"); at < 205 && lost != float64(205-at) {
		t.Errorf("%v lost, want %d", lost, 205-at)
	}
}

func TestARefusedCommitShowsAndHeals(t *testing.T) { // pitfall 16
	t.Parallel()
	for code, err := range map[string]*kerr.Error{
		"12": kerr.OffsetMetadataTooLarge, "14": kerr.CoordinatorLoadInProgress, "15": kerr.CoordinatorNotAvailable, "16": kerr.NotCoordinator,
		"22": kerr.IllegalGeneration, "25": kerr.UnknownMemberID, "27": kerr.RebalanceInProgress, "56": kerr.KafkaStorageError,
	} {
		t.Run(code+" "+err.Message, func(t *testing.T) {
			t.Parallel()
			b := start(t, brokertest.Topics(2, "orders"))
			m := join(t, b)
			until(t, "it owns both", func() bool { return m.owned() == 2 })
			refused := b.Fault(brokertest.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: err, Count: -1})
			fill(t, b, 2, 10)
			began := time.Now()
			until(t, "it shows", func() bool { _, failing := m.CommitFailing(); return failing })
			if since, _ := m.CommitFailing(); since.Before(began.Add(-5*time.Second)) || time.Since(since) > 10*time.Second {
				t.Errorf("failing since %v, began %v", since, began)
			}
			if code != "14" && code != "15" && code != "16" { // sarama keeps these to itself
				until(t, "it is counted", func() bool { return m.count(t, "orderctl_consume_commit_errors_total", code) > 0 })
			}
			if len(m.records()) != 20 {
				t.Errorf("%d records: the claims must live on", len(m.records()))
			}
			refused.Remove()
			until(t, "it heals", func() bool { _, failing := m.CommitFailing(); return !failing })
			if committed(t, b, 0) != 10 || committed(t, b, 1) != 10 {
				t.Errorf("healed, yet committed at %d and %d", committed(t, b, 0), committed(t, b, 1))
			}
		})
	}
}

func TestAnUnansweredCommitShows(t *testing.T) {
	t.Parallel()
	b := start(t, brokertest.Topics(1, "orders"))
	m := join(t, b)
	until(t, "it owns the partition", func() bool { return m.owned() == 1 })
	unmute := b.Mute(kmsg.OffsetCommit)
	began := time.Now()
	fill(t, b, 1, 10)
	until(t, "it shows", func() bool { _, failing := m.CommitFailing(); return failing })
	if took := time.Since(began); took > 6*time.Second {
		t.Errorf("shown after %v", took)
	}
	unmute()
	until(t, "it heals", func() bool { _, failing := m.CommitFailing(); return !failing && committed(t, b, 0) == 10 })
}

func TestCommitsPassWhatHoldsNoRecord(t *testing.T) {
	t.Parallel()
	b := start(t, brokertest.Topics(1, "orders"))
	cl := b.Client(kgo.TransactionalID("foreign"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	transaction := func(n int, commit kgo.TransactionEndTry) {
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			cl.Produce(t.Context(), &kgo.Record{Topic: "orders", Value: fmt.Appendf(nil, "%d", i)}, nil)
		}
		if err := cl.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := cl.EndTransaction(t.Context(), commit); err != nil {
			t.Fatal(err)
		}
	}
	transaction(3, kgo.TryCommit) // 0 1 2, marker 3
	transaction(4, kgo.TryAbort)  // 4 to 7 aborted, marker 8
	m := join(t, b)
	end := b.PartitionInfo("orders", 0).HighWatermark
	if end != 9 {
		t.Fatalf("the log ends at %d", end)
	}
	until(t, "the committed ones have come", func() bool { return len(m.records()) == 3 })
	until(t, "the commit reaches the end", func() bool { return committed(t, b, 0) == end })
	transaction(1, kgo.TryCommit) // 9, marker 10
	until(t, "the next one has come", func() bool { rs := m.records(); return len(rs) == 4 && rs[3].Offset == 9 })
	until(t, "the commit reaches the end again", func() bool { return committed(t, b, 0) == 11 })
	if n, most := distinct(m.records()); n != 4 || most != 1 {
		t.Errorf("%d records, one came %d times", n, most)
	}
}

func TestAMarkIsNotMovedOverARecordThatIsInHand(t *testing.T) {
	t.Parallel()
	b := start(t, brokertest.Topics(1, "orders"))
	cl := b.Client(kgo.TransactionalID("foreign"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	cl.Produce(t.Context(), &kgo.Record{Topic: "orders", Value: []byte("v")}, nil)
	if err := cl.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := cl.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	g, err := group.New(client(b.Addr(), "orderctl-test"), quiet())
	if err != nil {
		t.Fatal(err)
	}
	finish := make(chan struct{})
	stop := run(t, g, func(c *group.Claim) {
		for r := range c.Records() {
			<-finish
			c.Mark(r.Offset + 1)
		}
	})
	over := time.After(5 * time.Second) // sweep would have come twice
	<-over
	if got := committed(t, b, 0); got > 0 {
		t.Fatalf("committed %d while the record is in hand", got)
	}
	close(finish)
	until(t, "the commit reaches the end", func() bool { return committed(t, b, 0) == 2 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}
