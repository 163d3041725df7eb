package lag_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"commerce.internal/orderctl/internal/inspect/lag"
)

func maybe(t *rapid.T, name string) lag.Maybe[int64] {
	if rapid.IntRange(0, 4).Draw(t, name+" unknown") == 0 {
		return lag.Maybe[int64]{}
	}
	return lag.Know(rapid.Int64Range(0, 1000).Draw(t, name))
}

func anyPartition(t *rapid.T) lag.PartitionObs {
	p := lag.PartitionObs{Leader: 1, EndAt: now(), Start: maybe(t, "start"), High: maybe(t, "high"), Stable: maybe(t, "stable")}
	if m := maybe(t, "mark"); m.Known {
		p.Mark = lag.Know(lag.OffsetAt{Offset: m.V - 1})
	}
	p.Problem = rapid.SampledFrom([]lag.Problem{"", "", "", lag.NoLeader, lag.NoAnswer, lag.NoAccess}).Draw(t, "problem")
	if p.Problem != "" {
		p = lag.PartitionObs{Leader: -1, Problem: p.Problem}
	}
	return p
}

func anySnapshot(t *rapid.T, i int) lag.Snapshot {
	topics := []string{"orders", "payments", "orders.g.retry.1m", "orders.g.replay", "orders.g.dlq"}
	parts := map[lag.TopicPartition]lag.PartitionObs{}
	of := map[lag.TopicPartition]lag.CommitObs{}
	at := now().Add(time.Duration(i) * 5 * time.Second)
	for _, topic := range topics {
		for n := range rapid.Int32Range(0, 3).Draw(t, "partitions of "+topic) {
			parts[tp(topic, n)] = anyPartition(t)
			switch rapid.IntRange(0, 3).Draw(t, "commit") {
			case 0:
			case 1:
				of[tp(topic, n)] = lag.CommitObs{Problem: lag.NoAnswer, At: at}
			default:
				of[tp(topic, n)] = lag.CommitObs{Offset: rapid.Int64Range(0, 1200).Draw(t, "committed"), At: at}
			}
		}
	}
	g := lag.GroupObs{
		State:   rapid.SampledFrom([]string{lag.StateStable, lag.StateEmpty, lag.StatePreparing, ""}).Draw(t, "state"),
		Commits: lag.Know(of), Members: lag.Know([]lag.MemberObs(nil)),
	}
	if g.State == lag.StateStable {
		g.Members = lag.Know([]lag.MemberObs{member("m", topics, tp("orders", 0), tp("orders.g.retry.1m", 0))})
	}
	g.Heads = map[lag.TopicPartition]lag.HeadObs{}
	for tp := range parts {
		if rapid.IntRange(0, 2).Draw(t, "age known") > 0 {
			low := at.Add(-time.Duration(rapid.IntRange(-120, 3000).Draw(t, "age")) * time.Second)
			g.Heads[tp] = lag.HeadObs{Low: low, High: low.Add(time.Duration(rapid.IntRange(0, 600).Draw(t, "width")) * time.Second)}
		}
	}
	s := snapshot(g, parts)
	s.AsOf, s.Aged = at, rapid.Bool().Draw(t, "aged")
	s.Topics["orders"] = lag.TopicObs{
		Exists: lag.Know(true), Partitions: 3, Retention: lag.Maybe[time.Duration]{V: 10 * time.Minute, Known: rapid.Bool().Draw(t, "retention told")},
		RetentionBytes: lag.Maybe[int64]{V: 1 << 20, Known: rapid.Bool().Draw(t, "bytes told")},
	}
	s.Isolation = rapid.SampledFrom([]lag.Isolation{lag.ReadCommitted, lag.ReadUncommitted}).Draw(t, "isolation")
	return s
}

// Whatever was observed: no value is negative, a total is the sum of its rows, and there is no number where an operand is
// unknown.
func TestNoNumberIsInvented(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var window []lag.Snapshot
		for i := range rapid.IntRange(1, 4).Draw(t, "snapshots") {
			window = append(window, anySnapshot(t, i))
		}
		newest := window[len(window)-1]
		r := lag.Evaluate(window, lag.Policy{Tolerance: rapid.Int64Range(0, 2).Draw(t, "tolerance")})
		for _, g := range r.Groups {
			checkTotals(t, g)
			for _, row := range g.Partitions {
				checkRow(t, row, newest)
			}
		}
		if r.Complete && slices.ContainsFunc(r.Groups, func(g lag.Group) bool { return g.LowerBound }) {
			t.Fatal("complete, though a total is a lower bound")
		}
	})
}

