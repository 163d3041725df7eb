package consume_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"commerce.internal/orderctl/internal/consume"
	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

// refuseAll makes every effect fail for ever, but those of the orders that are named.
func refuseAll(but ...string) func(queue.Effect) error {
	return func(e queue.Effect) error {
		if slices.Contains(but, e.Order.OrderID) {
			return nil
		}
		return &queue.Failure{Class: queue.ClassFatal, Code: "23514", Message: "check of a bad deployment"}
	}
}

// pass lets time go by, and everything that is due happen.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func (w *world) many(n int, p int32) {
	for i := range n {
		w.number(i, p)
	}
}

func (w *world) number(i int, p int32) {
	m := consume.OrderMessage("orders", consume.SampleOrder(fmt.Sprintf("P%d-%d", p, i), order.Created))
	m.Partition = p
	w.log.Append(m)
}

func reasons(w *consume.Worker, topic string, partition int32) []string {
	for _, p := range w.Health().Paused {
		if p.Topic == topic && p.Partition == partition {
			return p.Reasons
		}
	}
	return nil
}

// Fault 17: each record is fatal. The partition halts at the limit, tries one record a minute, and goes on when one is good.
// I3: what is dead has a letter; nothing is skipped.
func TestAFloodOfLettersHaltsItsPartitionOnly(t *testing.T) {
	t.Parallel()
	for _, batch := range []int{1, 8, 256} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(2)
			w.o.Flood, w.o.Batch = consume.FloodOptions{InRow: 50, Probe: time.Minute}, batch
			w.store.Refuse = func(e queue.Effect) error {
				if strings.HasPrefix(e.Order.OrderID, "P1") {
					return nil
				}
				return refuseAll()(e)
			}
			w.many(200, 0)
			w.many(200, 1)
			worker, stop := w.start(t)
			pass(30 * time.Second)
			if n := len(w.letters()); n != 50 {
				t.Errorf("batch %d: %d letters, want 50", batch, n)
			}
			if got := reasons(worker, "orders", 0); !slices.Contains(got, "flood") {
				t.Errorf("paused for %q", got)
			}
			if len(w.applied()) != 200 || w.log.Committed("orders", 1) != 200 {
				t.Errorf("the other partition is at %d", w.log.Committed("orders", 1))
			}
			pass(2 * time.Minute)
			if n := len(w.letters()); n != 52 {
				t.Errorf("%d letters after two probes, want 52", n)
			}
			w.store.Set(func() { w.store.Refuse = nil })
			pass(time.Minute)
			if n, at := len(w.letters()), w.log.Committed("orders", 0); n != 52 || at != 200 || reasons(worker, "orders", 0) != nil {
				t.Errorf("%d letters, commit %d, paused for %q", n, at, reasons(worker, "orders", 0))
			}
			if err := stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

// An operator buries the record that a halted partition holds. The probe finds that, writes nothing for it, and the good
// record behind it lets the partition go on at once.
func TestAHaltedPartitionGoesOnBehindABuriedRecord(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.o.Flood, w.o.Batch = consume.FloodOptions{InRow: 3, Probe: time.Minute}, 1
		w.store.Refuse = func(e queue.Effect) error {
			if e.Src.Offset < 4 {
				return refuseAll()(e)
			}
			return nil
		}
		worker, stop := w.start(t)
		for i := range 10 { // one at a time: a letter counts once it is written
			w.number(i, 0)
			pass(10 * time.Millisecond)
		}
		pass(30 * time.Second)
		if n := len(w.letters()); n != 3 || !slices.Contains(reasons(worker, "orders", 0), "flood") {
			t.Fatalf("%d letters, paused for %q", n, reasons(worker, "orders", 0))
		}
		rec := w.log.Records("orders")[3]
		key := queue.Identify(rec, "orders", order.KeepUnknown)
		row := queue.Row{RowKey: key, State: queue.StateDead, Hop: 1, Src: rec.Position(), At: queue.Position{Topic: "orders.orders-worker.dlq", Offset: 99}, Control: -1}
		errs, err := w.store.Apply(t.Context(), w.o.Names.Group, []queue.Lookup{{MsgID: key.MsgID}}, func(int, queue.Seen) queue.Change {
			return queue.Change{Writes: []queue.Write{{Kind: queue.Insert, Row: row}}}
		})
		if err != nil || errs[0] != nil {
			t.Fatal(errs, err)
		}
		pass(31 * time.Second)
		if n, at := len(w.letters()), w.log.Committed("orders", 0); n != 3 || at != 10 || reasons(worker, "orders", 0) != nil {
			t.Errorf("%d letters, commit %d, paused for %q; want 3, 10 and not", n, at, reasons(worker, "orders", 0))
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestAShareOfLettersHaltsThePartition(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.o.Flood, w.o.Batch, w.o.Concurrency = consume.FloodOptions{Ratio: 0.2, Window: 20, Probe: time.Hour}, 1, 1
		w.store.Refuse = func(e queue.Effect) error {
			if n := e.Src.Offset; n > 40 && n%4 == 0 { // 40 good ones first: the window goes with the time
				return refuseAll()(e)
			}
			return nil
		}
		worker, stop := w.start(t)
		for i := range 200 { // one at a time: a letter counts once it is written, and what is at hand may overtake that
			w.number(i, 0)
			pass(10 * time.Millisecond)
		}
		if got := len(w.letters()); got != 4 || !slices.Contains(reasons(worker, "orders", 0), "flood") {
			t.Errorf("%d letters, paused for %q", got, reasons(worker, "orders", 0))
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// A letter behind another one is no sign of a bad deployment, and a partition that fetched nothing more still probes.
func TestLettersThatFollowOthersAreNoFlood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.o.Flood, w.o.OnDead = consume.FloodOptions{InRow: 3, Probe: time.Minute}, consume.Hold
		w.store.Refuse = failing("A:CREATED", queue.ClassFatal, 1)
		w.produce("A", order.Created, order.Paid, order.Shipped, order.Completed, order.Refunded)
		wantLetters(t, w.run(t), 5)
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.o.Flood = consume.FloodOptions{InRow: 3, Probe: time.Minute}
		w.store.Refuse = refuseAll("good")
		w.many(3, 0)
		worker, stop := w.start(t)
		pass(time.Second)
		w.produce("good", order.Created)
		pass(30 * time.Second)
		if len(w.applied()) != 0 {
			t.Error("a halted partition went on before its probe")
		}
		pass(time.Minute)
		if len(w.applied()) != 1 || reasons(worker, "orders", 0) != nil {
			t.Errorf("applied %q, paused for %q", w.applied(), reasons(worker, "orders", 0))
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// rejoining makes a source whose session can be ended: all partitions are claimed anew.
func (w *world) rejoining() (times func() int) {
	var mu sync.Mutex
	n := 0
	var end context.CancelFunc
	source := w.o.Source
	w.o.Source = func(ctx context.Context, handle func(consume.Claim)) error {
		for ctx.Err() == nil {
			session, cancel := context.WithCancel(ctx)
			mu.Lock()
			end = cancel
			mu.Unlock()
			_ = source(session, handle)
			cancel()
		}
		return ctx.Err()
	}
	w.o.Rejoin = func(context.Context, string) {
		mu.Lock()
		defer mu.Unlock()
		n++
		end()
	}
	return func() int {
		mu.Lock()
		defer mu.Unlock()
		return n
	}
}

// Fault 5: an attempt that ignores the end of its time ends the session, and then the process. Nobody waits for ever.
func TestAnAttemptThatNeverEndsEndsTheProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.o.UntilEmpty, w.o.Concurrency = false, 2
		times := w.rejoining()
		free := make(chan struct{})
		w.store.Answer = func(context.Context) error { <-free; return nil }
		w.produce("A", order.Created)
		begin := time.Now()
		worker := w.worker(t)
		ended := make(chan error, 1)
		go func() { ended <- worker.Run(t.Context()) }()
		pass(20 * time.Second)
		if times() != 1 {
			t.Errorf("the session was ended %d times within 20 s", times())
		}
		err := <-ended
		if err == nil || times() != 1 || time.Since(begin) > 2*time.Minute {
			t.Errorf("Run: %v, after %v, %d sessions ended", err, time.Since(begin), times())
		}
		close(free)
		synctest.Wait()
	})
}

func TestAPartitionThatDoesNotMoveIsNoticed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(2)
		times := w.rejoining()
		w.many(10, 0)
		w.many(10, 1)
		w.log.Unreadable = [2]int64{4, 1 << 40} // as if the broker sent nothing more of it
		w.o.UntilEmpty = false
		begin := time.Now()
		err := w.worker(t).Run(t.Context())
		if took := time.Since(begin); err == nil || !strings.Contains(err.Error(), "orders/0") || times() != 1 || took < 2*time.Minute || took > 3*time.Minute {
			t.Errorf("Run: %v after %v, %d sessions ended", err, took, times())
		}
		if len(w.applied()) != 14 {
			t.Errorf("%d applied", len(w.applied()))
		}
	})
}

