package consume_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"commerce.internal/orderctl/internal/consume"
	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

func header(name, value string) queue.Header { return queue.Header{Name: name, Value: []byte(value)} }

// I9: a record of a tier starts when it is due, whatever its headers and its time say.
func TestARecordOfATierStartsWhenItIsDue(t *testing.T) {
	t.Parallel()
	at := func(d time.Duration) func(time.Time) string {
		return func(now time.Time) string { return fmt.Sprint(now.Add(d).UnixMilli()) }
	}
	tests := []struct {
		name      string
		age       time.Duration // of the record
		notBefore func(time.Time) string
		want      time.Duration
	}{
		{"its own time and the delay", 0, nil, time.Minute},
		{"it has waited for a while already", 40 * time.Second, nil, 20 * time.Second},
		{"it is overdue", time.Hour, nil, 0},
		{"its header knows", time.Hour, at(30 * time.Second), 30 * time.Second},
		{"a header beyond the delay is not believed", 0, at(24 * time.Hour), time.Minute},
		{"a negative one neither", 0, func(time.Time) string { return "-5" }, time.Minute},
		{"nor a time in the next century", -80 * 365 * 24 * time.Hour, nil, time.Minute},
		{"nor one before the first", 0, func(time.Time) string { return "1" }, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(1)
				m := consume.OrderMessage(names.Retry(time.Minute), consume.SampleOrder("A", order.Created))
				m.Headers = append(m.Headers, header(queue.HeaderOriginTopic, "orders"), header(queue.HeaderOriginPartition, "0"),
					header(queue.HeaderOriginOffset, "3"), header(queue.HeaderHop, "1"))
				if tt.notBefore != nil {
					m.Headers = append(m.Headers, header(queue.HeaderNotBefore, tt.notBefore(time.Now())))
				}
				m.Time = time.Now().Add(-tt.age)
				w.log.Append(m)
				began := time.Now()
				var applied time.Time
				w.store.Refuse = func(queue.Effect) error {
					applied = time.Now()
					return nil
				}
				wantLetters(t, w.run(t), 0)
				if got := applied.Sub(began); got != tt.want {
					t.Errorf("started after %v, want %v", got, tt.want)
				}
			})
		})
	}
}

