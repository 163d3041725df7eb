package consume

import (
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"commerce.internal/orderctl/internal/queue"
)

// metrics are what the worker counts. Labels are bounded: outcomes, classes, codes, topics; never ids.
type metrics struct {
	handler     string
	records     *prometheus.CounterVec
	errors      *prometheus.CounterVec
	attempts    *prometheus.HistogramVec
	age         prometheus.Histogram
	batch       prometheus.Histogram
	fallbacks   prometheus.Counter
	races       prometheus.Counter
	inFlight    prometheus.Gauge
	hops        *prometheus.CounterVec
	hopDuration prometheus.Histogram
	hopFailures *prometheus.CounterVec
	paused      *prometheus.GaugeVec
	lateness    *prometheus.HistogramVec
	fetched     prometheus.Counter
	fetchRate   *meter
}

const subsystem = "orderctl_consume_"

func newMetrics(reg prometheus.Registerer, w *Worker) (*metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: subsystem + name, Help: help}, labels)
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: subsystem + name, Help: help, Buckets: buckets}, labels)
	}
	seconds := prometheus.ExponentialBuckets(0.001, 2.5, 12)
	records := counter("records_total", "Records finished.", "topic", "outcome")
	age := histogram("age_seconds", "Age of messages when they are finished.", prometheus.ExponentialBuckets(0.01, 4, 12))
	batch := histogram("batch_records", "Records in one transaction.", prometheus.ExponentialBuckets(1, 2, 10))
	fallbacks := counter("batch_fallbacks_total", "Transactions that ran again because of single records.")
	races := counter("races_total", "Records decided again because their row was changed meanwhile.")
	fetched := counter("fetched_records_total", "Records received.")
	hopDuration := histogram("hop_duration_seconds", "From the row of a hop to the acknowledgement of its copy.", seconds)
	m := &metrics{
		handler: string(w.o.Handler), records: records, age: age.WithLabelValues().(prometheus.Histogram),
		batch: batch.WithLabelValues().(prometheus.Histogram), fallbacks: fallbacks.WithLabelValues(), races: races.WithLabelValues(),
		fetched: fetched.WithLabelValues(), hopDuration: hopDuration.WithLabelValues().(prometheus.Histogram),
		errors:      counter("errors_total", "Failures of records, counted as attempts or not.", "class", "code"),
		attempts:    histogram("attempt_duration_seconds", "Time of an attempt, its batch and its wait for the copy.", seconds, "handler", "outcome"),
		inFlight:    prometheus.NewGauge(prometheus.GaugeOpts{Name: subsystem + "in_flight", Help: "Records in a transaction."}),
		hops:        counter("hops_total", "Copies written to retry topics and dead letters.", "to", "class"),
		hopFailures: counter("hop_failures_total", "Copies or positions that were not written.", "reason"),
		paused: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: subsystem + "paused", Help: "Whether a partition is not fetched, by reason.",
		}, []string{"topic", "partition", "reason"}),
		lateness:  histogram("retry_lateness_seconds", "How late records of a retry topic start.", seconds, "tier"),
		fetchRate: &meter{},
	}
	all := []prometheus.Collector{
		records, m.errors, m.attempts, age, batch, fallbacks, races, m.inFlight, m.hops, hopDuration, m.hopFailures, m.paused,
		m.lateness, fetched, &state{w: w},
	}
	for _, c := range all {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) fetch(now time.Time) {
	m.fetched.Inc()
	m.fetchRate.add(now)
}

func (m *metrics) begin(records int) {
	m.inFlight.Add(float64(records))
	m.batch.Observe(float64(records))
}

func (m *metrics) end(records int) { m.inFlight.Sub(float64(records)) }

func (m *metrics) done(it *item, outcome string, now time.Time) {
	m.records.WithLabelValues(it.rec.Topic, outcome).Inc()
	m.attempts.WithLabelValues(m.handler, outcome).Observe(now.Sub(it.since).Seconds())
	switch queue.Outcome(outcome) {
	case queue.Applied, queue.Stale, queue.Delivered, queue.Skipped:
		m.age.Observe(max(0, now.Sub(it.msg.entered).Seconds()))
	}
}

func (m *metrics) abandon(it *item) {
	m.records.WithLabelValues(it.rec.Topic, outcomeAbandoned).Inc()
}

func (m *metrics) failed(f queue.Failure) {
	m.errors.WithLabelValues(string(f.Class), f.Code).Inc()
}

// hop counts a copy. The code of an invalid order is a pointer with the sender's own names in it: its label has none.
func (m *metrics) hop(it *item, row queue.Row, took time.Duration) {
	m.hops.WithLabelValues(row.At.Topic, string(row.Failure.Class)).Inc()
	m.hopDuration.Observe(took.Seconds())
	if row.State == queue.StateDead && it.msg.failure == nil {
		code := row.Failure.Code
		if it.msg.bad != nil {
			code = it.msg.label
		}
		m.errors.WithLabelValues(string(row.Failure.Class), code).Inc()
	}
}

func (m *metrics) pause(topic string, partition int32, reason string, paused bool) {
	g := m.paused.WithLabelValues(topic, strconv.Itoa(int(partition)), reason)
	g.Set(0)
	if paused {
		g.Set(1)
	}
}

func (m *metrics) late(tier string, by time.Duration) {
	m.lateness.WithLabelValues(tier).Observe(by.Seconds())
}

func (m *metrics) forget(c *claim) {
	m.paused.DeletePartialMatch(prometheus.Labels{"topic": c.Topic(), "partition": strconv.Itoa(int(c.Partition()))})
}

// meterSpan is what a rate is taken over.
const meterSpan = 10

// meter counts events of the last seconds.
type meter struct {
	mu      sync.Mutex
	seconds [meterSpan + 1]struct {
		at int64
		n  int
	}
}

func (m *meter) add(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := &m.seconds[now.Unix()%int64(len(m.seconds))]
	if s.at != now.Unix() {
		s.at, s.n = now.Unix(), 0
	}
	s.n++
}

// rate is events a second over the last whole seconds.
func (m *meter) rate(now time.Time) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, s := range m.seconds {
		if age := now.Unix() - s.at; age >= 1 && age <= meterSpan {
			n += s.n
		}
	}
	return float64(n) / meterSpan
}
