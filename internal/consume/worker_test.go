package consume_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"commerce.internal/orderctl/internal/consume"
	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var names = queue.Names{Source: "orders", Group: "g", Tiers: []time.Duration{5 * time.Second, time.Minute}}

// world is a log, a store and how the worker between them is set up.
type world struct {
	log   *consume.MemLog
	store *consume.MemStore
	o     consume.Options
}

func newWorld(partitions int32) *world {
	w := &world{log: consume.NewMemLog(partitions), store: consume.NewMemStore()}
	w.o = consume.Options{
		Source: w.log.Source(names.Consumed()...), Store: w.store, Publisher: w.log, Names: names,
		Order: consume.ByKey, OnDead: consume.Continue, Handler: consume.SQL, Concurrency: 2, Batch: 8,
		Local:        consume.Local{Attempts: 3, Base: 100 * time.Millisecond, Cap: 2 * time.Second},
		Breaker:      consume.BreakerOptions{Failures: 5, Ratio: 0.5, Window: 20, ProbeMin: time.Second, ProbeMax: 30 * time.Second},
		DrainTimeout: 20 * time.Second, Unknown: order.KeepUnknown, Log: slog.New(slog.DiscardHandler),
		Reg: prometheus.NewRegistry(), Now: time.Now, Currency: "EUR", Instance: "w1", UntilEmpty: true,
	}
	w.o.Empty = func(context.Context) (bool, error) { return w.log.Empty(names), nil }
	return w
}

func (w *world) produce(id string, statuses ...order.Status) {
	for _, s := range statuses {
		w.log.Append(consume.OrderMessage("orders", consume.SampleOrder(id, s)))
	}
}

// run runs the worker to its end.
func (w *world) run(t *testing.T) error {
	t.Helper()
	w.o.Reg = prometheus.NewRegistry()
	worker, err := consume.New(w.o)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
	defer cancel()
	err = worker.Run(ctx)
	if ctx.Err() != nil {
		t.Fatalf("the worker did not end: %+v", worker.Health())
	}
	return err
}

func (w *world) applied() []string {
	var ids []string
	for _, e := range w.store.Effects() {
		ids = append(ids, e.MessageID)
	}
	return ids
}

func wantLetters(t *testing.T, err error, n int64) {
	t.Helper()
	var l *consume.LettersError
	switch {
	case n == 0 && err != nil:
		t.Errorf("Run: %v", err)
	case n > 0 && (!errors.As(err, &l) || l.Letters != n || l.ExitCode() != 6):
		t.Errorf("Run: %v, want %d letters and exit code 6", err, n)
	}
}

func TestOrdersFlowFromTheLogIntoTheDatabase(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(3)
		for i := range 30 {
			m := consume.OrderMessage("orders", consume.SampleOrder(fmt.Sprintf("A-%d", i), order.Created))
			m.Partition = int32(i % 3)
			w.log.Append(m)
		}
		wantLetters(t, w.run(t), 0)
		if n := len(w.applied()); n != 30 {
			t.Errorf("%d effects, want 30", n)
		}
		for p := range int32(3) {
			if c := w.log.Committed("orders", p); c != 10 {
				t.Errorf("commit of partition %d is %d, want 10", p, c)
			}
		}
	})
}
