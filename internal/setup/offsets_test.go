package setup_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/setup"
)

// log is a group, the logs that it reads, and a database.
type log struct {
	snapshot  lag.Snapshot
	err       error
	at        map[lag.TopicPartition]lag.Maybe[lag.OffsetAt]
	records   map[lag.TopicPartition][]queue.Record
	rows      []queue.Row
	asked     int // questions to the database
	forgotten []string
	let       []string // partitions whose log was forgotten
	logsErr   error
	steps     []string
	commitErr error
	stubborn  bool // takes a commit and does not keep it
}

// Snapshot implements lag.Source.
func (l *log) Snapshot(context.Context, lag.Query) (lag.Snapshot, error) { return l.snapshot, l.err }

// OffsetsAt implements lag.Source.
func (l *log) OffsetsAt(context.Context, map[lag.TopicPartition]time.Time) (map[lag.TopicPartition]lag.Maybe[lag.OffsetAt], error) {
	return l.at, nil
}

// Scan implements setup.Records.
func (l *log) Scan(_ context.Context, topic string, partition int32, from, end int64, fn func(queue.Record) error) error {
	for _, r := range l.records[tp(topic, partition)] {
		if r.Offset >= from && r.Offset < end {
			if err := fn(r); err != nil {
				return err
			}
		}
	}
	return nil
}

// Messages implements setup.Rows.
func (l *log) Messages(_ context.Context, _ string, ids []string) ([]queue.Row, error) {
	l.asked++
	var found []queue.Row
	for _, r := range l.rows {
		if slices.Contains(ids, r.MsgID) {
			found = append(found, r)
		}
	}
	return found, nil
}

// ForgetControls implements setup.Controls.
func (l *log) ForgetControls(_ context.Context, group string, topics []string, partition int32) (int64, error) {
	l.steps = append(l.steps, "forget")
	l.forgotten = append(l.forgotten, fmt.Sprintf("%s %v %d", group, topics, partition))
	return 1, nil
}

// ForgetLog implements setup.Logs.
func (l *log) ForgetLog(_ context.Context, group, topic string, partition int32) error {
	l.let = append(l.let, fmt.Sprintf("%s %s/%d", group, topic, partition))
	return l.logsErr
}

func (l *log) commit(_ context.Context, group string, set map[lag.TopicPartition]int64) error {
	l.steps = append(l.steps, "commit")
	if l.commitErr != nil || l.stubborn {
		return l.commitErr
	}
	commits := maps.Clone(l.snapshot.Groups[group].Commits.V)
	for tp, offset := range set {
		commits[tp] = lag.CommitObs{Offset: offset}
		if offset < 0 {
			delete(commits, tp)
		}
	}
	g := l.snapshot.Groups[group]
	g.Commits = lag.Know(commits)
	l.snapshot.Groups[group] = g
	return nil
}

// standing is a stopped group over three partitions of orders, each from offset 10 to 100: committed at 40, never, and at
// 120, beyond its end. Of the first, 40 and 41 are done in the database.
func standing() *log {
	l := &log{records: map[lag.TopicPartition][]queue.Record{}, snapshot: lag.Snapshot{
		Isolation: lag.ReadCommitted, Topics: map[string]lag.TopicObs{}, Partitions: map[lag.TopicPartition]lag.PartitionObs{},
	}}
	for _, topic := range []string{"orders", "orders.g.retry.5s", "orders.g.replay"} {
		l.snapshot.Topics[topic] = lag.TopicObs{Exists: lag.Know(true), Partitions: 3}
		for p := range int32(3) {
			l.snapshot.Partitions[tp(topic, p)] = lag.PartitionObs{Start: lag.Know[int64](10), High: lag.Know[int64](103), Stable: lag.Know[int64](100)}
			for o := int64(10); o < 100; o++ {
				l.records[tp(topic, p)] = append(l.records[tp(topic, p)], queue.Record{
					Topic: topic, Partition: p, Offset: o, Value: []byte("x"),
					Headers: []queue.Header{{Name: queue.HeaderID, Value: fmt.Appendf(nil, "%s-%d-%d", topic, p, o)}},
				})
			}
		}
	}
	l.snapshot.Topics["gone"] = lag.TopicObs{Exists: lag.Know(false)}
	l.snapshot.Groups = map[string]lag.GroupObs{"g": {State: lag.StateEmpty, Members: lag.Know([]lag.MemberObs{}), Commits: lag.Know(map[lag.TopicPartition]lag.CommitObs{
		tp("orders", 0): {Offset: 40}, tp("orders", 2): {Offset: 120}, tp("orders.g.retry.5s", 0): {Offset: 40}, tp("orders.g.replay", 1): {Offset: 40},
	})}}
	for _, o := range []int64{40, 41} {
		l.rows = append(l.rows, rowOf(l.records[tp("orders", 0)][o-10], queue.StateDone))
	}
	return l
}

