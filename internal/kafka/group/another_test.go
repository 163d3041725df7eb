package group_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"commerce.internal/orderctl/internal/broker/brokertest"
	"commerce.internal/orderctl/internal/kafka/group"
	"commerce.internal/orderctl/internal/queue"
)

// notes is a memory that outlives the members, as a database does.
type notes struct {
	mu     sync.Mutex
	logs   map[string]queue.Log
	asked  int
	writes int
	err    error
}

func newNotes() *notes { return &notes{logs: map[string]queue.Log{}} }

func (n *notes) Log(_ context.Context, g, topic string, p int32) (queue.Log, bool, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked++
	l, found := n.logs[g+" "+name(topic, p)]
	return l, found, n.err
}

func (n *notes) KeepLog(_ context.Context, g, topic string, p int32, l queue.Log) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.writes++
	n.logs[g+" "+name(topic, p)] = l
	return n.err
}

func (n *notes) of(p int32) queue.Log {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.logs["g "+name("orders", p)]
}

func (n *notes) fail(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.err = err
}

func remembering(n *notes) func(*group.Options) { return func(o *group.Options) { o.Memory = n } }

func anew(b *brokertest.Broker, partitions int32) {
	b.DeleteTopic("orders")
	b.CreateTopic("orders", partitions, nil)
}

func partition(rs []queue.Record, p int32) (n int) {
	for _, r := range rs {
		if r.Partition == p {
			n++
		}
	}
	return n
}

// The process that halted the partition is gone, and the new log is longer than the commit by now: nothing of Kafka tells any
// more that what lies below the commit was never read.
func TestAHaltedPartitionStaysHaltedInTheNextProcess(t *testing.T) {
	t.Parallel()
	b := start(t, brokertest.Topics(2, "orders"))
	n := newNotes()
	fill(t, b, 2, 10)
	b.Commit(t, "g", "orders", 1, 15)
	one := join(t, b, remembering(n))
	until(t, "it halts", func() bool { return one.Halted()["orders"][1] == "offset-above-end" })
	if err := one.stop(); err != nil {
		t.Fatal(err)
	}
	fill(t, b, 2, 10)
	two := join(t, b, remembering(n))
	until(t, "the other flows", func() bool { return partition(one.records(), 0)+partition(two.records(), 0) == 20 })
	until(t, "it halts again", func() bool { return two.Halted()["orders"][1] == "offset-above-end" })
	if err := two.stop(); err != nil {
		t.Fatal(err)
	}
	if got := committed(t, b, 1); got != 15 || partition(two.records(), 1) > 0 {
		t.Errorf("committed at %d, %d records were read: those below 15 are skipped", got, partition(two.records(), 1))
	}
	b.Commit(t, "g", "orders", 1, 5) // an operator
	three := join(t, b, remembering(n))
	until(t, "it is read from there", func() bool { return partition(three.records(), 1) == 15 })
	if got := n.of(1); got.HaltedAt >= 0 || got.TopicID == "" {
		t.Errorf("remembered is %+v", got)
	}
}

func TestATopicMadeAnewBetweenTwoProcessesHalts(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		from, reason string
		read         int
	}{
		"halts":                            {"", "topic-made-anew", 0},
		"is read where the operator says":  {group.Earliest, "", 20},
		"is left where the operator wants": {group.Latest, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t, brokertest.Topics(1, "orders"))
			n := newNotes()
			fill(t, b, 1, 10)
			one := join(t, b, remembering(n))
			until(t, "all are read", func() bool { return committed(t, b, 0) == 10 })
			if err := one.stop(); err != nil {
				t.Fatal(err)
			}
			if n.writes != 1 {
				t.Errorf("%d writes for one partition", n.writes)
			}
			anew(b, 1)
			fill(t, b, 1, 20)
			b.Commit(t, "g", "orders", 0, 10) // where the cluster has kept it
			two := join(t, b, remembering(n), func(o *group.Options) { o.From = tt.from })
			if tt.reason == "" {
				until(t, "it is ours", func() bool { return two.owned() == 1 })
				until(t, "it is read", func() bool { return committed(t, b, 0) == 20 })
			} else {
				until(t, "it halts", func() bool { return two.Halted()["orders"][0] == tt.reason })
			}
			if got := len(two.records()); got != tt.read {
				t.Errorf("%d records read, want %d", got, tt.read)
			}
			if err := two.stop(); err != nil {
				t.Fatal(err)
			}
			if tt.reason == "" {
				return
			}
			three := join(t, b, remembering(n))
			until(t, "the next process says why as well", func() bool { return three.Halted()["orders"][0] == tt.reason })
		})
	}
}

// Under a running reader the new log may reach the old offset before anybody asks for it.
func TestATopicMadeAnewUnderAReaderSkipsNothingInSilence(t *testing.T) {
	t.Parallel()
	b := start(t, brokertest.Topics(1, "orders"))
	fill(t, b, 1, 10)
	m := join(t, b, remembering(newNotes()))
	until(t, "all are read", func() bool { return committed(t, b, 0) == 10 })
	anew(b, 1)
	fill(t, b, 1, 30)
	until(t, "it halts, or all of the new log is read", func() bool {
		if m.Halted()["orders"][0] != "" {
			return true
		}
		return len(m.records()) == 40
	})
}

func TestNothingIsReadWhileItCannotBeRemembered(t *testing.T) {
	t.Parallel()
	b := start(t, brokertest.Topics(1, "orders"))
	fill(t, b, 1, 5)
	n := newNotes()
	n.fail(errors.New("the database is away"))
	m := join(t, b, remembering(n))
	until(t, "it was tried", func() bool { n.mu.Lock(); defer n.mu.Unlock(); return n.asked > 1 })
	if m.owned() != 0 {
		t.Error("it is read")
	}
	n.fail(nil)
	until(t, "it is read once it can", func() bool { return len(m.records()) == 5 })
}
