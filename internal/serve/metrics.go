package serve

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"commerce.internal/orderctl/internal/order"
)

// nativeFactor is the resolution of native histograms.
const nativeFactor = 1.1

// metrics counts requests, orders and publications. Every label is bounded: a route template, a code, an outcome, a pointer
// without indexes; never an id.
type metrics struct {
	duration   *prometheus.HistogramVec
	active     prometheus.Gauge
	bodySize   prometheus.Histogram
	accepted   prometheus.Counter
	rejected   *prometheus.CounterVec
	validation *prometheus.CounterVec
	publish    [outcomeKinds]prometheus.Observer
	shed       *prometheus.CounterVec
	unknown    prometheus.Counter
	lateAcks   prometheus.Counter
}

func seconds() []float64 {
	return []float64{.001, .0025, .005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}
}

func newMetrics(reg prometheus.Registerer, topic string) (*metrics, error) {
	publish := histogram("orderctl_publish_duration_seconds", "From the hand-over of an order to the end of its publication.", seconds(), "topic", "outcome")
	m := &metrics{
		duration: histogram("http_server_request_duration_seconds", "How long requests took.", seconds(), "method", "route", "code"),
		active:   prometheus.NewGauge(opts("http_server_active_requests", "Requests under way.")),
		bodySize: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "http_server_request_body_size_bytes", Help: "Size of the bodies of orders, decompressed.",
			Buckets: prometheus.ExponentialBuckets(128, 4, 8), NativeHistogramBucketFactor: nativeFactor,
		}),
		accepted:   counter("orderctl_orders_accepted_total", "Orders on all in-sync replicas, answered 202.").WithLabelValues(),
		rejected:   counter("orderctl_orders_rejected_total", "Orders, or batches refused whole, that were not accepted.", "code"),
		validation: counter("orderctl_validation_errors_total", "Broken rules by place.", "pointer"),
		shed:       counter("orderctl_publish_shed_total", "Orders turned away before they reached the queue.", "reason"),
		unknown:    counter("orderctl_publish_unknown_total", "Orders answered 504: perhaps written.").WithLabelValues(),
		lateAcks:   counter("orderctl_publish_late_acks_total", "Acknowledgements after the answer 504.").WithLabelValues(),
	}
	for k := range outcomeKinds {
		m.publish[k] = publish.WithLabelValues(topic, k.String())
	}
	for _, c := range []prometheus.Collector{
		m.duration, m.active, m.bodySize, m.accepted, m.rejected, m.validation, publish, m.shed, m.unknown, m.lateAcks,
	} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func opts(name, help string) prometheus.GaugeOpts {
	return prometheus.GaugeOpts{Name: name, Help: help}
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: name, Help: help, Buckets: buckets, NativeHistogramBucketFactor: nativeFactor,
	}, labels)
}

func (m *metrics) request(method, route string, status int, took time.Duration) {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions:
	default:
		method = "_OTHER" // the sender may invent methods
	}
	m.duration.WithLabelValues(method, route, strconv.Itoa(status)).Observe(took.Seconds())
}

func (m *metrics) published(k outcomeKind, took time.Duration) { m.publish[k].Observe(took.Seconds()) }

func (m *metrics) violations(vs []order.Violation) {
	for _, v := range vs {
		m.validation.WithLabelValues(place(v)).Inc()
	}
}

// place is the bounded form of a pointer, without the index of the order in its batch.
func place(v order.Violation) string {
	head, rest, _ := strings.Cut(strings.TrimPrefix(v.Pointer, "#/"), "/")
	if _, err := strconv.ParseUint(head, 10, 31); err == nil {
		v.Pointer = strings.TrimSuffix("#/"+rest, "/")
	}
	return v.Label()
}
