package publish_test

import (
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"commerce.internal/orderctl/internal/broker"
	"commerce.internal/orderctl/internal/broker/brokertest"
)

func TestABrokerRestartsUnderLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := brokertest.Start(t, brokertest.OnDisk(dir), brokertest.Topics(3, "orders"))
	addr := b.Addr()
	p, out := producer(t, b), newOutcomes()
	var load sync.WaitGroup
	half := make(chan struct{})
	load.Go(func() {
		for i := range 2000 {
			if i == 1000 {
				close(half)
			}
			m := message(int32(i%3), "k", value(i))
			if p.Room(t.Context(), "orders", m.Partition) == nil {
				_ = out.publish(p, m)
			}
		}
	})
	<-half
	b.Stop()
	b = brokertest.Start(t, brokertest.OnDisk(dir), brokertest.With(func(o *broker.Options) { o.Addr = addr }))
	load.Wait()
	out.wait(t, 60*time.Second)
	acked, failed, accepted := out.count()
	t.Logf("%d acked, %d failed of %d accepted", acked, failed, accepted)
	if acked == 0 {
		t.Error("nothing was acknowledged")
	}
	out.check(t, b)
}

func TestTheAnswerIsCutAfterTheWrite(t *testing.T) { // pitfall 4
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(1, "orders"))
	p, out := producer(t, b), newOutcomes()
	for i := range 300 {
		if i%60 == 30 {
			// The cut comes while requests and answers are on their way.
			met := b.Fault(brokertest.Fault{Keys: []kmsg.Key{kmsg.Produce}, Observe: true})
			if err := out.publish(p, message(0, "k", value(i))); err != nil {
				t.Fatal(err)
			}
			if err := met.Wait(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			b.CutConnections()
			continue
		}
		if err := out.publish(p, message(0, "k", value(i))); err != nil {
			t.Fatal(err)
		}
	}
	out.wait(t, 60*time.Second)
	if acked, failed, _ := out.count(); failed != 0 {
		t.Errorf("%d acked, %d failed: %v", acked, failed, out.errs)
	}
	out.check(t, b)
}
