package dlq_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/dlq"
	"commerce.internal/orderctl/internal/queue"
)

func again(r *dlq.Replay) { r.Again = true }

func lifted(p *dlq.Planner) { p.Include = []dlq.Warning{dlq.Handled} }

func edited(t *testing.T, set string) func(*dlq.Planner) {
	t.Helper()
	e, err := dlq.ParseSet(set)
	if err != nil {
		t.Fatal(err)
	}
	return func(p *dlq.Planner) { p.Edits = []dlq.Editor{e} }
}

// Again lifts what others did, not what the job itself has done: a second run of it sends nothing twice, wherever the first
// one died.
func TestAgainIsOnceToo(t *testing.T) {
	t.Parallel()
	for death := 0; ; death++ {
		b := newBench(t)
		b.letters(3)
		if _, err := b.replay(b.plan("topic=other", undecided())); err != nil {
			t.Fatal(err)
		}
		b.later(time.Minute)
		plan := b.plan("topic=other", dlq.Selection{}, lifted)
		if n, _, _ := plan.Count(); n != 3 {
			t.Fatalf("%d letters are planned again, want 3", n)
		}
		start := b.writes
		b.fate = func(n int, _ queue.Message) (bool, error) {
			if n == start+death {
				return true, errDied
			}
			return true, nil
		}
		_, err := b.replay(plan, again)
		ended := err == nil
		b.fate = nil
		for range 2 {
			b.later(31 * time.Second)
			if _, err := b.replay(plan, again); err != nil {
				t.Fatalf("death at write %d: %v", death, err)
			}
		}
		if sent := b.sent("other"); len(sent) != 6 {
			t.Errorf("death at write %d: other holds %v, want each letter of the two jobs once", death, sent)
		}
		if ended {
			return
		}
	}
}

// What a pass after the first one finds in the targets is its own: it is counted once, and the ledger still says that it was
// edited.
func TestALatePassDoesNotClaimItsOwnBatch(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.kill(0, 1, "A", "A:1", queue.ClassExhausted)
	plan := b.plan("group", undecided(), edited(t, `/currency="USD"`))
	late := 0
	_, err := b.replay(plan, func(r *dlq.Replay) {
		r.Late = func(context.Context) ([]dlq.PlanEntry, error) {
			if late++; late > 1 {
				return nil, nil
			}
			b.kill(0, 2, "A", "A:2", queue.ClassBlocked)
			return b.plan("group", dlq.Selection{Classes: []string{"blocked"}, States: []dlq.State{dlq.Undecided}}).Entries, nil
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	_, l := b.reader()
	if j, _ := l.Job(plan.ID); j.Done != 2 || j.Planned != 2 {
		t.Errorf("the job did %d of %d, want 2 of 2", j.Done, j.Planned)
	}
	if e, ok := l.Of(dlq.ID{}); !ok || !e.Edited {
		t.Errorf("ledger of the edited letter: %+v", e)
	}
}

// A process that dies before it has entered an edited letter leaves a word of the edit on the record.
func TestAClaimKnowsThatALetterWasEdited(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.letters(1)
	plan := b.plan("topic=other", undecided(), edited(t, `/currency="USD"`))
	b.fate = func(_ int, m queue.Message) (bool, error) {
		if m.Topic == "other" {
			return true, errDied
		}
		return true, nil
	}
	if _, err := b.replay(plan); !errors.Is(err, errDied) {
		t.Fatal(err)
	}
	b.fate = nil
	b.later(31 * time.Second)
	if sum, err := b.replay(plan); err != nil || sum.Sent != 0 || sum.Replayed != 1 {
		t.Fatalf("%+v, %v", sum, err)
	}
	_, l := b.reader()
	if e, ok := l.Of(dlq.ID{}); !ok || !e.Edited || e.Job != plan.ID {
		t.Errorf("%+v", e)
	}
}

func TestAJobTellsWhatItLeavesOut(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.letters(2)
	b.kill(0, 9, "L", "L:1", queue.ClassExhausted, func(t *queue.Trail) { t.ReplayCount = 3 })
	plan := b.plan("group", undecided())
	sum, err := b.replay(plan)
	if err != nil || sum.Skipped[dlq.Loop] != 1 {
		t.Fatalf("%+v, %v", sum, err)
	}
	_, l := b.reader()
	if j, _ := l.Job(plan.ID); j.Planned != 2 || j.Done != 2 || j.Skipped != 1 {
		t.Errorf("%+v", j)
	}
}

// A batch is bounded by what is sent, which an edit can make longer.
func TestABatchIsAMebibyteAtMost(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i := range int64(5) {
		b.kill(0, i, fmt.Sprint("A-", i), fmt.Sprint("A-", i, ":1"), queue.ClassExhausted)
	}
	long := slices.Repeat([]byte("x"), 400<<10)
	plan := b.plan("group", undecided(), edited(t, `/note="`+string(long)+`"`))
	if n, _, warnings := plan.Count(); n != 5 {
		t.Fatalf("%d planned: %v", n, warnings)
	}
	var sizes []int
	b.fate = func(_ int, m queue.Message) (bool, error) {
		switch {
		case m.Topic == b.names.Audit() && m.Partition == 0 && string(m.Key) == "job/"+plan.ID:
			sizes = append(sizes, 0)
		case m.Topic == b.names.Replay():
			sizes[len(sizes)-1] += len(m.Value)
		}
		return true, nil
	}
	if sum, err := b.replay(plan); err != nil || sum.Sent != 5 {
		t.Fatalf("%+v, %v", sum, err)
	}
	for _, n := range sizes {
		if n > 1<<20 {
			t.Errorf("a batch has %d bytes", n)
		}
	}
}

// Whose clock is ahead does not decide: of two words on one letter the later one in the log counts, on any of its copies.
func TestClocksOfOperatorsDoNotDecide(t *testing.T) {
	t.Parallel()
	for _, other := range []string{"0/0", "0/1"} {
		b := newBench(t)
		b.kill(0, 1, "A", "A:1", queue.ClassExhausted)
		b.kill(0, 1, "A", "A:1", queue.ClassExhausted) // a copy
		r, _ := b.reader()
		l, err := r.At(t.Context(), dlq.ID{})
		if err != nil {
			t.Fatal(err)
		}
		o := l.Trail.Origin
		entry := dlq.Entry{Origin: &dlq.Origin{Topic: o.Topic, Partition: o.Partition, Offset: o.Offset, Group: l.Trail.Group}, Hop: l.Trail.Hop}
		entry.State, entry.At = dlq.DecisionDiscarded, b.clock().Add(time.Hour)
		b.enter("0/0", entry)
		entry.State, entry.At = dlq.DecisionReopened, b.clock()
		b.enter(other, entry)
		_, ledger := b.reader()
		if e, ok := ledger.Decides(l); !ok || e.State != dlq.DecisionReopened {
			t.Errorf("undone on %s by a slow clock: %+v", other, e)
		}
		b.raw(0, "0/0", "")
		b.raw(0, "0/1", "")
		_, ledger = b.reader()
		if e, ok := ledger.Decides(l); ok {
			t.Errorf("after tombstones: %+v", e)
		}
	}
}
