package export_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/inspect/lag/export"
)

type reporter func() (lag.Report, error)

func (r reporter) Report() (lag.Report, error) { return r() }

func tp(topic string, p int32) lag.TopicPartition {
	return lag.TopicPartition{Topic: topic, Partition: p}
}

func commits(of map[lag.TopicPartition]int64) lag.Maybe[map[lag.TopicPartition]lag.CommitObs] {
	m := map[lag.TopicPartition]lag.CommitObs{}
	for tp, o := range of {
		m[tp] = lag.CommitObs{Offset: o}
	}
	return lag.Know(m)
}

// observed is a topic of two partitions that two groups read; only the first of them has a leader if leaderless is set.
func observed(leaderless bool) lag.Snapshot {
	part := lag.PartitionObs{Leader: 1, Start: lag.Know[int64](3), High: lag.Know[int64](12), Stable: lag.Know[int64](12)}
	second := part
	if leaderless {
		second = lag.PartitionObs{Leader: -1, Problem: lag.NoLeader}
	}
	group := lag.GroupObs{
		State: lag.StateStable, Commits: commits(map[lag.TopicPartition]int64{tp("orders", 0): 10, tp("orders", 1): 12}),
		Members: lag.Know([]lag.MemberObs{{ID: "m1", Assigned: []lag.TopicPartition{tp("orders", 0), tp("orders", 1)}}}),
	}
	other := lag.GroupObs{State: lag.StateEmpty, Commits: commits(map[lag.TopicPartition]int64{tp("orders", 0): 12}), Members: lag.Know([]lag.MemberObs{})}
	return lag.Snapshot{
		AsOf: time.Now().Add(-2 * time.Second), Groups: map[string]lag.GroupObs{"g": group, "other": other},
		Topics:     map[string]lag.TopicObs{"orders": {Exists: lag.Know(true), Partitions: 2}},
		Partitions: map[lag.TopicPartition]lag.PartitionObs{tp("orders", 0): part, tp("orders", 1): second},
	}
}

