package group_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"commerce.internal/orderctl/internal/broker/brokertest"
	"commerce.internal/orderctl/internal/queue"
)

// Fault 4: members come and go all the time, as soon as they own something, under load. Nothing that was finished is handed
// out again (I6), nothing is left out (I1), and no member is thrown out for being slow.
func TestMembersComeAndGoUnderLoad(t *testing.T) {
	t.Parallel()
	b := start(t, brokertest.Topics(6, "orders"))
	one := join(t, b)
	until(t, "the first owns all", func() bool { return one.owned() == 6 })
	members, written := []*member{one}, 0
	for range 8 {
		guest := join(t, b)
		members = append(members, guest)
		fill(t, b, 6, 100)
		until(t, "the guest owns something", func() bool { return guest.owned() > 0 })
		fill(t, b, 6, 100)
		if err := guest.stop(); err != nil {
			t.Fatalf("a guest ends with %v", err)
		}
		written += 1200
	}
	counted := func() (distinctly, most int) {
		var all [][]queue.Record
		for _, m := range members {
			all = append(all, m.records())
		}
		return distinct(all...)
	}
	until(t, "all have come", func() bool { n, _ := counted(); return n == written })
	if _, most := counted(); most != 1 {
		t.Errorf("a finished record came %d times", most)
	}
}

// Fault 8: heartbeats are refused for a while, and the coordinator says that it loads. The member stays or comes back, in no
// tight loop, and nothing is left out (I1).
func TestHeartbeatsThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, code := range []*kerr.Error{kerr.CoordinatorLoadInProgress, kerr.CoordinatorNotAvailable, kerr.NotCoordinator, kerr.UnknownMemberID, kerr.IllegalGeneration} {
		t.Run(code.Message, func(t *testing.T) {
			t.Parallel()
			b := start(t, brokertest.Topics(2, "orders"))
			m := join(t, b)
			until(t, "it owns all", func() bool { return m.owned() == 2 })
			refused := b.Fault(brokertest.Fault{Keys: []kmsg.Key{kmsg.Heartbeat}, TopLevel: true, Err: code, Count: 5})
			fill(t, b, 2, 50)
			until(t, "all five are refused", func() bool { return refused.Hits() == 5 })
			fill(t, b, 2, 50)
			until(t, "all have come", func() bool { n, _ := distinct(m.records()); return n == 200 })
			until(t, "all is committed", func() bool { return committed(t, b, 0) == 100 && committed(t, b, 1) == 100 })
			if n := m.count(t, "orderctl_consume_rebalances_total", "joined"); n > 8 {
				t.Errorf("it joined %v times", n)
			}
		})
	}
}
