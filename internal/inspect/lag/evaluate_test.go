package lag_test

import (
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/inspect/lag"
)

const slo = 5 * time.Minute

func now() time.Time { return time.Date(2026, 11, 22, 3, 12, 7, 114e6, time.UTC) }

func tp(topic string, p int32) lag.TopicPartition {
	return lag.TopicPartition{Topic: topic, Partition: p}
}

// part is a partition whose records are all older than the SLO.
func part(start, high int64) lag.PartitionObs {
	return lag.PartitionObs{
		Leader: 1, Epoch: 7, ISR: 3, Replicas: 3, EndAt: now(),
		Start: lag.Know(start), High: lag.Know(high), Stable: lag.Know(high),
		Mark: lag.Know(lag.OffsetAt{Offset: -1}),
	}
}

func leaderless() lag.PartitionObs {
	return lag.PartitionObs{Leader: -1, Epoch: -1, Replicas: 3, Problem: lag.NoLeader}
}

func commits(of map[lag.TopicPartition]int64) lag.Maybe[map[lag.TopicPartition]lag.CommitObs] {
	m := map[lag.TopicPartition]lag.CommitObs{}
	for tp, o := range of {
		m[tp] = lag.CommitObs{Offset: o, At: now()}
	}
	return lag.Know(m)
}

func group(state string, members []lag.MemberObs, of map[lag.TopicPartition]int64) lag.GroupObs {
	return lag.GroupObs{
		Type: "classic", State: state, Protocol: "cooperative-sticky", Coordinator: 2,
		Members: lag.Know(members), Commits: commits(of),
	}
}

func member(id string, topics []string, owns ...lag.TopicPartition) lag.MemberObs {
	return lag.MemberObs{ID: id, ClientID: "worker-" + id, Host: "10.0.3.7", Assigned: owns, Subscribed: topics}
}

// golden is the scenario of lag.md section 5.
func golden() lag.Snapshot {
	s := lag.Snapshot{
		AsOf: now(), Took: 41 * time.Millisecond, Isolation: lag.ReadCommitted, SLO: slo, Asked: []string{"orders"},
		Groups: map[string]lag.GroupObs{
			"workers": group(lag.StateEmpty, nil, map[lag.TopicPartition]int64{
				tp("orders", 0): 90, tp("orders", 2): 5, tp("orders", 3): 120, tp("old-orders", 0): 50,
			}),
			"audit": group(lag.StateEmpty, nil, map[lag.TopicPartition]int64{
				tp("orders", 0): 100, tp("orders", 1): 100, tp("orders", 2): 100, tp("orders", 3): 100,
			}),
		},
		Topics: map[string]lag.TopicObs{
			"orders": {Exists: lag.Know(true), Partitions: 4}, "old-orders": {Exists: lag.Know(false)},
		},
		Partitions: map[lag.TopicPartition]lag.PartitionObs{},
	}
	for p := range int32(4) {
		s.Partitions[tp("orders", p)] = part(0, 100)
	}
	s.Partitions[tp("orders", 2)] = part(40, 100)
	return withHeads(s, "workers", map[int32]time.Duration{0: 28*time.Minute + 30*time.Second, 1: 30 * time.Minute, 2: 29*time.Minute + 20*time.Second})
}

// withHeads says how old the next records of topic orders are.
func withHeads(s lag.Snapshot, group string, ages map[int32]time.Duration) lag.Snapshot {
	s.Aged = true
	g := s.Groups[group]
	g.Heads = map[lag.TopicPartition]lag.HeadObs{}
	for p, age := range ages {
		g.Heads[tp("orders", p)] = lag.HeadObs{Low: s.AsOf.Add(-age), High: s.AsOf.Add(-age)}
	}
	s.Groups[group] = g
	return s
}

func find(t *testing.T, r lag.Report, name string) lag.Group {
	t.Helper()
	i := slices.IndexFunc(r.Groups, func(g lag.Group) bool { return g.Group == name })
	if i < 0 {
		t.Fatalf("no group %q in %+v", name, r)
	}
	return r.Groups[i]
}

func row(t *testing.T, g lag.Group, topic string, p int32) lag.Row {
	t.Helper()
	i := slices.IndexFunc(g.Partitions, func(r lag.Row) bool { return r.Topic == topic && r.Partition == p })
	if i < 0 {
		t.Fatalf("group %s has no row %s/%d", g.Group, topic, p)
	}
	return g.Partitions[i]
}

