package consume_test

import (
	"testing"
	"testing/synctest"
	"time"

	"commerce.internal/orderctl/internal/order"
)

func TestAWorkerOwnsWhatItHasClaimed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(2)
		w.o.UntilEmpty, w.o.Empty = false, nil
		w.produce("A-1", order.Created)
		worker, stop := w.start(t)
		<-time.After(time.Second)
		synctest.Wait()
		for _, tt := range []struct {
			topic     string
			partition int32
			want      bool
		}{{"orders", 0, true}, {"orders", 1, true}, {"orders", 2, false}, {names.Retry(time.Minute), 1, true}, {names.DLQ(), 0, false}} {
			if got := worker.Owns(tt.topic, tt.partition); got != tt.want {
				t.Errorf("Owns(%s, %d) = %v", tt.topic, tt.partition, got)
			}
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		if worker.Owns("orders", 0) {
			t.Error("a worker that has ended owns a partition")
		}
	})
}