// What waits on purpose is not stuck: for its time in a tier, in place, behind a hop that fails, behind a pause.
func TestWhatWaitsIsNotStuck(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(w *world){
		"in a tier": func(w *world) {
			w.o.Names.Tiers = []time.Duration{10 * time.Minute}
			w.o.Source = w.log.Source(w.o.Names.Consumed()...)
			w.store.Refuse = failing("A:CREATED", queue.ClassRetryable, 3)
		},
		"in place": func(w *world) {
			w.o.Order, w.o.Names.Tiers = consume.ByPartition, []time.Duration{10 * time.Minute}
			w.store.Refuse = failing("A:CREATED", queue.ClassRetryable, 3)
		},
		"behind a hop": func(w *world) {
			w.store.Refuse = failing("A:CREATED", queue.ClassFatal, 1)
			begin := time.Now()
			w.log.Refuse = func(queue.Message) error {
				if time.Since(begin) < 10*time.Minute {
					return &queue.PublishError{Kind: queue.Rejected, Reason: "unknown-topic"}
				}
				return nil
			}
		},
		"for its database": func(w *world) {
			begin := time.Now()
			w.store.Answer = func(context.Context) error {
				if time.Since(begin) < 10*time.Minute {
					return outage()
				}
				return nil
			}
		},
		"for its turn": func(w *world) { w.o.Rate = 0.02 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(1)
				prepare(w)
				times := w.rejoining()
				w.produce("A", order.Created, order.Paid)
				w.produce("B", order.Created)
				_, stop := w.start(t)
				pass(25 * time.Minute)
				if w.log.Committed("orders", 0) != 3 {
					t.Errorf("commit %d of 3", w.log.Committed("orders", 0))
				}
				if err := stop(); err != nil || times() != 0 {
					t.Errorf("Run: %v, %d sessions ended", err, times())
				}
			})
		})
	}
}