func TestGoldenScenario(t *testing.T) {
	t.Parallel()
	unknown := lag.Maybe[int64]{}
	report := lag.Evaluate([]lag.Snapshot{golden()}, lag.Policy{})
	g := find(t, report, "workers")
	for _, want := range []struct {
		topic                          string
		partition                      int32
		committed, unread, lost, ahead lag.Maybe[int64]
		reasons                        []lag.Status
	}{
		{"orders", 0, lag.Know[int64](90), lag.Know[int64](10), lag.Know[int64](0), lag.Know[int64](0), []lag.Status{lag.NoMembers, lag.TooOld}},
		{"orders", 1, unknown, lag.Know[int64](100), lag.Know[int64](0), lag.Know[int64](0), []lag.Status{lag.NoMembers, lag.TooOld, lag.NeverCommitted}},
		{"orders", 2, lag.Know[int64](5), lag.Know[int64](60), lag.Know[int64](35), lag.Know[int64](0), []lag.Status{lag.Lost, lag.NoMembers, lag.TooOld}},
		{"orders", 3, lag.Know[int64](120), lag.Know[int64](0), lag.Know[int64](0), lag.Know[int64](20), []lag.Status{lag.Ahead}},
		{"old-orders", 0, lag.Know[int64](50), unknown, unknown, unknown, []lag.Status{lag.Gone}},
	} {
		r := row(t, g, want.topic, want.partition)
		if r.Committed != want.committed || r.Unread != want.unread || r.Stale != want.unread || r.Lost != want.lost || r.Ahead != want.ahead {
			t.Errorf("%s/%d: committed %v unread %v stale %v lost %v ahead %v; want %v %v (twice) %v %v", want.topic, want.partition,
				r.Committed, r.Unread, r.Stale, r.Lost, r.Ahead, want.committed, want.unread, want.lost, want.ahead)
		}
		if !slices.Equal(r.Reasons, want.reasons) || r.Status != want.reasons[0] {
			t.Errorf("%s/%d: status %v, reasons %v; want %v", want.topic, want.partition, r.Status, r.Reasons, want.reasons)
		}
	}
	if g.Unread != lag.Know[int64](170) || g.Lost != lag.Know[int64](35) || g.Ahead != lag.Know[int64](20) || g.LowerBound {
		t.Errorf("total: unread %v lost %v ahead %v lower bound %v", g.Unread, g.Lost, g.Ahead, g.LowerBound)
	}
	for p, age := range map[int32]float64{0: 1710, 1: 1800, 2: 1760, 3: 0} {
		if r := row(t, g, "orders", p); r.Oldest != lag.Know(age) || r.Precision != lag.Know(0.0) {
			t.Errorf("orders/%d is %v old, want %v", p, r.Oldest, age)
		}
	}
	if g.Oldest != lag.Know(1800.0) || g.Breach.State.V != lag.BreachBreached || row(t, g, "old-orders", 0).Oldest.Known {
		t.Errorf("oldest %v, breach %v", g.Oldest, g.Breach)
	}
	if g.Status != lag.SevCritical || !g.Complete || !report.Complete || g.Known != 4 || g.Total != 4 {
		t.Errorf("verdict %v, complete %v/%v, %d of %d known", g.Status, g.Complete, report.Complete, g.Known, g.Total)
	}
	if first := g.Partitions[0]; first.Topic != "orders" || first.Severity != lag.SevCritical || first.Unread.V != 100 {
		t.Errorf("the worst row with the longest backlog stands first, got %s/%d", first.Topic, first.Partition)
	}
	a := find(t, report, "audit")
	if a.Status != lag.SevOK || a.Unread != lag.Know[int64](0) || len(a.Partitions) != 4 {
		t.Errorf("audit: %v, %v unread, %d rows", a.Status, a.Unread, len(a.Partitions))
	}
}

func TestGoldenScenarioWithoutALeader(t *testing.T) {
	t.Parallel()
	s := golden()
	s.Partitions[tp("orders", 0)] = leaderless()
	before := find(t, lag.Evaluate([]lag.Snapshot{golden()}, lag.Policy{}), "workers")
	report := lag.Evaluate([]lag.Snapshot{s}, lag.Policy{})
	g := find(t, report, "workers")
	if g.Unread != lag.Know[int64](160) || !g.LowerBound || g.Complete || report.Complete || g.Known != 3 || g.Total != 4 {
		t.Errorf("unread %v, lower bound %v, complete %v, %d of %d", g.Unread, g.LowerBound, g.Complete, g.Known, g.Total)
	}
	r := row(t, g, "orders", 0)
	if r.Status != lag.Leaderless || r.Unread.Known || r.Lost.Known || r.Ahead.Known || r.End.Known || r.Stale.Known || r.Leader.Known {
		t.Errorf("a partition without leader shows a number: %+v", r)
	}
	if r.Committed != lag.Know[int64](90) {
		t.Errorf("what the group committed is known all the same, got %v", r.Committed)
	}
	for p := int32(1); p < 4; p++ {
		if was, is := row(t, before, "orders", p), row(t, g, "orders", p); was.Unread != is.Unread || !slices.Equal(was.Reasons, is.Reasons) {
			t.Errorf("orders/%d changed: %v %v, was %v %v", p, is.Unread, is.Reasons, was.Unread, was.Reasons)
		}
	}
}

// one evaluates a single snapshot of a group that alone is there.
func one(t *testing.T, g lag.GroupObs, p lag.Policy, parts map[lag.TopicPartition]lag.PartitionObs) lag.Group {
	t.Helper()
	return find(t, lag.Evaluate([]lag.Snapshot{snapshot(g, parts)}, p), "g")
}

