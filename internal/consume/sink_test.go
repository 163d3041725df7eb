package consume_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"commerce.internal/orderctl/internal/consume"
	"commerce.internal/orderctl/internal/obs"
	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

// service is a sink that remembers what it took.
type service struct {
	mu     sync.Mutex
	posts  []string // ids, in order, of every attempt
	took   []string // ids that it answered with yes
	bodies map[string]string
	most   int // attempts at once
	now    int
	answer func(ctx context.Context, id string, n int) error // the n-th attempt of an id; nil: yes
}

func (s *service) Deliver(ctx context.Context, id string, body []byte) error {
	s.mu.Lock()
	s.posts, s.bodies[id] = append(s.posts, id), string(body)
	n := 0
	for _, p := range s.posts {
		if p == id {
			n++
		}
	}
	s.now++
	s.most = max(s.most, s.now)
	s.mu.Unlock()
	var err error
	if s.answer != nil {
		err = s.answer(ctx, id, n)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now--
	if err == nil {
		s.took = append(s.took, id)
	}
	return err
}

func (s *service) attempts(id string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, p := range s.posts {
		if p == id {
			n++
		}
	}
	return n
}

// posting is a world whose orders go to a service.
func posting() (*world, *service) {
	w, s := newWorld(1), &service{bodies: map[string]string{}}
	w.o.Handler, w.o.Sink, w.o.Deliveries = consume.Webhook, s, 4
	return w, s
}

func answered(code int) error {
	f := &queue.Failure{Class: queue.ClassRetryable, Code: fmt.Sprint(code), Message: "the service answered"}
	if code < 500 && code != 429 {
		f.Class = queue.ClassFatal
	}
	return f
}

func wantDelivered(t *testing.T, w *world, n int) {
	t.Helper()
	rows := w.store.Rows()
	if len(rows) != n {
		t.Errorf("%d rows, want %d", len(rows), n)
	}
	for _, r := range rows {
		if r.State != queue.StateDone || r.Outcome != queue.Delivered {
			t.Errorf("row of %s is %s %s", r.MsgID, r.State, r.Outcome)
		}
	}
	if len(w.applied()) != 0 {
		t.Error("the orders table was changed")
	}
	if c, end := w.log.Committed("orders", 0), int64(len(w.log.Records("orders"))); c != end {
		t.Errorf("commit %d of %d", c, end)
	}
}

func TestOrdersAreDeliveredOnceAndInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, s := posting()
		for i := range 50 {
			w.produce(fmt.Sprintf("A-%d", i), order.Created, order.Paid, order.Shipped)
		}
		wantLetters(t, w.run(t), 0)
		wantDelivered(t, w, 150)
		next := map[string]int{}
		for _, id := range s.posts {
			name, status, _ := strings.Cut(id, ":")
			if want := []string{"CREATED", "PAID", "SHIPPED"}[next[name]]; status != want {
				t.Fatalf("%s is posted before %s", id, want)
			}
			next[name]++
		}
		var body struct {
			OrderID string `json:"order_id"`
			Total   int64  `json:"total_amount"`
		}
		if err := json.Unmarshal([]byte(s.bodies["A-7:PAID"]), &body); err != nil || body.OrderID != "A-7" || body.Total != 500 {
			t.Errorf("body %s: %v", s.bodies["A-7:PAID"], err)
		}
		if len(s.posts) != 150 {
			t.Errorf("%d posts of 150 orders", len(s.posts))
		}
	})
}

// The rules come first: what they keep from its effect is not posted.
func TestWhatTheRulesKeepBackIsNotPosted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, s := posting()
		w.o.LoadTest = consume.LoadTestDiscard
		w.produce("A", order.Created, order.Created) // a duplicate
		other := consume.SampleOrder("A", order.Created)
		other.UserID = "u-2"
		w.log.Append(consume.OrderMessage("orders", other)) // the same id, other content
		w.log.Append(queue.Message{Topic: "orders", Value: []byte("{")})
		test := consume.OrderMessage("orders", consume.SampleOrder("T", order.Created))
		test.Headers = append(test.Headers, queue.Header{Name: queue.HeaderLoadTest, Value: []byte("1")})
		w.log.Append(test)
		wantLetters(t, w.run(t), 2)
		if !slices.Equal(s.posts, []string{"A:CREATED"}) {
			t.Errorf("posted %q", s.posts)
		}
		for _, l := range w.letters() {
			if l.Class != queue.ClassConflict && l.Class != queue.ClassDecode {
				t.Errorf("letter %+v", l)
			}
		}
	})
}