// peek looks into a log in memory.
type peek struct {
	w    *world
	code string

	mu    sync.Mutex
	looks int
	open  int64 // an open transaction begins there; 0: none
}

func (p *peek) End(_ context.Context, topic string, partition int32) (int64, error) {
	if p.open > 0 {
		return p.open, nil
	}
	n := int64(0)
	for _, r := range p.w.log.Records(topic) {
		if r.Partition == partition {
			n++
		}
	}
	return n, nil
}

func (p *peek) Unreadable(_ context.Context, at queue.Position) (*queue.Failure, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.looks++
	if bad := p.w.log.Unreadable; at.Topic == "orders" && at.Partition == 0 && at.Offset >= bad[0] && at.Offset < bad[1] {
		return &queue.Failure{Class: queue.ClassDecode, Code: p.code, Message: "90 MiB of zeros"}, nil
	}
	return nil, nil //nolint:nilnil // it can be read
}

func TestAnUnreadableBatchHaltsItsPartitionOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(2)
		times := w.rejoining()
		p := &peek{w: w, code: "batch-too-large"}
		w.o.Peek, w.log.Unreadable = p, [2]int64{4, 41}
		w.many(60, 0)
		w.many(60, 1)
		worker, stop := w.start(t)
		pass(time.Hour)
		if got := reasons(worker, "orders", 0); !slices.Equal(got, []string{"batch"}) || w.log.Committed("orders", 0) != 4 {
			t.Errorf("paused for %q at %d", got, w.log.Committed("orders", 0))
		}
		if w.log.Committed("orders", 1) != 60 || len(w.letters()) != 0 {
			t.Errorf("the other partition is at %d, %d letters", w.log.Committed("orders", 1), len(w.letters()))
		}
		if p.looks > 15 {
			t.Errorf("%d looks for the end of 37 records", p.looks)
		}
		if err := stop(); err != nil || times() != 0 {
			t.Errorf("Run: %v, %d sessions ended", err, times())
		}
	})
}