func snapshot(g lag.GroupObs, parts map[lag.TopicPartition]lag.PartitionObs) lag.Snapshot {
	s := lag.Snapshot{
		AsOf: now(), Isolation: lag.ReadCommitted, SLO: slo, Groups: map[string]lag.GroupObs{"g": g},
		Topics: map[string]lag.TopicObs{}, Partitions: parts,
	}
	for tp := range parts {
		obs := s.Topics[tp.Topic]
		obs.Exists, obs.Partitions = lag.Know(true), max(obs.Partitions, int(tp.Partition)+1)
		s.Topics[tp.Topic] = obs
	}
	return s
}

func TestStatusOfOnePartition(t *testing.T) {
	t.Parallel()
	orders := tp("orders", 0)
	fresh := part(0, 100) // its newest 30 records are younger than the SLO
	fresh.Mark = lag.Know(lag.OffsetAt{Offset: 70})
	open, hung := fresh, fresh
	open.Stable, hung.Stable = lag.Know[int64](80), lag.Know[int64](60)
	with := func(p lag.PartitionObs, problem lag.Problem) lag.PartitionObs {
		p.Problem = problem
		return p
	}
	owned := []lag.MemberObs{member("m1", []string{"orders"}, orders)}
	idle := []lag.MemberObs{member("m1", []string{"orders"})}
	elsewhere := []lag.MemberObs{member("m1", []string{"other"})}
	tests := []struct {
		name    string
		state   string
		members []lag.MemberObs
		commit  int64 // -1: none
		part    lag.PartitionObs
		policy  lag.Policy
		want    []lag.Status
		verdict lag.Severity
	}{
		{"nothing waits", "Stable", owned, 100, fresh, lag.Policy{}, []lag.Status{lag.OK}, lag.SevOK},
		{"young orders wait for their owner", "Stable", owned, 80, fresh, lag.Policy{}, []lag.Status{lag.Behind}, lag.SevOK},
		{"orders older than the SLO wait", "Stable", owned, 60, fresh, lag.Policy{}, []lag.Status{lag.Stale}, lag.SevWarning},
		{"nobody is in the group and orders wait", "Empty", nil, 80, fresh, lag.Policy{}, []lag.Status{lag.NoMembers}, lag.SevCritical},
		{"nobody is in the group and nothing waits", "Empty", nil, 100, fresh, lag.Policy{}, []lag.Status{lag.OK}, lag.SevOK},
		{"nobody is in the configured group", "Empty", nil, 100, fresh, lag.Policy{Configured: "g"}, []lag.Status{lag.OK}, lag.SevWarning},
		{"members are there and none has the partition", "Stable", idle, 80, fresh, lag.Policy{}, []lag.Status{lag.Unassigned}, lag.SevCritical},
		{"a rebalance is no lack of an owner", "PreparingRebalance", idle, 80, fresh, lag.Policy{}, []lag.Status{lag.Behind}, lag.SevOK},
		{"nobody subscribes to the topic", "Stable", elsewhere, 60, fresh, lag.Policy{}, []lag.Status{lag.Unsubscribed}, lag.SevOK},
		{"never committed, with orders waiting", "Stable", owned, -1, fresh, lag.Policy{}, []lag.Status{lag.Stale, lag.NeverCommitted}, lag.SevWarning},
		{"never committed, starting at the end", "Stable", owned, -1, fresh, lag.Policy{Configured: "g", FromLatest: true}, []lag.Status{lag.OK}, lag.SevOK},
		{"an open transaction", "Stable", owned, 80, open, lag.Policy{}, []lag.Status{lag.OpenTxn}, lag.SevOK},
		{"an open transaction older than the SLO", "Stable", owned, 60, hung, lag.Policy{}, []lag.Status{lag.HungTxn}, lag.SevCritical},
		{"lag 1 for ever behind a marker", "Stable", owned, 99, part(0, 100), lag.Policy{Tolerance: 1}, []lag.Status{lag.OK}, lag.SevOK},
		{"the broker did not answer", "Stable", owned, 80, with(lag.PartitionObs{Leader: 1}, lag.NoAnswer), lag.Policy{}, []lag.Status{lag.Unknown}, lag.SevUnknown},
		{"the topic may not be described", "Stable", owned, 80, with(lag.PartitionObs{Leader: -1}, lag.NoAccess), lag.Policy{}, []lag.Status{lag.Refused}, lag.SevUnknown},
		{"no end was told though nothing went wrong", "Stable", owned, 80, lag.PartitionObs{Leader: 1}, lag.Policy{}, []lag.Status{lag.Unknown}, lag.SevUnknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			of := map[lag.TopicPartition]int64{}
			if tt.commit >= 0 {
				of[orders] = tt.commit
			}
			obs := group(tt.state, tt.members, of)
			g := lag.Group{}
			if s := snapshot(obs, map[lag.TopicPartition]lag.PartitionObs{orders: tt.part}); true {
				s.Asked = []string{"orders"}
				g = find(t, lag.Evaluate([]lag.Snapshot{s}, tt.policy), "g")
			}
			r := row(t, g, "orders", 0)
			reasons := r.Reasons
			if len(reasons) == 0 {
				reasons = []lag.Status{lag.OK}
			}
			if r.Status != tt.want[0] || !slices.Equal(reasons, tt.want) || g.Status != tt.verdict {
				t.Errorf("status %v, reasons %v, verdict %v; want %v, %v", r.Status, r.Reasons, g.Status, tt.want, tt.verdict)
			}
			if r.Status == lag.Unsubscribed && (g.Total != 0 || g.Unread.V != 0) {
				t.Errorf("a topic that nobody subscribes to counts: %+v", g)
			}
		})
	}
}

