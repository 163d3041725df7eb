package group

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	commitErrors *prometheus.CounterVec
	rebalances   *prometheus.CounterVec
	lost         *prometheus.CounterVec
	errors       prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		commitErrors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "orderctl_consume_commit_errors_total", Help: "Offset commits that the coordinator refused, by Kafka's error code.",
		}, []string{"code"}),
		rebalances: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "orderctl_consume_rebalances_total", Help: "Sessions joined and left, and assignments changed within a session.",
		}, []string{"kind"}),
		lost: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "orderctl_consume_lost_records_total", Help: "Offsets deleted from the log before the group had read them.",
		}, []string{"topic"}),
		errors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "orderctl_consume_client_errors_total", Help: "Errors that the Kafka client reported beside its answers.",
		}),
	}
	return m, register(reg, m.commitErrors, m.rebalances, m.lost, m.errors)
}
