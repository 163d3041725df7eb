package serve

import (
	"context"
	"log/slog"
	"maps"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"commerce.internal/orderctl/internal/obs"
)

// Cluster is what the metrics tell of the cluster itself.
type Cluster struct {
	Up        map[int32]bool // by broker
	MinInSync map[string]int // by topic: copies that an acknowledged record has
}

// clusterKept is after how many refreshes without an answer what was known is not shown any more.
const clusterKept = 3

// clusterWatch asks now and then how the cluster is, so that a scrape never waits for it.
type clusterWatch struct {
	ask   func(context.Context) (Cluster, error)
	every time.Duration
	log   *slog.Logger
	last  atomic.Pointer[seenCluster]
}

type seenCluster struct {
	Cluster
	at time.Time
}

// run asks until ctx ends.
func (w *clusterWatch) run(ctx context.Context) {
	tick := time.NewTicker(w.every)
	defer tick.Stop()
	for {
		w.refresh(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// refresh asks once. Where nobody answers, each broker that was known is down: that is what this metric is for. How many
// copies a record has is then not known, and goes when it is too old.
func (w *clusterWatch) refresh(ctx context.Context) {
	end, cancel := context.WithTimeout(ctx, w.every)
	defer cancel()
	now, err := w.ask(end)
	if err == nil {
		w.last.Store(&seenCluster{now, time.Now()})
		return
	}
	last := w.last.Load()
	if ctx.Err() != nil || last == nil {
		return
	}
	w.log.DebugContext(ctx, "no broker tells how the cluster is", slog.Any(obs.KeyError, err))
	down := maps.Clone(last.Up)
	for id := range down {
		down[id] = false
	}
	w.last.Store(&seenCluster{Cluster{Up: down, MinInSync: last.MinInSync}, last.at})
}

// clusterMetrics is the collector of what clusterWatch saw.
type clusterMetrics struct {
	w       *clusterWatch
	up, min *prometheus.Desc
}

func newClusterMetrics(w *clusterWatch) *clusterMetrics {
	return &clusterMetrics{
		w:   w,
		up:  prometheus.NewDesc("orderctl_kafka_up", "1 when the broker answers.", []string{"broker"}, nil),
		min: prometheus.NewDesc("orderctl_topic_min_insync_replicas", "Copies that a record has when it is acknowledged.", []string{"topic"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (m *clusterMetrics) Describe(ch chan<- *prometheus.Desc) { ch <- m.up; ch <- m.min }

// Collect implements prometheus.Collector. What is not known is absent.
func (m *clusterMetrics) Collect(ch chan<- prometheus.Metric) {
	last := m.w.last.Load()
	if last == nil {
		return
	}
	for id, up := range last.Up {
		v := 0.0
		if up {
			v = 1
		}
		ch <- prometheus.MustNewConstMetric(m.up, prometheus.GaugeValue, v, strconv.Itoa(int(id)))
	}
	if time.Since(last.at) > clusterKept*m.w.every {
		return
	}
	for topic, n := range last.MinInSync {
		ch <- prometheus.MustNewConstMetric(m.min, prometheus.GaugeValue, float64(n), topic)
	}
}