func TestWhyAGroupIsUnknown(t *testing.T) {
	t.Parallel()
	orders := map[lag.TopicPartition]lag.PartitionObs{tp("orders", 0): part(0, 100)}
	for problem, want := range map[lag.Problem]lag.Status{
		lag.NoAnswer: lag.Unknown, lag.NoAccess: lag.Refused, lag.Unsupported: lag.NotSupported,
	} {
		t.Run(string(problem), func(t *testing.T) {
			t.Parallel()
			s := snapshot(lag.GroupObs{Coordinator: -1, Problem: problem}, orders)
			s.Asked = []string{"orders"}
			report := lag.Evaluate([]lag.Snapshot{s}, lag.Policy{})
			g := find(t, report, "g")
			r := row(t, g, "orders", 0)
			if r.Status != want || r.Unread.Known || r.Committed.Known || r.Commit != lag.CommitUnknown || r.End != lag.Know[int64](100) {
				t.Errorf("row %+v", r)
			}
			if report.Complete || g.Unread.Known || !g.LowerBound || g.Members.Known || g.State.Known || g.Status != lag.SevUnknown {
				t.Errorf("group %+v", g)
			}
		})
	}
	t.Run("a group without a row is not empty", func(t *testing.T) {
		t.Parallel()
		g := one(t, lag.GroupObs{Type: "share", State: "Stable", Problem: lag.Unsupported}, lag.Policy{}, nil)
		if g.Unread.Known || g.Stale.Known || g.Lost.Known || g.Ahead.Known || g.Drain.Known || !g.LowerBound || g.Status != lag.SevUnknown {
			t.Errorf("group %+v", g)
		}
	})
	t.Run("members that cannot be told leave the numbers alone", func(t *testing.T) {
		t.Parallel()
		obs := group("", nil, map[lag.TopicPartition]int64{tp("orders", 0): 90})
		obs.Members = lag.Maybe[[]lag.MemberObs]{}
		g := one(t, obs, lag.Policy{}, orders)
		if g.Unread != lag.Know[int64](10) || g.LowerBound || g.Complete || g.Status != lag.SevUnknown {
			t.Errorf("group %+v", g)
		}
	})
}

func TestTiersAndDeadLettersStandApart(t *testing.T) {
	t.Parallel()
	retry, replay, dead := tp("orders.g.retry.10m", 0), tp("orders.g.replay", 0), tp("orders.g.dlq", 0)
	foreign, ledger := tp("orders.other.dlq", 0), tp("orders.g.dlq.audit", 0)
	parts := map[lag.TopicPartition]lag.PartitionObs{
		tp("orders", 0): part(0, 50), retry: part(0, 15), replay: part(0, 0), dead: part(3, 121), foreign: part(0, 9), ledger: part(0, 4),
	}
	at := func(tp lag.TopicPartition, mark int64) {
		p := parts[tp]
		p.Mark = lag.Know(lag.OffsetAt{Offset: mark})
		parts[tp] = p
	}
	at(retry, 3)
	at(dead, 112)
	topics := []string{"orders", retry.Topic, replay.Topic}
	g := one(t, group("Stable", []lag.MemberObs{member("m", topics, tp("orders", 0), retry, replay)},
		map[lag.TopicPartition]int64{tp("orders", 0): 50, retry: 0}), lag.Policy{}, parts)
	if g.Unread != lag.Know[int64](0) || g.Total != 1 || len(g.Partitions) != 3 {
		t.Errorf("tiers count in the totals: %+v", g)
	}
	r := row(t, g, retry.Topic, 0)
	if r.Status != lag.Parked || r.Parked != lag.Know[int64](12) || r.Overdue != lag.Know[int64](3) || r.Stale.Known || g.Status != lag.SevOK {
		t.Errorf("retry row %+v, verdict %v", r, g.Status)
	}
	want := lag.Tier{Topic: retry.Topic, DelaySeconds: 600, Depth: lag.Know[int64](15), Parked: lag.Know[int64](12), Overdue: lag.Know[int64](3)}
	if len(g.Delayed) != 2 || g.Delayed[1] != want || g.Delayed[0].Topic != replay.Topic {
		t.Errorf("delayed %+v", g.Delayed)
	}
	if len(g.DeadLetters) != 1 || g.DeadLetters[0].DepthMax != lag.Know[int64](118) || g.DeadLetters[0].LastHourMax != lag.Know[int64](9) || g.DeadLetters[0].Undecided.Known {
		t.Errorf("dead letters %+v", g.DeadLetters)
	}
	at(retry, 0)
	parked := one(t, group("Stable", []lag.MemberObs{member("m", topics, tp("orders", 0), retry, replay)},
		map[lag.TopicPartition]int64{tp("orders", 0): 50, retry: 0}), lag.Policy{}, parts)
	if r := row(t, parked, retry.Topic, 0); r.Status != lag.Parked || parked.Status != lag.SevOK {
		t.Errorf("a parked 10m tier is %v, verdict %v", r.Status, parked.Status)
	}
}

