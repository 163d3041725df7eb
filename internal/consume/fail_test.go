package consume

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

func testOptions(l *MemLog, s *MemStore) Options {
	return Options{
		Source: l.Source(testNames.Consumed()...), Store: s, Publisher: l, Names: testNames, Order: ByKey, OnDead: Continue,
		Handler: SQL, Concurrency: 2, Batch: 8, Local: Local{Attempts: 3, Base: 100 * time.Millisecond, Cap: 2 * time.Second},
		Breaker:      BreakerOptions{Failures: 5, Ratio: 0.5, Window: 20, ProbeMin: time.Second, ProbeMax: 30 * time.Second},
		DrainTimeout: time.Second, Unknown: order.KeepUnknown, Log: slog.New(slog.DiscardHandler), Reg: prometheus.NewRegistry(),
		Now: time.Now, UntilEmpty: true, Empty: func(context.Context) (bool, error) { return l.Empty(testNames), nil },
	}
}

// W14: whatever part of us a record brings down, it alone is dead after three times, and the others go on.
func TestARecordThatPanicsIsDeadAfterThree(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"parse", "decide"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l, s := NewMemLog(1), NewMemStore()
				var logged bytes.Buffer
				o := testOptions(l, s)
				o.Log = slog.New(slog.NewTextHandler(&logged, nil))
				w, err := New(o)
				if err != nil {
					t.Fatal(err)
				}
				panics := 0
				parse := w.parse
				w.parse = func(rec queue.Record, now time.Time) *message {
					m := parse(rec, now)
					if m.orderID == "bad" && where == "parse" {
						panics++
						panic("in parse")
					}
					if m.orderID == "bad" {
						m.order.Status = "PANIC"
					}
					return m
				}
				if where == "decide" { // the clock is the one thing that decide is given and that we own
					w.o.Now = func() time.Time {
						return time.Now()
					}
					s.Refuse = func(e queue.Effect) error {
						if e.Order.Status == "PANIC" {
							panics++
							panic("in decide")
						}
						return nil
					}
				}
				for _, id := range []string{"A", "bad", "B"} {
					l.Append(OrderMessage("orders", SampleOrder(id, order.Created)))
				}
				var letters *LettersError
				if err := w.Run(t.Context()); !errors.As(err, &letters) || letters.Letters != 1 || !strings.Contains(err.Error(), "1 message became") {
					t.Errorf("Run: %v", err)
				}
				trail := queue.ReadTrail(l.Records(dlq)[0].Headers)
				if trail.Class != queue.ClassCrash || trail.Code != "panic" || trail.MsgID != "bad:CREATED" || string(l.Records(dlq)[0].Value) == "" {
					t.Errorf("letter %+v", trail)
				}
				if len(s.Effects()) != 2 || panics < 3 {
					t.Errorf("%d effects, %d panics", len(s.Effects()), panics)
				}
				if !strings.Contains(logged.String(), "stack=") && where == "decide" {
					t.Errorf("log without the stack: %s", logged.String())
				}
			})
		})
	}
}

func TestErrorsAreClassed(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		err  error
		want queue.Class
		away bool
	}{
		{"its own failure", &queue.Failure{Class: queue.ClassFatal}, queue.ClassFatal, false},
		{"an outage", &queue.Failure{Class: queue.ClassOutage}, queue.ClassOutage, true},
		{"a timeout", &queue.Failure{Class: queue.ClassTimeout}, queue.ClassTimeout, true},
		{"a deadline that nobody classed", context.DeadlineExceeded, queue.ClassTimeout, true},
		{"an end that nobody classed", context.Canceled, queue.ClassOutage, true},
		{"what nobody knows", errors.New("?"), queue.ClassRetryable, false},
		{"a panic", guard(func() error { panic("x") }), queue.ClassRetryable, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if f := failureOf(tt.err); f.Class != tt.want || away(tt.err) != tt.away {
				t.Errorf("class %s, away %v", f.Class, away(tt.err))
			}
		})
	}
	if away(nil) || away(queue.ErrRaced) {
		t.Error("a success and a lost race are answers")
	}
}

func TestJitterStaysWithinItsBounds(t *testing.T) {
	t.Parallel()
	w := &Worker{o: Options{Local: Local{Base: 100 * time.Millisecond, Cap: 2 * time.Second}}}
	for attempt := 1; attempt < 200; attempt++ {
		if d := w.jitter(attempt); d <= 0 || d > 2*time.Second || attempt == 1 && d > 100*time.Millisecond {
			t.Errorf("jitter(%d) = %v", attempt, d)
		}
	}
}
