package publish_test

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"commerce.internal/orderctl/internal/broker/brokertest"
	"commerce.internal/orderctl/internal/kafka/publish"
	"commerce.internal/orderctl/internal/queue"
)

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never happened: %s", what)
		}
	}
}

// Whoever is to be told does not return: nobody else is told, and no record of this process ever ends.
func TestALoopThatDoesNotMoveIsTold(t *testing.T) {
	t.Parallel()
	for name, fails := range map[string]bool{"of acknowledgements": false, "of failures": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := brokertest.Start(t, brokertest.Topics(1, "orders"))
			p := producer(t, b, func(o *publish.Options) { o.RetryMax = 1 })
			if fails {
				b.Fault(brokertest.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.TopicAuthorizationFailed})
			}
			began, release, told := time.Now(), make(chan struct{}), make(chan error, 2)
			err := p.Publish(message(0, "k", value(0)), func(_ queue.Ack, err error) {
				<-release
				told <- err
			})
			if err != nil {
				t.Fatal(err)
			}
			await(t, "the loop is stuck", func() bool { return !p.Health().Stuck.IsZero() })
			if since := p.Health().Stuck; since.Before(began) || since.After(time.Now()) {
				t.Errorf("stuck since %v, sent at %v", since, began)
			}
			close(release)
			if err := <-told; (err != nil) != fails {
				t.Errorf("told %v", err)
			}
			await(t, "the loop moves", func() bool { return p.Health().Stuck.IsZero() })
		})
	}
}

// That a broker says nothing is not the loop's fault, and that a producer was closed is no failure.
func TestALoopThatWaitsIsNotStuck(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(1, "orders"))
	p := producer(t, b)
	unmute := b.Mute(kmsg.Produce)
	out := newOutcomes()
	if err := out.publish(p, message(0, "k", value(0))); err != nil {
		t.Fatal(err)
	}
	await(t, "the record is on its way", func() bool { return p.Health().InFlight == 1 })
	if h := p.Health(); !h.Stuck.IsZero() {
		t.Errorf("%+v while the broker is silent", h)
	}
	unmute()
	b.CutConnections()
	out.wait(t, 20*time.Second)
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if h := p.Health(); !h.Stuck.IsZero() {
		t.Errorf("%+v after the end", h)
	}
}