func TestAnUnreadableBatchBecomesOnePointer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(2)
		times := w.rejoining()
		w.o.Peek, w.o.OnBadBatch = &peek{w: w, code: "batch-corrupt"}, consume.BadBatchPointer
		w.log.Unreadable = [2]int64{4, 41}
		w.many(60, 0)
		w.many(60, 1)
		wantLetters(t, w.run(t), 1)
		r := w.log.Records(names.DLQ())[0]
		l := queue.ReadTrail(r.Headers)
		if r.Value != nil || l.Class != queue.ClassDecode || l.Code != "batch-corrupt" || l.Pointer != "4-40" || l.Origin != (queue.Position{Topic: "orders", Offset: 4}) {
			t.Errorf("letter %+v with %d bytes", l, len(r.Value))
		}
		if n := len(w.applied()); n != 60-37+60 || w.log.Committed("orders", 0) != 60 || times() != 1 {
			t.Errorf("%d applied, commit %d, %d sessions ended", n, w.log.Committed("orders", 0), times())
		}
	})
}

func TestAnOpenTransactionIsNotStuck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		times := w.rejoining()
		w.o.Peek = &peek{w: w, open: 4}
		w.log.Unreadable = [2]int64{4, 1 << 40}
		w.many(10, 0)
		worker, stop := w.start(t)
		pass(time.Hour)
		if err := stop(); err != nil || times() != 0 || reasons(worker, "orders", 0) != nil {
			t.Errorf("Run: %v, %d sessions ended", err, times())
		}
	})
}

// runs remembers what a worker notes about itself.
type runs struct {
	mu           sync.Mutex
	unclean      int
	begun, ended []string
}

func (r *runs) BeginRun(_ context.Context, group, instance string, _ time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begun = append(r.begun, group+" "+instance)
	return nil
}

func (r *runs) EndRun(_ context.Context, group, instance string, _, _ time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = append(r.ended, group+" "+instance)
	return nil
}

func (r *runs) UncleanEnds(context.Context, string, time.Time) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.unclean, nil
}

// counting sees how many records are in transactions at once.
type counting struct {
	consume.Store
	mu        sync.Mutex
	now, most int
}

func (c *counting) Apply(ctx context.Context, group string, look []queue.Lookup, decide func(int, queue.Seen) queue.Change) ([]error, error) {
	c.add(len(look))
	defer c.add(-len(look))
	<-time.After(time.Millisecond)
	return c.Store.Apply(ctx, group, look, decide)
}

func (c *counting) add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now += n
	c.most = max(c.most, c.now)
}

// Section 9: on probation one record at a time, and its row says so before it runs; when nothing was killed for a while the
// records run side by side again.
func TestProbationRunsOneRecordAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, r := newWorld(1), &runs{unclean: 3}
		c := &counting{Store: w.store}
		w.o.Runs, w.o.Slot, w.o.Store, w.o.Concurrency = r, "host:8091", c, 4
		var rows []string
		w.store.Row = func(r queue.Row) error {
			rows = append(rows, fmt.Sprintf("%s %s %d", r.OrderID, r.State, r.Starts))
			return nil
		}
		w.store.Refuse = failing("A:CREATED", queue.ClassRetryable, 1)
		w.produce("A", order.Created)
		w.produce("B", order.Created)
		_, stop := w.start(t)
		pass(10 * time.Second)
		if want := []string{"A retry 1", "A done 0", "B retry 1", "B done 0", "A done 0"}; !slices.Equal(rows, want) {
			t.Errorf("rows %q, want %q", rows, want)
		}
		w.many(50, 0)
		pass(time.Second)
		if c.most != 1 {
			t.Errorf("%d records at once on probation", c.most)
		}
		r.mu.Lock()
		r.unclean = 2 // not yet none
		r.mu.Unlock()
		pass(time.Minute)
		w.produce("C", order.Created)
		pass(time.Second)
		if !slices.Contains(rows, "C retry 1") {
			t.Error("probation ended before there was no unclean end for a while")
		}
		r.mu.Lock()
		r.unclean = 0
		r.mu.Unlock()
		pass(time.Minute)
		for i := range 50 {
			w.produce(fmt.Sprint("D", i), order.Created)
		}
		pass(time.Second)
		if c.most < 2 || slices.Contains(rows, "D0 retry 1") {
			t.Errorf("%d records at once after probation", c.most)
		}
		if err := stop(); err != nil || !slices.Equal(r.begun, r.ended) || !slices.Equal(r.begun, []string{"g host:8091"}) {
			t.Errorf("Run: %v, begun %q, ended %q", err, r.begun, r.ended)
		}
	})
}