func TestOnlyTheHeadOfATierIsLookedAt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		for i, age := range []time.Duration{0, time.Hour} {
			m := consume.OrderMessage(names.Retry(5*time.Second), consume.SampleOrder(fmt.Sprintf("A-%d", i), order.Created))
			m.Headers = append(m.Headers, header(queue.HeaderOriginTopic, "orders"), header(queue.HeaderOriginPartition, "0"),
				header(queue.HeaderOriginOffset, fmt.Sprint(i)), header(queue.HeaderHop, "1"))
			m.Time = time.Now().Add(-age)
			w.log.Append(m)
		}
		_, stop := w.start(t)
		<-time.After(4 * time.Second)
		wantApplied(t, w)
		<-time.After(2 * time.Second)
		if n := len(w.applied()); n != 2 {
			t.Errorf("%d applied, want 2", n)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// I8: while nothing is finished, no more is held than the bounds say; the channel of the claim is never left waiting.
func TestBackpressurePausesTheClaimAndNeverBlocksIt(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		value   int
		records int
		most    int
	}{
		{"by number", 0, 1_500, 1_000},
		{"by bytes", 1 << 20, 64, 32},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(1)
				var open atomic.Bool
				w.store.Answer = func(ctx context.Context) error {
					for !open.Load() {
						select {
						case <-time.After(time.Millisecond):
						case <-ctx.Done():
							return timeout()
						}
					}
					return nil
				}
				for i := range tt.records {
					w.log.Append(queue.Message{Topic: "orders", Key: []byte(fmt.Sprint(i)), Value: make([]byte, tt.value)})
				}
				w.o.Breaker.Failures, w.o.Breaker.Window = 1_000, 1_000
				worker, stop := w.start(t)
				<-time.After(time.Second)
				if h := worker.Health(); h.Queued < tt.most || h.Queued > tt.most+1 || len(h.Paused) != 1 || h.Paused[0].Reasons[0] != "backpressure" {
					t.Errorf("health %+v", h)
				}
				open.Store(true)
				<-time.After(time.Minute)
				if h := worker.Health(); h.Queued != 0 || len(h.Paused) != 0 || w.log.Committed("orders", 0) != int64(tt.records) {
					t.Errorf("health %+v, commit %d", h, w.log.Committed("orders", 0))
				}
				if err := stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestNothingIsReceivedFarAheadOfAnUnfinishedRecord(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.o.Batch, w.o.Handler = 256, consume.SQL
		w.o.Local = consume.Local{Attempts: 2, Base: 24 * time.Hour, Cap: 24 * time.Hour}
		w.store.Refuse = failing("slow:CREATED", queue.ClassRetryable, 1)
		w.produce("slow", order.Created)
		for i := range 20_000 {
			w.log.Append(queue.Message{Topic: "orders", Key: fmt.Append(nil, i), Value: duplicate, Headers: []queue.Header{header(queue.HeaderID, "first")}})
		}
		w.log.Append(consume.OrderMessage("orders", consume.SampleOrder("last", order.Created)))
		worker, stop := w.start(t)
		<-time.After(time.Second)
		if h := worker.Health(); len(h.Paused) != 1 || h.Paused[0].Reasons[0] != "span" || w.log.Committed("orders", 0) != 0 {
			t.Errorf("health %+v, commit %d", h, w.log.Committed("orders", 0))
		}
		<-time.After(25 * time.Hour)
		if w.log.Committed("orders", 0) != 20_002 {
			t.Errorf("commit %d, %+v", w.log.Committed("orders", 0), worker.Health())
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// W3: at a stop nothing starts, what is in flight is finished and committed, the rest stays for the next owner.
func TestAStopDrainsWhatIsInFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.o.Concurrency, w.o.Batch = 2, 4
		w.store.Answer = func(ctx context.Context) error {
			select {
			case <-time.After(8 * time.Second):
				return nil
			case <-ctx.Done():
				return timeout()
			}
		}
		for i := range 100 {
			w.produce(fmt.Sprintf("A-%d", i), order.Created)
		}
		_, stop := w.start(t)
		<-time.After(time.Second)
		began := time.Now()
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
		if took := time.Since(began); took != 7*time.Second {
			t.Errorf("the drain took %v", took)
		}
		if n, c := len(w.applied()), w.log.Committed("orders", 0); n == 0 || n > 8 || c != int64(n) {
			t.Errorf("%d applied, commit %d, want what was in flight", n, c)
		}
		w.store.Answer = nil
		w.o.UntilEmpty = true
		wantLetters(t, w.run(t), 0)
		if n := len(w.applied()); n != 100 {
			t.Errorf("%d effects, want 100", n)
		}
	})
}

func TestAStopWaitsNoLongerThanTheDrainTimeout(t *testing.T) {
	t.Parallel()
	for _, heeds := range []bool{true, false} {
		t.Run(fmt.Sprintf("the attempt heeds its context %v", heeds), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(1)
				w.o.DrainTimeout = 3 * time.Second
				release := make(chan struct{})
				w.store.Answer = func(ctx context.Context) error {
					if !heeds {
						<-release
						return outage()
					}
					<-ctx.Done()
					return timeout()
				}
				w.produce("A", order.Created)
				_, stop := w.start(t)
				<-time.After(time.Second)
				began := time.Now()
				err := stop()
				if took := time.Since(began); heeds && (took != 3*time.Second || err != nil) || !heeds && (took != 8*time.Second || err == nil) {
					t.Errorf("Run ended after %v with %v", took, err)
				}
				if w.log.Committed("orders", 0) != 0 {
					t.Error("what was not finished was committed")
				}
				close(release)
				synctest.Wait()
			})
		})
	}
}

