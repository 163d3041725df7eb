// Package consume is the worker: it takes orders from the log, makes their effect in the database, and moves those that
// fail to retry topics or to the dead letters. What becomes of a record is one value of one pure function, decide; the
// rest of the package brings it its input and does what it says. It knows neither Kafka nor SQL.
package consume

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"commerce.internal/orderctl/internal/obs"
	"commerce.internal/orderctl/internal/queue"
)

// killGrace is how long Run waits for attempts that do not heed the end of their context.
const killGrace = 5 * time.Second

// Worker consumes one source topic for one group. It runs once.
type Worker struct {
	o       Options
	policy  policy
	reader  reader
	parse   func(rec queue.Record, now time.Time) *message
	met     *metrics
	lanes   *lanes
	breaker *breaker
	sink    *breaker      // nil: there is no sink
	slots   chan struct{} // deliveries on their way
	dog     *watchdog
	solo    chan struct{} // held by the one attempt on probation
	limit   *limit
	pacer   *rate.Limiter // nil: no limit
	batch   int
	letters atomic.Int64
	running atomic.Bool

	probation atomic.Bool
	counts    atomic.Pointer[map[queue.State]int64] // of messages that are not done; nil map: not known
	halt      context.CancelCauseFunc               // ends the run; set by Run
	bg        sync.WaitGroup                        // hops and waits between attempts

	mu     sync.Mutex
	claims map[*claim]bool
	paused map[place]bool // by operators
	out    sync.Mutex     // lines of the log handler
}

// New checks the options and builds a worker.
func New(o Options) (*Worker, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	w := &Worker{
		o: o, batch: o.Batch, lanes: newLanes(), breaker: newBreaker(o.Breaker, o.Now), dog: newWatchdog(), solo: make(chan struct{}, 1),
		limit: &limit{most: o.MaxMessages}, claims: map[*claim]bool{}, paused: map[place]bool{},
		reader: reader{names: o.Names, unknown: o.Unknown, currency: o.Currency},
		policy: policy{
			names: o.Names, ordering: o.Order, hold: o.OnDead == Hold, effect: o.Handler == SQL, posts: o.Handler == Webhook,
			skipLoad: o.LoadTest == LoadTestDiscard, attempts: o.Local.Attempts, maxAge: o.MaxAge,
		},
	}
	w.parse = w.reader.read
	if o.Handler == Webhook {
		w.sink, w.slots = newBreaker(o.Breaker, o.Now), make(chan struct{}, o.Deliveries)
	}
	if o.Rate > 0 {
		w.batch = min(o.Batch, max(1, int(o.Rate/10)))
		w.pacer = rate.NewLimiter(rate.Limit(o.Rate), w.batch)
	}
	met, err := newMetrics(o.Reg, w)
	if err != nil {
		return nil, fmt.Errorf("consume: register metrics: %w", err)
	}
	w.met = met
	return w, nil
}

// Run consumes until ctx ends or the options say that it is enough. Then nothing new starts, what is in flight is
// finished within the drain timeout, and its offsets are marked. Nil: it ended as it was told to.
func (w *Worker) Run(ctx context.Context) error {
	if w.running.Swap(true) {
		return errors.New("consume: a worker runs once")
	}
	run, halt := context.WithCancelCause(ctx)
	defer halt(nil)
	w.halt, w.limit.start, w.limit.reached = halt, w.enqueue, func() { halt(errEnough) }
	// What is in flight when ctx ends must be finished or its transaction would be lost: it ends by the drain, below.
	work, kill := context.WithCancel(context.WithoutCancel(ctx))
	defer kill()

	endRun := w.beginRun(run)
	ended := make(chan struct{}, w.o.Concurrency)
	var pool errgroup.Group
	pool.Go(func() error { w.guard(run); return nil })
	pool.Go(func() error { w.keep(run); return nil })
	for range w.o.Concurrency {
		pool.Go(func() error {
			defer func() { ended <- struct{}{} }()
			return w.pool(run, work)
		})
	}
	if w.o.UntilEmpty {
		pool.Go(func() error {
			w.untilEmpty(run)
			halt(errEmpty)
			return nil
		})
	}
	err := w.o.Source(run, func(c Claim) { w.own(run, c) }) // returns when every claim is drained
	cause := context.Cause(run)
	halt(nil)
	kill()
	if err := w.gather(ctx, ended); err != nil {
		return err
	}
	err = errors.Join(err, pool.Wait())
	w.bg.Wait()
	endRun(ctx)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = nil
	}
	return w.outcome(err, cause)
}

// Why a run ends by itself.
var (
	errEnough = errors.New("enough messages")
	errEmpty  = errors.New("all is consumed")
)

func (w *Worker) outcome(err, cause error) error {
	n := w.letters.Load()
	switch {
	case err != nil && !errors.Is(err, context.Canceled): // canceled by the end of the run
		return fmt.Errorf("consume %s: %w", w.o.Names.Source, err)
	case errors.Is(cause, errEmpty) && n > 0:
		return &LettersError{Letters: n}
	case cause == nil, errors.Is(cause, errEmpty), errors.Is(cause, errEnough), errors.Is(cause, context.Canceled),
		errors.Is(cause, context.DeadlineExceeded):
		return nil
	}
	return fmt.Errorf("consume %s: %w", w.o.Names.Source, cause)
}

// gather waits for the pool. An attempt that hangs past everything must not hold the process.
func (w *Worker) gather(ctx context.Context, ended <-chan struct{}) error {
	t := time.NewTimer(killGrace)
	defer t.Stop()
	for n := range w.o.Concurrency {
		select {
		case <-ended:
		case <-t.C:
			w.o.Log.ErrorContext(ctx, "attempts do not end: left behind", slog.Int(obs.KeyCount, w.o.Concurrency-n))
			return fmt.Errorf("consume %s: %d attempts did not end after the drain", w.o.Names.Source, w.o.Concurrency-n)
		}
	}
	return nil
}

// pace keeps a batch to the rate that was asked for.
func (w *Worker) pace(ctx context.Context, batch []*item) error {
	if w.pacer == nil {
		return nil
	}
	if err := w.pacer.WaitN(ctx, len(batch)); err != nil {
		for _, it := range batch {
			w.lanes.again(it)
		}
		return fmt.Errorf("wait for the rate: %w", err)
	}
	return nil
}

func (w *Worker) enlist(c *claim) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.claims[c] = true
	c.pauseFor(pausedOperator, w.pausedByOperator(c))
	c.pauseFor(pausedBreaker, w.suspended())
}

// suspend pauses every partition while the breaker is not closed, and only then. With no record in hand but those that
// have failed, they go on: the target may be away for those alone, and the next one tells.
func (w *Worker) suspend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.claims {
		c.pauseFor(pausedBreaker, w.suspended())
	}
}

func (w *Worker) suspended() bool {
	state, _ := w.breaker.open()
	away := state != breakerClosed
	if w.sink != nil {
		state, _ = w.sink.open()
		away = away || state != breakerClosed
	}
	return away && w.lanes.fresh()
}

func (w *Worker) dismiss(c *claim) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.claims, c)
	w.met.forget(c)
}

// owned returns the claims by topic and partition.
func (w *Worker) owned() []*claim {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make([]*claim, 0, len(w.claims))
	for c := range w.claims {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *claim) int {
		return cmp.Or(cmp.Compare(a.Topic(), b.Topic()), cmp.Compare(a.Partition(), b.Partition()))
	})
	return all
}

func partitionLane(p int32) string { return "partition " + strconv.Itoa(int(p)) }