func TestARefusalIsALetterAndTheOthersGoOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, s := posting()
		s.answer = func(_ context.Context, id string, _ int) error {
			if id == "A:CREATED" {
				return answered(422)
			}
			return nil
		}
		w.produce("A", order.Created, order.Paid)
		w.produce("B", order.Created)
		wantLetters(t, w.run(t), 1)
		if l := w.letters()[0]; l.Class != queue.ClassFatal || l.Code != "422" || s.attempts("A:CREATED") != 1 {
			t.Errorf("letter %+v after %d posts", l, s.attempts("A:CREATED"))
		}
		if !slices.Contains(s.took, "A:PAID") || !slices.Contains(s.took, "B:CREATED") {
			t.Errorf("taken %q", s.took)
		}
	})
}

// Retries here, then over the tiers; what follows of that order waits behind, and every attempt has the same id.
func TestAFailedDeliveryIsTriedAgainInOrder(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ fails, hops int }{{1, 0}, {2, 0}, {3, 1}, {4, 2}} {
		synctest.Test(t, func(t *testing.T) {
			w, s := posting()
			s.answer = func(_ context.Context, id string, n int) error {
				if id == "A:CREATED" && n <= tt.fails {
					return answered(500)
				}
				return nil
			}
			w.produce("A", order.Created, order.Paid)
			w.produce("B", order.Created)
			wantLetters(t, w.run(t), 0)
			wantDelivered(t, w, 3)
			if s.attempts("A:CREATED") != tt.fails+1 || w.store.Rows()[0].Hop != tt.hops {
				t.Errorf("%d posts, hop %d", s.attempts("A:CREATED"), w.store.Rows()[0].Hop)
			}
			if i, j := slices.Index(s.took, "A:CREATED"), slices.Index(s.took, "A:PAID"); i > j {
				t.Errorf("taken %q", s.took)
			}
			if tt.hops > 0 && s.took[0] != "B:CREATED" {
				t.Error("B waited for A")
			}
		})
	}
}

func TestADeliveryThatNeverSucceedsIsExhausted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, s := posting()
		s.answer = func(context.Context, string, int) error { return answered(500) }
		w.produce("A", order.Created)
		wantLetters(t, w.run(t), 1)
		if l := w.letters()[0]; l.Class != queue.ClassExhausted || l.Attempts != 5 || len(s.posts) != 5 { // 3 here, 1 a tier
			t.Errorf("letter %+v after %d posts", l, len(s.posts))
		}
	})
}

// Promise 5 for the other target: away, silent, or a gateway that says so for it.
func TestAServiceThatIsAwayIsNoPoison(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{"refused": outage(), "silent": timeout(), "502": answered(502), "503": answered(503), "504": answered(504)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w, s := posting()
				back := time.Now().Add(60 * time.Second)
				s.answer = func(context.Context, string, int) error {
					if time.Now().Before(back) {
						return err
					}
					return nil
				}
				for i := range 500 {
					w.produce(fmt.Sprintf("A-%d", i), order.Created)
				}
				worker, stop := w.start(t)
				<-time.After(59 * time.Second)
				if c := worker.Checks()[2]; c.Name != "webhook" || c.Report().Status != obs.Warn || worker.Checks()[0].Report().Status != obs.Pass {
					t.Errorf("check during the outage: %+v", c.Report())
				}
				if h := worker.Health(); len(h.Paused) != 4 || !slices.Contains(h.Paused[0].Reasons, "breaker") {
					t.Errorf("health during the outage: %+v", h)
				}
				if gauge(t, w, "webhook") == 0 || gauge(t, w, "database") != 0 {
					t.Error("the metric does not say so")
				}
				if n := len(s.posts); n > 60 {
					t.Errorf("%d posts to a service that is away", n)
				}
				if len(w.store.Rows()) != 0 || w.log.Committed("orders", 0) != 0 {
					t.Error("something was written or committed during the outage")
				}
				<-time.After(6 * time.Second)
				wantDelivered(t, w, 500)
				if err := stop(); err != nil {
					t.Errorf("Run: %v", err)
				}
				for _, r := range w.store.Rows() {
					if r.Attempts != 0 {
						t.Errorf("counted attempt: %+v", r)
					}
				}
				if gauge(t, w, "webhook") != 0 || len(w.letters()) != 0 {
					t.Error("it is not over")
				}
			})
		})
	}
}

