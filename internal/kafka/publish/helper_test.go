package publish_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"commerce.internal/orderctl/internal/broker/brokertest"
	"commerce.internal/orderctl/internal/kafka"
	"commerce.internal/orderctl/internal/kafka/publish"
	"commerce.internal/orderctl/internal/queue"
)

func TestMain(m *testing.M) {
	kafka.Setup(slog.New(slog.DiscardHandler))
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"),
		goleak.IgnoreAnyFunction("github.com/eapache/go-resiliency/breaker.(*Breaker).timer")) // sarama's breaker sleeps 10 s, whatever happens
}

func options(addr string) kafka.Options {
	return kafka.Options{
		Brokers: []string{addr}, ClientID: "orderctl-test", Timeout: 10 * time.Second, Idempotent: true, Log: slog.New(slog.DiscardHandler),
	}
}

// producer starts a producer for the topic "orders" that retries quickly, and closes it at the end.
func producer(t *testing.T, b *brokertest.Broker, tweaks ...func(*publish.Options)) *publish.Producer {
	t.Helper()
	o := publish.Options{Topics: []string{"orders"}, RetryBackoff: 20 * time.Millisecond, Log: slog.New(slog.DiscardHandler)}
	for _, tweak := range tweaks {
		tweak(&o)
	}
	p, err := publish.New(t.Context(), options(b.Addr()), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = p.Close(ctx)
	})
	return p
}

func message(partition int32, key, value string) queue.Message {
	return queue.Message{Topic: "orders", Partition: partition, Key: []byte(key), Value: []byte(value), Time: time.Now()}
}

// outcomes collects what became of each message, by value.
type outcomes struct {
	mu       sync.Mutex
	acks     map[string]queue.Ack
	errs     map[string]error
	twice    []string
	accepted int
	told     chan struct{}
}

func newOutcomes() *outcomes {
	return &outcomes{acks: map[string]queue.Ack{}, errs: map[string]error{}, told: make(chan struct{}, 1)}
}

// publish sends m and notes its outcome; a refusal is noted too.
func (o *outcomes) publish(p *publish.Producer, m queue.Message) error {
	key := string(m.Value)
	o.mu.Lock()
	o.accepted++
	o.mu.Unlock()
	err := p.Publish(m, func(ack queue.Ack, err error) { o.note(key, ack, err) })
	if err != nil {
		o.mu.Lock()
		o.accepted--
		o.mu.Unlock()
	}
	return err
}

func (o *outcomes) note(key string, ack queue.Ack, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, acked := o.acks[key]
	_, failed := o.errs[key]
	if acked || failed {
		o.twice = append(o.twice, key)
	}
	if err == nil {
		o.acks[key] = ack
	} else {
		o.errs[key] = err
	}
	select {
	case o.told <- struct{}{}:
	default:
	}
}

func (o *outcomes) count() (acked, failed, accepted int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.acks), len(o.errs), o.accepted
}

// wait waits until every accepted message has its outcome.
func (o *outcomes) wait(t *testing.T, within time.Duration) {
	t.Helper()
	deadline := time.After(within)
	for {
		acked, failed, accepted := o.count()
		if acked+failed >= accepted {
			break
		}
		select {
		case <-o.told:
		case <-deadline:
			t.Fatalf("%d acked + %d failed of %d accepted after %v", acked, failed, accepted, within)
		}
	}
	if len(o.twice) > 0 {
		t.Fatalf("done was called twice for %q", o.twice)
	}
}

// written returns the values in the log, with how often and in which order they stand in each partition.
func written(t *testing.T, b *brokertest.Broker) (times map[string]int, order map[int32][]string, at map[string]queue.Position) {
	t.Helper()
	times, order, at = map[string]int{}, map[int32][]string{}, map[string]queue.Position{}
	for _, r := range b.Records(t, "orders") {
		v := string(r.Value)
		times[v]++
		order[r.Partition] = append(order[r.Partition], v)
		at[v] = r.Position()
	}
	return times, order, at
}

// check compares the outcomes with the log: acked is written, once; never sent is not written; the order of each partition
// is the order of sending.
func (o *outcomes) check(t *testing.T, b *brokertest.Broker) {
	t.Helper()
	times, order, at := written(t, b)
	for v, ack := range o.acks {
		if times[v] != 1 {
			t.Errorf("%s was acknowledged and stands %d times in the log", v, times[v])
		}
		if ack.Position.Offset >= 0 && ack.Position != at[v] {
			t.Errorf("%s was acknowledged at %v and stands at %v", v, ack.Position, at[v])
		}
	}
	for v, err := range o.errs {
		if kind := queue.KindOf(err); kind != queue.Unknown && times[v] != 0 {
			t.Errorf("%s: %v, yet it stands in the log", v, err)
		}
	}
	for p, values := range order {
		last := -1
		for _, v := range values {
			n, err := strconv.Atoi(v[1:])
			if err != nil || n <= last {
				t.Fatalf("partition %d: %s after %d", p, v, last)
			}
			last = n
		}
	}
}

func value(i int) string { return fmt.Sprintf("v%06d", i) }

func wantKind(t *testing.T, err error, kind queue.PublishKind, reason string) {
	t.Helper()
	var p *queue.PublishError
	if !errors.As(err, &p) || p.Kind != kind || (reason != "" && p.Reason != reason) {
		t.Errorf("err = %v, want %v %s", err, kind, reason)
	}
}
