package consume_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"commerce.internal/orderctl/internal/consume"
	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

// chaos ends a worker at a random moment: before a transaction, after one that was committed, or with a copy produced.
type chaos struct {
	consume.Store
	log  *consume.MemLog
	mu   sync.Mutex
	rng  *rand.Rand
	left int // steps until the end
	hops int // copies until then
	kill func()
}

func (c *chaos) step() (dead bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left--
	if c.left == 0 {
		c.kill()
	}
	return c.left <= 0
}

func (c *chaos) begin(kill func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left, c.hops, c.kill = 1+c.rng.IntN(150), 1<<30, kill
	if c.rng.IntN(2) == 0 {
		c.left, c.hops = 1<<30, 1+c.rng.IntN(8)
	}
}

func (c *chaos) Apply(ctx context.Context, group string, look []queue.Lookup, decide func(int, queue.Seen) queue.Change) ([]error, error) {
	if c.step() {
		return nil, outage()
	}
	errs, err := c.Store.Apply(ctx, group, look, decide)
	if c.step() {
		return nil, timeout() // committed, and nobody heard of it
	}
	return errs, err
}

func (c *chaos) Publish(m queue.Message, done func(queue.Ack, error)) error {
	c.mu.Lock()
	if c.hops--; c.hops == 0 {
		c.left = 1
	}
	written := c.rng.IntN(2) == 0
	c.mu.Unlock()
	switch {
	case !c.step():
		return c.log.Publish(m, done)
	case written:
		return c.log.Publish(m, func(queue.Ack, error) {}) // and nobody hears of it
	}
	return errors.New("dead")
}

// Fault 2: ends at any moment, 10,000 records with 20 seeds, 20 % of them failing, both on-dead, replays beside it. I1, I2, I3
// and I5 hold at the end.
func TestEndsAtAnyMomentBesideReplays(t *testing.T) {
	t.Parallel()
	seeds := uint64(20)
	if testing.Short() || consume.Raced {
		seeds = 4
	}
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 3))
			w := newWorld(2)
			c := &chaos{Store: w.store, log: w.log, rng: rng}
			w.o.Store, w.o.Publisher, w.o.UntilEmpty = c, c, false
			w.o.Local = consume.Local{Attempts: 2, Base: time.Millisecond, Cap: time.Millisecond}
			if seed%2 == 0 {
				w.o.OnDead = consume.Hold
			}
			fails := map[string]int{}
			for i := range 125 {
				for _, s := range []order.Status{order.Created, order.Paid, order.Shipped, order.Completed} {
					m := consume.OrderMessage("orders", consume.SampleOrder(fmt.Sprintf("A-%d", i), s))
					m.Partition = int32(i % 2)
					w.log.Append(m)
					if rng.IntN(5) == 0 {
						fails[fmt.Sprintf("A-%d:%s", i, s)] = 1 + rng.IntN(6) // the last ones end as letters
					}
				}
			}
			w.store.Refuse = func(e queue.Effect) error {
				if fails[e.MessageID]--; fails[e.MessageID] >= 0 {
					return &queue.Failure{Class: queue.ClassRetryable, Code: "x"}
				}
				return nil
			}
			for range 15 { // 500 records, 15 crashes
				ctx, kill := context.WithTimeout(t.Context(), 5*time.Minute) // where there is nothing left to die of
				w.o.DrainTimeout = time.Nanosecond
				c.begin(kill)
				if err := w.worker(t).Run(ctx); err != nil {
					t.Fatalf("Run: %v", err)
				}
				kill()
				w.replaySome(rng)
				<-time.After(time.Duration(rng.IntN(40)) * time.Second)
			}
			w.o.Store, w.o.Publisher, w.o.UntilEmpty, w.o.DrainTimeout = w.store, w.log, true, 20*time.Second
			_ = w.run(t) // it may have letters to write, or not
			w.checkEnd(t, seed)
		})
	}
}