func checkRow(t *rapid.T, r lag.Row, s lag.Snapshot) {
	for _, v := range []lag.Maybe[int64]{r.Unread, r.Stale, r.Lost, r.Ahead, r.Held, r.Parked, r.Overdue} {
		if v.V < 0 || !v.Known && v.V != 0 {
			t.Fatalf("%+v", r)
		}
	}
	p, c := s.Partitions[r.TopicPartition()], s.Groups["g"].Commits.V[r.TopicPartition()]
	end := p.Stable
	if s.Isolation == lag.ReadUncommitted {
		end = p.High
	}
	if r.Unread.Known != (c.Problem == "" && p.Start.Known && end.Known) {
		t.Fatalf("unread %v from commit %+v, partition %+v", r.Unread, c, p)
	}
	if r.Lost.Known != (c.Problem == "" && p.Start.Known) || r.Ahead.Known != (c.Problem == "" && p.High.Known) || r.Held.Known != (p.High.Known && p.Stable.Known) {
		t.Fatalf("row %+v from commit %+v, partition %+v", r, c, p)
	}
	old := lag.Maybe[int64]{V: r.Stale.V + r.Overdue.V, Known: r.Stale.Known || r.Overdue.Known}
	if old.Known && (!p.Mark.Known || old.V > r.Unread.V) {
		t.Fatalf("stale %v, overdue %v of %v unread, mark %+v", r.Stale, r.Overdue, r.Unread, p.Mark)
	}
	if r.Unread.Known && r.Lost.V > 0 && r.Unread.V > max(0, end.V-p.Start.V) {
		t.Fatalf("what was deleted counts as unread: %+v", r)
	}
	checkAges(t, r, s)
	if r.Status == lag.OK && !r.Unread.Known {
		t.Fatalf("unknown is called OK: %+v", r)
	}
}

func checkTotals(t *rapid.T, g lag.Group) {
	var unread, stale, lost, ahead int64
	counted, known := 0, 0
	for _, r := range g.Partitions {
		if !r.Counted {
			continue
		}
		counted++
		if r.Unread.Known {
			known++
		}
		unread, stale, lost, ahead = unread+r.Unread.V, stale+r.Stale.V, lost+r.Lost.V, ahead+r.Ahead.V
	}
	if g.Unread.V != unread || g.Stale.V != stale || g.Lost.V != lost || g.Ahead.V != ahead || g.Total != counted || g.Known != known {
		t.Fatalf("totals %v %v %v %v, %d/%d of rows %+v", g.Unread, g.Stale, g.Lost, g.Ahead, g.Known, g.Total, g.Partitions)
	}
	// A deserted group without a row may be hidden from us: of it nothing is known, and nothing is complete.
	blind := g.State.V == lag.StateEmpty && len(g.Partitions)+len(g.DeadLetters) == 0
	if blind && (g.Unread.Known || g.Complete || g.Status != lag.SevUnknown) {
		t.Fatalf("nothing is seen, and %v unread, complete %v, %v", g.Unread, g.Complete, g.Status)
	}
	if g.LowerBound != (blind || known < counted) || counted > 0 && known == 0 && g.Unread.Known {
		t.Fatalf("%d of %d known, lower bound %v, unread %v", known, counted, g.LowerBound, g.Unread)
	}
	for _, d := range g.Delayed {
		if d.Depth.Known && d.Overdue.Known && d.Depth.V != d.Parked.V+d.Overdue.V {
			t.Fatalf("tier %+v", d)
		}
	}
}

// checkAges: no age without a backlog that is known, none below 0, and nothing derived from an age that is not known.
func checkAges(t *rapid.T, r lag.Row, s lag.Snapshot) {
	for _, v := range []lag.Maybe[float64]{
		r.Oldest, r.Precision, r.OldestOverdue, r.LossEarliest, r.RetentionUsed, r.Seconds, r.Earliest, r.ETA, r.In, r.Out, r.NoProgress,
	} {
		if v.V < 0 || !v.Known && v.V != 0 {
			t.Fatalf("%+v", r)
		}
	}
	_, told := s.Groups["g"].Heads[r.TopicPartition()]
	switch {
	case r.Oldest.Known && !r.Unread.Known, r.Oldest.V > 0 && (!told || r.Unread.V == 0):
		t.Fatalf("an age of nothing: %+v", r)
	case !r.Oldest.Known && (r.LossEarliest.Known || r.Earliest.Known || r.State.Known || r.OldestOverdue.Known):
		t.Fatalf("derived from an age that is not known: %+v", r)
	case slices.Contains(r.Reasons, lag.Suspect) && (r.Oldest.Known || r.Stale.Known):
		t.Fatalf("told by timestamps that tell nothing: %+v", r)
	case r.Unread.V > 0 && s.Aged && !r.Oldest.Known && slices.Contains(r.Reasons, lag.TooOld):
		t.Fatalf("too old, though its age is not known: %+v", r)
	}
}