// over builds a window in which one partition is seen every two seconds.
func over(members []lag.MemberObs, commit func(i int) int64, high func(i int) int64, n int) []lag.Snapshot {
	var w []lag.Snapshot
	for i := range n {
		at := now().Add(time.Duration(2*i) * time.Second)
		p := part(0, high(i))
		p.EndAt, p.Mark = at, lag.Know(lag.OffsetAt{Offset: 0})
		obs := group("Stable", members, nil)
		obs.Commits = lag.Know(map[lag.TopicPartition]lag.CommitObs{tp("orders", 0): {Offset: commit(i), At: at}})
		s := snapshot(obs, map[lag.TopicPartition]lag.PartitionObs{tp("orders", 0): p})
		s.AsOf = at
		w = append(w, s)
	}
	return w
}

func TestWindowTellsProgress(t *testing.T) {
	t.Parallel()
	owned := []lag.MemberObs{member("m1", []string{"orders"}, tp("orders", 0))}
	fixed := func(n int64) func(int) int64 { return func(int) int64 { return n } }
	per := func(from, step int64) func(int) int64 { return func(i int) int64 { return from + step*int64(i) } }
	rate := lag.Know[float64]
	tests := []struct {
		name    string
		window  []lag.Snapshot
		in, out lag.Maybe[float64]
		drain   string
		status  lag.Status
	}{
		{"no commit for ten seconds while orders wait", over(owned, fixed(10), fixed(50), 6), rate(0), rate(0), lag.DrainStalled, lag.Stalled},
		{"not yet ten seconds", over(owned, fixed(10), fixed(50), 5), rate(0), rate(0), lag.DrainSteady, lag.Behind},
		{"a commit every five seconds is progress", over(owned, func(i int) int64 { return int64(10 + i*2/5) }, fixed(50), 12), rate(0), rate(4.0 / 22), lag.DrainDraining, lag.Draining},
		{"idle for long, then one order", over(owned, fixed(50), func(i int) int64 { return int64(50 + i/9) }, 10), rate(1.0 / 18), rate(0), lag.DrainGrowing, lag.Growing},
		{"it drains", over(owned, per(0, 20), per(100, 4), 4), rate(2), rate(10), lag.DrainDraining, lag.Draining},
		{"it grows", over(owned, per(0, 4), per(100, 20), 4), rate(10), rate(2), lag.DrainGrowing, lag.Growing},
		{"nobody has it, so nobody is stuck", over([]lag.MemberObs{member("m1", []string{"orders"})}, fixed(10), fixed(50), 8), rate(0), rate(0), lag.DrainSteady, lag.Unassigned},
		{"the first commit is four seconds old", over(owned, func(i int) int64 { return map[bool]int64{true: -1, false: int64(10 * i)}[i < 4] }, per(100, 20), 7), rate(10), rate(5), lag.DrainGrowing, lag.Growing},
		{"the offset went back", over(owned, per(40, -10), fixed(50), 3), rate(0), lag.Maybe[float64]{}, "", lag.Rewind},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := find(t, lag.Evaluate(tt.window, lag.Policy{}), "g")
			r := row(t, g, "orders", 0)
			if r.In != tt.in || r.Out != tt.out || r.Drain.V != tt.drain || r.Status != tt.status {
				t.Errorf("in %v out %v drain %q status %v; want %v %v %q %v", r.In, r.Out, r.Drain.V, r.Status, tt.in, tt.out, tt.drain, tt.status)
			}
			if g.Drain != r.Drain || g.ETA != r.ETA {
				t.Errorf("a group of one partition flows as it: %+v, %+v", g.Flow, r.Flow)
			}
			if tt.name == "it drains" && r.ETA != rate(52.0/8) {
				t.Errorf("ETA %v", r.ETA)
			}
		})
	}
}

// A partition without a leader a while ago has rates since it has one.
func TestRatesBeginWhereTheyCan(t *testing.T) {
	t.Parallel()
	w := over([]lag.MemberObs{member("m1", []string{"orders"}, tp("orders", 0))}, func(i int) int64 { return int64(10 * i) }, func(i int) int64 { return int64(100 + 20*i) }, 7)
	for i := range 3 {
		w[i].Partitions = map[lag.TopicPartition]lag.PartitionObs{tp("orders", 0): leaderless()}
	}
	if r := row(t, find(t, lag.Evaluate(w, lag.Policy{}), "g"), "orders", 0); r.In != lag.Know(10.0) || r.Out != lag.Know(5.0) {
		t.Errorf("in %v, out %v", r.In, r.Out)
	}
	w[6].Partitions = w[0].Partitions
	if r := row(t, find(t, lag.Evaluate(w, lag.Policy{}), "g"), "orders", 0); r.In.Known {
		t.Errorf("in %v, and nobody knows the end", r.In)
	}
}