// rowOf is what the database remembers of a record.
func rowOf(r queue.Record, state queue.State) queue.Row {
	return queue.Row{RowKey: queue.Identify(r, "orders", order.KeepUnknown), State: state, Src: r.Position(), At: r.Position()}
}

func (l *log) offsets(t *testing.T, change ...func(*setup.OffsetsOptions)) *setup.Offsets {
	t.Helper()
	opts := setup.OffsetsOptions{
		Group: "g", Source: l, Records: l, Commit: l.commit, Rows: l, Controls: l, Logs: l, Tiers: []time.Duration{5 * time.Second}, Unknown: order.KeepUnknown,
	}
	for _, c := range change {
		c(&opts)
	}
	o, err := setup.NewOffsets(opts)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// said is a plan in short: "0: 40 -> 45 skips 5 unseen 3".
func said(p setup.OffsetsPlan) []string {
	var list []string
	for _, m := range p.Moves {
		text := fmt.Sprintf("%d: %d -> %d", m.Partition, m.From, m.To)
		if m.Skips > 0 {
			text += fmt.Sprintf(" skips %d", m.Skips)
		}
		if m.Repeats > 0 {
			text += fmt.Sprintf(" repeats %d", m.Repeats)
		}
		if m.Unseen > 0 {
			text += fmt.Sprintf(" unseen %d", m.Unseen)
		}
		list = append(list, text)
	}
	return list
}

func TestWhatEachTargetDoes(t *testing.T) {
	t.Parallel()
	young := map[lag.TopicPartition]lag.Maybe[lag.OffsetAt]{
		tp("orders", 0): lag.Know(lag.OffsetAt{Offset: 30}), tp("orders", 1): lag.Know(lag.OffsetAt{Offset: -1}), tp("orders", 2): lag.Know(lag.OffsetAt{Offset: 5}),
	}
	for _, tt := range []struct {
		name       string
		target     setup.Target
		partitions []int32
		latest     bool
		want       []string
	}{
		{"the start of each log", setup.Target{Kind: setup.ToEarliest}, nil, false, []string{"0: 40 -> 10 repeats 30", "1: -1 -> 10", "2: 120 -> 10 repeats 90"}},
		{"the end, before an open transaction", setup.Target{Kind: setup.ToLatest}, nil, false, []string{"0: 40 -> 100 skips 60 unseen 58", "1: -1 -> 100 skips 90 unseen 90", "2: 120 -> 100"}},
		{"one offset", setup.Target{Kind: setup.ToOffset, Offset: 42}, []int32{0}, false, []string{"0: 40 -> 42 skips 2"}},
		{"five orders further", setup.Target{Kind: setup.ToShift, Offset: 5}, []int32{0, 1}, false, []string{"0: 40 -> 45 skips 5 unseen 3", "1: -1 -> 15 skips 5 unseen 5"}},
		{"further than there is", setup.Target{Kind: setup.ToShift, Offset: 1000}, []int32{0}, false, []string{"0: 40 -> 100 skips 60 unseen 58"}},
		{"as far as numbers go", setup.Target{Kind: setup.ToShift, Offset: math.MaxInt64}, nil, false, []string{"0: 40 -> 100 skips 60 unseen 58", "1: -1 -> 100 skips 90 unseen 90", "2: 120 -> 100"}},
		{"and as far back", setup.Target{Kind: setup.ToShift, Offset: math.MinInt64}, nil, false, []string{"0: 40 -> 10 repeats 30", "1: -1 -> 10", "2: 120 -> 10 repeats 90"}},
		{"five orders back", setup.Target{Kind: setup.ToShift, Offset: -5}, []int32{0, 1, 2}, false, []string{"0: 40 -> 35 repeats 5", "1: -1 -> 10", "2: 120 -> 100"}},
		{"back behind the start", setup.Target{Kind: setup.ToShift, Offset: -1000}, []int32{0}, false, []string{"0: 40 -> 10 repeats 30"}},
		{"a time: an offset, none that young, one that is deleted", setup.Target{Kind: setup.ToTime, Time: now}, nil, false, []string{"0: 40 -> 30 repeats 10", "1: -1 -> 100 skips 90 unseen 90", "2: 120 -> 10 repeats 90"}},
		{"where it stands", setup.Target{Kind: setup.ToShift}, []int32{0}, false, []string{"0: 40 -> 40"}},
		{"a group that begins at the end has nothing to skip", setup.Target{Kind: setup.ToLatest}, []int32{1}, true, []string{"1: -1 -> 100"}},
		{"and much to repeat", setup.Target{Kind: setup.ToEarliest}, []int32{1}, true, []string{"1: -1 -> 10 repeats 90"}},
		{"what was saved", setup.Target{Kind: setup.ToSaved, Saved: map[lag.TopicPartition]int64{tp("orders", 0): -1, tp("orders", 1): 20}}, nil, false, []string{"0: 40 -> -1 repeats 30", "1: -1 -> 20 skips 10 unseen 10"}},
		{"one partition of what was saved", setup.Target{Kind: setup.ToSaved, Saved: map[lag.TopicPartition]int64{tp("orders", 0): 50, tp("orders", 1): 20}}, []int32{0}, false, []string{"0: 40 -> 50 skips 10 unseen 8"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := standing()
			l.at = young
			o := l.offsets(t, func(o *setup.OffsetsOptions) { o.Latest = tt.latest })
			p, err := o.Plan(t.Context(), setup.Reset{Topics: []string{"orders"}, Partitions: tt.partitions, Target: tt.target})
			if err != nil || !slices.Equal(said(p), tt.want) {
				t.Fatalf("%q, %v; want %q", said(p), err, tt.want)
			}
			if len(l.steps) > 0 {
				t.Errorf("a plan did %v", l.steps)
			}
			if err := o.Apply(t.Context(), p); err != nil {
				t.Fatal(err)
			}
			for _, m := range p.Moves { // what the plan said is what stands there
				c, ok := l.snapshot.Groups["g"].Commits.V[m.TopicPartition()]
				if m.To < 0 && ok || m.To >= 0 && c.Offset != m.To {
					t.Errorf("%s stands at %v, the plan said %d", m.TopicPartition(), c, m.To)
				}
			}
			again, err := o.Plan(t.Context(), setup.Reset{Topics: []string{"orders"}, Partitions: tt.partitions, Target: tt.target})
			if _, changed := again.Totals(); tt.target.Kind != setup.ToShift && (err != nil || changed > 0) {
				t.Errorf("a second time: %q, %v", said(again), err)
			}
		})
	}
}

func TestWhatNobodyWouldFinish(t *testing.T) {
	t.Parallel()
	at := func(l *log, topic string, offset int64) queue.Record { return l.records[tp(topic, 0)][offset-10] }
	for _, tt := range []struct {
		name   string
		topic  string
		rows   func(*log) []queue.Row
		unseen int64
	}{
		{"done, dead, discarded are known", "orders", func(l *log) []queue.Row {
			return []queue.Row{rowOf(at(l, "orders", 42), queue.StateDone), rowOf(at(l, "orders", 43), queue.StateDead), rowOf(at(l, "orders", 44), queue.StateDiscarded)}
		}, 0},
		{"another content under the same id is not", "orders", func(l *log) []queue.Row {
			r := rowOf(at(l, "orders", 42), queue.StateDone)
			r.Fingerprint = "other"
			return []queue.Row{r, rowOf(at(l, "orders", 43), queue.StateDone), rowOf(at(l, "orders", 44), queue.StateDone)}
		}, 1},
		{"one that waits elsewhere is known", "orders", func(l *log) []queue.Row {
			var rows []queue.Row
			for o := int64(42); o < 45; o++ {
				r := rowOf(at(l, "orders", o), queue.StateRetry)
				r.At = queue.Position{Topic: "orders.g.retry.5s", Offset: o}
				rows = append(rows, r)
			}
			return rows
		}, 0},
		{"the copy that a row waits for would never run", "orders.g.retry.5s", func(l *log) []queue.Row {
			var rows []queue.Row
			for o := int64(40); o < 45; o++ {
				r := rowOf(at(l, "orders.g.retry.5s", o), queue.StateRetry)
				if o < 42 {
					r.At.Offset += 50 // a stale copy
				}
				rows = append(rows, r)
			}
			return rows
		}, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := standing()
			l.rows = append(l.rows, tt.rows(l)...)
			p, err := l.offsets(t).Plan(t.Context(), setup.Reset{Topics: []string{tt.topic}, Partitions: []int32{0}, Target: setup.Target{Kind: setup.ToShift, Offset: 5}})
			if err != nil || p.Moves[0].Skips != 5 || p.Moves[0].Unseen != tt.unseen {
				t.Errorf("%q, %v; want %d unseen", said(p), err, tt.unseen)
			}
		})
	}
}

