package lag_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/inspect/lag"
)

// owned is a stable group of one member that has n partitions of topic orders, with so many records unread in each.
func owned(unread ...int64) (lag.GroupObs, map[lag.TopicPartition]lag.PartitionObs) {
	parts, of := map[lag.TopicPartition]lag.PartitionObs{}, map[lag.TopicPartition]int64{}
	var tps []lag.TopicPartition
	for p, n := range unread {
		at := tp("orders", int32(p))
		obs := part(0, 1000)
		obs.Mark = lag.Know(lag.OffsetAt{Offset: 0})
		parts[at], of[at] = obs, 1000-n
		tps = append(tps, at)
	}
	return group(lag.StateStable, []lag.MemberObs{member("m1", []string{"orders"}, tps...)}, of), parts
}

func TestHowOldIsTooOld(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		age     time.Duration
		policy  lag.Policy
		want    lag.Status
		verdict lag.Severity
	}{
		"younger than the SLO":           {4 * time.Minute, lag.Policy{}, lag.Behind, lag.SevOK},
		"as old as the SLO":              {5 * time.Minute, lag.Policy{}, lag.Stale, lag.SevWarning},
		"three times the SLO":            {15 * time.Minute, lag.Policy{}, lag.TooOld, lag.SevCritical},
		"just not three times":           {15*time.Minute - time.Second, lag.Policy{}, lag.Stale, lag.SevWarning},
		"an own limit to warn":           {2 * time.Minute, lag.Policy{WarnAge: time.Minute}, lag.Stale, lag.SevWarning},
		"an own limit":                   {2 * time.Minute, lag.Policy{CritAge: time.Minute}, lag.TooOld, lag.SevCritical},
		"so few that they are tolerated": {time.Hour, lag.Policy{Tolerance: 20}, lag.OK, lag.SevOK},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			obs, parts := owned(20)
			s := withHeads(snapshot(obs, parts), "g", map[int32]time.Duration{0: tt.age})
			g := find(t, lag.Evaluate([]lag.Snapshot{s}, tt.policy), "g")
			if r := row(t, g, "orders", 0); r.Status != tt.want || g.Status != tt.verdict {
				t.Errorf("%v, %v", r.Reasons, g.Status)
			}
		})
	}
	t.Run("a bracket is as old as its younger end", func(t *testing.T) {
		t.Parallel()
		obs, parts := owned(20)
		s := withHeads(snapshot(obs, parts), "g", nil)
		s.Groups["g"].Heads[tp("orders", 0)] = lag.HeadObs{Low: now().Add(-15 * time.Minute), High: now().Add(-5 * time.Minute)}
		g := find(t, lag.Evaluate([]lag.Snapshot{s}, lag.Policy{}), "g")
		if r := row(t, g, "orders", 0); r.Status != lag.Stale || r.Oldest != lag.Know(900.0) || r.Precision != lag.Know(600.0) {
			t.Errorf("%v, %v to %v", r.Status, r.Oldest, r.Precision)
		}
	})
}

func TestRetentionComesNearer(t *testing.T) {
	t.Parallel()
	day := 24 * time.Hour
	for name, tt := range map[string]struct {
		topic   lag.TopicObs
		age     time.Duration
		unread  int64
		status  lag.Status
		verdict lag.Severity
		left    lag.Maybe[float64]
	}{
		"most of the time is left":       {lag.TopicObs{Retention: lag.Know(7 * day)}, day, 10, lag.TooOld, lag.SevCritical, lag.Know((6 * day).Seconds())},
		"a fifth is left":                {lag.TopicObs{Retention: lag.Know(10 * time.Minute)}, 490 * time.Second, 10, lag.AtRisk, lag.SevWarning, lag.Know(110.0)},
		"a twentieth is left":            {lag.TopicObs{Retention: lag.Know(10 * time.Minute)}, 580 * time.Second, 10, lag.AtRisk, lag.SevCritical, lag.Know(20.0)},
		"kept for ever":                  {lag.TopicObs{Retention: lag.Know(time.Duration(-1))}, day, 10, lag.TooOld, lag.SevCritical, lag.Maybe[float64]{}},
		"not told":                       {lag.TopicObs{}, day, 10, lag.TooOld, lag.SevCritical, lag.Maybe[float64]{}},
		"only compacted":                 {lag.TopicObs{Cleanup: "compact", Retention: lag.Know(time.Minute)}, day, 10, lag.TooOld, lag.SevCritical, lag.Maybe[float64]{}},
		"much of a limited log":          {lag.TopicObs{RetentionBytes: lag.Know[int64](1 << 30)}, time.Second, 800, lag.AtRisk, lag.SevWarning, lag.Maybe[float64]{}},
		"less of a limited log":          {lag.TopicObs{RetentionBytes: lag.Know[int64](1 << 30)}, time.Second, 799, lag.Behind, lag.SevOK, lag.Maybe[float64]{}},
		"all of a log without a limit":   {lag.TopicObs{RetentionBytes: lag.Know[int64](-1)}, time.Second, 1000, lag.Behind, lag.SevOK, lag.Maybe[float64]{}},
		"nothing waits, so none is lost": {lag.TopicObs{Retention: lag.Know(time.Minute)}, 0, 0, lag.OK, lag.SevOK, lag.Maybe[float64]{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			obs, parts := owned(tt.unread)
			s := withHeads(snapshot(obs, parts), "g", map[int32]time.Duration{0: tt.age})
			tt.topic.Exists, tt.topic.Partitions = lag.Know(true), 1
			s.Topics["orders"] = tt.topic
			g := find(t, lag.Evaluate([]lag.Snapshot{s}, lag.Policy{}), "g")
			r := row(t, g, "orders", 0)
			if has := slices.Contains(r.Reasons, lag.AtRisk); has != (tt.status == lag.AtRisk) || !has && r.Status != tt.status || g.Status != tt.verdict || r.LossEarliest != tt.left {
				t.Errorf("%v, %v, loss %v, used %v", r.Reasons, g.Status, r.LossEarliest, r.RetentionUsed)
			}
		})
	}
}