// replaySome sends some letters again, whatever has become of them.
func (w *world) replaySome(rng *rand.Rand) {
	for i, r := range w.log.Records(names.DLQ()) {
		if rng.IntN(6) > 0 {
			continue
		}
		l := queue.ReadTrail(r.Headers)
		l.Hop, l.ReplayID, l.Attempts = l.Hop+1, fmt.Sprint("job-", i, "-", rng.IntN(100)), 0
		w.log.Append(queue.Message{Topic: names.Replay(), Partition: r.Partition, Key: r.Key, Value: r.Value, Headers: l.Append(r.Headers)})
	}
}

func (w *world) checkEnd(t *testing.T, seed uint64) {
	t.Helper()
	rows, replayed := w.store.Rows(), map[string]bool{}
	letters := map[string]bool{}
	for _, l := range w.letters() {
		letters[fmt.Sprintf("%s/%d", l.MsgID, l.Hop)] = true
	}
	for _, r := range rows {
		replayed[r.MsgID] = r.ReplayID != ""
		if r.State.Waiting() || r.State == queue.StateDiscarded {
			t.Errorf("seed %d: I1: %s is %s", seed, r.MsgID, r.State)
		}
		if r.State == queue.StateDead && !letters[fmt.Sprintf("%s/%d", r.MsgID, r.Hop)] {
			t.Errorf("seed %d: I3: %s is dead without a letter of hop %d", seed, r.MsgID, r.Hop)
		}
	}
	if len(rows) != 500 {
		t.Errorf("seed %d: I1: %d rows of 500 messages", seed, len(rows))
	}
	effects, last := map[string]int{}, map[string]queue.Effect{}
	for _, e := range w.store.Effects() {
		if effects[e.MessageID]++; effects[e.MessageID] > 1 {
			t.Errorf("seed %d: I2: %s took effect %d times", seed, e.MessageID, effects[e.MessageID])
		}
		before, found := last[e.Order.OrderID]
		if found && before.Src.Offset > e.Src.Offset && (w.o.OnDead == consume.Hold || !replayed[e.MessageID]) {
			t.Errorf("seed %d: I5: %s after %s", seed, e.MessageID, before.MessageID)
		}
		last[e.Order.OrderID] = e
	}
	if w.o.OnDead == consume.Hold {
		for _, r := range rows {
			if e, found := last[r.OrderID]; found && r.State == queue.StateDead && e.Src.Offset > r.Src.Offset {
				t.Errorf("seed %d: I5: %s took effect past the dead %s", seed, e.MessageID, r.MsgID)
			}
		}
	}
}

// Fault 22: 10,000 in a tier, written by a worker whose clock is five seconds ahead or behind. I9: none starts before its
// time, and none much later.
func TestNothingOfATierStartsBeforeItsTime(t *testing.T) {
	t.Parallel()
	n := 10_000
	if consume.Raced {
		n = 1_000
	}
	for _, skew := range []time.Duration{-5 * time.Second, 0, 5 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(2)
			tier := 60 * time.Second
			due := map[string]time.Time{}
			for i := range n {
				o := consume.SampleOrder(fmt.Sprintf("T-%d", i), order.Created)
				written := time.Now().Add(-50*time.Second + time.Duration(i)*5*time.Millisecond).Add(skew)
				m := consume.OrderMessage(names.Retry(tier), o)
				m.Time, m.Partition = written, int32(i%2)
				trail := queue.Trail{
					Hop: 1, Origin: queue.Position{Topic: "orders", Partition: m.Partition, Offset: int64(i)}, MsgID: o.MessageID(),
					Fingerprint: o.Fingerprint(), Attempts: 3,
				}
				if i%3 > 0 { // some carry their time, some only when they were written
					trail.NotBefore = written.Add(tier)
				}
				m.Headers = trail.Append(m.Headers)
				due[o.MessageID()] = written.Add(tier)
				w.log.Append(m)
			}
			early, late := 0, time.Duration(0)
			w.store.Refuse = func(e queue.Effect) error {
				wait := time.Since(due[e.MessageID])
				if wait < -time.Millisecond {
					early++
				}
				late = max(late, wait)
				return nil
			}
			wantLetters(t, w.run(t), 0)
			if applied := len(w.applied()); applied != n || early != 0 || late > 6*time.Second {
				t.Errorf("skew %v: %d applied, %d early, the latest %v late", skew, applied, early, late)
			}
		})
	}
}