// A tier whose due retries nobody takes: how bad it is depends on how long they have been due.
func TestOverdueForHowLong(t *testing.T) {
	t.Parallel()
	const topic = "orders.g.retry.1m"
	owned := []lag.MemberObs{member("m1", []string{topic}, tp(topic, 0))}
	window := func(n int, commit func(i int) int64) []lag.Snapshot {
		var w []lag.Snapshot
		for i := range n {
			at := now().Add(time.Duration(10*i) * time.Second)
			p := part(0, 100)
			p.EndAt, p.Mark = at, lag.Know(lag.OffsetAt{Offset: int64(10 + i)}) // one more is due every ten seconds
			obs := group("Stable", owned, nil)
			obs.Commits = lag.Know(map[lag.TopicPartition]lag.CommitObs{tp(topic, 0): {Offset: commit(i), At: at}})
			s := snapshot(obs, map[lag.TopicPartition]lag.PartitionObs{tp(topic, 0): p})
			s.AsOf = at
			w = append(w, s)
		}
		return w
	}
	behind := func(n int64) func(int) int64 { return func(i int) int64 { return int64(10+i) - n } }
	for name, tt := range map[string]struct {
		window  []lag.Snapshot
		reasons []lag.Status
		verdict lag.Severity
	}{
		"one snapshot does not tell":           {window(1, behind(5)), []lag.Status{lag.Parked}, lag.SevOK},
		"taken within twenty seconds":          {window(9, behind(2)), []lag.Status{lag.Parked}, lag.SevOK},
		"taken after forty seconds":            {window(9, behind(5)), []lag.Status{lag.Overdue}, lag.SevWarning},
		"taken later than the SLO":             {window(40, behind(35)), []lag.Status{lag.Overdue}, lag.SevCritical},
		"nothing is due":                       {window(9, behind(0)), []lag.Status{lag.Parked}, lag.SevOK},
		"not taken at all, though it is owned": {window(9, func(int) int64 { return 9 }), []lag.Status{lag.Stalled, lag.Overdue}, lag.SevCritical},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := find(t, lag.Evaluate(tt.window, lag.Policy{}), "g")
			if r := row(t, g, topic, 0); !slices.Equal(r.Reasons, tt.reasons) || g.Status != tt.verdict || r.Severity != tt.verdict {
				t.Errorf("%v, %v; want %v, %v", r.Reasons, g.Status, tt.reasons, tt.verdict)
			}
		})
	}
}

func TestLongRebalance(t *testing.T) {
	t.Parallel()
	for _, state := range []string{lag.StatePreparing, lag.StateCompleting, lag.StateAssigning, lag.StateReconciling} { // the last two of KIP-848
		w := over(nil, func(int) int64 { return 50 }, func(int) int64 { return 50 }, 32)
		for i := range w {
			g := w[i].Groups["g"]
			g.State = state
			w[i].Groups = map[string]lag.GroupObs{"g": g}
		}
		if g := find(t, lag.Evaluate(w, lag.Policy{}), "g"); g.Status != lag.SevWarning || !slices.Contains(g.Reasons, lag.Rebalancing) {
			t.Errorf("62 s of %s: %v %v", state, g.Status, g.Reasons)
		}
		if g := find(t, lag.Evaluate(w[4:], lag.Policy{}), "g"); g.Status != lag.SevOK {
			t.Errorf("54 s of %s: %v %v", state, g.Status, g.Reasons)
		}
	}
}

func TestInflowOfOneSnapshotComesFromTheMark(t *testing.T) {
	t.Parallel()
	p := part(0, 100)
	p.Mark = lag.Know(lag.OffsetAt{Offset: 70})
	g := one(t, group("Empty", nil, map[lag.TopicPartition]int64{tp("orders", 0): 100}), lag.Policy{}, map[lag.TopicPartition]lag.PartitionObs{tp("orders", 0): p})
	if r := row(t, g, "orders", 0); r.In != lag.Know(0.1) || r.Out.Known {
		t.Errorf("in %v, out %v; want 30 in five minutes and unknown", r.In, r.Out)
	}
}

func TestWhatDoesNotExist(t *testing.T) {
	t.Parallel()
	s := golden()
	s.Groups["typo"] = group(lag.StateDead, nil, nil)
	s.Asked = append(s.Asked, "order", "old-orders")
	s.Topics["order"] = lag.TopicObs{Exists: lag.Know(false)}
	r := lag.Evaluate([]lag.Snapshot{s}, lag.Policy{})
	if !slices.Equal(r.MissingGroups, []string{"typo"}) || !slices.Equal(r.MissingTopics, []string{"order"}) || len(r.Groups) != 2 {
		t.Errorf("missing groups %v, topics %v, %d groups", r.MissingGroups, r.MissingTopics, len(r.Groups))
	}
}

