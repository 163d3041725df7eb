//go:build !race

// Under the race detector a sync.Pool forgets at random what was put back: allocations are those of the real thing only.

package order_test

import (
	"testing"

	"commerce.internal/orderctl/internal/order"
)

func TestCostOfOneOrder(t *testing.T) {
	body := []byte(`{"order_id":"536365","user_id":"17850","status":"CREATED","currency":"GBP","items":[` +
		`{"product_id":"85123A","quantity":6,"unit_price":255},{"product_id":"71053","quantity":6,"unit_price":339},` +
		`{"product_id":"84406B","quantity":8,"unit_price":275}],"total_amount":5764,"timestamp":1291191960000}`)
	o, err := order.ParseJSON(body, order.RejectUnknown)
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]byte, 0, 1_024)
	for name, row := range map[string]struct {
		most float64
		run  func()
	}{
		"ParseJSON":  {14, func() { _, _ = order.ParseJSON(body, order.RejectUnknown) }},
		"Validate":   {0, func() { _ = o.Validate(fullTime()) }},
		"AppendJSON": {0, func() { dst = o.AppendJSON(dst[:0]) }},
	} {
		if got := testing.AllocsPerRun(100, row.run); got > row.most {
			t.Errorf("%s allocates %v times, at most %v", name, got, row.most)
		}
	}
}