func collector(t *testing.T, o export.Options) *export.Collector {
	t.Helper()
	c, err := export.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func of(s lag.Snapshot) reporter {
	return func() (lag.Report, error) { return lag.Evaluate([]lag.Snapshot{s}, lag.Policy{}), nil }
}

func expect(t *testing.T, c prometheus.Collector, want string, names ...string) {
	t.Helper()
	if err := testutil.CollectAndCompare(c, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
}

func TestMetricsOfAHealthyCluster(t *testing.T) {
	t.Parallel()
	c := collector(t, export.Options{Reporter: of(observed(false))})
	expect(t, c, `
# HELP kafka_consumer_lag Records between the committed offset of the group and the end of the partition.
# TYPE kafka_consumer_lag gauge
kafka_consumer_lag{group="g",partition="0",topic="orders"} 2
kafka_consumer_lag{group="g",partition="1",topic="orders"} 0
kafka_consumer_lag{group="other",partition="0",topic="orders"} 0
kafka_consumer_lag{group="other",partition="1",topic="orders"} 9
# HELP kafka_consumergroup_group_sum_lag Lag of the group over its source topics; absent while a partition is unknown.
# TYPE kafka_consumergroup_group_sum_lag gauge
kafka_consumergroup_group_sum_lag{group="g"} 2
kafka_consumergroup_group_sum_lag{group="other"} 9
# HELP kafka_consumergroup_members Members of the group.
# TYPE kafka_consumergroup_members gauge
kafka_consumergroup_members{consumergroup="g"} 1
kafka_consumergroup_members{consumergroup="other"} 0
# HELP kafka_topic_partition_current_offset High watermark of the partition.
# TYPE kafka_topic_partition_current_offset gauge
kafka_topic_partition_current_offset{partition="0",topic="orders"} 12
kafka_topic_partition_current_offset{partition="1",topic="orders"} 12
# HELP kafka_topic_partition_oldest_offset First offset that the partition still has.
# TYPE kafka_topic_partition_oldest_offset gauge
kafka_topic_partition_oldest_offset{partition="0",topic="orders"} 3
kafka_topic_partition_oldest_offset{partition="1",topic="orders"} 3
# HELP kafka_consumergroup_current_offset Committed offset of the group.
# TYPE kafka_consumergroup_current_offset gauge
kafka_consumergroup_current_offset{consumergroup="g",partition="0",topic="orders"} 10
kafka_consumergroup_current_offset{consumergroup="g",partition="1",topic="orders"} 12
kafka_consumergroup_current_offset{consumergroup="other",partition="0",topic="orders"} 12
`, "kafka_consumer_lag", "kafka_consumergroup_group_sum_lag", "kafka_consumergroup_members", "kafka_topic_partition_current_offset",
		"kafka_topic_partition_oldest_offset", "kafka_consumergroup_current_offset")
	for _, name := range []string{"kafka_consumergroup_lag", "kafka_consumergroup_group_lag"} {
		if n := testutil.CollectAndCount(c, name); n != 4 {
			t.Errorf("%s has %d series, want 4", name, n)
		}
	}
}

func TestUnknownHasNoSeries(t *testing.T) {
	t.Parallel()
	c := collector(t, export.Options{Reporter: of(observed(true))})
	expect(t, c, `
# HELP kafka_consumer_lag Records between the committed offset of the group and the end of the partition.
# TYPE kafka_consumer_lag gauge
kafka_consumer_lag{group="g",partition="0",topic="orders"} 2
kafka_consumer_lag{group="other",partition="0",topic="orders"} 0
# HELP orderctl_lag_unknown_partitions Partitions of the group whose lag is unknown.
# TYPE orderctl_lag_unknown_partitions gauge
orderctl_lag_unknown_partitions{group="g"} 1
orderctl_lag_unknown_partitions{group="other"} 1
`, "kafka_consumer_lag", "orderctl_lag_unknown_partitions", "kafka_consumergroup_group_sum_lag")
}

func TestAgesAreExported(t *testing.T) {
	t.Parallel()
	s := observed(false)
	s.Aged = true
	for name, of := range map[string]map[lag.TopicPartition]lag.HeadObs{
		"g":     {tp("orders", 0): {Low: s.AsOf.Add(-400 * time.Millisecond), High: s.AsOf}},
		"other": {},
	} {
		g := s.Groups[name]
		g.Heads = of
		s.Groups[name] = g
	}
	// The other group waits in partition 1, and since when is not known: it has no maximum.
	expect(t, collector(t, export.Options{Reporter: of(s)}), `
# HELP kafka_consumergroup_group_lag_seconds Age of the oldest unread record of the partition; in a retry tier, for how long one has been due.
# TYPE kafka_consumergroup_group_lag_seconds gauge
kafka_consumergroup_group_lag_seconds{group="g",partition="0",topic="orders"} 0.4
kafka_consumergroup_group_lag_seconds{group="g",partition="1",topic="orders"} 0
kafka_consumergroup_group_lag_seconds{group="other",partition="0",topic="orders"} 0
# HELP kafka_consumergroup_group_max_lag_seconds Age of the oldest unread record of the group in its source topics; absent while that of a partition is unknown.
# TYPE kafka_consumergroup_group_max_lag_seconds gauge
kafka_consumergroup_group_max_lag_seconds{group="g"} 0.4
`, "kafka_consumergroup_group_lag_seconds", "kafka_consumergroup_group_max_lag_seconds")
}

func TestOutdatedDataHasNoSeries(t *testing.T) {
	t.Parallel()
	c := collector(t, export.Options{Reporter: reporter(func() (lag.Report, error) {
		return lag.Evaluate([]lag.Snapshot{observed(false)}, lag.Policy{}), lag.ErrOutdated
	})})
	if n := testutil.CollectAndCount(c); n != 0 {
		t.Errorf("%d series of data that is out of date", n)
	}
}

func TestAWorkerShowsWhatItOwns(t *testing.T) {
	t.Parallel()
	c := collector(t, export.Options{Reporter: of(observed(false)), Owned: func(p lag.TopicPartition) bool { return p.Partition == 1 }})
	expect(t, c, `
# HELP kafka_consumer_lag Records between the committed offset of the group and the end of the partition.
# TYPE kafka_consumer_lag gauge
kafka_consumer_lag{group="g",partition="1",topic="orders"} 0
kafka_consumer_lag{group="other",partition="1",topic="orders"} 9
`, "kafka_consumer_lag", "kafka_consumergroup_group_sum_lag", "kafka_consumergroup_members", "kafka_topic_partition_current_offset")
}

func TestRefreshAge(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	reg.MustRegister(collector(t, export.Options{Reporter: of(observed(false))}))
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "orderctl_lag_refresh_age_seconds" {
			if v := f.GetMetric()[0].GetGauge().GetValue(); v < 1.9 || v > 60 {
				t.Errorf("age %v, want 2 s", v)
			}
			return
		}
	}
	t.Error("no age")
}

func TestPromlintFindsNothing(t *testing.T) {
	t.Parallel()
	problems, err := testutil.CollectAndLint(collector(t, export.Options{Reporter: of(observed(false))}))
	if err != nil || len(problems) != 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

func TestReporterIsRequired(t *testing.T) {
	t.Parallel()
	if _, err := export.New(export.Options{}); err == nil || errors.Is(err, lag.ErrOutdated) || !strings.Contains(err.Error(), "Options.Reporter") {
		t.Errorf("New = %v", err)
	}
}
