package consume

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// state collects what the worker is, as against what it did: asked for when somebody looks.
type state struct{ w *Worker }

func (s *state) describe() (queued, lag, breaker, rate *prometheus.Desc) {
	queued = prometheus.NewDesc(subsystem+"queued", "Records in this process that are not finished.", []string{"topic", "partition"}, nil)
	lag = prometheus.NewDesc("kafka_consumer_lag", "Records of owned partitions that are not finished.", []string{"group", "topic", "partition"}, nil)
	breaker = prometheus.NewDesc(subsystem+"breaker_state", "0 closed, 1 half open, 2 open.", []string{"target"}, nil)
	rate = prometheus.NewDesc("consumer_fetch_rate", "Records received a second.", nil, nil)
	return queued, lag, breaker, rate
}

// Describe implements prometheus.Collector.
func (s *state) Describe(ch chan<- *prometheus.Desc) {
	queued, lag, breaker, rate := s.describe()
	ch <- queued
	if s.w.o.ExportLag {
		ch <- lag
	}
	ch <- breaker
	ch <- rate
}

// Collect implements prometheus.Collector. A lag that is not known is absent, never 0.
func (s *state) Collect(ch chan<- prometheus.Metric) {
	queued, lag, breaker, rate := s.describe()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	var last place
	for _, c := range s.w.owned() {
		at := place{c.Topic(), c.Partition()}
		if at == last {
			continue // lost and won again, the first claim is still draining
		}
		last = at
		partition := strconv.Itoa(int(c.Partition()))
		c.mu.Lock()
		n := c.queued
		c.mu.Unlock()
		gauge(queued, float64(n), c.Topic(), partition)
		if high, next := c.High(), c.position(); s.w.o.ExportLag && high >= 0 && next >= 0 {
			gauge(lag, float64(max(0, high-next)), s.w.o.Names.Group, c.Topic(), partition)
		}
	}
	open, _ := s.w.breaker.open()
	gauge(breaker, float64(open), "database")
	if s.w.sink != nil {
		open, _ = s.w.sink.open()
		gauge(breaker, float64(open), "webhook")
	}
	gauge(rate, s.w.met.fetchRate.rate(s.w.o.Now()))
}