func TestManySkippedAreAskedForInPages(t *testing.T) {
	t.Parallel()
	l := standing()
	l.records[tp("orders", 0)] = nil
	for o := range int64(1201) {
		r := queue.Record{Topic: "orders", Offset: 2 * o, Value: []byte("x"), Headers: []queue.Header{{Name: queue.HeaderID, Value: fmt.Appendf(nil, "m-%d", o)}}}
		l.records[tp("orders", 0)] = append(l.records[tp("orders", 0)], r)
	}
	obs := l.snapshot.Partitions[tp("orders", 0)]
	obs.Start, obs.Stable = lag.Know[int64](0), lag.Know[int64](2402)
	l.snapshot.Partitions[tp("orders", 0)] = obs
	l.snapshot.Groups["g"].Commits.V[tp("orders", 0)] = lag.CommitObs{Offset: 0}
	p, err := l.offsets(t).Plan(t.Context(), setup.Reset{Topics: []string{"orders"}, Partitions: []int32{0}, Target: setup.Target{Kind: setup.ToLatest}})
	if err != nil || l.asked != 3 || p.Moves[0].Skips != 1201 { // holes are no orders
		t.Errorf("%q after %d questions, %v", said(p), l.asked, err)
	}
	if want := []string{"orders/0@0 m-0", "orders/0@2 m-1", "orders/0@4 m-2"}; !slices.Equal(p.Moves[0].Examples, want) {
		t.Errorf("examples %q", p.Moves[0].Examples)
	}
	none, err := l.offsets(t, func(o *setup.OffsetsOptions) { o.Rows = nil }).Plan(t.Context(), setup.Reset{Topics: []string{"orders"}, Partitions: []int32{0}, Target: setup.Target{Kind: setup.ToLatest}})
	if err != nil || none.Moves[0].Unseen != 1201 {
		t.Errorf("without a database: %q, %v", said(none), err)
	}
}

