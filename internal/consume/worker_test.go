package consume_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
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

func (w *world) worker(t *testing.T) *consume.Worker {
	t.Helper()
	w.o.Reg = prometheus.NewRegistry()
	worker, err := consume.New(w.o)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return worker
}

// run runs a worker to its end.
func (w *world) run(t *testing.T) error {
	t.Helper()
	worker := w.worker(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
	defer cancel()
	err := worker.Run(ctx)
	if ctx.Err() != nil {
		t.Fatalf("the worker did not end: %+v", worker.Health())
	}
	return err
}

// start runs a worker beside the test; stop ends it and returns what Run did.
func (w *world) start(t *testing.T) (worker *consume.Worker, stop func() error) {
	t.Helper()
	w.o.UntilEmpty = false
	worker = w.worker(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- worker.Run(ctx) }()
	synctest.Wait()
	return worker, func() error {
		cancel()
		return <-ended
	}
}

func (w *world) applied() []string {
	var ids []string
	for _, e := range w.store.Effects() {
		ids = append(ids, e.MessageID)
	}
	return ids
}

func (w *world) letters() []queue.Trail {
	var all []queue.Trail
	for _, r := range w.log.Records(names.DLQ()) {
		all = append(all, queue.ReadTrail(r.Headers))
	}
	return all
}

func wantApplied(t *testing.T, w *world, want ...string) {
	t.Helper()
	if got := w.applied(); !slices.Equal(got, want) {
		t.Errorf("applied %q, want %q", got, want)
	}
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

// failing refuses the effect of a message so many times.
func failing(id string, class queue.Class, times int) func(queue.Effect) error {
	return func(e queue.Effect) error {
		if e.MessageID != id || times == 0 {
			return nil
		}
		times--
		return &queue.Failure{Class: class, Code: "payment-timeout", Message: "504 from downstream"}
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

func TestOffsetsSetBackBringNoSecondEffectAndNoSecondLetter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.produce("A", order.Created, order.Paid)
		w.log.Append(queue.Message{Topic: "orders", Key: []byte("B"), Value: []byte("{")})
		wantLetters(t, w.run(t), 1)
		w.log.Rewind("orders")
		wantLetters(t, w.run(t), 0)
		wantApplied(t, w, "A:CREATED", "A:PAID")
		if n := len(w.letters()); n != 1 {
			t.Errorf("%d letters, want 1", n)
		}
	})
}

// Fault 13, I10: whatever it is, it is one letter; key, value and the sender's headers are the same bytes in the same order.
func TestAPoisonMessageBecomesALetterThatSaysWhy(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, value, code string
		class             queue.Class
	}{
		{"bytes that are no order", "{\"order_id\":", "malformed", queue.ClassDecode},
		{"an empty value", "", "malformed", queue.ClassDecode},
		{"no value", "null", "malformed", queue.ClassDecode},
		{"five megabytes", "{" + strings.Repeat("[", 5<<20), "malformed", queue.ClassDecode},
		{"a Protobuf that breaks off", "\x0a\xff\x01", "malformed", queue.ClassDecode},
		{"an order that breaks a rule", string(strings.Replace(valid("B"), `"quantity":2`, `"quantity":0`, 1)), "#/items/0/quantity", queue.ClassInvalid},
		{"a member that is missing", strings.Replace(valid("B"), `"user_id":"u-1",`, "", 1), "#/user_id", queue.ClassInvalid},
		{"a total that does not add up", strings.Replace(valid("B"), `"total_amount":500`, `"total_amount":501`, 1), "#/total_amount", queue.ClassInvalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(2)
				user := []queue.Header{{Name: "a", Value: []byte("\xff\x00")}, {Name: "a", Value: nil}, {Name: "", Value: []byte("")}}
				if strings.HasPrefix(tt.value, "\x0a") {
					user[1] = queue.Header{Name: queue.HeaderContentType, Value: []byte(queue.ContentProtobuf)}
				}
				key, value := []byte("k\xff"), []byte(tt.value)
				if tt.name == "no value" { // nor a key
					key, value = nil, nil
				}
				began := time.Now()
				w.log.Append(queue.Message{Topic: "orders", Partition: 1, Key: key, Value: value, Headers: user, Time: began})
				wantLetters(t, w.run(t), 1)
				r := w.log.Records(names.DLQ())[0]
				if r.Partition != 1 || !same(r.Key, key) || !same(r.Value, value) || !slices.EqualFunc(r.Headers[:3], user, sameHeader) {
					t.Errorf("the letter is not the record: %+v", r)
				}
				l := queue.ReadTrail(r.Headers)
				if l.Class != tt.class || l.Code != tt.code || l.Message == "" || l.Attempts != 0 || l.Hop != 1 || l.Worker != "w1" {
					t.Errorf("letter %+v", l)
				}
				if l.Origin != (queue.Position{Topic: "orders", Partition: 1, Offset: 0}) || l.Group != "g" || !l.OrigTime.Equal(began) || l.MsgID != "orders/1@0" {
					t.Errorf("origin of the letter %+v", l)
				}
				if row := w.store.Rows()[0]; row.State != queue.StateDead || row.At != r.Position() || row.Hop != 1 {
					t.Errorf("row %+v", row)
				}
			})
		})
	}
}

