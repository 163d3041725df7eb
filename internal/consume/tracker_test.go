package consume

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// W20: whatever the order of completion, the mark never passes an unfinished record and ends behind the last one.
func TestTheTrackerNeverPassesAnUnfinishedRecord(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		start := rapid.Int64Range(-1, 100).Draw(t, "start")
		tr := newTracker(start)
		next, open := max(start, 0), []int64{}
		last := tr.lowest()
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			if len(open) == 0 || rapid.Bool().Draw(t, "receive") {
				next += rapid.Int64Range(0, 3).Draw(t, "gap")
				if !tr.add(next) {
					t.Fatalf("offset %d was refused", next)
				}
				open = append(open, next)
				next++
			} else {
				i := rapid.IntRange(0, len(open)-1).Draw(t, "finish")
				tr.finish(open[i])
				open = slices.Delete(open, i, i+1)
			}
			want := next
			if len(open) > 0 {
				want = slices.Min(open)
			}
			if got := tr.lowest(); got != want {
				t.Fatalf("lowest() = %d, want %d", got, want)
			}
			if tr.lowest() < last {
				t.Fatalf("the mark fell from %d to %d", last, tr.lowest())
			}
			last = tr.lowest()
		}
	})
}

func TestTheTrackerRefusesWhatItHasSeen(t *testing.T) {
	t.Parallel()
	tr := newTracker(5)
	if tr.add(4) || !tr.add(5) || tr.add(5) {
		t.Error("a record below the start, or received before, must not be tracked twice")
	}
	tr.finish(99) // never received
	tr.finish(5)
	tr.finish(5)
	if tr.lowest() != 6 || tr.span() != 0 {
		t.Errorf("lowest %d span %d", tr.lowest(), tr.span())
	}
}

func TestTheTrackerKnowsNothingBeforeTheFirstRecord(t *testing.T) {
	t.Parallel()
	tr := newTracker(-1)
	if tr.lowest() >= 0 {
		t.Errorf("lowest() = %d of a claim that begins nowhere known", tr.lowest())
	}
}

func BenchmarkTracker(b *testing.B) {
	tr := newTracker(0)
	for i := range int64(b.N) {
		tr.add(i)
		if i >= 1000 {
			tr.finish(i - 1000)
		}
	}
}