func TestOnlyAStoppedGroupIsMoved(t *testing.T) {
	t.Parallel()
	member := lag.MemberObs{ID: "m1-4711", ClientID: "worker-7c", Host: "10.0.3.7"}
	static := lag.MemberObs{ID: "m2-4712", ClientID: "worker", InstanceID: "worker-9f", Host: "10.0.3.9"}
	for _, tt := range []struct {
		name  string
		group lag.GroupObs
		err   error
		kind  error
		code  int
		text  string
	}{
		{name: "with members, each by name", group: lag.GroupObs{State: lag.StateStable, Members: lag.Know([]lag.MemberObs{member, static}), Commits: lag.Know(map[lag.TopicPartition]lag.CommitObs{})}, code: 1, text: "group g is Stable, not Empty: worker-7c on 10.0.3.7 (m1-4711), worker-9f on 10.0.3.9 (m2-4712)"},
		{name: "in a rebalance", group: lag.GroupObs{State: lag.StatePreparing, Members: lag.Know([]lag.MemberObs{}), Commits: lag.Know(map[lag.TopicPartition]lag.CommitObs{})}, code: 1, text: "group g is PreparingRebalance, not Empty"},
		{name: "of another kind", group: lag.GroupObs{Type: "share", Problem: lag.Unsupported}, code: 1, text: "g is a share group"},
		{name: "whose coordinator is silent", group: lag.GroupObs{Problem: lag.NoAnswer}, kind: queue.ErrUnreachable},
		{name: "whose members are not known", group: lag.GroupObs{State: lag.StateEmpty, Commits: lag.Know(map[lag.TopicPartition]lag.CommitObs{})}, kind: queue.ErrUnreachable},
		{name: "that may not be seen", group: lag.GroupObs{Problem: lag.NoAccess}, kind: queue.ErrDenied},
		{name: "that does not exist", group: lag.GroupObs{State: lag.StateDead, Members: lag.Know([]lag.MemberObs{}), Commits: lag.Know(map[lag.TopicPartition]lag.CommitObs{})}, kind: setup.ErrNoGroup},
		{name: "of a cluster that is away", err: queue.ErrUnreachable, kind: queue.ErrUnreachable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := standing()
			o := l.offsets(t)
			reset := setup.Reset{Topics: []string{"orders"}, Target: setup.Target{Kind: setup.ToEarliest}}
			p, err := o.Plan(t.Context(), reset)
			if err != nil {
				t.Fatal(err)
			}
			l.snapshot.Groups, l.err = map[string]lag.GroupObs{"g": tt.group}, tt.err
			if tt.err != nil {
				l.snapshot.Groups = nil
			}
			_, planned := o.Plan(t.Context(), reset)
			for what, err := range map[string]error{"plan": planned, "apply": o.Apply(t.Context(), p)} { // it may change between the two
				var r *setup.Refusal
				if tt.kind != nil && !errors.Is(err, tt.kind) || tt.code != 0 && (!errors.As(err, &r) || r.Code != tt.code || !strings.Contains(r.Text, tt.text)) || err == nil {
					t.Errorf("%s: %v", what, err)
				}
			}
			if len(l.steps) > 0 {
				t.Errorf("did %v", l.steps)
			}
		})
	}
}