// gauge is the state of a breaker.
func gauge(t *testing.T, w *world, target string) float64 {
	t.Helper()
	families, err := w.o.Reg.(prometheus.Gatherer).Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "orderctl_consume_breaker_state" && m.GetLabel()[0].GetValue() == target {
				return m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no state of the breaker of %s", target)
	return 0
}

// One order that its service never answers, while it answers others, is that order's own fault in the end.
func TestOneOrderWithoutAnAnswerIsGivenUp(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{"silent": timeout(), "503": answered(503), "reset": outage()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w, s := posting()
				s.answer = func(_ context.Context, id string, _ int) error {
					if id == "BAD:CREATED" {
						return err
					}
					return nil
				}
				w.produce("BAD", order.Created)
				w.o.UntilEmpty = true
				more := time.NewTicker(20 * time.Millisecond)
				defer more.Stop()
				end := time.Now().Add(3 * time.Minute)
				_, stop := w.start(t)
				for i := 0; len(w.letters()) == 0 && time.Now().Before(end); i++ {
					w.produce(fmt.Sprintf("A-%d", i), order.Created)
					<-more.C
				}
				if l := w.letters(); len(l) != 1 || l[0].Class != queue.ClassExhausted || l[0].MsgID != "BAD:CREATED" {
					t.Errorf("letters %+v", l)
				}
				if n := s.attempts("BAD:CREATED"); n > 60 {
					t.Errorf("%d posts of it", n)
				}
				if err := stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestRetryAfterIsHeeded(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		asks     time.Duration
		tiers    []time.Duration
		at, most time.Duration // of the second attempt
		hop      int
	}{
		{"short: it waits here", 1500 * time.Millisecond, names.Tiers, 1500 * time.Millisecond, 1600 * time.Millisecond, 0},
		{"longer: the first tier", 3 * time.Second, names.Tiers, 5 * time.Second, 6 * time.Second, 1},
		{"longer than the first tier: the second", 30 * time.Second, names.Tiers, time.Minute, 61 * time.Second, 1},
		{"longer than all: the last", time.Hour, names.Tiers, time.Minute, 61 * time.Second, 1},
		{"without tiers it waits here", 30 * time.Second, nil, 30 * time.Second, 31 * time.Second, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w, s := posting()
				w.o.Names.Tiers = tt.tiers
				begin, second := time.Now(), time.Duration(0)
				s.answer = func(_ context.Context, _ string, n int) error {
					if n == 1 {
						return &queue.Failure{Class: queue.ClassRetryable, Code: "429", RetryAfter: tt.asks}
					}
					second = time.Since(begin)
					return nil
				}
				w.produce("A", order.Created)
				wantLetters(t, w.run(t), 0)
				if row := w.store.Rows()[0]; second < tt.at || second > tt.most || row.Hop != tt.hop || row.Attempts > 1 {
					t.Errorf("second attempt after %v, row %+v", second, row)
				}
			})
		})
	}
}

// Between the answer and the row lies no transaction: what is posted again has the same id.
func TestAnAnswerThatIsNotWritten(t *testing.T) {
	t.Parallel()
	t.Run("the process goes on: the row is written later, nothing is posted again", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w, s := posting()
			back := time.Now().Add(10 * time.Second)
			w.store.Row = func(queue.Row) error {
				if time.Now().Before(back) {
					return outage()
				}
				return nil
			}
			w.produce("A", order.Created)
			wantLetters(t, w.run(t), 0)
			wantDelivered(t, w, 1)
			if len(s.posts) != 1 {
				t.Errorf("posted %q", s.posts)
			}
		})
	})
	t.Run("the process is gone: the next one posts the same id", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w, s := posting()
			w.store.Row = func(queue.Row) error { return outage() }
			w.produce("A", order.Created)
			_, stop := w.start(t)
			<-time.After(time.Second)
			if err := stop(); err != nil {
				t.Error(err)
			}
			w.store.Row, w.o.UntilEmpty = nil, true
			wantLetters(t, w.run(t), 0)
			wantDelivered(t, w, 1)
			if !slices.Equal(s.posts, []string{"A:CREATED", "A:CREATED"}) {
				t.Errorf("posted %q", s.posts)
			}
		})
	})
	t.Run("somebody else has finished it meanwhile: it is a duplicate", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w, s := posting()
			other, _ := posting()
			other.store, other.log = w.store, w.log
			other.o.Store, other.o.Source, other.o.Publisher, other.o.Empty = w.store, w.o.Source, w.log, w.o.Empty
			s.answer = func(_ context.Context, _ string, n int) error {
				wantLetters(t, other.run(t), 0) // a zombie posts, and the new owner is faster
				return nil
			}
			w.produce("A", order.Created)
			wantLetters(t, w.run(t), 0)
			wantDelivered(t, w, 1)
		})
	})
}

