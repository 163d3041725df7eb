package read_test

import (
	"log/slog"
	"testing"
	"time"

	"go.uber.org/goleak"

	"commerce.internal/orderctl/internal/kafka"
	"commerce.internal/orderctl/internal/kafka/read"
	"commerce.internal/orderctl/internal/queue"
)

func TestMain(m *testing.M) {
	kafka.Setup(slog.New(slog.DiscardHandler))
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"))
}

func reader(t *testing.T, addrs ...string) *read.Reader {
	t.Helper()
	r, err := read.New(t.Context(), kafka.Options{
		Brokers: addrs, ClientID: "orderctl-test", Timeout: 5 * time.Second, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	})
	return r
}

// all scans a part of partition 0 and returns the offsets that came.
func all(t *testing.T, r *read.Reader, topic string, from, end int64) ([]queue.Record, error) {
	t.Helper()
	var got []queue.Record
	err := r.Scan(t.Context(), topic, 0, from, end, func(rec queue.Record) error {
		got = append(got, rec)
		return nil
	})
	return got, err
}

func offsetsOf(recs []queue.Record) []int64 {
	offsets := []int64{}
	for _, r := range recs {
		offsets = append(offsets, r.Offset)
	}
	return offsets
}