func TestAPlanKnowsAllOrNothing(t *testing.T) {
	t.Parallel()
	sicken := func(change func(*lag.PartitionObs)) func(*log) {
		return func(l *log) {
			o := l.snapshot.Partitions[tp("orders", 1)]
			change(&o)
			l.snapshot.Partitions[tp("orders", 1)] = o
		}
	}
	earliest := setup.Target{Kind: setup.ToEarliest}
	for _, tt := range []struct {
		name   string
		sicken func(*log)
		reset  setup.Reset
		kind   error
		code   int
		text   string
	}{
		{name: "a partition without a leader", sicken: sicken(func(o *lag.PartitionObs) { *o = lag.PartitionObs{Problem: lag.NoLeader} }), reset: setup.Reset{Topics: []string{"orders"}, Target: earliest}, kind: queue.ErrUnreachable, text: "orders/1 is not known (no-leader)"},
		{name: "a log that may not be seen", sicken: sicken(func(o *lag.PartitionObs) { *o = lag.PartitionObs{Problem: lag.NoAccess} }), reset: setup.Reset{Topics: []string{"orders"}, Target: earliest}, kind: queue.ErrDenied, text: "orders/1"},
		{name: "an end that nobody told", sicken: sicken(func(o *lag.PartitionObs) { o.Stable = lag.Maybe[int64]{} }), reset: setup.Reset{Topics: []string{"orders"}, Target: earliest}, kind: queue.ErrUnreachable, text: "orders/1"},
		{name: "a commit that nobody told", sicken: func(l *log) {
			l.snapshot.Groups["g"].Commits.V[tp("orders", 1)] = lag.CommitObs{Offset: -1, Problem: lag.NoAnswer}
		}, reset: setup.Reset{Topics: []string{"orders"}, Target: earliest}, kind: queue.ErrUnreachable, text: "committed on orders/1"},
		{name: "a time that nobody answered", reset: setup.Reset{Topics: []string{"orders"}, Target: setup.Target{Kind: setup.ToTime, Time: now}}, kind: queue.ErrUnreachable, text: "orders/0"},
		{name: "a topic that does not exist", reset: setup.Reset{Topics: []string{"gone"}, Target: earliest}, kind: setup.ErrNoTopic, text: "gone"},
		{name: "a topic that nobody told of", reset: setup.Reset{Topics: []string{"dark"}, Target: earliest}, kind: queue.ErrUnreachable, text: "dark"},
		{name: "a partition that does not exist", reset: setup.Reset{Topics: []string{"orders"}, Partitions: []int32{0, 7}, Target: earliest}, kind: queue.ErrNotFound, text: "orders/7"},
		{name: "a saved partition that does not exist", reset: setup.Reset{Target: setup.Target{Kind: setup.ToSaved, Saved: map[lag.TopicPartition]int64{tp("orders", 9): 1}}}, kind: queue.ErrNotFound, text: "orders/9"},
		{name: "an offset beyond the end", reset: setup.Reset{Topics: []string{"orders"}, Target: setup.Target{Offset: 101, Kind: setup.ToOffset}}, code: 2, text: "orders/0 reaches from offset 10 to 100: 101 lies outside"},
		{name: "an offset below the start", reset: setup.Reset{Topics: []string{"orders"}, Target: setup.Target{Offset: 9, Kind: setup.ToOffset}}, code: 2, text: "9 lies outside"},
		{name: "a saved offset beyond the end", reset: setup.Reset{Target: setup.Target{Kind: setup.ToSaved, Saved: map[lag.TopicPartition]int64{tp("orders", 0): 101}}}, code: 2, text: "101 lies outside"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := standing()
			if tt.sicken != nil {
				tt.sicken(l)
			}
			p, err := l.offsets(t).Plan(t.Context(), tt.reset)
			var r *setup.Refusal
			if len(p.Moves) > 0 || err == nil || !strings.Contains(err.Error(), tt.text) || tt.kind != nil && !errors.Is(err, tt.kind) ||
				tt.code != 0 && (!errors.As(err, &r) || r.ExitCode() != tt.code || r.Hint() == "") {
				t.Errorf("%q, %v", said(p), err)
			}
		})
	}
}

