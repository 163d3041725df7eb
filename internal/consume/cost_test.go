//go:build !race

// Under the race detector a sync.Pool forgets at random what was put back: allocations are those of the real thing only.

package consume

import (
	"testing"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

func TestCostOfOneRecord(t *testing.T) {
	rec := queue.Record{Topic: "orders", Value: SampleOrder("A", order.Created).AppendJSON(nil), Headers: hs(queue.HeaderID, "A:CREATED"), Time: noon}
	r, p := reader{names: testNames, unknown: order.KeepUnknown}, testPolicy()
	m := r.read(rec, noon)
	for name, row := range map[string]struct {
		most float64
		run  func()
	}{
		"read":   {9, func() { _ = r.read(rec, noon) }},
		"decide": {2, func() { _ = p.decide(m, queue.Seen{}, noon) }},
	} {
		if got := testing.AllocsPerRun(100, row.run); got > row.most {
			t.Errorf("%s allocates %v times, at most %v", name, got, row.most)
		}
	}
}
