package group

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/IBM/sarama"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"pgregory.net/rapid"

	"commerce.internal/orderctl/internal/queue"
)

func TestTheConfigurationOfTheGroup(t *testing.T) { // pitfalls 11, 12, 14, 16, 18, 22, 25
	t.Parallel()
	c := sarama.NewConfig()
	c.Version = sarama.V3_6_0_0
	Options{InstanceID: "w-1"}.apply(c)
	g := c.Consumer
	if g.Offsets.Initial != sarama.OffsetOldest || g.Group.ResetInvalidOffsets || g.Fetch.Max != 0 || c.ChannelBufferSize != 16 {
		t.Errorf("orders would be skipped: %+v", g.Offsets)
	}
	if !g.Offsets.AutoCommit.Enable || g.Offsets.AutoCommit.Interval != time.Second || !g.Return.Errors || g.IsolationLevel != sarama.ReadCommitted {
		t.Errorf("commits: %+v", g.Offsets.AutoCommit)
	}
	if g.Group.Session.Timeout != 10*time.Second || g.Group.Heartbeat.Interval != 500*time.Millisecond || g.Group.Rebalance.Timeout != 15*time.Second || c.Net.ReadTimeout != 20*time.Second {
		t.Errorf("clock: %+v", g.Group)
	}
	if s := g.Group.Rebalance.GroupStrategies; len(s) != 1 || s[0].Name() != "cooperative-sticky" || g.Group.InstanceId != "w-1" {
		t.Errorf("strategies: %v", s)
	}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	Options{Balance: []string{CooperativeSticky, Range}}.apply(c) // a group that comes from range
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}

func TestTenThousandErrorsAreDrainedAndSaidOnce(t *testing.T) { // pitfall 17
	t.Parallel()
	var out bytes.Buffer
	reg := prometheus.NewRegistry()
	met, err := newMetrics(reg)
	if err != nil {
		t.Fatal(err)
	}
	g := &Group{log: slog.New(slog.NewTextHandler(&out, nil)), met: met, commits: newCommits(met)}
	errs := make(chan error)
	done := make(chan struct{})
	go func() { defer close(done); g.drain(t.Context(), errs) }()
	for i := range 10_000 {
		if i%2 == 0 {
			errs <- &sarama.ConsumerError{Topic: "orders", Partition: 1, Err: sarama.ErrRebalanceInProgress}
		} else {
			errs <- errors.New("connection reset")
		}
	}
	close(errs)
	<-done
	if n := strings.Count(out.String(), "\n"); n != 2 {
		t.Errorf("%d lines for 2 errors", n)
	}
	if n := testutil.ToFloat64(met.errors); n != 10_000 {
		t.Errorf("%v counted", n)
	}
	if n := testutil.ToFloat64(met.commitErrors.WithLabelValues("27")); n != 5_000 {
		t.Errorf("%v refused commits counted", n)
	}
	if _, failing := g.CommitFailing(); !failing {
		t.Error("refused commits must show")
	}
}

func counts(t testing.TB) *commits {
	met, err := newMetrics(nil)
	if err != nil {
		t.Fatal(err)
	}
	return newCommits(met)
}

func TestWhenCommitsFail(t *testing.T) {
	t.Parallel()
	at := place{"orders", 0}
	tests := []struct {
		name string
		do   func(c *commits)
		want bool
	}{
		{"nothing is marked", func(c *commits) { c.unanswered(time.Now()) }, false},
		{"a fresh mark", func(c *commits) { c.mark(at, 5); c.unanswered(time.Now()) }, false},
		{"an old mark, no answer", func(c *commits) { c.mark(at, 5); after(4 * time.Second); c.unanswered(time.Now()) }, true},
		{"an old mark, not committed", func(c *commits) {
			c.mark(at, 5)
			after(4 * time.Second)
			c.learn(map[place]int64{at: 4}, time.Now())
		}, true},
		{"an old mark, committed", func(c *commits) {
			c.mark(at, 5)
			after(4 * time.Second)
			c.learn(map[place]int64{at: 5}, time.Now())
		}, false},
		{"an old mark committed, a newer one not yet", func(c *commits) {
			c.mark(at, 5)
			after(4 * time.Second)
			c.mark(at, 9)
			c.learn(map[place]int64{at: 5}, time.Now())
		}, false},
		{"refused, and nothing heard since", func(c *commits) { c.mark(at, 5); c.refuse("27") }, true},
		{"refused, then committed", func(c *commits) {
			c.mark(at, 5)
			c.refuse("27")
			after(time.Second)
			c.learn(map[place]int64{at: 5}, time.Now())
		}, false},
		{"refused, not committed a second later", func(c *commits) {
			c.mark(at, 5)
			c.refuse("27")
			after(time.Second)
			c.learn(map[place]int64{at: 0}, time.Now())
		}, true},
		{"refused, then the partition is lost", func(c *commits) {
			c.mark(at, 5)
			c.refuse("27")
			c.forget(at)
			c.due(time.Now())
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := counts(t)
				c.begin(at, 0)
				tt.do(c)
				if since, failing := c.state(); failing != tt.want || (failing && since.IsZero()) {
					t.Errorf("failing = %v since %v, want %v", failing, since, tt.want)
				}
			})
		})
	}
}

func after(d time.Duration) { <-time.After(d) }

