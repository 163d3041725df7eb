package serve_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/serve"
)

func TestMetricsAreCleanAndBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *serve.Options) { o.PartitionsNow = func() (int32, error) { return 4, nil } })
	w.pub.health = queue.PublisherHealth{LastAck: time.UnixMilli(1_764_000_000_500)}
	w.post(good)
	w.post("{")
	w.post("[]")
	w.pub.set(fails(queue.Unknown, "x"))
	w.post(good)
	w.pub.set(refuses(&queue.PublishError{Kind: queue.NotSent, Reason: "busy"}))
	w.post(good)
	for i := range 3 {
		w.get("/orders/" + strings.Repeat("x", 10+i))
		w.get("/invented/" + strings.Repeat("x", 10+i))
	}
	problems, err := testutil.GatherAndLint(w.reg)
	if err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v %v", problems, err)
	}
	for series, want := range map[string]float64{
		"http_server_request_duration_seconds method=POST route=/orders code=202":  1,
		"http_server_request_duration_seconds method=GET route=/orders/{order_id}": 3,
		"http_server_request_duration_seconds method=GET route=unmatched code=404": 3,
		"http_server_active_requests":                                     0,
		"http_server_request_body_size_bytes":                             5,
		"orderctl_orders_accepted_total":                                  1,
		"orderctl_orders_rejected_total code=malformed-json":              1,
		"orderctl_orders_rejected_total code=overloaded":                  1,
		"orderctl_validation_errors_total pointer=#":                      1,
		"orderctl_publish_duration_seconds topic=orders outcome=accepted": 1,
		"orderctl_publish_duration_seconds topic=orders outcome=unknown":  1,
		"orderctl_publish_in_flight topic=orders partition=3":             0,
		"orderctl_publish_in_flight_bytes":                                0,
		"orderctl_publish_shed_total reason=enqueue":                      1,
		"orderctl_publish_unknown_total":                                  1,
		"orderctl_publish_late_acks_total":                                0,
		"orderctl_breaker_state partition=0":                              0,
		"orderctl_kafka_last_ack_timestamp_seconds":                       1_764_000_000.5,
		"orderctl_partition_count_mismatch topic=orders":                  0,
	} {
		parts := strings.Split(series, " ")
		if got := w.metric(parts[0], parts[1:]...); got != want {
			t.Errorf("%s = %v, want %v", series, got, want)
		}
		if n, err := testutil.GatherAndCount(w.reg, parts[0]); err != nil || n == 0 {
			t.Errorf("%s is not in the scrape: %v", parts[0], err)
		}
	}
}

// What is not known is absent, never 0.
func TestUnknownGaugesAreAbsent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, name := range []string{"orderctl_kafka_last_ack_timestamp_seconds", "orderctl_partition_count_mismatch"} {
		if n, err := testutil.GatherAndCount(w.reg, name); err != nil || n != 0 {
			t.Errorf("%s: %d series, %v", name, n, err)
		}
	}
}
