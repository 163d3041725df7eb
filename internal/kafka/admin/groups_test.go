package admin_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"commerce.internal/orderctl/internal/broker/brokertest"
	"commerce.internal/orderctl/internal/kafka"
	"commerce.internal/orderctl/internal/kafka/admin"
	"commerce.internal/orderctl/internal/queue"
)

func TestOffsetsAreSetAndTakenAway(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Nodes(3), brokertest.Topics(3, "orders", "refunds"))
	b.Commit(t, "g", "orders", 0, 7)
	b.Commit(t, "g", "orders", 1, 8)
	b.Commit(t, "g", "refunds", 0, 9)
	if err := client(b.Addr()).Commit(t.Context(), "g", admin.Offsets{"orders": {0: 3, 1: -1, 2: 0}}); err != nil {
		t.Fatal(err)
	}
	want := map[brokertest.TP]int64{{Topic: "orders", Partition: 0}: 3, {Topic: "orders", Partition: 2}: 0, {Topic: "refunds", Partition: 0}: 9}
	if got := b.Committed(t, "g"); !maps.Equal(got, want) {
		t.Errorf("committed %v, want %v", got, want)
	}
	if err := client(b.Addr()).Commit(t.Context(), "g", nil); err != nil {
		t.Errorf("nothing to do: %v", err)
	}
	if err := client(b.Addr()).Commit(t.Context(), "g", admin.Offsets{"refunds": {0: -1}}); err != nil || len(b.Committed(t, "g")) != 2 {
		t.Errorf("take away alone: %v, %v", err, b.Committed(t, "g"))
	}
}

func TestAGroupWithMembersKeepsItsOffsets(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(1, "orders"))
	c := b.Client(kgo.ConsumerGroup("g"), kgo.ConsumeTopics("orders"))
	ctx, cancel := context.WithCancel(t.Context())
	polled := make(chan struct{})
	go func() { defer close(polled); c.PollFetches(ctx) }()
	defer func() { cancel(); <-polled }()
	b.WaitGroupStable("g", 1)
	for name, offsets := range map[string]admin.Offsets{"set": {"orders": {0: 3}}, "take away": {"orders": {0: -1}}} {
		if err := client(b.Addr()).Commit(t.Context(), "g", offsets); !errors.Is(err, admin.ErrMembers) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEachPartitionThatIsRefusedIsNamed(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(3, "orders"))
	b.Fault(brokertest.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Topic: "orders", Partitions: []int32{1}, Err: kerr.TopicAuthorizationFailed})
	err := client(b.Addr()).Commit(t.Context(), "g", admin.Offsets{"orders": {0: 1, 1: 1, 2: 1}, "absent": {0: 1}})
	if !errors.Is(err, queue.ErrDenied) || !errors.Is(err, queue.ErrNotFound) || !strings.Contains(err.Error(), "g on orders/1") || !strings.Contains(err.Error(), "g on absent/0") {
		t.Errorf("err = %v", err)
	}
	if got := b.Committed(t, "g"); len(got) != 2 {
		t.Errorf("committed %v: the others are set all the same", got)
	}
}

func TestACoordinatorThatIsNotThereYetIsAwaited(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(1, "orders"))
	f := b.Fault(brokertest.Fault{Keys: []kmsg.Key{kmsg.FindCoordinator}, Err: kerr.CoordinatorNotAvailable})
	if err := client(b.Addr()).Commit(t.Context(), "g", admin.Offsets{"orders": {0: 1}}); err != nil || f.Hits() != 1 {
		t.Errorf("err = %v after %d refusals", err, f.Hits())
	}
	b.Fault(brokertest.Fault{Keys: []kmsg.Key{kmsg.FindCoordinator}, Err: kerr.CoordinatorNotAvailable, Count: -1})
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := client(b.Addr()).Commit(ctx, "g", admin.Offsets{"orders": {0: 2}}); !errors.Is(err, queue.ErrUnreachable) {
		t.Errorf("one that never comes: %v", err)
	}
}

func TestWhoHasATransactionOpen(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Nodes(3), brokertest.Topics(3, "orders"))
	brokertest.Produce(t, b, queue.Message{Topic: "orders", Partition: 1}, queue.Message{Topic: "orders", Partition: 1})
	tx := b.Client(kgo.TransactionalID("foreign"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err := tx.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := tx.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Partition: 1, Value: []byte("v")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	id, _, err := tx.ProducerID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	a := client(b.Addr())
	open, err := a.OpenTransactions(t.Context(), "orders", []int32{0, 1, 2})
	if err != nil || len(open) != 1 {
		t.Fatalf("%+v, %v", open, err)
	}
	if x := open[0]; x.Topic != "orders" || x.Partition != 1 || x.Producer != id || x.Start != 2 || time.Since(x.Last) > time.Minute {
		t.Errorf("%+v, want producer %d from offset 2", x, id)
	}
	if others, err := a.OpenTransactions(t.Context(), "orders", []int32{0, 2}); err != nil || len(others) != 0 {
		t.Errorf("partitions that were not asked for: %v, %v", others, err)
	}
	if err := tx.EndTransaction(t.Context(), kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
	if open, err := a.OpenTransactions(t.Context(), "orders", []int32{1}); err != nil || len(open) != 0 {
		t.Errorf("after the end: %v, %v", open, err)
	}
	b.Fault(brokertest.Fault{Keys: []kmsg.Key{kmsg.DescribeProducers}, Topic: "orders", Err: kerr.TopicAuthorizationFailed, Count: -1})
	if _, err := a.OpenTransactions(t.Context(), "orders", []int32{1}); !errors.Is(err, queue.ErrDenied) {
		t.Errorf("refused: %v", err)
	}
	old := brokertest.Start(t, brokertest.Topics(1, "orders"), brokertest.KafkaVersion("2.7"))
	if open, err := client(old.Addr()).OpenTransactions(t.Context(), "orders", []int32{0}); err == nil {
		t.Errorf("a broker that cannot tell: %v", open)
	}
}

func TestEveryNewCallEndsWithItsContext(t *testing.T) {
	t.Parallel()
	a := client(silent(t))
	calls := map[string]func(context.Context) error{
		"State":            func(ctx context.Context) error { _, err := a.State(ctx, []string{"orders"}); return err },
		"GroupRights":      func(ctx context.Context) error { _, err := a.GroupRights(ctx, "g"); return err },
		"Idempotent":       a.Idempotent,
		"Commit":           func(ctx context.Context) error { return a.Commit(ctx, "g", admin.Offsets{"orders": {0: 1}}) },
		"OpenTransactions": func(ctx context.Context) error { _, err := a.OpenTransactions(ctx, "orders", []int32{0}); return err },
	}
	for _, name := range slices.Sorted(maps.Keys(calls)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			began := time.Now()
			var e *kafka.Error
			if err := calls[name](ctx); !errors.Is(err, queue.ErrUnreachable) || !errors.As(err, &e) || time.Since(began) > 2*time.Second {
				t.Errorf("err = %v after %v", err, time.Since(began))
			}
		})
	}
}