func TestAHotPartition(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		unread []int64
		hot    []int32
	}{
		"far more than the others":        {[]int64{20, 30, 25, 500}, []int32{3}},
		"four times, and not more":        {[]int64{100, 100, 100, 400}, nil},
		"few records are never hot":       {[]int64{0, 0, 0, 100}, nil},
		"idle neighbours":                 {[]int64{0, 0, 0, 101}, []int32{3}},
		"all have much":                   {[]int64{900, 910, 920, 930}, nil},
		"one partition has no neighbours": {[]int64{1000}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			obs, parts := owned(tt.unread...)
			g := find(t, lag.Evaluate([]lag.Snapshot{snapshot(obs, parts)}, lag.Policy{}), "g")
			var hot []int32
			for _, r := range g.Partitions {
				if slices.Contains(r.Reasons, lag.Hot) {
					hot = append(hot, r.Partition)
				}
			}
			if !slices.Equal(hot, tt.hot) {
				t.Errorf("hot %v", hot)
			}
		})
	}
}

func TestThresholdsOfAGroup(t *testing.T) {
	t.Parallel()
	dead := tp("orders.g.dlq", 0)
	for name, tt := range map[string]struct {
		policy  lag.Policy
		verdict lag.Severity
		reason  lag.Status
	}{
		"none given":           {lag.Policy{}, lag.SevOK, ""},
		"as many as allowed":   {lag.Policy{WarnUnread: 30, CritUnread: 30}, lag.SevOK, ""},
		"more than to warn":    {lag.Policy{WarnUnread: 29, CritUnread: 30}, lag.SevWarning, lag.OverUnread},
		"more than allowed":    {lag.Policy{CritUnread: 29}, lag.SevCritical, lag.OverUnread},
		"dead letters to warn": {lag.Policy{WarnDLQ: 8, CritDLQ: 9}, lag.SevWarning, lag.OverDLQ},
		"dead letters":         {lag.Policy{CritDLQ: 8}, lag.SevCritical, lag.OverDLQ},
		"as many dead letters": {lag.Policy{WarnDLQ: 9, CritDLQ: 9}, lag.SevOK, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			obs, parts := owned(10, 20)
			letters := part(0, 100)
			letters.Mark = lag.Know(lag.OffsetAt{Offset: 91})
			parts[dead] = letters
			g := find(t, lag.Evaluate([]lag.Snapshot{snapshot(obs, parts)}, tt.policy), "g")
			if g.Status != tt.verdict || tt.reason != "" && !slices.Equal(g.Reasons, []lag.Status{tt.reason}) {
				t.Errorf("%v, %v", g.Status, g.Reasons)
			}
		})
	}
}

