package setup_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/setup"
)

// cluster is a hand-made Admin: a map of topics.
type cluster struct {
	topics map[string]setup.Topic
	err    error
}

func (c *cluster) Topics(_ context.Context, names []string) (map[string]setup.Topic, error) {
	found := map[string]setup.Topic{}
	for _, n := range names {
		if t, ok := c.topics[n]; ok {
			found[n] = t
		}
	}
	return found, c.err
}

func (c *cluster) Create(_ context.Context, specs []setup.TopicSpec) error {
	for _, s := range specs {
		c.topics[s.Name] = setup.Topic{Partitions: s.Partitions, ReplicationFactor: s.ReplicationFactor, Configs: s.Configs}
	}
	return c.err
}

func want() setup.Want {
	return setup.Want{
		Names:      queue.Names{Source: "orders", Group: "g", Tiers: []time.Duration{5 * time.Second}},
		Partitions: 12, ReplicationFactor: 3, MinInSyncReplicas: 2, Retention: 168 * time.Hour, MaxMessageBytes: 1_000_000,
	}
}

func TestAnEmptyClusterGetsEveryTopicOnce(t *testing.T) {
	t.Parallel()
	c := &cluster{topics: map[string]setup.Topic{}}
	steps, err := setup.Plan(t.Context(), c, want())
	if err != nil || len(steps) != 5 {
		t.Fatalf("Plan: %d steps, %v", len(steps), err)
	}
	n, err := setup.Apply(t.Context(), c, steps)
	if err != nil || n != 5 {
		t.Fatalf("Apply created %d, %v; want 5", n, err)
	}
	again, err := setup.Plan(t.Context(), c, want())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range again {
		if s.Action != setup.ActionOK {
			t.Errorf("after apply %s is %s %v: the plan must agree with what it made", s.Spec.Name, s.Action, s.Drift)
		}
	}
	if n, err := setup.Apply(t.Context(), c, again); n != 0 || err != nil {
		t.Errorf("second Apply created %d, %v", n, err)
	}
}

func TestWhatEachRoleIsConfiguredTo(t *testing.T) {
	t.Parallel()
	steps, err := setup.Plan(t.Context(), &cluster{}, want())
	if err != nil {
		t.Fatal(err)
	}
	wants := map[string]map[string]string{
		"orders":             {"cleanup.policy": "delete", "retention.ms": "604800000", "max.message.bytes": "1000000", "min.insync.replicas": "2"},
		"orders.g.retry.5s":  {"cleanup.policy": "delete", "retention.ms": "604800000", "max.message.bytes": "1065536"},
		"orders.g.replay":    {"retention.ms": "604800000", "max.message.bytes": "1065536"},
		"orders.g.dlq":       {"cleanup.policy": "delete", "retention.ms": "-1", "max.message.bytes": "1065536"},
		"orders.g.dlq.audit": {"cleanup.policy": "compact"},
	}
	for _, s := range steps {
		for k, v := range wants[s.Spec.Name] {
			if s.Spec.Configs[k] != v {
				t.Errorf("%s: %s = %q, want %q", s.Spec.Name, k, s.Spec.Configs[k], v)
			}
		}
		if s.Spec.Partitions != 12 || s.Spec.ReplicationFactor != 3 {
			t.Errorf("%s: %d partitions, factor %d", s.Spec.Name, s.Spec.Partitions, s.Spec.ReplicationFactor)
		}
	}
}

func TestDriftIsShownAndNothingIsChanged(t *testing.T) {
	t.Parallel()
	c := &cluster{topics: map[string]setup.Topic{
		"orders": {Partitions: 6, ReplicationFactor: 3, Configs: map[string]string{"cleanup.policy": "compact"}},
	}}
	steps, err := setup.Plan(t.Context(), c, want())
	if err != nil {
		t.Fatal(err)
	}
	src := steps[0]
	if src.Action != setup.ActionDiffer || len(src.Drift) != 2 {
		t.Fatalf("source: %s %v, want the partitions and the policy to differ", src.Action, src.Drift)
	}
	if src.Drift[0] != (setup.Drift{Key: "partitions", Have: "6", Want: "12"}) {
		t.Errorf("drift %v", src.Drift[0])
	}
	for _, s := range steps[1:] {
		if s.Spec.Partitions != 6 {
			t.Errorf("%s would get %d partitions: a hop keeps the number, so the existing source's 6 count", s.Spec.Name, s.Spec.Partitions)
		}
	}
	if _, err := setup.Apply(t.Context(), c, steps); err != nil {
		t.Fatal(err)
	}
	if c.topics["orders"].Partitions != 6 {
		t.Error("apply changed an existing topic")
	}
}

func TestAnErrorOfTheClusterIsKept(t *testing.T) {
	t.Parallel()
	c := &cluster{topics: map[string]setup.Topic{}, err: queue.ErrDenied}
	if _, err := setup.Plan(t.Context(), c, want()); !errors.Is(err, queue.ErrDenied) {
		t.Errorf("Plan: %v", err)
	}
	if _, err := setup.Apply(t.Context(), c, []setup.Step{{Action: setup.ActionCreate}}); !errors.Is(err, queue.ErrDenied) {
		t.Errorf("Apply: %v", err)
	}
}
