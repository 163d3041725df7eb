package lag_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"commerce.internal/orderctl/internal/inspect/lag"
)

// logs is a cluster of logs: of each partition the times of its records, the first of which has offset 0. It answers as
// brokers do, by the first record that is young enough, and counts the questions.
type logs struct {
	at     time.Time
	times  map[lag.TopicPartition][]time.Time
	commit map[string]map[lag.TopicPartition]int64
	silent map[lag.TopicPartition]bool // leaders that answered once and then no more
	slo    time.Duration
	fail   error

	rounds int
	asked  []map[lag.TopicPartition]time.Time
}

func (l *logs) first(tp lag.TopicPartition, at time.Time) lag.OffsetAt {
	for i, t := range l.times[tp] {
		if !t.Before(at) {
			return lag.OffsetAt{Offset: int64(i), Time: t}
		}
	}
	return lag.OffsetAt{Offset: -1}
}

func (l *logs) Snapshot(context.Context, lag.Query) (lag.Snapshot, error) {
	s := snapshot(lag.GroupObs{}, map[lag.TopicPartition]lag.PartitionObs{})
	s.AsOf, s.SLO, s.Took, s.Groups = l.at, l.slo, 0, map[string]lag.GroupObs{}
	for tp, times := range l.times {
		p := part(0, int64(len(times)))
		age, _ := lag.MarkAge(tp.Topic, l.slo)
		p.Mark = lag.Know(l.first(tp, l.at.Add(-age)))
		s.Partitions[tp] = p
		s.Topics[tp.Topic] = lag.TopicObs{Exists: lag.Know(true), Partitions: len(l.times)}
	}
	for g, of := range l.commit {
		s.Groups[g] = group(lag.StateEmpty, nil, of)
	}
	return s, nil
}

func (l *logs) OffsetsAt(_ context.Context, at map[lag.TopicPartition]time.Time) (map[lag.TopicPartition]lag.Maybe[lag.OffsetAt], error) {
	l.rounds++
	l.asked = append(l.asked, at)
	found := map[lag.TopicPartition]lag.Maybe[lag.OffsetAt]{}
	for tp, t := range at {
		found[tp] = lag.Maybe[lag.OffsetAt]{}
		if !l.silent[tp] {
			found[tp] = lag.Know(l.first(tp, t))
		}
	}
	return found, l.fail
}

