package serve_test

import (
	"errors"
	"testing"

	"commerce.internal/orderctl/internal/obs"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/serve"
)

func check(t *testing.T, w *world, name string) obs.Health {
	t.Helper()
	for _, c := range w.srv.Checks() {
		if c.Name == name {
			return c.Report()
		}
	}
	t.Fatalf("no check %s", name)
	return obs.Health{}
}

func TestKafkaAwayIsAWarningUnlessAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if h := check(t, w, "kafka"); h.Status != obs.Pass {
		t.Errorf("%+v", h)
	}
	w.pub.health = queue.PublisherHealth{LastErr: errors.New("connection refused")}
	if h := check(t, w, "kafka"); h.Status != obs.Warn || h.Err == nil {
		t.Errorf("%+v: a replica that leaves the balancer helps nobody", h)
	}
	strict := newWorld(t, func(o *serve.Options) { o.ReadyNeedKafka = true })
	strict.pub.health = queue.PublisherHealth{LastErr: errors.New("connection refused")}
	if h := check(t, strict, "kafka"); h.Status != obs.Fail {
		t.Errorf("%+v", h)
	}
}

func TestAnOpenBreakerShowsInHealth(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pub.set(func(int, queue.Message, func(queue.Ack, error)) error {
		return &queue.PublishError{Kind: queue.NotSent, Reason: "no-leader"}
	})
	w.post(good)
	if h := check(t, w, "kafka"); h.Status != obs.Warn || h.Err == nil {
		t.Errorf("%+v", h)
	}
}

func TestATopicThatGrewIsToldOnce(t *testing.T) {
	t.Parallel()
	n := int32(4)
	var err error
	w := newWorld(t, func(o *serve.Options) { o.PartitionsNow = func() (int32, error) { return n, err } })
	if w.metric("orderctl_partition_count_mismatch") != 0 || check(t, w, "partitions").Status != obs.Pass {
		t.Error("same number: mismatch")
	}
	n = 6
	if w.metric("orderctl_partition_count_mismatch", "topic=orders") != 1 || check(t, w, "partitions").Status != obs.Warn {
		t.Error("another number went unnoticed")
	}
	if l := w.lines("the topic has another number of partitions than at start: restart"); len(l) != 1 {
		t.Errorf("%d lines, want one", len(l))
	}
	a := w.post(good)
	if a.code != 202 || w.pub.messages()[0].Partition != 3 {
		t.Error("the partition of a key moved while running")
	}
	err = errors.New("away")
	if check(t, w, "partitions").Status != obs.Pass {
		t.Error("what is not known is no mismatch")
	}
}
