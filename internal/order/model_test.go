package order_test

import (
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"commerce.internal/orderctl/internal/order"
)

func statuses() []order.Status {
	return []order.Status{order.Created, order.Paid, order.Shipped, order.Completed, order.Cancelled, order.Refunded}
}

func TestTransitionsFollowTheTable(t *testing.T) {
	t.Parallel()
	// Row: what is stored; column: the message, in the order of statuses(). A apply, s stale, - illegal.
	table := map[order.Status]string{
		order.Created:   "sA--A-",
		order.Paid:      "ssA-AA",
		order.Shipped:   "sssA-A",
		order.Completed: "ssss-A",
		order.Cancelled: "ss--s-",
		order.Refunded:  "ssss-s",
	}
	for stored, row := range table {
		for i, next := range statuses() {
			want := map[byte]order.Step{'A': order.Advance, 's': order.Late, '-': order.Forbidden}[row[i]]
			if got := order.Transition(stored, next); got != want {
				t.Errorf("stored %s, message %s: %s, want %s", stored, next, got, want)
			}
		}
	}
	for _, next := range statuses() {
		if order.Transition("", next) != order.Advance {
			t.Errorf("the first message may be %s", next)
		}
	}
}

// Whatever comes in whatever order and however often: the status only ever moves along allowed transitions, a repeated
// message changes nothing, and what was overtaken stays overtaken.
func TestNoSequenceOfMessagesTakesAnOrderBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var stored order.Status
		var been []order.Status
		for _, next := range rapid.SliceOfN(rapid.SampledFrom(statuses()), 1, 12).Draw(t, "messages") {
			step := order.Transition(stored, next)
			if slices.Contains(been, next) && step != order.Late {
				t.Fatalf("after %v, %s again: %s", been, next, step)
			}
			if step != order.Advance {
				continue
			}
			if stored != "" && order.Transition(next, stored) != order.Late {
				t.Fatalf("%s to %s, yet a late %s is not stale", stored, next, stored)
			}
			stored, been = next, append(been, next)
		}
		if !stored.Valid() || order.Transition(stored, stored) != order.Late {
			t.Fatalf("ended at %q", stored)
		}
	})
}

func TestMoneyAgreesWithExactArithmetic(t *testing.T) {
	t.Parallel()
	amount := rapid.OneOf(rapid.Int64Range(0, 1_000), rapid.Int64Range(0, order.MaxAmount), rapid.Just(int64(order.MaxAmount)))
	item := rapid.Custom(func(t *rapid.T) order.Item {
		quantity := rapid.OneOf(rapid.Int64Range(1, 12), rapid.Int64Range(1, order.MaxQuantity)).Draw(t, "quantity")
		return order.Item{ProductID: "P", Quantity: quantity, UnitPrice: amount.Draw(t, "price")}
	})
	rapid.Check(t, func(t *rapid.T) {
		o := order.Order{OrderID: "A", UserID: "u", Status: order.Paid, Currency: "EUR", Timestamp: 1}
		o.Items = rapid.SliceOfN(item, 1, 20).Draw(t, "items")
		o.DiscountAmount, o.FreightAmount, o.TaxAmount = amount.Draw(t, "discount"), amount.Draw(t, "freight"), amount.Draw(t, "tax")
		exact := new(big.Int)
		for _, i := range o.Items {
			exact.Add(exact, new(big.Int).Mul(big.NewInt(i.Quantity), big.NewInt(i.UnitPrice)))
		}
		exact.Sub(exact, big.NewInt(o.DiscountAmount))
		exact.Add(exact, big.NewInt(o.FreightAmount)).Add(exact, big.NewInt(o.TaxAmount))
		possible := exact.Sign() >= 0 && exact.Cmp(big.NewInt(order.MaxAmount)) <= 0

		filled := o.Fill(order.Defaults{})
		if filled != possible {
			t.Fatalf("the exact total is %v, yet Fill says %v", exact, filled)
		}
		if possible && o.TotalAmount != exact.Int64() {
			t.Fatalf("Fill computed %d, exact is %v", o.TotalAmount, exact)
		}
		if err := o.Validate(time.UnixMilli(1)); (err == nil) != possible {
			t.Fatalf("the exact total is %v, Validate says %v", exact, err)
		}
	})
}

func TestSamplesAreValidAndRepeatable(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_766_000_000_000)
	for seed := range uint64(200) {
		o := order.Sample(rand.New(rand.NewPCG(seed, 1)), "run-1", now)
		if err := o.Validate(now); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		again := order.Sample(rand.New(rand.NewPCG(seed, 1)), "run-1", now)
		if string(again.AppendJSON(nil)) != string(o.AppendJSON(nil)) {
			t.Fatalf("seed %d gives two orders", seed)
		}
		if n := len(order.SampleItems(rand.New(rand.NewPCG(seed, 1)), "run-1", now, 3, 3).Items); n != 3 {
			t.Fatalf("seed %d: %d items, want 3", seed, n)
		}
	}
}
