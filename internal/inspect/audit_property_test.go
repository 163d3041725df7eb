package inspect_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"commerce.internal/orderctl/internal/inspect"
	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

// live is one thing that happens in a queue that works: an order comes in, perhaps again, perhaps with another content; a
// worker does a piece of work and may die at any step of it; an operator replays a letter; retention takes what was read.
func live(t *rapid.T, w *world) {
	p := rapid.Int32Range(0, w.partitions-1).Draw(t, "partition")
	switch rapid.IntRange(0, 9).Draw(t, "what") {
	case 0, 1, 2:
		fate := rapid.SampledFrom([]string{"ok", "ok", "stale", "dead", "retry", "worse"}).Draw(t, "fate")
		id := fmt.Sprintf("A-%d-%d", p, rapid.IntRange(0, 12).Draw(t, "id"))
		w.put(message(p, id, rapid.SampledFrom([]string{"x", "x", "y"}).Draw(t, "content"), fate))
	case 3, 4, 5, 6, 7:
		topic := rapid.SampledFrom([]string{source, source, names().Retry(time.Minute), names().Replay()}).Draw(t, "topic")
		w.work(topic, p, rapid.SampledFrom([]int{0, 0, 0, 1, 2, 3}).Draw(t, "die"))
	case 8:
		if letters := w.log(names().DLQ(), p).records; len(letters) > 0 {
			w.replay(letters[rapid.IntRange(0, len(letters)-1).Draw(t, "letter")], fmt.Sprintf("r-%d", w.log(names().Replay(), p).end))
		}
	case 9:
		commit := w.commits[lag.TopicPartition{Topic: source, Partition: p}]
		w.forget(source, p, commit-int64(rapid.IntRange(0, 6).Draw(t, "kept")))
	}
}

func history(t *rapid.T) *world {
	w := newWorld(2)
	for range rapid.IntRange(0, 120).Draw(t, "length") {
		live(t, w)
	}
	w.commits[lag.TopicPartition{Topic: names().Replay()}] += 0 // the group exists
	return w
}

// truth says in the plainest way what is wrong with a world.
func truth(w *world) []string {
	wrong := []string{}
	for p := range w.partitions {
		l, commit := w.log(source, p), w.commits[lag.TopicPartition{Topic: source, Partition: p}]
		_, committed := w.commits[lag.TopicPartition{Topic: source, Partition: p}]
		if committed && l.start > commit {
			wrong = append(wrong, fmt.Sprintf("lost %d@%d %d", p, commit, l.start-commit))
		}
		named := map[queue.RowKey]bool{}
		for _, r := range l.records {
			k := queue.Identify(r, source, order.KeepUnknown)
			if _, found := w.rows[k]; !found && committed && r.Offset < commit && !named[k] {
				named[k] = true
				wrong = append(wrong, fmt.Sprintf("missing %d@%d %s", p, r.Offset, r.Key))
			}
		}
	}
	for _, row := range w.rows {
		if row.State == queue.StateDead && !w.hasLetter(row) && !w.comesAgain(row) {
			wrong = append(wrong, fmt.Sprintf("no-letter %d@%d %s", row.Src.Partition, row.Src.Offset, row.OrderID))
		}
	}
	slices.Sort(wrong)
	return wrong
}

func (w *world) hasLetter(row queue.Row) bool {
	return slices.ContainsFunc(w.log(names().DLQ(), row.Src.Partition).records, func(r queue.Record) bool {
		return queue.ReadTrail(r.Headers).Origin == row.Src || row.At == r.Position()
	})
}

func (w *world) comesAgain(row queue.Row) bool {
	for _, topic := range names().Consumed() {
		commit := w.commits[lag.TopicPartition{Topic: topic, Partition: row.Src.Partition}]
		for _, r := range w.log(topic, row.Src.Partition).records {
			at, _ := queue.OriginOf(r, source)
			if row.At.Offset < 0 && r.Offset >= commit && at == row.Src && queue.ReadTrail(r.Headers).Hop == row.Hop-1 {
				return true
			}
		}
	}
	return false
}

func propertyAudit(t *rapid.T, o inspect.AuditOptions) *inspect.AuditReport {
	r, err := inspect.Audit(t.Context(), o)
	if err != nil {
		t.Fatalf("Audit: %v", err)
	}
	if sum := r.Applied + r.Dead + r.InWork + r.Missing; r.Accepted != sum || !r.Complete {
		t.Fatalf("accepted %d, but applied %d + dead %d + in work %d + missing %d; complete %v", r.Accepted, r.Applied, r.Dead, r.InWork, r.Missing, r.Complete)
	}
	return r
}

// A queue that works is balanced, wherever its worker has died and whatever is on its way.
func TestAQueueThatWorksIsBalanced(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := history(t)
		if wrong := truth(w); len(wrong) > 0 {
			t.Fatalf("the world itself is wrong: %v", wrong)
		}
		if r := propertyAudit(t, options(w)); r.Verdict != inspect.Balanced {
			t.Fatalf("%s: %v", r.Verdict, exceptions(r))
		}
	})
}

// The same while it goes on working under the eyes of the audit.
func TestAQueueThatMovesIsBalanced(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := history(t)
		moves := rapid.IntRange(1, 60).Draw(t, "moves")
		w.step = func() {
			if moves > 0 {
				moves--
				live(t, w)
			}
		}
		r := propertyAudit(t, options(w))
		if r.Verdict != inspect.Balanced {
			t.Fatalf("%s: %v", r.Verdict, exceptions(r))
		}
	})
}

// Whatever is taken from it, exactly that is named, and nothing but that: BALANCED if and only if consistent.
func TestWhatIsTakenIsNamed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := history(t)
		for range rapid.IntRange(0, 4).Draw(t, "taken") {
			p := rapid.Int32Range(0, 1).Draw(t, "of")
			switch rapid.IntRange(0, 3).Draw(t, "which") {
			case 0, 1:
				keys := make([]queue.RowKey, 0, len(w.rows))
				for k := range w.rows {
					keys = append(keys, k)
				}
				slices.SortFunc(keys, func(a, b queue.RowKey) int {
					return slices.Compare([]string{a.MsgID, a.Fingerprint}, []string{b.MsgID, b.Fingerprint})
				})
				if len(keys) > 0 {
					delete(w.rows, rapid.SampledFrom(keys).Draw(t, "row"))
				}
			case 2:
				if letters := w.log(names().DLQ(), p).records; len(letters) > 0 {
					w.remove(rapid.SampledFrom(letters).Draw(t, "letter").Position())
				}
			case 3:
				w.forget(source, p, int64(rapid.IntRange(0, 40).Draw(t, "start")))
			}
		}
		want := truth(w)
		r := propertyAudit(t, options(w))
		if got := exceptions(r); !slices.Equal(got, want) || (r.Verdict == inspect.Balanced) != (len(want) == 0) {
			t.Fatalf("%s: %v, want %v", r.Verdict, got, want)
		}
	})
}