func (l *logs) window(t *testing.T, mode lag.Ages) *lag.Window {
	t.Helper()
	w, err := lag.NewWindow(l, lag.Query{SLO: l.slo}, lag.Policy{}, mode)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (l *logs) look(t *testing.T, w *lag.Window) lag.Report {
	t.Helper()
	s, err := w.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.Add(s)
	return w.Report()
}

// every is n records, one each step, the first of them age old.
func every(step, age time.Duration, n int) []time.Time {
	times := make([]time.Time, n)
	for i := range times {
		times[i] = now().Add(-age + time.Duration(i)*step)
	}
	return times
}

func near(got lag.Maybe[float64], want time.Duration) bool {
	return got.Known && got.V >= want.Seconds()-0.001 && got.V <= want.Seconds()+1
}

func TestAgesOfTheGoldenScenario(t *testing.T) {
	t.Parallel()
	orders := every(time.Second, 30*time.Minute, 100)
	l := &logs{at: now(), slo: slo, times: map[lag.TopicPartition][]time.Time{
		tp("orders", 0): orders, tp("orders", 1): orders, tp("orders", 2): orders, tp("orders", 3): orders,
	}, commit: map[string]map[lag.TopicPartition]int64{
		"workers": {tp("orders", 0): 90, tp("orders", 2): 40, tp("orders", 3): 100}, "audit": {tp("orders", 0): 100, tp("orders", 1): 100, tp("orders", 2): 100, tp("orders", 3): 100},
	}}
	g := find(t, l.look(t, l.window(t, "")), "workers")
	for p, want := range map[int32]time.Duration{
		0: 28*time.Minute + 30*time.Second, 1: 30 * time.Minute, 2: 29*time.Minute + 20*time.Second,
	} {
		if r := row(t, g, "orders", p); !near(r.Oldest, want) || r.Precision.V > 1 {
			t.Errorf("orders/%d is %v old to %v s, want %v", p, r.Oldest, r.Precision, want)
		}
	}
	if l.rounds > 15 {
		t.Errorf("%d rounds", l.rounds)
	}
	for _, asked := range l.asked {
		if _, ok := asked[tp("orders", 3)]; ok {
			t.Error("asked where nothing waits")
		}
	}
}

// Whatever the log looks like: the true age lies within what is told, closely, after at most 15 rounds.
func TestAgesAreWithinWhatIsTold(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 60).Draw(t, "records")
		times := make([]time.Time, n)
		for i := range times {
			age := time.Duration(rapid.Float64Range(0, 1).Draw(t, "age") * float64(rapid.SampledFrom([]time.Duration{
				time.Second, time.Minute, time.Hour, 7 * 24 * time.Hour,
			}).Draw(t, "scale")))
			times[i] = now().Add(-age).Truncate(time.Millisecond)
		}
		if rapid.Bool().Draw(t, "in order") {
			slices.SortFunc(times, time.Time.Compare)
		}
		commits := map[string]map[lag.TopicPartition]int64{}
		for i := range rapid.IntRange(1, 3).Draw(t, "groups") {
			commits[fmt.Sprint("g", i)] = map[lag.TopicPartition]int64{tp("orders", 0): rapid.Int64Range(0, int64(n-1)).Draw(t, "commit")}
		}
		l := &logs{at: now(), slo: slo, times: map[lag.TopicPartition][]time.Time{tp("orders", 0): times}, commit: commits}
		w, err := lag.NewWindow(l, lag.Query{}, lag.Policy{}, lag.AgeExact)
		if err != nil {
			t.Fatal(err)
		}
		s, err := w.Observe(context.Background())
		if err != nil || l.rounds > 15 {
			t.Fatalf("%v after %d rounds", err, l.rounds)
		}
		for name, of := range commits {
			from := of[tp("orders", 0)]
			truth := slices.MaxFunc(times[:from+1], time.Time.Compare) // of what is disordered, the youngest up to there
			head, told := s.Groups[name].Heads[tp("orders", 0)]
			if !told || truth.Before(head.Low) || truth.After(head.High) {
				t.Fatalf("%s: %v is not within %v and %v", name, truth, head.Low, head.High)
			}
			if width := head.High.Sub(head.Low); len(commits) == 1 && width > max(time.Second, now().Sub(head.Low)/1000) {
				t.Fatalf("%s: %v wide after %d rounds, %v old", name, width, l.rounds, now().Sub(head.Low))
			}
		}
	})
}

func TestAgesKnownBeforeCostNothing(t *testing.T) {
	t.Parallel()
	orders := tp("orders", 0)
	l := &logs{
		at: now(), slo: slo, times: map[lag.TopicPartition][]time.Time{orders: every(time.Second, time.Hour, 3600)},
		commit: map[string]map[lag.TopicPartition]int64{"g": {orders: 600}},
	}
	w := l.window(t, lag.AgeAuto)
	l.look(t, w)
	first := l.rounds
	l.at = l.at.Add(2 * time.Second)
	g := find(t, l.look(t, w), "g")
	if l.rounds != first || !near(g.Oldest, 50*time.Minute+2*time.Second) {
		t.Errorf("%d rounds for a record that is known, %v old", l.rounds-first, g.Oldest)
	}
	l.commit["g"][orders] = 3000 // it moves on
	if g := find(t, l.look(t, w), "g"); !near(g.Oldest, 10*time.Minute+2*time.Second) || l.rounds == first {
		t.Errorf("after it moved on %v old, %d rounds", g.Oldest, l.rounds-first)
	}
}

