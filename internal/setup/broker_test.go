package setup_test

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"commerce.internal/orderctl/internal/broker/brokertest"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/setup"
)

// wire is an Admin that asks a real broker.
type wire struct{ c *kgo.Client }

func (w wire) Topics(ctx context.Context, names []string) (map[string]setup.Topic, error) {
	meta := kmsg.NewPtrMetadataRequest()
	configs := kmsg.NewPtrDescribeConfigsRequest()
	for _, n := range names {
		meta.Topics = append(meta.Topics, kmsg.MetadataRequestTopic{Topic: kmsg.StringPtr(n)})
		configs.Resources = append(configs.Resources, kmsg.DescribeConfigsRequestResource{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: n})
	}
	have, err := meta.RequestWith(ctx, w.c)
	if err != nil {
		return nil, err
	}
	set, err := configs.RequestWith(ctx, w.c)
	if err != nil {
		return nil, err
	}
	found := map[string]setup.Topic{}
	for _, t := range have.Topics {
		if t.ErrorCode == 0 {
			found[*t.Topic] = setup.Topic{Partitions: int32(len(t.Partitions)), ReplicationFactor: int16(len(t.Partitions[0].Replicas)), Configs: map[string]string{}}
		}
	}
	for _, r := range set.Resources {
		for _, c := range r.Configs {
			if t, ok := found[r.ResourceName]; ok && c.Value != nil {
				t.Configs[c.Name] = *c.Value
			}
		}
	}
	return found, nil
}

func (w wire) Create(ctx context.Context, specs []setup.TopicSpec) error {
	req := kmsg.NewPtrCreateTopicsRequest()
	for _, s := range specs {
		rt := kmsg.NewCreateTopicsRequestTopic()
		rt.Topic, rt.NumPartitions, rt.ReplicationFactor = s.Name, s.Partitions, s.ReplicationFactor
		for k, v := range s.Configs {
			rt.Configs = append(rt.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: k, Value: kmsg.StringPtr(v)})
		}
		req.Topics = append(req.Topics, rt)
	}
	resp, err := req.RequestWith(ctx, w.c)
	if err != nil {
		return err
	}
	for _, t := range resp.Topics {
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			return err
		}
	}
	return nil
}

func TestABrokerTakesWhatIsPlanned(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t)
	admin := wire{b.Client()}
	w := want()
	w.Names.Tiers = []time.Duration{5 * time.Second, time.Minute}
	w.ReplicationFactor, w.MinInSyncReplicas, w.Partitions = 1, 1, 3
	steps, err := setup.Plan(t.Context(), admin, w)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := setup.Apply(t.Context(), admin, steps); n != 6 || err != nil {
		t.Fatalf("Apply = %d, %v", n, err)
	}
	again, err := setup.Plan(t.Context(), admin, w)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range again {
		if s.Action != setup.ActionOK {
			t.Errorf("%s is %s: %v", s.Spec.Name, s.Action, s.Drift)
		}
	}
	// A letter must fit where its order just fitted the source.
	value := make([]byte, w.MaxMessageBytes)
	big := b.Client(kgo.ProducerBatchMaxBytes(4<<20), kgo.ProducerBatchCompression(kgo.NoCompression()))
	letter := &kgo.Record{Topic: w.Names.DLQ(), Value: value, Headers: []kgo.RecordHeader{{Key: "h", Value: make([]byte, 50<<10)}}}
	if err := big.ProduceSync(t.Context(), letter).FirstErr(); err != nil {
		t.Errorf("a letter with the largest order: %v", err)
	}
	if err := big.ProduceSync(t.Context(), &kgo.Record{Topic: w.Names.Source, Value: value}).FirstErr(); err == nil {
		t.Error("the source takes a record above its own limit")
	}
}

func TestTheRoleOfEachTopicIsNamed(t *testing.T) {
	t.Parallel()
	steps, err := setup.Plan(t.Context(), &cluster{}, want())
	if err != nil {
		t.Fatal(err)
	}
	roles := []queue.Role{queue.RoleSource, queue.RoleRetry, queue.RoleReplay, queue.RoleDLQ, queue.RoleAudit}
	for i, s := range steps {
		if s.Spec.Role != roles[i] || s.Action != setup.ActionCreate || s.Drift != nil {
			t.Errorf("%s: %s, %s, %v", s.Spec.Name, s.Spec.Role, s.Action, s.Drift)
		}
	}
}

func TestLettersMayBeDropped(t *testing.T) {
	t.Parallel()
	w := want()
	w.DLQRetention = 30 * 24 * time.Hour
	steps, err := setup.Plan(t.Context(), &cluster{}, w)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range steps {
		want := map[queue.Role]string{queue.RoleDLQ: "2592000000", queue.RoleAudit: ""}
		if ms, ok := want[s.Spec.Role]; ok && s.Spec.Configs["retention.ms"] != ms {
			t.Errorf("%s: retention.ms %q, want %q", s.Spec.Name, s.Spec.Configs["retention.ms"], ms)
		}
	}
}

// Who may not read a config cannot say that it differs.
func TestWhatMayNotBeReadIsNoDrift(t *testing.T) {
	t.Parallel()
	c := &cluster{topics: map[string]setup.Topic{
		"orders":       {Partitions: 12, ReplicationFactor: 3},
		"orders.g.dlq": {Partitions: 12, ReplicationFactor: 1, Configs: map[string]string{"retention.ms": "1", "max.message.bytes": "10"}},
	}}
	steps, err := setup.Plan(t.Context(), c, want())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range steps {
		switch s.Spec.Name {
		case "orders":
			if s.Action != setup.ActionOK {
				t.Errorf("source: %s %v", s.Action, s.Drift)
			}
		case "orders.g.dlq":
			want := []setup.Drift{{Key: "replication.factor", Have: "1", Want: "3"}, {Key: "max.message.bytes", Have: "10", Want: "1065536"}, {Key: "retention.ms", Have: "1", Want: "-1"}}
			if len(s.Drift) != len(want) {
				t.Fatalf("drift %v", s.Drift)
			}
			for i := range want {
				if s.Drift[i] != want[i] {
					t.Errorf("drift %d: %v, want %v", i, s.Drift[i], want[i])
				}
			}
		}
	}
}