// Kafka deletes the commits of a topic with it. A group that still has its tiers reads the topic that is there now.
func TestATopicWithoutCommitsCountsWhereItsTiersAre(t *testing.T) {
	t.Parallel()
	s := golden()
	s.Asked = nil
	s.Groups = map[string]lag.GroupObs{"g": group(lag.StateEmpty, nil, nil)}
	s.Topics["orders.g.retry.5s"] = lag.TopicObs{Exists: lag.Know(true), Partitions: 1}
	s.Partitions[tp("orders.g.retry.5s", 0)] = part(0, 0)
	g := find(t, lag.Evaluate([]lag.Snapshot{s}, lag.Policy{}), "g")
	if r := row(t, g, "orders", 1); g.Unread != lag.Know[int64](360) || r.Status != lag.NoMembers || !slices.Contains(r.Reasons, lag.NeverCommitted) || g.Status != lag.SevCritical {
		t.Errorf("%v unread, %v, %+v", g.Unread, g.Status, r)
	}
	s.Topics["orders"] = lag.TopicObs{Exists: lag.Know(false)}
	for p := range int32(4) {
		delete(s.Partitions, tp("orders", p))
	}
	if g = find(t, lag.Evaluate([]lag.Snapshot{s}, lag.Policy{}), "g"); row(t, g, "orders", -1).Status != lag.Gone || g.Status != lag.SevWarning {
		t.Errorf("it is gone: %v, %+v", g.Status, g.Partitions)
	}
	s.Topics["orders.g.retry.5s"] = lag.TopicObs{Exists: lag.Know(false)}
	if g = find(t, lag.Evaluate([]lag.Snapshot{s}, lag.Policy{}), "g"); len(g.Partitions) > 1 {
		t.Errorf("of a tier that is gone nothing follows: %+v", g.Partitions)
	}
}

func TestPolicyNarrowsTheRows(t *testing.T) {
	t.Parallel()
	r := lag.Evaluate([]lag.Snapshot{golden()}, lag.Policy{Topics: []string{"orders"}, Partitions: []int32{0, 1}})
	if g := find(t, r, "workers"); len(g.Partitions) != 2 || g.Unread != lag.Know[int64](110) {
		t.Errorf("%d rows, %v unread", len(g.Partitions), g.Unread)
	}
}

// What is not there has no rows, and no rows look like a group that is well.
func TestWhatIsAskedForInVainIsNamed(t *testing.T) {
	t.Parallel()
	silent := golden()
	silent.Groups["workers"] = lag.GroupObs{Coordinator: -1, Problem: lag.NoAnswer}
	nobody := golden()
	nobody.Groups = map[string]lag.GroupObs{"workers": group(lag.StateDead, nil, nil)}
	untold := golden()
	untold.Asked = []string{"secrets"}
	untold.Topics["secrets"] = lag.TopicObs{}
	untold.Partitions[tp("secrets", -1)] = lag.PartitionObs{Leader: -1, Epoch: -1, Problem: lag.NoAccess}
	audit := golden()
	audit.Topics["orders.workers.dlq.audit"] = lag.TopicObs{Exists: lag.Know(true), Partitions: 1}
	audit.Partitions[tp("orders.workers.dlq.audit", 0)] = part(0, 9)
	dead := golden()
	dead.Topics["orders.workers.dlq"] = lag.TopicObs{Exists: lag.Know(true), Partitions: 1}
	dead.Partitions[tp("orders.workers.dlq", 0)] = part(0, 9)
	for name, tt := range map[string]struct {
		seen       lag.Snapshot
		topics     []string
		partitions []int32
		lacks      []int32
		idle       []string
	}{
		"all is there":                         {golden(), []string{"orders"}, []int32{0, 3}, nil, nil},
		"one of two partitions is not":         {golden(), []string{"orders"}, []int32{0, 99}, []int32{99}, nil},
		"of no topic that it reads":            {golden(), nil, []int32{7}, []int32{7}, nil},
		"a topic of another group":             {golden(), []string{"orders.others.retry.5s"}, nil, nil, []string{"orders.others.retry.5s"}},
		"the ledger is no row":                 {audit, []string{"orders.workers.dlq.audit"}, nil, nil, []string{"orders.workers.dlq.audit"}},
		"dead letters are none either, but":    {dead, []string{"orders.workers.dlq"}, []int32{0}, nil, nil},
		"a silent coordinator rules out none":  {silent, []string{"orders"}, []int32{99}, nil, nil},
		"who is not there is told before that": {nobody, nil, []int32{99}, nil, nil},
		"a topic that may not be described":    {untold, []string{"secrets"}, []int32{99}, nil, nil},
	} {
		r := lag.Evaluate([]lag.Snapshot{tt.seen}, lag.Policy{Topics: tt.topics, Partitions: tt.partitions})
		if !slices.Equal(r.MissingPartitions, tt.lacks) || !slices.Equal(r.IdleTopics, tt.idle) {
			t.Errorf("%s: partitions %v, topics %v", name, r.MissingPartitions, r.IdleTopics)
		}
	}
	// The partitions of a topic that nobody describes are unknown, also to who asks for one of them.
	r := lag.Evaluate([]lag.Snapshot{untold}, lag.Policy{Topics: []string{"secrets"}, Partitions: []int32{0}})
	if g := find(t, r, "workers"); r.Complete || g.Status != lag.SevUnknown || row(t, g, "secrets", -1).Status != lag.Refused {
		t.Errorf("complete %v, %v, %+v", r.Complete, g.Status, g.Partitions)
	}
}