func TestAReplayIsPostedWithTheSameID(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, s := posting()
		s.answer = func(_ context.Context, _ string, n int) error {
			if n == 1 {
				return answered(422)
			}
			return nil
		}
		w.produce("A", order.Created)
		wantLetters(t, w.run(t), 1)
		r := w.log.Records(names.DLQ())[0]
		trail := queue.ReadTrail(r.Headers)
		trail.Hop, trail.ReplayID, trail.Attempts = trail.Hop+1, "job-1", 0
		for range 2 { // by two operators
			w.log.Append(queue.Message{Topic: names.Replay(), Key: r.Key, Value: r.Value, Headers: trail.Append(r.Headers)})
		}
		wantLetters(t, w.run(t), 0)
		wantDelivered(t, w, 1)
		if !slices.Equal(s.posts, []string{"A:CREATED", "A:CREATED"}) {
			t.Errorf("posted %q", s.posts)
		}
	})
}

func TestOnlySoManyDeliveriesAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, s := posting()
		w.o.Batch, w.o.Concurrency = 4, 1
		s.answer = func(_ context.Context, id string, _ int) error {
			wait := time.Second
			if id == "A-0:CREATED" {
				wait = 12 * time.Second
			}
			<-time.After(wait)
			return nil
		}
		for i := range 41 {
			w.produce(fmt.Sprintf("A-%d", i), order.Created)
		}
		begin := time.Now()
		wantLetters(t, w.run(t), 0)
		wantDelivered(t, w, 41)
		if took := time.Since(begin); s.most != 4 || took > 15*time.Second {
			t.Errorf("%d at once, in %v: the slow one must not hold up the others", s.most, took)
		}
	})
}

// What is on its way at a stop is finished and written; what waits for its turn is not begun.
func TestAStopFinishesWhatIsOnItsWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, s := posting()
		s.answer = func(context.Context, string, int) error {
			<-time.After(5 * time.Second)
			return nil
		}
		for i := range 40 {
			w.produce(fmt.Sprintf("A-%d", i), order.Created)
		}
		_, stop := w.start(t)
		<-time.After(time.Second)
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
		if len(s.posts) != 4 || len(s.took) != 4 || len(w.store.Rows()) != 4 {
			t.Errorf("%d posted, %d taken, %d rows", len(s.posts), len(s.took), len(w.store.Rows()))
		}
	})
}

// A service that hangs past the drain does not hold the process, and what it may have taken is posted again.
func TestADeliveryThatOutlastsTheDrainIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, s := posting()
		s.answer = func(ctx context.Context, _ string, n int) error {
			if n == 1 {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}
		w.produce("A", order.Created)
		_, stop := w.start(t)
		begin := time.Now()
		if err := stop(); err != nil || time.Since(begin) > 21*time.Second {
			t.Errorf("Run: %v after %v", err, time.Since(begin))
		}
		if len(w.store.Rows()) != 0 || w.log.Committed("orders", 0) != 0 {
			t.Error("it was counted")
		}
		w.o.UntilEmpty = true
		wantLetters(t, w.run(t), 0)
		wantDelivered(t, w, 1)
	})
}

func TestASinkThatPanicsHarmsOnlyThatOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, s := posting()
		s.answer = func(_ context.Context, id string, _ int) error {
			if id == "A:CREATED" {
				panic("a bug")
			}
			return nil
		}
		w.produce("A", order.Created)
		w.produce("B", order.Created)
		wantLetters(t, w.run(t), 1)
		if l := w.letters()[0]; l.Class != queue.ClassCrash || !slices.Equal(s.took, []string{"B:CREATED"}) {
			t.Errorf("letter %+v, taken %q", l, s.took)
		}
	})
}

// While the service is away the database is not asked for orders that could not be posted, and the other way round.
func TestBothTargetsAwayInTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, s := posting()
		begin := time.Now()
		s.answer = func(context.Context, string, int) error {
			if time.Since(begin) < 30*time.Second {
				return outage()
			}
			return nil
		}
		w.store.Answer = func(context.Context) error {
			if since := time.Since(begin); since > 20*time.Second && since < 50*time.Second {
				return outage()
			}
			return nil
		}
		for i := range 100 {
			w.produce(fmt.Sprintf("A-%d", i), order.Created)
		}
		wantLetters(t, w.run(t), 0)
		wantDelivered(t, w, 100)
		if took := time.Since(begin); took > 60*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}
