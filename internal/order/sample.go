package order

import (
	"math/rand/v2"
	"strconv"
	"time"
)

// Sample returns a valid order with the given id, made from rng alone: one to eight items, and like most real orders
// nothing but items in its total.
func Sample(rng *rand.Rand, id string, now time.Time) Order {
	return SampleItems(rng, id, now, 1, 8)
}

// SampleItems is Sample with least to most items.
func SampleItems(rng *rand.Rand, id string, now time.Time, least, most int) Order {
	o := Order{
		OrderID:   id,
		UserID:    "u" + strconv.Itoa(10_000+rng.IntN(90_000)),
		Status:    Created,
		Currency:  "CNY",
		Items:     make([]Item, least+rng.IntN(most-least+1)),
		HasTotal:  true,
		Timestamp: now.UnixMilli(),
	}
	for i := range o.Items {
		o.Items[i] = Item{
			ProductID: "P" + strconv.Itoa(20_000+rng.IntN(5_000)),
			Quantity:  1 + rng.Int64N(12),
			UnitPrice: 10 * (1 + rng.Int64N(5_000)),
		}
		o.TotalAmount += o.Items[i].Quantity * o.Items[i].UnitPrice
	}
	return o
}