// Kafka does not tell what a group committed in topics that we may not describe: no commit, no member, no row is not nothing.
func TestAGroupOfWhichNothingIsSeenIsNotWell(t *testing.T) {
	t.Parallel()
	s := golden()
	s.Asked = nil
	s.Groups = map[string]lag.GroupObs{"g": group(lag.StateEmpty, nil, nil)}
	r := lag.Evaluate([]lag.Snapshot{s}, lag.Policy{})
	g := find(t, r, "g")
	if r.Complete || g.Complete || g.Status != lag.SevUnknown || g.Unread.Known || !g.LowerBound || g.Holes().Known {
		t.Errorf("%v, complete %v, %v unread, %v holes", g.Status, g.Complete, g.Unread, g.Holes())
	}
	if a := g.Advise(""); len(a.Why) != 1 || a.Why[0] != "nothing tells what it reads: it never committed, or this login may not describe its topics" {
		t.Errorf("%q", a.Why)
	}
	s.Groups["g"] = group(lag.StateStable, []lag.MemberObs{{ID: "m"}}, nil) // who subscribes by a pattern may find nothing
	if r := lag.Evaluate([]lag.Snapshot{s}, lag.Policy{}); !r.Complete || find(t, r, "g").Status != lag.SevOK {
		t.Errorf("a member without a topic: %+v", r)
	}
}

func TestNumbersAsLargeAsTheyGo(t *testing.T) {
	t.Parallel()
	orders := map[lag.TopicPartition]lag.PartitionObs{tp("orders", 0): part(0, 100), tp("orders", 1): part(0, 100)}
	far := map[lag.TopicPartition]int64{tp("orders", 0): math.MaxInt64, tp("orders", 1): math.MaxInt64}
	g := one(t, group(lag.StateEmpty, nil, far), lag.Policy{}, orders)
	if g.Ahead != lag.Know[int64](math.MaxInt64) || g.Status != lag.SevCritical {
		t.Errorf("two commits that lie as far ahead as can be: %v, %v", g.Ahead, g.Status)
	}
	const deep = math.MaxInt64 / 2
	before, after := golden(), golden()
	after.AsOf = after.AsOf.Add(time.Minute)
	for i, s := range []lag.Snapshot{before, after} {
		end := part(0, deep)
		end.EndAt = s.AsOf
		s.Partitions = map[lag.TopicPartition]lag.PartitionObs{tp("orders", 0): end}
		g := group(lag.StateStable, []lag.MemberObs{member("m", []string{"orders"}, tp("orders", 0))}, nil)
		g.Commits = lag.Know(map[lag.TopicPartition]lag.CommitObs{tp("orders", 0): {Offset: int64(i), At: s.AsOf}})
		s.Groups = map[string]lag.GroupObs{"g": g}
		if i == 0 {
			before = s
		} else {
			after = s
		}
	}
	r := row(t, find(t, lag.Evaluate([]lag.Snapshot{before, after}, lag.Policy{}), "g"), "orders", 0)
	if r.Drain.V != lag.DrainDraining || !r.ETA.Known || r.ETA.V < 1e18 || lag.Seconds(r.ETA.V) != math.MaxInt64 {
		t.Errorf("one record a minute: %+v, %v", r.Flow, lag.Seconds(r.ETA.V))
	}
}

func TestNoSnapshotIsNoAnswer(t *testing.T) {
	t.Parallel()
	if r := lag.Evaluate(nil, lag.Policy{}); r.Complete || r.Groups == nil {
		t.Errorf("%+v", r)
	}
}

func TestASilentBrokerMakesAllGroupsIncomplete(t *testing.T) {
	t.Parallel()
	s := golden()
	s.Unlisted = []int32{2}
	if r := lag.Evaluate([]lag.Snapshot{s}, lag.Policy{}); r.Complete || !slices.Equal(r.SilentBrokers, []int32{2}) {
		t.Errorf("complete %v, silent %v", r.Complete, r.SilentBrokers)
	}
}

func TestSnapshotIsLeftAlone(t *testing.T) {
	t.Parallel()
	s := golden()
	before := maps.Clone(s.Partitions)
	lag.Evaluate([]lag.Snapshot{s, s}, lag.Policy{})
	if !maps.Equal(before, s.Partitions) {
		t.Error("Evaluate changed what was observed")
	}
}