func TestManyBacklogsAreBracketed(t *testing.T) {
	t.Parallel()
	l := &logs{at: now(), slo: slo, times: map[lag.TopicPartition][]time.Time{}, commit: map[string]map[lag.TopicPartition]int64{"g": {}}}
	for p := range int32(1200) {
		// The oldest is 2h30m old, the youngest 7.5 s.
		age := time.Duration(p+1) * 7500 * time.Millisecond
		l.times[tp("orders", p)] = []time.Time{now().Add(-24 * time.Hour), now().Add(-age), now()}
		l.commit["g"][tp("orders", p)] = 1
	}
	for mode, limit := range map[lag.Ages]int{lag.AgeBracket: 6, lag.AgeAuto: 15} {
		l.rounds = 0
		g := find(t, l.look(t, l.window(t, mode)), "g")
		if l.rounds > limit {
			t.Errorf("%s: %d rounds", mode, l.rounds)
		}
		for _, r := range g.Partitions {
			age := time.Duration(r.Partition+1) * 7500 * time.Millisecond
			if !r.Oldest.Known || r.Oldest.V < age.Seconds() || r.Oldest.V-r.Precision.V > age.Seconds() {
				t.Fatalf("%s: %v to %v s, truth %v", mode, r.Oldest, r.Precision, age)
			}
		}
		if mode == lag.AgeAuto && !near(g.Oldest, 2*time.Hour+30*time.Minute) {
			t.Errorf("the oldest of all is looked at closely: %v", g.Oldest)
		}
	}
}

func TestAFutureTimestampTellsNoAges(t *testing.T) {
	t.Parallel()
	orders := tp("orders", 0)
	old := every(time.Second, 10*time.Minute, 100)
	tests := []struct {
		name   string
		times  []time.Time
		commit int64
		want   lag.Status
	}{
		{"the record that comes next", append(slices.Clone(old), now().Add(time.Hour)), 100, lag.Suspect},
		{"one that was read", append([]time.Time{now().Add(time.Hour)}, old...), 50, lag.Suspect},
		{"one behind old orders", append(slices.Clone(old), now().Add(time.Hour)), 10, lag.Suspect},
		{"clocks that differ by 30 s", append(slices.Clone(old), now().Add(30*time.Second)), 100, lag.NoMembers},
		{"one that was read, and nothing waits", []time.Time{now().Add(time.Hour)}, 1, lag.OK},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := &logs{
				at: now(), slo: slo, times: map[lag.TopicPartition][]time.Time{orders: tt.times},
				commit: map[string]map[lag.TopicPartition]int64{"g": {orders: tt.commit}},
			}
			r := l.look(t, l.window(t, ""))
			g := find(t, r, "g")
			got := row(t, g, "orders", 0)
			if suspect := tt.want == lag.Suspect; suspect != slices.Contains(got.Reasons, lag.Suspect) || suspect == got.Oldest.Known || suspect == got.Stale.Known || suspect == r.Complete {
				t.Errorf("reasons %v, oldest %v, stale %v, complete %v", got.Reasons, got.Oldest, got.Stale, r.Complete)
			}
			if tt.want == lag.OK && g.Status != lag.SevOK {
				t.Errorf("verdict %v", g.Status)
			}
		})
	}
}

func TestAgesThatNobodyTellsAreUnknown(t *testing.T) {
	t.Parallel()
	a, b := tp("orders", 0), tp("orders", 1)
	l := &logs{
		at: now(), slo: slo, times: map[lag.TopicPartition][]time.Time{a: every(time.Second, time.Hour, 100), b: every(time.Second, time.Hour, 100)},
		commit: map[string]map[lag.TopicPartition]int64{"g": {a: 50, b: 50}}, silent: map[lag.TopicPartition]bool{b: true},
	}
	r := l.look(t, l.window(t, ""))
	g := find(t, r, "g")
	if row(t, g, "orders", 1).Oldest.Known || !row(t, g, "orders", 0).Oldest.Known || r.Complete || g.Complete {
		t.Errorf("complete %v, %+v", r.Complete, g.Partitions)
	}
	for _, asked := range l.asked[1:] {
		if _, again := asked[b]; again {
			t.Error("a leader that is silent is asked again and again")
		}
	}
	l.fail, l.rounds = errors.New("no broker answers"), 0
	if r := l.look(t, l.window(t, "")); l.rounds != 1 || r.Groups[0].Oldest.Known {
		t.Errorf("%d rounds, oldest %v", l.rounds, r.Groups[0].Oldest)
	}
	off := l.look(t, l.window(t, lag.AgeOff))
	if l.rounds != 1 || off.Groups[0].Oldest.Known || !off.Complete {
		t.Errorf("age off: %d rounds, complete %v", l.rounds-1, off.Complete)
	}
}