func TestAReplayPartitionForgetsBeforeItMoves(t *testing.T) {
	t.Parallel()
	reset := setup.Reset{Topics: []string{"orders.g.replay", "orders"}, Target: setup.Target{Kind: setup.ToEarliest}}
	l := standing()
	o := l.offsets(t)
	p, err := o.Plan(t.Context(), reset)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Apply(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if want := []string{"forget", "forget", "forget", "commit"}; !slices.Equal(l.steps, want) {
		t.Errorf("steps %v, want %v", l.steps, want)
	}
	if want := "g [orders orders.g.retry.5s orders.g.replay] 1"; l.forgotten[1] != want {
		t.Errorf("forgot %q, want %q", l.forgotten[1], want)
	}
	l = standing()
	o = l.offsets(t, func(o *setup.OffsetsOptions) { o.Controls = nil })
	if p, err = o.Plan(t.Context(), reset); err != nil {
		t.Fatal(err)
	}
	if err := o.Apply(t.Context(), p); !errors.Is(err, queue.ErrUnreachable) || len(l.steps) > 0 {
		t.Errorf("without the database: %v, did %v", err, l.steps)
	}
}

func TestAMovedPartitionForgetsItsLogBeforeItMoves(t *testing.T) {
	t.Parallel()
	l := standing()
	o := l.offsets(t)
	p, err := o.Plan(t.Context(), setup.Reset{Topics: []string{"orders"}, Target: setup.Target{Kind: setup.ToOffset, Offset: 40}})
	if err != nil {
		t.Fatal(err)
	}
	l.logsErr = errors.New("the database is away")
	if err := o.Apply(t.Context(), p); !errors.Is(err, l.logsErr) || len(l.steps) > 0 {
		t.Errorf("without the database: %v, did %v", err, l.steps)
	}
	l.logsErr, l.let = nil, nil
	if err := o.Apply(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if want := []string{"g orders/1", "g orders/2"}; !slices.Equal(l.let, want) { // the first stands at 40
		t.Errorf("forgot %v, want %v", l.let, want)
	}
}

func TestNothingIsSetOverWhatHasMoved(t *testing.T) {
	t.Parallel()
	plan := func(l *log) (*setup.Offsets, setup.OffsetsPlan) {
		o := l.offsets(t)
		p, err := o.Plan(t.Context(), setup.Reset{Topics: []string{"orders"}, Target: setup.Target{Kind: setup.ToEarliest}})
		if err != nil {
			t.Fatal(err)
		}
		return o, p
	}
	l := standing()
	o, p := plan(l)
	l.snapshot.Groups["g"].Commits.V[tp("orders", 0)] = lag.CommitObs{Offset: 44}
	if err := o.Apply(t.Context(), p); err == nil || !strings.Contains(err.Error(), "moved meanwhile: orders/0 stands at 44, not 40") || len(l.steps) > 0 {
		t.Errorf("a group that has read on: %v, did %v", err, l.steps)
	}
	l = standing()
	l.commitErr = errors.New("group authorization failed")
	o, p = plan(l)
	if err := o.Apply(t.Context(), p); !errors.Is(err, l.commitErr) {
		t.Errorf("a commit that is refused: %v", err)
	}
	l = standing()
	l.stubborn = true
	o, p = plan(l)
	if err := o.Apply(t.Context(), p); err == nil || !strings.Contains(err.Error(), "read back, some offsets are others: orders/0 stands at 40, not 10, orders/1 stands at no offset, not 10") {
		t.Errorf("a commit that is not kept: %v", err)
	}
	l = standing()
	o = l.offsets(t)
	p, err := o.Plan(t.Context(), setup.Reset{Topics: []string{"orders"}, Partitions: []int32{0}, Target: setup.Target{Kind: setup.ToShift}})
	if err != nil || o.Apply(t.Context(), p) != nil || len(l.steps) > 0 {
		t.Errorf("nothing to move: %v, did %v", err, l.steps)
	}
}

func TestOffsetsGoIntoAFileAndBack(t *testing.T) {
	t.Parallel()
	l := standing()
	o := l.offsets(t)
	before := maps.Clone(l.snapshot.Groups["g"].Commits.V)
	delete(before, tp("orders", 2)) // it stands beyond its end: there is no going back to that
	reset := setup.Reset{Topics: []string{"orders", "orders.g.retry.5s"}, Partitions: []int32{0, 1}, Target: setup.Target{Kind: setup.ToEarliest}}
	p, err := o.Plan(t.Context(), reset)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(p.Before("prod", "g", now))
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Apply(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	f, err := setup.ReadOffsets(raw)
	if err != nil || f.Group != "g" || f.Cluster != "prod" || len(f.Partitions) != 4 || !f.Complete {
		t.Fatalf("%+v, %v", f, err)
	}
	back, err := o.Plan(t.Context(), setup.Reset{Target: f.Target(nil)})
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Apply(t.Context(), back); err != nil {
		t.Fatal(err)
	}
	got := maps.Clone(l.snapshot.Groups["g"].Commits.V)
	delete(got, tp("orders", 2))
	if !maps.Equal(got, before) {
		t.Errorf("back at %v, want %v", got, before)
	}
	if one := f.Target([]string{"orders.g.retry.5s"}).Saved; len(one) != 2 {
		t.Errorf("of one topic: %v", one)
	}
	for name, text := range map[string]string{
		"no JSON": `offsets`, "another schema": `{"schema":"orderctl.lag/v1","group":"g","partitions":[{"topic":"orders","partition":0,"commit":"none"}]}`,
		"no group":        `{"schema":"orderctl.offsets/v1","partitions":[{"topic":"orders","partition":0,"commit":"none"}]}`,
		"no partition":    `{"schema":"orderctl.offsets/v1","group":"g","partitions":[]}`,
		"no topic":        `{"schema":"orderctl.offsets/v1","group":"g","partitions":[{"partition":0,"commit":"none"}]}`,
		"unknown":         `{"schema":"orderctl.offsets/v1","group":"g","partitions":[{"topic":"orders","partition":0,"commit":"unknown","committed":null}]}`,
		"known and null":  `{"schema":"orderctl.offsets/v1","group":"g","partitions":[{"topic":"orders","partition":0,"commit":"known","committed":null}]}`,
		"a negative one":  `{"schema":"orderctl.offsets/v1","group":"g","partitions":[{"topic":"orders","partition":0,"commit":"known","committed":-5}]}`,
		"a bad partition": `{"schema":"orderctl.offsets/v1","group":"g","partitions":[{"topic":"orders","partition":-1,"commit":"none"}]}`,
	} {
		if f, err := setup.ReadOffsets([]byte(text)); err == nil {
			t.Errorf("%s is taken: %+v", name, f)
		}
	}
}

func TestShownOffsetsKeepWhatIsUnknown(t *testing.T) {
	t.Parallel()
	l := standing()
	l.snapshot.Partitions[tp("orders", 1)] = lag.PartitionObs{Problem: lag.NoLeader}
	l.snapshot.Asked = []string{"orders"}
	r := lag.Evaluate([]lag.Snapshot{l.snapshot}, lag.Policy{Topics: []string{"orders"}})
	f := setup.ShowOffsets("prod", r, r.Groups[0])
	if f.Complete || len(f.Partitions) != 3 || f.Partitions[1].End.Known || f.Partitions[1].Commit != lag.CommitNone || f.Partitions[0].Committed != lag.Know[int64](40) {
		t.Errorf("%+v", f)
	}
}

func TestAPlanInOneClause(t *testing.T) {
	t.Parallel()
	l := standing()
	o := l.offsets(t)
	for target, want := range map[setup.TargetKind]string{
		setup.ToEarliest: "move 3 partitions of g (repeats 120 orders)", setup.ToLatest: "move 3 partitions of g (skips 150 orders)",
	} {
		p, err := o.Plan(t.Context(), setup.Reset{Topics: []string{"orders"}, Target: setup.Target{Kind: target}})
		if err != nil || p.Describe("g") != want {
			t.Errorf("%q, %v; want %q", p.Describe("g"), err, want)
		}
	}
}

// Whatever stands where: a plan stays in the log, counts what lies between, and its way back is its own opposite.
func TestPlansOfAnyGroup(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		l := standing()
		start := rapid.Int64Range(0, 50).Draw(rt, "start")
		end := start + rapid.Int64Range(0, 50).Draw(rt, "length")
		from := rapid.Int64Range(-1, 120).Draw(rt, "committed")
		obs := lag.PartitionObs{Start: lag.Know(start), High: lag.Know(end), Stable: lag.Know(end)}
		l.snapshot.Partitions[tp("orders", 0)] = obs
		delete(l.snapshot.Groups["g"].Commits.V, tp("orders", 0))
		if from >= 0 {
			l.snapshot.Groups["g"].Commits.V[tp("orders", 0)] = lag.CommitObs{Offset: from}
		}
		l.records[tp("orders", 0)] = nil
		for o := start; o < end; o++ {
			l.records[tp("orders", 0)] = append(l.records[tp("orders", 0)], queue.Record{Topic: "orders", Offset: o})
		}
		target := setup.Target{
			Kind:   rapid.SampledFrom([]setup.TargetKind{setup.ToEarliest, setup.ToLatest, setup.ToShift}).Draw(rt, "kind"),
			Offset: rapid.Int64Range(-130, 130).Draw(rt, "shift"),
		}
		o := l.offsets(t)
		p, err := o.Plan(t.Context(), setup.Reset{Topics: []string{"orders"}, Partitions: []int32{0}, Target: target})
		if err != nil {
			rt.Fatal(err)
		}
		m := p.Moves[0]
		reads := from
		if reads < start {
			reads = start
		}
		if m.To < start || m.To > end {
			rt.Errorf("%+v lies outside of %d to %d", m, start, end)
		}
		if m.Skips != max(0, m.To-reads) || m.Repeats != max(0, min(reads, end)-m.To) || m.Unseen != m.Skips {
			rt.Errorf("%+v: reads on at %d", m, reads)
		}
		if err := o.Apply(t.Context(), p); err != nil {
			rt.Fatal(err)
		}
	})
}

func TestOffsetsNeedTheirTools(t *testing.T) {
	t.Parallel()
	l := standing()
	for name, take := range map[string]func(*setup.OffsetsOptions){
		"Group": func(o *setup.OffsetsOptions) { o.Group = "" }, "Source": func(o *setup.OffsetsOptions) { o.Source = nil },
		"Records": func(o *setup.OffsetsOptions) { o.Records = nil }, "Commit": func(o *setup.OffsetsOptions) { o.Commit = nil },
	} {
		o := setup.OffsetsOptions{Group: "g", Source: l, Records: l, Commit: l.commit}
		take(&o)
		if _, err := setup.NewOffsets(o); err == nil || err.Error() != "setup: OffsetsOptions."+name+" is required" {
			t.Errorf("without %s: %v", name, err)
		}
	}
}