func valid(id string) string {
	return string(consume.SampleOrder(id, order.Created).AppendJSON(nil))
}

func sameHeader(a, b queue.Header) bool { return a.Name == b.Name && same(a.Value, b.Value) }

// same tells null from empty.
func same(a, b []byte) bool { return bytes.Equal(a, b) && (a == nil) == (b == nil) }

// CREATED of order A fails until it reaches the second tier; PAID of A waits behind it, order B does not.
func TestRetriesGoThroughTheTiersAndKeepTheOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.store.Refuse = failing("A:CREATED", queue.ClassRetryable, 4)
		w.produce("A", order.Created, order.Paid)
		w.produce("B", order.Created)
		began := time.Now()
		wantLetters(t, w.run(t), 0)
		wantApplied(t, w, "B:CREATED", "A:CREATED", "A:PAID")
		if took := time.Since(began); took < time.Minute {
			t.Errorf("all was done after %v: nothing may start before it is due", took)
		}
		first, second := w.log.Records(names.Retry(5*time.Second)), w.log.Records(names.Retry(time.Minute))
		if len(first) < 2 || len(second) < 1 {
			t.Fatalf("%d copies in the first tier, %d in the second", len(first), len(second))
		}
		if l := queue.ReadTrail(first[0].Headers); l.Attempts != 3 || l.Class != queue.ClassRetryable || l.Code != "payment-timeout" || l.Hop != 1 {
			t.Errorf("copy of A:CREATED %+v", l)
		}
		if l := queue.ReadTrail(first[1].Headers); l.MsgID != "A:PAID" || l.Attempts != 0 || l.BlockedBy != "A:CREATED" {
			t.Errorf("copy of A:PAID %+v", l)
		}
	})
}

func TestExhaustedAttemptsEndAsALetter(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		set      func(*consume.Options)
		attempts int
	}{
		{"through the tiers", func(*consume.Options) {}, 5},
		{"without tiers", func(o *consume.Options) { o.Names.Tiers = nil }, 3},
		{"in the order of a partition, in place", func(o *consume.Options) { o.Order = consume.ByPartition }, 5},
		{"in no order", func(o *consume.Options) { o.Order = consume.Unordered }, 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(1)
				tt.set(&w.o)
				attempts := 0
				w.store.Refuse = func(e queue.Effect) error {
					if e.MessageID != "A:CREATED" {
						return nil
					}
					attempts++
					return errors.New("who knows")
				}
				w.produce("A", order.Created)
				wantLetters(t, w.run(t), 1)
				if l := w.letters()[0]; l.Class != queue.ClassExhausted || l.Code != "unknown" || l.Attempts != tt.attempts || attempts != tt.attempts {
					t.Errorf("%d attempts, letter %+v", attempts, l)
				}
			})
		})
	}
}

func TestAPermanentFailureIsTriedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.store.Refuse = failing("A:CREATED", queue.ClassFatal, 9)
		w.produce("A", order.Created, order.Paid)
		wantLetters(t, w.run(t), 1)
		if l := w.letters()[0]; l.Class != queue.ClassFatal || l.Attempts != 1 {
			t.Errorf("letter %+v", l)
		}
		wantApplied(t, w, "A:PAID") // on-dead continue
	})
}

func TestHoldKeepsWhatFollowsADeadMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.o.OnDead = consume.Hold
		w.store.Refuse = failing("A:CREATED", queue.ClassFatal, 1)
		w.produce("A", order.Created, order.Paid, order.Shipped)
		wantLetters(t, w.run(t), 3)
		letters := w.letters()
		if letters[1].Class != queue.ClassBlocked || letters[1].BlockedBy != "A:CREATED" || letters[2].BlockedBy != "A:PAID" {
			t.Errorf("letters %+v", letters)
		}
		for _, r := range w.log.Records(names.DLQ()) { // what dlq replay sends
			trail := queue.ReadTrail(r.Headers)
			trail.Hop, trail.ReplayID, trail.Attempts = trail.Hop+1, "job-1", 0
			w.log.Append(queue.Message{Topic: names.Replay(), Key: r.Key, Value: r.Value, Headers: trail.Append(r.Headers)})
		}
		wantLetters(t, w.run(t), 0)
		wantApplied(t, w, "A:CREATED", "A:PAID", "A:SHIPPED")
	})
}

func TestALocalWaitDelaysNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.o.Concurrency, w.o.Batch = 1, 1
		w.o.Local = consume.Local{Attempts: 3, Base: time.Hour, Cap: time.Hour}
		w.store.Refuse = failing("A:CREATED", queue.ClassRetryable, 1)
		w.produce("A", order.Created)
		w.produce("B", order.Created)
		began := time.Now()
		_, stop := w.start(t)
		wantApplied(t, w, "B:CREATED")
		if time.Since(began) > time.Minute {
			t.Error("B waited for A")
		}
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestAnOrderThatCannotBecomeThatIsALetter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.produce("A", order.Created, order.Cancelled, order.Shipped, order.Created)
		wantLetters(t, w.run(t), 1)
		if l := w.letters()[0]; l.Class != queue.ClassIllegal || l.Code != "CANCELLED-SHIPPED" || l.MsgID != "A:SHIPPED" {
			t.Errorf("letter %+v", l)
		}
		wantApplied(t, w, "A:CREATED", "A:CANCELLED")
	})
}

