// Package brokertest starts an embedded broker for a test and reaches into it: topics, faults, moved leaders, what lies
// in a topic, what a group has committed. It is for tests alone.
package brokertest

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
	"golang.org/x/sync/errgroup"

	"commerce.internal/orderctl/internal/broker"
)

// Wait bounds every waiting of this package.
const Wait = 30 * time.Second

// Fault fails requests, see kfake.Fault.
type Fault = kfake.Fault

// Faults are faults that were installed together.
type Faults = broker.Faults

// GroupInfo is a snapshot of a group.
type GroupInfo = kfake.GroupInfo

// PartitionInfo is a snapshot of a partition.
type PartitionInfo = kfake.PartitionInfo

// ACL is one right of a user.
type ACL = kfake.ACL

// Control answers a request in place of the broker: a response, an error (the connection is cut), or neither with true
// (no answer, ever). With false the broker answers.
type Control = func(kmsg.Request) (kmsg.Response, error, bool)

// Broker is a running broker of one test.
type Broker struct {
	t       testing.TB
	broker  *broker.Broker
	cluster *kfake.Cluster
	setup   *setup
	seeds   []string
	stop    func()
}

// setup is what the options ask for.
type setup struct {
	options broker.Options
	topics  []topic
	client  []kgo.Opt
	nodes   int
	files   Files
}

type topic struct {
	name       string
	partitions int32
	configs    map[string]string
}

// Option changes how a broker starts.
type Option func(testing.TB, *setup)

// Topics creates topics of so many partitions.
func Topics(partitions int32, names ...string) Option {
	return func(_ testing.TB, s *setup) {
		for _, n := range names {
			s.topics = append(s.topics, topic{name: n, partitions: partitions})
		}
	}
}

// TopicWith creates one topic with configs.
func TopicWith(name string, partitions int32, configs map[string]string) Option {
	return func(_ testing.TB, s *setup) {
		s.topics = append(s.topics, topic{name: name, partitions: partitions, configs: configs})
	}
}

// Nodes starts so many nodes instead of one.
func Nodes(n int) Option {
	return func(_ testing.TB, s *setup) {
		s.nodes = n
		s.options.Cluster = append(s.options.Cluster, kfake.NumBrokers(n))
	}
}

// KafkaVersion makes the broker as old as a release: "2.1", "3.6".
func KafkaVersion(release string) Option {
	return func(t testing.TB, s *setup) {
		v := kversion.FromString(release)
		if v == nil {
			t.Fatalf("brokertest: no Kafka release %q", release)
		}
		s.options.Cluster = append(s.options.Cluster, kfake.MaxVersions(v))
		s.client = append(s.client, kgo.MaxVersions(v))
	}
}

// MaxVersions makes the broker as old as the versions say.
func MaxVersions(v *kversion.Versions) Option {
	return func(_ testing.TB, s *setup) {
		s.options.Cluster = append(s.options.Cluster, kfake.MaxVersions(v))
		s.client = append(s.client, kgo.MaxVersions(v))
	}
}

// MinSession allows group sessions as short as d instead of 6 seconds.
func MinSession(d time.Duration) Option {
	return func(_ testing.TB, s *setup) {
		s.options.Cluster = append(s.options.Cluster, kfake.GroupMinSessionTimeout(d))
	}
}

// SleepOutOfOrder lets requests be handled while others sleep, see kfake.SleepOutOfOrder.
func SleepOutOfOrder() Option {
	return func(_ testing.TB, s *setup) { s.options.Cluster = append(s.options.Cluster, kfake.SleepOutOfOrder()) }
}

// OnDisk keeps the log in a directory instead of in memory.
func OnDisk(dir string) Option {
	return func(_ testing.TB, s *setup) { s.options.Memory, s.options.DataDir = false, dir }
}

// With changes the options of the broker itself.
func With(change func(*broker.Options)) Option {
	return func(_ testing.TB, s *setup) { change(&s.options) }
}

// Start starts a broker on loopback, in memory unless told otherwise. It ends with the test.
func Start(t testing.TB, opts ...Option) *Broker {
	t.Helper()
	s := &setup{nodes: 1, options: broker.Options{
		Log: slog.New(slog.DiscardHandler), Addr: "127.0.0.1:0", Memory: true, Partitions: 3,
	}}
	for _, o := range opts {
		o(t, s)
	}
	inner, err := broker.Open(s.options)
	if err != nil {
		t.Fatalf("brokertest: %v", err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context())) // t's own context ends before the cleanups run
	var g errgroup.Group
	g.Go(func() error { return inner.Run(ctx) })
	b := &Broker{t: t, broker: inner, cluster: inner.Cluster(), setup: s, seeds: inner.Cluster().ListenAddrs()}
	b.stop = func() {
		cancel()
		if err := g.Wait(); err != nil {
			t.Errorf("brokertest: run: %v", err)
		}
		if err := inner.Close(); err != nil {
			t.Errorf("brokertest: close: %v", err)
		}
	}
	t.Cleanup(b.Stop)
	for _, tp := range s.topics {
		b.CreateTopic(tp.name, tp.partitions, tp.configs)
	}
	return b
}

// Stop stops the broker before the test ends. Of the other methods only Stop may follow.
func (b *Broker) Stop() {
	if b.stop != nil {
		b.stop()
		b.stop = nil
	}
}

// Addr returns the address of the first node.
func (b *Broker) Addr() string { return b.broker.Addr() }

// Addrs returns the addresses of all nodes.
func (b *Broker) Addrs() []string { return b.cluster.ListenAddrs() }

// CreateTopic creates a topic.
func (b *Broker) CreateTopic(name string, partitions int32, configs map[string]string) {
	b.t.Helper()
	if err := b.broker.CreateTopic(name, partitions, configs); err != nil {
		b.t.Fatalf("brokertest: %v", err)
	}
}

// DeleteTopic deletes a topic and the commits on it.
func (b *Broker) DeleteTopic(name string) {
	b.t.Helper()
	if err := b.cluster.DeleteTopic(name); err != nil {
		b.t.Fatalf("brokertest: delete topic %s: %v", name, err)
	}
}

// Client returns a client that is allowed everything and closes with the test.
func (b *Broker) Client(opts ...kgo.Opt) *kgo.Client {
	b.t.Helper()
	all := append([]kgo.Opt{kgo.SeedBrokers(b.seeds...)}, b.setup.client...)
	c, err := kgo.NewClient(append(all, opts...)...)
	if err != nil {
		b.t.Fatalf("brokertest: client: %v", err)
	}
	b.t.Cleanup(c.Close)
	return c
}

// within bounds one action of the test.
func (b *Broker) within() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(b.t.Context()), Wait) // also used by cleanups, after t's context ended
}
