package serve_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/serve"
)

type lagFunc func(group, topic string) (lag.ConsumerLag, error)

func (f lagFunc) Consumer(_ context.Context, group, topic string) (lag.ConsumerLag, error) {
	return f(group, topic)
}

func ptr[T any](v T) *T { return &v }

func askLag(t *testing.T, source serve.LagSource, url, accept string) answer {
	t.Helper()
	w := newWorld(t, func(o *serve.Options) { o.Lag = source })
	r := httptest.NewRequest(http.MethodGet, url, nil)
	r.Header.Set("Accept", accept)
	rec := httptest.NewRecorder()
	w.srv.ConsumerLag().ServeHTTP(rec, r)
	return read(t, rec.Result())
}

func sample(group, topic string) (lag.ConsumerLag, error) {
	return lag.ConsumerLag{
		GroupID: group, Topic: topic, TotalLagMin: ptr(int64(2)), Timestamp: time.Date(2026, 11, 22, 3, 12, 7, 0, time.UTC),
		Partitions: []lag.PartitionLag{
			{Partition: 0, CurrentOffset: lag.Know[int64](10), LogEndOffset: lag.Know[int64](12), Lag: lag.Know[int64](2), LagSeconds: lag.Know(0.4), Status: lag.OK, Member: lag.Know("worker-7c")},
			{Partition: 1, Status: lag.Leaderless},
		},
	}, nil
}

func TestConsumerLagNeverShowsUnknownAsZero(t *testing.T) {
	t.Parallel()
	a := askLag(t, lagFunc(sample), "/metrics/consumer_lag", "*/*")
	want := `{"group_id":"g","topic":"orders","complete":false,"total_lag":null,"total_lag_min":2,"max_lag_seconds":null,` +
		`"partitions":[{"partition":0,"current_offset":10,"log_end_offset":12,"lag":2,"lag_seconds":0.4,"status":"OK","member":"worker-7c"},` +
		`{"partition":1,"current_offset":null,"log_end_offset":null,"lag":null,"lag_seconds":null,"status":"NO-LEADER","member":null}],` +
		`"timestamp":"2026-11-22T03:12:07Z"}` + "\n"
	if a.code != 200 || a.raw != want {
		t.Errorf("%d\n%s\nwant\n%s", a.code, a.raw, want)
	}
	text := askLag(t, lagFunc(sample), "/metrics/consumer_lag?group=a%22b&topic=t", "text/plain;version=0.0.4")
	if !strings.HasSuffix(text.raw, "\nkafka_consumer_lag{group=\"a\\\"b\",topic=\"t\",partition=\"0\"} 2\n") || strings.Contains(text.raw, `partition="1"`) {
		t.Errorf("text form:\n%s", text.raw)
	}
	if problems, err := promlint.New(strings.NewReader(text.raw)).Lint(); err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v %v", problems, err)
	}
	full := askLag(t, lagFunc(func(g, topic string) (lag.ConsumerLag, error) {
		return lag.ConsumerLag{GroupID: g, Topic: topic, Complete: true, TotalLag: lag.Know[int64](0)}, nil
	}), "/metrics/consumer_lag?group=h", "")
	if full.body["total_lag"] != 0.0 || full.body["group_id"] != "h" || strings.Contains(full.raw, "total_lag_min") || !strings.Contains(full.raw, `"partitions":[]`) {
		t.Errorf("complete: %s", full.raw)
	}
}

func TestConsumerLagThatIsNotKnown(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		source serve.LagSource
		code   int
		slug   string
	}{
		"no such group": {lagFunc(func(string, string) (lag.ConsumerLag, error) {
			return lag.ConsumerLag{}, fmt.Errorf("group x: %w", queue.ErrNotFound)
		}), 404, "not-found"},
		"too old":        {lagFunc(func(string, string) (lag.ConsumerLag, error) { return lag.ConsumerLag{}, errors.New("20 s old") }), 503, "lag-unavailable"},
		"nobody watches": {nil, 503, "lag-unavailable"},
	} {
		if a := askLag(t, tt.source, "/metrics/consumer_lag", ""); a.code != tt.code || a.str("code") != tt.slug {
			t.Errorf("%s: %d %s", name, a.code, a.raw)
		}
	}
}