// What a tier says about itself: only what is no part of waiting.
func TestATierIsNotStale(t *testing.T) {
	t.Parallel()
	const topic = "orders.g.retry.10m"
	parked := part(0, 500)
	parked.Mark = lag.Know(lag.OffsetAt{Offset: 0})
	obs := group(lag.StateStable, []lag.MemberObs{member("m", []string{topic}, tp(topic, 0))}, nil)
	s := snapshot(obs, map[lag.TopicPartition]lag.PartitionObs{tp(topic, 0): parked})
	s.Aged = true
	s.Topics[topic] = lag.TopicObs{Exists: lag.Know(true), Partitions: 1, Retention: lag.Know(time.Second), RetentionBytes: lag.Know[int64](1)}
	g := find(t, lag.Evaluate([]lag.Snapshot{s}, lag.Policy{}), "g")
	if r := row(t, g, topic, 0); r.Status != lag.Parked || len(r.Reasons) != 1 || g.Status != lag.SevOK || !g.Complete {
		t.Errorf("%v, %v, complete %v", r.Reasons, g.Status, g.Complete)
	}
}

func TestEachReasonIsExplained(t *testing.T) {
	t.Parallel()
	s := golden()
	s.Partitions[tp("orders", 0)] = leaderless()
	a := find(t, lag.Evaluate([]lag.Snapshot{s}, lag.Policy{}), "workers").Advise("other")
	want := []string{
		"orders/2: 35 records were deleted before the group read them",
		"orders/3: committed 20 beyond the end: topic made anew or cut, or offsets set too far",
		"orders/0: no broker leads it: all that have it are down",
	}
	if !slices.Equal(a.Why, want) || !slices.Equal(a.Next, []string{"audit -g workers", "offsets show -g workers", "doctor"}) {
		t.Errorf("%q\n%q", a.Why, a.Next)
	}
	if a := find(t, lag.Evaluate([]lag.Snapshot{golden()}, lag.Policy{}), "audit").Advise("other"); len(a.Why)+len(a.Next) > 0 {
		t.Errorf("a group that is well is given advice: %+v", a)
	}
}

func TestAStalledPartitionIsExplained(t *testing.T) {
	t.Parallel()
	both := []lag.MemberObs{member("7c", []string{"orders"}, tp("orders", 0), tp("orders", 1))}
	for name, tt := range map[string]struct {
		step int64
		want string
		peek string
	}{
		"beside one that moves": {5, "orders/0: owned, unread, no commit for 14s, neighbours move: poison order, hung worker-7c, open breaker", "orders/0"},
		"with all others":       {0, "orders/1 and 1 more: owned, unread, no commit for 14s, nor do its neighbours move: database or target away, or worker-7c hangs", "orders/1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := over(both, func(int) int64 { return 10 }, func(int) int64 { return 50 }, 8)
			for i := range w {
				p := w[i].Partitions[tp("orders", 0)]
				w[i].Partitions[tp("orders", 1)] = p
				w[i].Groups["g"].Commits.V[tp("orders", 1)] = lag.CommitObs{Offset: 9 + tt.step*int64(i), At: p.EndAt}
			}
			a := find(t, lag.Evaluate(w, lag.Policy{}), "g").Advise("other")
			if len(a.Why) == 0 || a.Why[0] != tt.want || a.Next[0] != "lag g --peek "+tt.peek {
				t.Errorf("%q, %q", a.Why, a.Next)
			}
		})
	}
}

// Every status that is more than information has words, and no advice can be made to run something else by a name.
func TestAdviceHasWordsForAll(t *testing.T) {
	t.Parallel()
	for _, s := range []lag.Status{
		lag.Lost, lag.Ahead, lag.Leaderless, lag.HungTxn, lag.NoMembers, lag.Unassigned, lag.Stalled, lag.TooOld, lag.OverUnread, lag.OverDLQ,
		lag.Unknown, lag.Refused, lag.Suspect, lag.NotSupported, lag.Stale, lag.NeverCommitted, lag.AtRisk, lag.Overdue, lag.Growing, lag.Rewind,
		lag.Rebalancing, lag.Hot, lag.Gone,
	} {
		g := lag.Group{Group: "g'; rm -rf /", Status: lag.SevCritical, Reasons: []lag.Status{s}}
		bare := len(g.Advise("other").Why)
		g.Partitions = []lag.Row{{Topic: "orders", Reasons: []lag.Status{s}}}
		a := g.Advise("other")
		if len(a.Why)+bare == 0 {
			t.Errorf("no words for %s", s)
		}
		for _, n := range a.Next {
			if strings.Contains(n, "rm -rf") && !strings.Contains(n, `'g'\''; rm -rf /'`) {
				t.Errorf("%s: %s", s, n)
			}
		}
	}
}

func TestAgeHasTwoUnits(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 6900 * time.Millisecond: "6s", 28*time.Minute + 30*time.Second: "28m30s", 30 * time.Minute: "30m00s",
		192 * time.Minute: "3h12m", 52 * time.Hour: "2d04h",
	} {
		if got := lag.Age(d); got != want {
			t.Errorf("Age(%v) = %q, want %q", d, got, want)
		}
	}
}
