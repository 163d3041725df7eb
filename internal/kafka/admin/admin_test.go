package admin_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"commerce.internal/orderctl/internal/broker"
	"commerce.internal/orderctl/internal/broker/brokertest"
	"commerce.internal/orderctl/internal/kafka"
	"commerce.internal/orderctl/internal/kafka/admin"
	"commerce.internal/orderctl/internal/queue"
)

func TestMain(m *testing.M) {
	kafka.Setup(slog.New(slog.DiscardHandler))
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"))
}

func client(addrs ...string) *admin.Admin {
	return admin.New(kafka.Options{Brokers: addrs, ClientID: "orderctl-test", Timeout: 2 * time.Second, Log: slog.New(slog.DiscardHandler)})
}

func TestTopicsAreMadeAndDescribed(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Nodes(3))
	a := client(b.Addr())
	specs := []admin.Spec{
		{Name: "orders", Partitions: 12, ReplicationFactor: 3, Configs: map[string]string{"retention.ms": "604800000", "min.insync.replicas": "2"}},
		{Name: "orders.g.dlq", Partitions: 12, ReplicationFactor: 1, Configs: map[string]string{"retention.ms": "-1"}},
	}
	if err := a.Create(t.Context(), specs); err != nil {
		t.Fatal(err)
	}
	if err := a.Create(t.Context(), specs); err != nil {
		t.Errorf("a topic that is there by then is no error: %v", err)
	}
	got, err := a.Topics(t.Context(), []string{"orders", "orders.g.dlq", "absent"})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 {
		t.Fatalf("topics = %v", got)
	}
	for _, s := range specs {
		have := got[s.Name]
		if have.Partitions != s.Partitions || have.ReplicationFactor != s.ReplicationFactor {
			t.Errorf("%s = %d partitions, %d replicas", s.Name, have.Partitions, have.ReplicationFactor)
		}
		for k, v := range s.Configs {
			if have.Configs[k] != v {
				t.Errorf("%s: %s = %q, want %q", s.Name, k, have.Configs[k], v)
			}
		}
	}
	if b.PartitionInfo("absent", 0) != nil {
		t.Error("asking for a topic made it")
	}
	if none, err := a.Topics(t.Context(), nil); err != nil || len(none) != 0 {
		t.Errorf("no names: %v, %v", none, err)
	}
	if err := a.Create(t.Context(), nil); err != nil {
		t.Errorf("nothing to make: %v", err)
	}
}

func TestEachTopicThatFailsIsNamedAndTheOthersAreMade(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t)
	b.Fault(brokertest.Fault{Keys: []kmsg.Key{kmsg.CreateTopics}, Topic: "denied", Err: kerr.TopicAuthorizationFailed})
	b.Fault(brokertest.Fault{Keys: []kmsg.Key{kmsg.CreateTopics}, Topic: "large", Err: kerr.InvalidReplicationFactor})
	err := client(b.Addr()).Create(t.Context(), []admin.Spec{
		{Name: "orders", Partitions: 3, ReplicationFactor: 1},
		{Name: "denied", Partitions: 3, ReplicationFactor: 1},
		{Name: "large", Partitions: 3, ReplicationFactor: 9},
	})
	if err == nil || !strings.Contains(err.Error(), "create topic denied: topic authorization failed") || !strings.Contains(err.Error(), "create topic large: Kafka refused: Replication-factor is invalid") {
		t.Errorf("err = %v", err)
	}
	var coded interface{ ExitCode() int }
	if !errors.Is(err, queue.ErrDenied) || !errors.As(err, &coded) || coded.ExitCode() != 4 {
		t.Errorf("err = %v: not denied", err)
	}
	if b.PartitionInfo("orders", 2) == nil {
		t.Error("the good one was not made")
	}
}

func TestConfigsThatMayNotBeReadAreAbsent(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(3, "orders"))
	b.Fault(brokertest.Fault{Keys: []kmsg.Key{kmsg.DescribeConfigs}, Resource: "orders", Err: kerr.TopicAuthorizationFailed, Count: -1})
	got, err := client(b.Addr()).Topics(t.Context(), []string{"orders"})
	if err != nil || got["orders"].Partitions != 3 || len(got["orders"].Configs) != 0 {
		t.Errorf("topics = %+v, %v", got, err)
	}
}

func TestATopicThatMayNotBeDescribedIsDenied(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(3, "orders"))
	b.Fault(brokertest.Fault{Keys: []kmsg.Key{kmsg.Metadata}, Topic: "orders", Err: kerr.TopicAuthorizationFailed, Count: -1})
	_, err := client(b.Addr()).Topics(t.Context(), []string{"orders"})
	if !errors.Is(err, queue.ErrDenied) || !strings.Contains(err.Error(), "topic orders") {
		t.Errorf("err = %v", err)
	}
}

func TestTheClusterHasAName(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Nodes(3))
	c, err := client(b.Addr()).Cluster(t.Context())
	if err != nil || c.ID != broker.ClusterID || len(c.Brokers) != 3 || c.Brokers[0].ID != 0 || c.Brokers[2].Addr == "" {
		t.Errorf("cluster = %+v, %v", c, err)
	}
}

func TestOneBrokerThatAnswersIsEnough(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(1, "orders"))
	began := time.Now()
	got, err := client("127.0.0.1:1", silent(t), b.Addr()).Topics(t.Context(), []string{"orders"})
	if err != nil || len(got) != 1 || time.Since(began) > time.Second {
		t.Errorf("topics = %v, %v after %v", got, err, time.Since(began))
	}
}

func TestEveryCallEndsWithItsContext(t *testing.T) {
	t.Parallel()
	a := client(silent(t))
	for name, call := range map[string]func(context.Context) error{
		"Topics":  func(ctx context.Context) error { _, err := a.Topics(ctx, []string{"orders"}); return err },
		"Create":  func(ctx context.Context) error { return a.Create(ctx, []admin.Spec{{Name: "orders", Partitions: 1}}) },
		"Cluster": func(ctx context.Context) error { _, err := a.Cluster(ctx); return err },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			began := time.Now()
			if err := call(ctx); !errors.Is(err, queue.ErrUnreachable) || time.Since(began) > 2*time.Second {
				t.Errorf("err = %v after %v", err, time.Since(began))
			}
		})
	}
}

// silent is a port that accepts and never answers.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { defer conn.Close(); _, _ = io.Copy(io.Discard, conn) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return l.Addr().String()
}
