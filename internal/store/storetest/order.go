package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/store"
)

// rounds is how many orders are raced for: m1 of each lies in a tier, m2 in the source.
const rounds = 1_000

// lanes is how many orders each of the two processes has in hand.
const lanes = 8

func m1(r int) order.Order { return sample(fmt.Sprintf("T-%d", r), order.Created) }
func m2(r int) order.Order { return sample(fmt.Sprintf("T-%d", r), order.Paid) }

func tier(offset int64) queue.Position {
	return queue.Position{Topic: "orders.g.retry.5s", Partition: 3, Offset: offset}
}

// orderHolds: one worker has m1 from a tier while another, a process of its own, has m2 from the source. Whatever the
// pauses, m2 takes effect after m1.
func orderHolds(child string) func(t *testing.T, w *world) {
	return func(t *testing.T, w *world) {
		s := w.openWith(t, journaled)
		var records []record
		for r := range rounds {
			o := m1(r)
			first := row(o.MessageID(), "fp", queue.StateRetry, int64(2*r))
			first.OrderID, first.Hop, first.Attempts, first.At = o.OrderID, 1, 3, tier(int64(r))
			records = append(records, insert(first))
		}
		wantNone(t, apply(t, s, records...))
		o := w.db.Options
		o.EffectFile = effectFile(t, journaled)
		cmd := w.child(t, child, o, "tier")
		inLanes(func(r int) { secondOfTwo(t, s, r) })
		if err := cmd.Wait(); err != nil {
			t.Fatalf("the other process: %v", err)
		}
		for query, want := range map[string]int64{
			`SELECT count(*) FROM orders WHERE status = 'PAID'`:                                    rounds,
			`SELECT count(*) FROM orderctl_messages WHERE state = 'done' AND outcome = 'applied'`:  2 * rounds,
			`SELECT count(*) FROM orderctl_messages WHERE state <> 'done' OR outcome <> 'applied'`: 0,
			`SELECT count(*) FROM journal`:                                                         2 * rounds,
			`SELECT count(*) FROM orders WHERE msg_id LIKE '%:PAID'`:                               rounds,
		} {
			if got := w.db.Int(t, query); got != want {
				t.Errorf("%s: %d, want %d", query, got, want)
			}
		}
	}
}

// inLanes calls one for each round, some at a time.
func inLanes(one func(r int)) {
	var wg sync.WaitGroup
	for lane := range lanes {
		wg.Go(func() {
			for r := lane; r < rounds; r += lanes {
				one(r)
			}
		})
	}
	wg.Wait()
}

// pause is up to 2 ms.
func pause(ctx context.Context) {
	t := time.NewTimer(time.Duration(rand.Int64N(int64(2 * time.Millisecond))))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// firstOfTwo is the worker that has m1 from the tier: it runs it, where it is the live copy.
func firstOfTwo(t testing.TB, s *store.Store, r int) {
	o := m1(r)
	once(t, s, o, func(seen queue.Seen) (c queue.Change, done bool) {
		for _, own := range seen.Message {
			if own.State == queue.StateRetry && own.At == tier(int64(r)) {
				return takeEffect(o, own, seen), true
			}
		}
		return queue.Change{}, true
	})
}

// secondOfTwo is the worker that has m2 from the source: it parks it while m1 is unfinished, and comes back.
func secondOfTwo(t testing.TB, s *store.Store, r int) {
	o := m2(r)
	id := o.MessageID()
	once(t, s, o, func(seen queue.Seen) (c queue.Change, done bool) {
		own := row(id, "fp", queue.StateParked, int64(2*r+1))
		own.OrderID = o.OrderID
		parked := len(seen.Message) > 0
		switch {
		case len(seen.Order) > 0 && !parked:
			return queue.Change{Writes: []queue.Write{{Kind: queue.Insert, Row: own}}}, false
		case len(seen.Order) > 0:
			return queue.Change{}, false
		case !parked:
			c = takeEffect(o, own, seen)
			c.Writes[0].Kind = queue.Insert
			return c, true
		}
		return takeEffect(o, seen.Message[0], seen), true
	})
}

// takeEffect is rule 11: by the status machine an order that comes too late has none.
func takeEffect(o order.Order, own queue.Row, seen queue.Seen) queue.Change {
	done := own
	done.State, done.Outcome = queue.StateDone, queue.Applied
	c := queue.Change{Writes: []queue.Write{{Kind: queue.Update, Was: own, Row: done}}}
	if seen.Stored != nil && seen.Stored.Status == order.Paid {
		c.Writes[0].Row.Outcome = queue.Stale
		return c
	}
	c.Effect = &queue.Effect{Order: o, Value: []byte(`{}`), MessageID: o.MessageID(), Src: own.Src, Insert: seen.Stored == nil}
	return c
}

// once applies a message again and again, with pauses, until decide says that it is done and that was committed.
func once(t testing.TB, s *store.Store, o order.Order, decide func(queue.Seen) (queue.Change, bool)) {
	look := []queue.Lookup{{MsgID: o.MessageID(), OrderID: o.OrderID}}
	for done := false; !done; {
		pause(t.Context())
		errs, err := s.Apply(t.Context(), group, look, func(_ int, seen queue.Seen) (c queue.Change) {
			c, done = decide(seen)
			return c
		})
		if err != nil || errs[0] != nil {
			t.Errorf("%s: %v, %v", o.MessageID(), errs, err)
			return
		}
	}
}
