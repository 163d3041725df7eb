package order

import (
	"math/bits"
	"time"
)

// Defaults are what Fill puts where the sender named nothing. A zero member fills nothing.
type Defaults struct {
	OrderID  string
	Currency string
	Now      time.Time
}

// Fill fills what is absent and may be: order_id, status, currency, total_amount (computed) and timestamp. It reports
// whether it filled anything: then the bytes that were received are no longer the order. It judges nothing; a total that
// cannot be computed stays absent, and Validate says why.
func (o *Order) Fill(d Defaults) bool {
	filled := false
	set := func(to *string, value string) {
		if *to == "" && value != "" {
			*to, filled = value, true
		}
	}
	set(&o.OrderID, d.OrderID)
	set((*string)(&o.Status), string(Created))
	set(&o.Currency, d.Currency)
	if total, code := o.sum(); !o.HasTotal && code == "" {
		o.TotalAmount, o.HasTotal, filled = total, true, true
	}
	if o.Timestamp == 0 && !d.Now.IsZero() {
		o.Timestamp, filled = d.Now.UnixMilli(), true
	}
	return filled
}

// sum computes items - discount + freight + tax exactly. The code says why there is no such total: CodeRange when a part
// is negative or too large on its own, CodeSum when the total is.
func (o *Order) sum() (total int64, code string) {
	var hi, lo, carry uint64
	add := func(h, l uint64) {
		lo, carry = bits.Add64(lo, l, 0)
		hi += h + carry
	}
	for _, item := range o.Items {
		if item.Quantity < 0 || item.UnitPrice < 0 {
			return 0, CodeRange
		}
		add(bits.Mul64(uint64(item.Quantity), uint64(item.UnitPrice)))
	}
	if len(o.Items) == 0 || len(o.Items) > MaxItems || o.DiscountAmount < 0 || o.FreightAmount < 0 || o.TaxAmount < 0 {
		return 0, CodeRange
	}
	add(0, uint64(o.FreightAmount))
	add(0, uint64(o.TaxAmount))
	lo, borrow := bits.Sub64(lo, uint64(o.DiscountAmount), 0)
	hi, borrow = bits.Sub64(hi, 0, borrow)
	if borrow != 0 || hi != 0 || lo > MaxAmount {
		return 0, CodeSum
	}
	return int64(lo), ""
}