func TestAMessageIDWithAnotherContentIsAConflict(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.produce("A", order.Created)
		o := consume.SampleOrder("A", order.Created)
		o.UserID = "somebody-else"
		w.log.Append(consume.OrderMessage("orders", o))
		wantLetters(t, w.run(t), 1)
		if l := w.letters()[0]; l.Class != queue.ClassConflict {
			t.Errorf("letter %+v", l)
		}
		wantApplied(t, w, "A:CREATED")
	})
}

func TestOneBadRecordOfABatchSpoilsNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.o.Batch = 64
		w.store.Refuse = failing("A-7:CREATED", queue.ClassFatal, 1)
		for i := range 64 {
			w.produce(fmt.Sprintf("A-%d", i), order.Created)
		}
		wantLetters(t, w.run(t), 1)
		if n := len(w.applied()); n != 63 {
			t.Errorf("%d applied, want 63", n)
		}
	})
}

func TestMaxMessagesStartsThatManyAndCommitsThem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.o.UntilEmpty, w.o.MaxMessages = false, 3
		for i := range 10 {
			w.produce(fmt.Sprintf("A-%d", i), order.Created)
		}
		if err := w.run(t); err != nil {
			t.Errorf("Run: %v", err)
		}
		if n, c := len(w.applied()), w.log.Committed("orders", 0); n != 3 || c != 3 {
			t.Errorf("%d applied, commit %d, want 3", n, c)
		}
	})
}

func TestTheRateIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.o.Rate = 10
		for i := range 101 {
			w.produce(fmt.Sprintf("A-%d", i), order.Created)
		}
		began := time.Now()
		wantLetters(t, w.run(t), 0)
		if took := time.Since(began); took < 9*time.Second || took > 12*time.Second {
			t.Errorf("101 orders at 10/s took %v", took)
		}
	})
}

func TestTheLogHandlerPrintsOrdersAndHasNoEffect(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		var out bytes.Buffer
		w.o.Handler, w.o.Out = consume.Log, &out
		w.produce("A", order.Created)
		wantLetters(t, w.run(t), 0)
		var line struct {
			Topic     string
			Offset    int64
			MessageID string `json:"message_id"`
			Order     struct {
				OrderID string `json:"order_id"`
			}
		}
		if err := json.Unmarshal(out.Bytes(), &line); err != nil || line.Order.OrderID != "A" || line.MessageID != "A:CREATED" || line.Topic != "orders" {
			t.Errorf("printed %q: %v", out.String(), err)
		}
		if row := w.store.Rows()[0]; len(w.applied()) != 0 || row.Outcome != queue.Skipped {
			t.Errorf("row %+v, effects %v", row, w.applied())
		}
	})
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestAnOutputThatIsGoneEndsTheRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.o.Handler, w.o.Out = consume.Log, brokenPipe{}
		w.produce("A", order.Created)
		if err := w.run(t); err == nil || !strings.Contains(err.Error(), "broken pipe") {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestASourceThatFailsEndsTheRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		gone := errors.New("no broker")
		w.o.Source = func(context.Context, func(consume.Claim)) error { return gone }
		worker := w.worker(t)
		if err := worker.Run(t.Context()); !errors.Is(err, gone) {
			t.Errorf("Run: %v", err)
		}
		if err := worker.Run(t.Context()); err == nil {
			t.Error("a worker runs once")
		}
	})
}

// Two workers, one partition each, one store: whatever they do to each other, one effect a message.
func TestTwoWorkersOnOneStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(2)
		for i := range 40 {
			for p := range int32(2) { // the same messages in both partitions
				m := consume.OrderMessage("orders", consume.SampleOrder(fmt.Sprintf("A-%d", i), order.Created))
				m.Partition = p
				w.log.Append(m)
			}
		}
		w.store.Between = func() { <-time.After(time.Millisecond) }
		var ended []chan error
		for p := range int32(2) {
			o := w.o
			o.Reg = prometheus.NewRegistry()
			o.Source = func(ctx context.Context, handle func(consume.Claim)) error {
				w.log.Own(ctx, "orders", p, handle)
				return ctx.Err()
			}
			worker, err := consume.New(o)
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			ended = append(ended, done)
			go func() { done <- worker.Run(t.Context()) }()
		}
		for _, done := range ended {
			if err := <-done; err != nil {
				t.Errorf("Run: %v", err)
			}
		}
		ids := w.applied()
		slices.Sort(ids)
		if len(ids) != 40 || len(slices.Compact(ids)) != 40 {
			t.Errorf("%d effects, want 40 different ones", len(ids))
		}
	})
}
