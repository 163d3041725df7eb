package consume_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"commerce.internal/orderctl/internal/consume"
	"commerce.internal/orderctl/internal/obs"
	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

func outage() error {
	return &queue.Failure{Class: queue.ClassOutage, Code: "08006", Message: "connection refused"}
}

func timeout() error {
	return &queue.Failure{Class: queue.ClassTimeout, Code: "deadline", Message: "no answer in time"}
}

// Promise 5: away, slow, or gone after the commit: nothing is written, counted or committed, and soon after its return all
// is applied.
func TestAnOutageIsNoPoison(t *testing.T) {
	t.Parallel()
	slow := func(ctx context.Context) error {
		<-ctx.Done()
		return timeout()
	}
	tests := []struct {
		name   string
		answer func(context.Context) error
		record bool // the error is that of each record, not of the transaction
		orders int
		paused bool // there is more in hand to probe with
	}{
		{"refused", func(context.Context) error { return outage() }, false, 2_000, true},
		{"refused, one order", func(context.Context) error { return outage() }, false, 1, false},
		{"slow", slow, false, 2_000, true},
		{"slow, one order", slow, false, 1, false},
		{"the record's own statement finds it gone", func(context.Context) error { return outage() }, true, 2_000, true},
		{"the record's own statement times out", func(context.Context) error { return timeout() }, true, 2_000, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(1)
				down := time.Now().Add(60 * time.Second)
				gate := func(ctx context.Context) error {
					if time.Now().Before(down) {
						return tt.answer(ctx)
					}
					return nil
				}
				if tt.record {
					w.store.Refuse = func(queue.Effect) error { return gate(t.Context()) }
				} else {
					w.store.Answer = gate
				}
				for i := range tt.orders {
					w.produce(fmt.Sprintf("A-%d", i), order.Created)
				}
				worker, stop := w.start(t)
				<-time.After(59 * time.Second)
				h := worker.Health()
				if h.BreakerOpen.IsZero() || tt.paused && (len(h.Paused) != 4 || !slices.Contains(h.Paused[0].Reasons, "breaker")) {
					t.Errorf("health during the outage: %+v", h)
				}
				if c := worker.Checks()[0].Report(); c.Status != obs.Warn {
					t.Errorf("check during the outage: %+v", c)
				}
				if w.log.Committed("orders", 0) != 0 || len(w.store.Rows()) != 0 {
					t.Errorf("commit %d, rows %v during the outage", w.log.Committed("orders", 0), w.store.Rows())
				}
				<-time.After(6*time.Second + 10*time.Second) // the last slow attempt must end first
				if n := len(w.applied()); n != tt.orders || w.log.Committed("orders", 0) != int64(tt.orders) {
					t.Errorf("%d applied after its return", n)
				}
				if h := worker.Health(); !h.BreakerOpen.IsZero() || len(h.Paused) != 0 {
					t.Errorf("health after its return: %+v", h)
				}
				if err := stop(); err != nil {
					t.Errorf("Run: %v", err)
				}
				if len(w.letters()) != 0 || len(w.log.Records(names.Retry(5*time.Second))) != 0 {
					t.Error("an outage made letters or retries")
				}
				for _, r := range w.store.Rows() {
					if r.Attempts != 0 {
						t.Errorf("counted attempt: %+v", r)
					}
				}
			})
		})
	}
}

func TestTheWorkerGoesOnWithinSecondsOfTheReturn(t *testing.T) {
	t.Parallel()
	for _, away := range []time.Duration{20 * time.Second, 60 * time.Second, 62 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(1)
			back := time.Now().Add(away)
			w.store.Answer = func(context.Context) error {
				if time.Now().Before(back) {
					return outage()
				}
				return nil
			}
			w.produce("A", order.Created)
			_, stop := w.start(t)
			<-time.After(away + 5*time.Second)
			wantApplied(t, w, "A:CREATED")
			if err := stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestProbesAreFew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		asked := 0
		w.store.Answer = func(context.Context) error {
			asked++
			return outage()
		}
		for i := range 100 {
			w.produce(fmt.Sprintf("A-%d", i), order.Created)
		}
		_, stop := w.start(t)
		<-time.After(time.Hour)
		if asked < 100 || asked > 250 {
			t.Errorf("asked %d times in an hour", asked)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// The partitions of an outage may all move to another member: what comes instead must be the next probe.
func TestAnOutageOutlivesARebalance(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(2)
		down := true
		w.store.Answer = func(context.Context) error {
			if down {
				return outage()
			}
			return nil
		}
		lost, lose := context.WithCancel(t.Context())
		begin := make(chan struct{})
		w.o.Source = func(ctx context.Context, handle func(consume.Claim)) error {
			both, cancel := context.WithCancel(ctx)
			defer cancel()
			context.AfterFunc(lost, cancel)
			w.log.Own(both, "orders", 0, handle)
			<-begin
			w.log.Own(ctx, "orders", 1, handle)
			return ctx.Err()
		}
		w.produce("A", order.Created)
		_, stop := w.start(t)
		<-time.After(10 * time.Second)
		lose()
		<-time.After(10 * time.Second)
		down = false
		close(begin)
		m := consume.OrderMessage("orders", consume.SampleOrder("B", order.Created))
		m.Partition = 1
		w.log.Append(m)
		<-time.After(10 * time.Second)
		wantApplied(t, w, "B:CREATED")
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// One record whose statement kills the connection must not stand for the whole database.
func TestManyOutagesOfOneRecordAreTheRecord(t *testing.T) {
	t.Parallel()
	for _, class := range []queue.Class{queue.ClassOutage, queue.ClassTimeout} {
		t.Run(string(class), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(1)
				w.store.Refuse = failing("bad:CREATED", class, 1_000)
				w.produce("bad", order.Created)
				_, stop := w.start(t)
				for i := range 200 {
					w.produce(fmt.Sprintf("A-%d", i), order.Created)
					<-time.After(time.Second)
				}
				if n := len(w.applied()); n != 200 {
					t.Errorf("%d of 200 others applied", n)
				}
				if len(w.log.Records(names.Retry(5*time.Second))) == 0 {
					t.Error("it was never counted")
				}
				if err := stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestAStoreThatPanicsIsRetriedAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.store.Refuse = func(e queue.Effect) error {
			if e.MessageID == "bad:CREATED" {
				panic("in the effect")
			}
			return nil
		}
		w.produce("A", order.Created)
		w.produce("bad", order.Created)
		w.produce("B", order.Created)
		wantLetters(t, w.run(t), 1)
		if l := w.letters()[0]; l.MsgID != "bad:CREATED" || l.Class != queue.ClassCrash || l.Code != "panic" {
			t.Errorf("letter %+v", l)
		}
		wantApplied(t, w, "A:CREATED", "B:CREATED")
	})
}

func TestAStoreThatAnswersForOthersWritesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.o.Store = shortStore{}
		w.produce("A", order.Created)
		_, stop := w.start(t)
		<-time.After(time.Second)
		if w.log.Committed("orders", 0) != 0 {
			t.Error("a record whose outcome nobody told was committed")
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

type shortStore struct{}

func (shortStore) Apply(context.Context, string, []queue.Lookup, func(int, queue.Seen) queue.Change) ([]error, error) {
	return nil, nil
}

func (shortStore) Place(context.Context, string, queue.RowKey, int, queue.Position) error {
	return errors.New("not here")
}
