package consume

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// state collects what the worker is, as against what it did: asked for when somebody looks.
type state struct{ w *Worker }

func (s *state) describe() (queued, messages, breaker, rate *prometheus.Desc) {
	queued = prometheus.NewDesc(subsystem+"queued", "Records in this process that are not finished.", []string{"topic", "partition"}, nil)
	messages = prometheus.NewDesc(subsystem+"messages", "Messages of the group that are not done.", []string{"state"}, nil)
	breaker = prometheus.NewDesc(subsystem+"breaker_state", "0 closed, 1 half open, 2 open.", []string{"target"}, nil)
	rate = prometheus.NewDesc("consumer_fetch_rate", "Records received a second.", nil, nil)
	return queued, messages, breaker, rate
}

// Describe implements prometheus.Collector.
func (s *state) Describe(ch chan<- *prometheus.Desc) {
	queued, messages, breaker, rate := s.describe()
	ch <- queued
	ch <- messages
	ch <- breaker
	ch <- rate
}

// Collect implements prometheus.Collector. What is not known is absent, never 0.
func (s *state) Collect(ch chan<- prometheus.Metric) {
	queued, messages, breaker, rate := s.describe()
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
		c.mu.Lock()
		n := c.queued
		c.mu.Unlock()
		gauge(queued, float64(n), c.Topic(), strconv.Itoa(int(c.Partition())))
	}
	if counts := s.w.counts.Load(); counts != nil {
		for state, n := range *counts {
			gauge(messages, float64(n), string(state))
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
