package serve

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// liveMetrics reads at each scrape what the server knows already; the paths of orders pay nothing for it.
type liveMetrics struct{ s *Server }

func (m *liveMetrics) descs() (inFlight, bytes, breakers, lastAck, mismatch *prometheus.Desc) {
	d := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return d("orderctl_publish_in_flight", "Orders handed over whose publication has not ended.", "topic", "partition"),
		d("orderctl_publish_in_flight_bytes", "Bytes of orders that are admitted and whose publication has not ended."),
		d("orderctl_breaker_state", "0 closed, 1 half open, 2 open.", "partition"),
		d("orderctl_kafka_last_ack_timestamp_seconds", "When the brokers last acknowledged an order."),
		d("orderctl_partition_count_mismatch", "1 when the topic has another number of partitions than at start: restart.", "topic")
}

// Describe implements prometheus.Collector.
func (m *liveMetrics) Describe(ch chan<- *prometheus.Desc) {
	a, b, c, d, e := m.descs()
	for _, desc := range []*prometheus.Desc{a, b, c, d, e} {
		ch <- desc
	}
}

// Collect implements prometheus.Collector. What is not known is absent.
func (m *liveMetrics) Collect(ch chan<- prometheus.Metric) {
	inFlight, bytes, breakers, lastAck, mismatch := m.descs()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for i := range m.s.breakers {
		p := strconv.Itoa(i)
		gauge(inFlight, float64(m.s.load.partitions[i].Load()), m.s.o.Topic, p)
		gauge(breakers, m.s.breakers[i].state(), p)
	}
	gauge(bytes, float64(m.s.load.bytes.Load()))
	if at := m.s.o.Publisher.Health().LastAck; !at.IsZero() {
		gauge(lastAck, float64(at.UnixMilli())/1000)
	}
	if now, ok := m.s.partitionsNow(); ok {
		v := 0.0
		if now != m.s.o.Partitions {
			v = 1
		}
		gauge(mismatch, v, m.s.o.Topic)
	}
}
