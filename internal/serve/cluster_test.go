package serve_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"commerce.internal/orderctl/internal/serve"
)

// While the server runs, each broker is up or down, and the copies of a topic are told as long as they are known.
func TestTheClusterIsWatched(t *testing.T) {
	t.Parallel()
	var gone atomic.Bool
	s := startSite(t, func(o *serve.Options) {
		o.ClusterEvery = 20 * time.Millisecond
		o.Cluster = func(context.Context) (serve.Cluster, error) {
			if gone.Load() {
				return serve.Cluster{}, errors.New("nobody answers")
			}
			return serve.Cluster{Up: map[int32]bool{1: true, 2: false}, MinInSync: map[string]int{"orders": 2}}, nil
		}
	})
	const up, copies = "orderctl_kafka_up", "orderctl_topic_min_insync_replicas"
	eventually(t, "the cluster is seen", func() bool { return s.metric(copies, "topic=orders") == 2 })
	if s.metric(up, "broker=1") != 1 || s.metric(up, "broker=2") != 0 || s.count(up) != 2 {
		t.Errorf("broker 1 is %v, broker 2 is %v", s.metric(up, "broker=1"), s.metric(up, "broker=2"))
	}
	if problems, err := testutil.GatherAndLint(s.reg); err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v %v", problems, err)
	}
	gone.Store(true)
	eventually(t, "all known brokers are down", func() bool { return s.metric(up, "broker=1") == 0 })
	eventually(t, "how many copies there are is too old", func() bool { return s.count(copies) == 0 })
	if n := s.count(up); n != 2 {
		t.Errorf("%d brokers are shown", n)
	}
	gone.Store(false)
	eventually(t, "it is back", func() bool { return s.metric(up, "broker=1") == 1 && s.count(copies) == 1 })
}

// A cluster that never told anything has no series.
func TestAClusterThatNobodyHasSeen(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 100)
	s := startSite(t, func(o *serve.Options) {
		o.ClusterEvery = time.Millisecond
		o.Cluster = func(context.Context) (serve.Cluster, error) {
			select {
			case asked <- struct{}{}:
			default:
			}
			return serve.Cluster{}, errors.New("nobody answers")
		}
	})
	for range 3 {
		<-asked
	}
	if s.count("orderctl_kafka_up") != 0 || s.count("orderctl_topic_min_insync_replicas") != 0 {
		t.Error("there are series")
	}
}

// count is how many series a metric has.
func (w *world) count(name string) int {
	w.t.Helper()
	n, err := testutil.GatherAndCount(w.reg, name)
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}