// W5, I7: a partition that goes elsewhere waits for its attempts no longer than 7.5 s, delays no other, and then nothing
// of it is written or marked any more.
func TestARevokeIsShort(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(2)
		w.o.Concurrency, w.o.Batch = 2, 1
		w.store.Answer = nil
		hang := make(chan struct{})
		var first atomic.Bool
		w.store.Between = func() {
			if first.CompareAndSwap(false, true) {
				<-hang
			}
		}
		m := consume.OrderMessage("orders", consume.SampleOrder("A", order.Created))
		w.log.Append(m)
		lost, lose := context.WithCancel(t.Context())
		var left atomic.Int64
		w.o.Source = func(ctx context.Context, handle func(consume.Claim)) error {
			done := make(chan struct{})
			go func() {
				w.log.Own(lost, "orders", 0, handle)
				left.Store(time.Now().UnixNano())
				close(done)
			}()
			w.log.Own(ctx, "orders", 1, handle)
			<-done
			return ctx.Err()
		}
		worker, stop := w.start(t)
		began := time.Now()
		lose()
		<-time.After(time.Second)
		other := consume.OrderMessage("orders", consume.SampleOrder("B", order.Created))
		other.Partition = 1
		w.log.Append(other)
		<-time.After(time.Second)
		wantApplied(t, w, "B:CREATED")
		<-time.After(10 * time.Second)
		if took := time.Duration(left.Load() - began.UnixNano()); took != 7500*time.Millisecond {
			t.Errorf("the partition was left after %v", took)
		}
		close(hang)
		<-time.After(time.Second)
		if c := w.log.Committed("orders", 0); c != 0 || worker.Health().InFlight != 0 {
			t.Errorf("a lost partition was marked: commit %d, %+v", c, worker.Health())
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// What was counted and goes to another member with its partition is not done here: others start for it, or the run would
// wait for ever.
func TestMaxMessagesAreReachedWhenAPartitionIsLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(2)
		w.o.UntilEmpty, w.o.MaxMessages = false, 5
		var back atomic.Bool
		w.store.Answer = func(context.Context) error {
			if back.Load() {
				return nil
			}
			return &queue.Failure{Class: queue.ClassOutage, Code: "08006"}
		}
		add := func(p int32, id string) {
			m := consume.OrderMessage("orders", consume.SampleOrder(id, order.Created))
			m.Partition = p
			w.log.Append(m)
		}
		for i := range 8 {
			add(0, fmt.Sprintf("A-%d", i))
		}
		lost, lose := context.WithCancel(t.Context())
		w.o.Source = func(ctx context.Context, handle func(consume.Claim)) error {
			done := make(chan struct{})
			go func() {
				w.log.Own(lost, "orders", 0, handle)
				close(done)
			}()
			w.log.Own(ctx, "orders", 1, handle)
			<-done
			return ctx.Err()
		}
		go func() {
			<-time.After(time.Second) // partition 0 has taken all places
			for i := range 6 {
				add(1, fmt.Sprintf("B-%d", i))
			}
			<-time.After(time.Second)
			lose()
			<-time.After(time.Second)
			back.Store(true)
		}()
		if err := w.run(t); err != nil {
			t.Error(err)
		}
		got := w.applied()
		slices.Sort(got)
		if want := []string{"B-0:CREATED", "B-1:CREATED", "B-2:CREATED", "B-3:CREATED", "B-4:CREATED"}; !slices.Equal(got, want) {
			t.Errorf("applied %q, want %q", got, want)
		}
		if a, b := w.log.Committed("orders", 0), w.log.Committed("orders", 1); a != 0 || b != 5 {
			t.Errorf("commits %d and %d, want 0 and 5", a, b)
		}
	})
}

func TestATopicOfSomebodyElseIsLeftAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.o.Source = w.log.Source("payments", names.DLQ())
		w.log.Append(queue.Message{Topic: "payments", Value: []byte("x")})
		w.log.Append(queue.Message{Topic: names.DLQ(), Value: []byte("x")})
		_, stop := w.start(t)
		<-time.After(time.Second)
		if len(w.store.Rows()) != 0 || w.log.Committed("payments", 0) != 0 {
			t.Error("a foreign record was consumed")
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestAPauseOutlivesTheClaimButNotTheOperator(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(2)
		worker, stop := w.start(t)
		if err := worker.Pause("orders", 1); err != nil {
			t.Fatal(err)
		}
		for p := range int32(2) {
			m := consume.OrderMessage("orders", consume.SampleOrder(fmt.Sprintf("A-%d", p), order.Created))
			m.Partition = p
			w.log.Append(m)
		}
		<-time.After(time.Second)
		wantApplied(t, w, "A-0:CREATED")
		if h := worker.Health(); len(h.Paused) != 1 || h.Paused[0].Partition != 1 || h.Paused[0].Reasons[0] != "topic" {
			t.Errorf("health %+v", h)
		}
		if err := worker.Resume("orders"); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Second)
		wantApplied(t, w, "A-0:CREATED", "A-1:CREATED")
		if err := worker.Pause(""); err != nil {
			t.Fatal(err)
		}
		if h := worker.Health(); len(h.Paused) != h.Partitions {
			t.Errorf("health %+v", h)
		}
		if err := worker.Resume("orders"); err != nil {
			t.Fatal(err)
		}
		if h := worker.Health(); len(h.Paused) != h.Partitions-2 {
			t.Errorf("health %+v", h)
		}
		for _, err := range []error{worker.Pause("payments"), worker.Pause(names.DLQ()), worker.Pause("", 1)} {
			if err == nil {
				t.Error("a pause of nothing that is consumed must be refused")
			}
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

var duplicate = consume.SampleOrder("first", order.Created).AppendJSON(nil)