func TestOnlyOldOrDoubtfulMarksAreAskedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, a, b := counts(t), place{"orders", 0}, place{"orders", 1}
		c.begin(a, 0)
		c.begin(b, 0)
		c.mark(a, 1)
		if due := c.due(time.Now()); due != nil {
			t.Errorf("a fresh mark: asked for %v", due)
		}
		after(sureWithin)
		c.mark(b, 1)
		if due := c.due(time.Now()); len(due["orders"]) != 2 {
			t.Errorf("asked for %v, want both in one question", due)
		}
		c.learn(map[place]int64{a: 1, b: 1}, time.Now())
		after(time.Hour)
		if due := c.due(time.Now()); due != nil {
			t.Errorf("an idle group asks for %v", due)
		}
	})
}

func TestAMarkThatFailsForEverNeverLooksFine(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		steps := rapid.SliceOfN(rapid.IntRange(0, 4), 1, 50).Draw(rt, "steps")
		synctest.Test(t, func(*testing.T) {
			c, at := counts(t), place{"orders", 0}
			c.begin(at, 0)
			c.mark(at, 1) // never committed
			first, next := time.Now(), int64(2)
			for _, step := range steps {
				switch step {
				case 0:
					c.mark(at, next)
					next++
				case 1:
					c.refuse("27")
				case 2:
					c.unanswered(time.Now())
				case 3:
					c.learn(map[place]int64{at: 0}, time.Now())
				case 4:
					after(time.Second)
				}
			}
			c.unanswered(time.Now())
			if _, failing := c.state(); !failing && time.Since(first) >= sureWithin {
				rt.Fatalf("looks fine after %v of failing: %v", time.Since(first), steps)
			}
		})
	})
}

func TestWhichBatchesHoldNoRecord(t *testing.T) {
	t.Parallel()
	batch := func(pid, first int64, control, transactional bool) *sarama.RecordBatch {
		return &sarama.RecordBatch{ProducerID: pid, FirstOffset: first, LastOffsetDelta: 1, Control: control, IsTransactional: transactional}
	}
	aborted := map[int64]int64{7: 10}
	for i, tt := range []struct {
		batch *sarama.RecordBatch
		want  bool
	}{
		{batch(1, 8, false, false), false}, // an ordinary one
		{batch(7, 8, false, true), false},  // committed, before the aborted transaction of the same producer
		{batch(7, 10, false, true), true},  // aborted
		{batch(8, 12, false, true), false}, // another producer
		{batch(7, 14, false, true), true},  // still aborted
		{batch(7, 16, true, true), true},   // the marker ends it
		{batch(7, 18, false, true), false}, // the next transaction
	} {
		if got := silent(tt.batch, aborted); got != tt.want {
			t.Errorf("batch %d: silent = %v", i, got)
		}
	}
	cut := batch(1, 8, true, true)
	cut.PartialTrailingRecord = true
	if silent(cut, aborted) {
		t.Error("half a batch tells nothing")
	}
}

func TestCodesOfCommits(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		code string
	}{
		{&sarama.ConsumerError{Err: sarama.ErrIllegalGeneration}, "22"},
		{fmt.Errorf("x: %w", sarama.ErrUnknownMemberId), "25"},
		{&sarama.ConsumerError{Err: sarama.ErrOffsetOutOfRange}, ""},
		{errors.New("reset"), ""},
	} {
		if code, ok := commitCode(tt.err); code != tt.code || ok != (tt.code != "") {
			t.Errorf("commitCode(%v) = %q", tt.err, code)
		}
	}
}

func TestWhatACommitBelongsTo(t *testing.T) {
	t.Parallel()
	reads := func(id string) queue.Log { return queue.Log{TopicID: id, HaltedAt: -1} }
	halted := func(id string, at int64) queue.Log { return queue.Log{TopicID: id, HaltedAt: at} }
	for name, tt := range map[string]struct {
		f    found
		want string
	}{
		"nothing committed":                              {found{topicID: "b", committed: -1, known: true, was: reads("a")}, ""},
		"never read before":                              {found{topicID: "a", committed: 5, high: 9}, ""},
		"never read before, above the end":               {found{topicID: "a", committed: 10, high: 9}, haltAboveEnd},
		"the same topic":                                 {found{topicID: "a", committed: 9, high: 9, known: true, was: reads("a")}, ""},
		"the same topic, cut":                            {found{topicID: "a", committed: 10, high: 9, known: true, was: reads("a")}, haltAboveEnd},
		"another topic":                                  {found{topicID: "b", committed: 5, high: 9, known: true, was: reads("a")}, haltAnother},
		"another topic at its start":                     {found{topicID: "b", committed: 0, high: 9, known: true, was: reads("a")}, haltAnother},
		"Kafka does not say any more":                    {found{committed: 5, high: 9, known: true, was: reads("a")}, ""},
		"Kafka did not say before":                       {found{topicID: "a", committed: 5, high: 9, known: true, was: reads("")}, ""},
		"halted, and outgrown":                           {found{topicID: "a", committed: 5, high: 9, known: true, was: halted("a", 5)}, haltAboveEnd},
		"halted where Kafka does not say":                {found{committed: 5, high: 9, known: true, was: halted("", 5)}, haltAboveEnd},
		"halted as another topic":                        {found{topicID: "b", committed: 5, high: 9, known: true, was: halted("a", 5)}, haltAnother},
		"halted, and moved by an operator":               {found{topicID: "b", committed: 4, high: 9, known: true, was: halted("a", 5)}, ""},
		"halted, and moved by an operator above the end": {found{topicID: "b", committed: 12, high: 9, known: true, was: halted("a", 5)}, haltAboveEnd},
	} {
		if got := tt.f.foreign(); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