// Fault 14: a record that ends the process each time it runs is dead after three, without being run. The others are applied.
func TestARecordThatKillsTheProcessIsDeadAfterThree(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.o.Runs, w.o.Slot, w.o.DrainTimeout = &runs{unclean: 3}, "s", time.Nanosecond
		w.many(2, 0)
		w.produce("K", order.Created)
		w.produce("L", order.Created)
		kills := 0
		for kills < 3 {
			ctx, kill := context.WithCancel(t.Context())
			w.store.Refuse = func(e queue.Effect) error {
				if e.Order.OrderID != "K" {
					return nil
				}
				kills++
				kill()
				return outage() // nothing of it was written: the process is dead
			}
			w.o.UntilEmpty = false
			if err := w.worker(t).Run(ctx); err != nil {
				t.Fatal(err)
			}
			kill()
		}
		w.store.Refuse = func(e queue.Effect) error {
			if e.Order.OrderID == "K" {
				t.Error("it was run a fourth time")
			}
			return nil
		}
		w.o.UntilEmpty = true
		wantLetters(t, w.run(t), 1)
		if l := w.letters()[0]; l.Class != queue.ClassCrash || l.MsgID != "K:CREATED" {
			t.Errorf("letter %+v", l)
		}
		wantApplied(t, w, "P0-0:CREATED", "P0-1:CREATED", "L:CREATED")
	})
}

// keeper counts and forgets.
type keeper struct {
	mu     sync.Mutex
	counts map[queue.State]int64
	err    error
	left   int
	before []time.Time
	from   []queue.Position
}

func (k *keeper) Counts(context.Context, string) (map[queue.State]int64, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.counts, k.err
}

func (k *keeper) Expire(_ context.Context, _ string, before time.Time, committed []queue.Position) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.before, k.from = append(k.before, before), committed
	n := min(k.left, 1000)
	k.left -= n
	return n, nil
}

func TestMessagesAreCountedAndForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		k := &keeper{counts: map[queue.State]int64{queue.StateDead: 7, queue.StateParked: 0}, left: 2_500}
		commits := []queue.Position{{Topic: "orders", Offset: 9}}
		w.o.Keeper, w.o.KeepDone = k, 30*24*time.Hour
		w.o.Committed = func(context.Context) ([]queue.Position, error) { return commits, nil }
		_, stop := w.start(t)
		pass(time.Second)
		reg := w.o.Reg.(*prometheus.Registry)
		if dead, ok := sample(reg, "orderctl_consume_messages", `state="dead"`); !ok || dead != 7 {
			t.Errorf("%v dead messages, %v", dead, ok)
		}
		if parked, ok := sample(reg, "orderctl_consume_messages", `state="parked"`); !ok || parked != 0 {
			t.Errorf("%v parked messages, %v", parked, ok)
		}
		k.mu.Lock()
		k.err = errors.New("away")
		k.mu.Unlock()
		pass(20 * time.Second)
		if n, ok := sample(reg, "orderctl_consume_messages", `state="dead"`); ok {
			t.Errorf("%v dead messages of a database that does not answer", n)
		}
		pass(12 * time.Minute)
		k.mu.Lock()
		calls := len(k.before)
		age := time.Since(k.before[0])
		k.mu.Unlock()
		if calls < 4 || k.left != 0 || !slices.Equal(k.from, commits) || age < 30*24*time.Hour || age > 30*24*time.Hour+12*time.Minute {
			t.Errorf("%d calls, %d left, commits %v, age %v", calls, k.left, k.from, age)
		}
		w.o.Committed = nil
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// Without the commits nothing is forgotten: what may come again must be remembered.
func TestNothingIsForgottenWithoutTheCommits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		k := &keeper{left: 10}
		w.o.Keeper, w.o.KeepDone = k, time.Hour
		w.o.Committed = func(context.Context) ([]queue.Position, error) { return nil, errors.New("coordinator is away") }
		_, stop := w.start(t)
		pass(time.Hour)
		if len(k.before) != 0 {
			t.Errorf("%d clean-ups", len(k.before))
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestGuardsThatLackAPartAreRefused(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*consume.Options){
		"Flood.Probe":  func(o *consume.Options) { o.Flood.InRow = 5 },
		"Flood.Window": func(o *consume.Options) { o.Flood = consume.FloodOptions{Ratio: 0.5, Probe: time.Second} },
		"Slot":         func(o *consume.Options) { o.Runs = &runs{} },
		"OnBadBatch":   func(o *consume.Options) { o.OnBadBatch = "skip" },
	} {
		w := newWorld(1)
		change(&w.o)
		if _, err := consume.New(w.o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New: %v, want %s named", err, want)
		}
	}
}