func TestTheEndOfTheContextEndsTheSearch(t *testing.T) {
	t.Parallel()
	orders := tp("orders", 0)
	l := &logs{
		at: now(), slo: slo, times: map[lag.TopicPartition][]time.Time{orders: every(time.Second, time.Hour, 100)},
		commit: map[string]map[lag.TopicPartition]int64{"g": {orders: 50}},
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s, err := l.window(t, "").Observe(ctx)
	if err != nil || l.rounds != 0 || len(s.Groups["g"].Heads) != 0 {
		t.Errorf("%d rounds, %v, %v", l.rounds, s.Groups["g"].Heads, err)
	}
}

// A record whose time is not needed may be gone, by compaction or with a transaction: what comes next counts.
func TestARecordThatIsGone(t *testing.T) {
	t.Parallel()
	orders := tp("orders", 0)
	l := &logs{
		at: now(), slo: slo, times: map[lag.TopicPartition][]time.Time{orders: {{}, {}, now().Add(-time.Hour)}},
		commit: map[string]map[lag.TopicPartition]int64{"g": {orders: 1}},
	}
	l.times[orders][0], l.times[orders][1] = time.UnixMilli(-1), time.UnixMilli(-1) // never an answer
	if g := find(t, l.look(t, l.window(t, "")), "g"); !near(g.Oldest, time.Hour) {
		t.Errorf("%v old", g.Oldest)
	}
	l.times[orders] = []time.Time{time.UnixMilli(-1), time.UnixMilli(-1)} // records without any time
	if r := l.look(t, l.window(t, "")); r.Groups[0].Oldest.Known || r.Complete {
		t.Errorf("%v old though no record has a time", r.Groups[0].Oldest)
	}
}

func TestATierTellsWhatIsDueAndItsLastHour(t *testing.T) {
	t.Parallel()
	const topic = "orders.g.retry.1m"
	retry := tp(topic, 0)
	l := &logs{
		at: now(), slo: slo, times: map[lag.TopicPartition][]time.Time{retry: every(10*time.Second, 2*time.Hour, 720)},
		commit: map[string]map[lag.TopicPartition]int64{"g": {retry: 694}},
	}
	g := find(t, l.look(t, l.window(t, "")), "g")
	r := row(t, g, topic, 0)
	// The record at 694 is 260 s old: due for 200 s. 20 of 26 are due.
	if !near(r.Oldest, 260*time.Second) || !near(r.OldestOverdue, 200*time.Second) || r.Overdue.V != 20 || !slices.Contains(r.Reasons, lag.Overdue) {
		t.Errorf("%+v", r)
	}
	d := g.Delayed[0]
	if !near(d.OldestOverdue, 200*time.Second) || d.LastHour != lag.Know[int64](360) {
		t.Errorf("tier %+v", d)
	}
	l.commit["g"][retry] = 720
	if d := find(t, l.look(t, l.window(t, "")), "g").Delayed[0]; d.OldestOverdue != lag.Know(0.0) || d.LastHour != lag.Know[int64](360) {
		t.Errorf("empty tier %+v", d)
	}
	l.times[retry] = every(time.Second, 2*time.Hour, 10)
	l.commit["g"][retry] = 10
	if d := find(t, l.look(t, l.window(t, "")), "g").Delayed[0]; d.LastHour != lag.Know[int64](0) {
		t.Errorf("nothing in the last hour: %+v", d)
	}
}
