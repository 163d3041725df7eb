package dlq_test

import (
	"errors"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/dlq"
	"commerce.internal/orderctl/internal/queue"
)

// discard is one process that discards the chosen letters, or takes that back.
func (b *bench) discard(sel dlq.Selection, more ...func(*dlq.Discard)) (dlq.Discarding, error) {
	b.t.Helper()
	r, l := b.reader()
	b.runs++
	d := &dlq.Discard{
		Desk: &dlq.Desk{Reader: r, Log: b.memory, Producer: b.memory, Ledger: l, Operator: "me@here", Run: "d" + b.clock().String(), Now: b.clock},
		Job:  "d-" + b.clock().Format("150405.000"), Names: b.names, Own: true, Reason: "a test",
	}
	for _, f := range more {
		f(d)
	}
	var letters []dlq.Letter
	if err := r.Select(b.t.Context(), sel, func(l dlq.Letter) error {
		letters = append(letters, l.Light())
		return nil
	}); err != nil {
		b.t.Fatal(err)
	}
	return d.Run(b.t.Context(), letters)
}

func undo(d *dlq.Discard) { d.Undo = true }

func (b *bench) states() map[dlq.State]int {
	b.t.Helper()
	r, _ := b.reader()
	n := map[dlq.State]int{}
	if err := r.Select(b.t.Context(), dlq.Selection{}, func(l dlq.Letter) error {
		n[l.State]++
		return nil
	}); err != nil {
		b.t.Fatal(err)
	}
	return n
}

func undecided() dlq.Selection { return dlq.Selection{States: []dlq.State{dlq.Undecided}} }

func TestADiscardChangesRowAndLedgerAndCanBeTakenBack(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.letters(5)
	planned := b.plan("group", undecided()).Entries
	sum, err := b.discard(dlq.Selection{IDs: []dlq.ID{{Partition: 0}, {Partition: 1}}})
	if err != nil || sum.Done != 2 || sum.Handled != 0 {
		t.Fatalf("%+v, %v", sum, err)
	}
	_, l := b.reader()
	for _, e := range planned {
		id, _ := dlq.ParseID(e.ID)
		if said, ok := l.Of(id); ok && said.SHA256 != e.SHA256 {
			t.Errorf("%s: the ledger names the bytes %q, a plan %q", e.ID, said.SHA256, e.SHA256)
		}
	}
	if n := b.states(); n[dlq.Discarded] != 2 || n[dlq.Undecided] != 3 {
		t.Errorf("before the worker has read it: %v", n)
	}
	b.work(b.names)
	for _, row := range b.rows {
		if want := row.Src.Offset < 2; (row.State == queue.StateDiscarded) != want {
			t.Errorf("row of %d is %s", row.Src.Offset, row.State)
		}
	}
	plan := b.plan("group", undecided())
	if n, _, _ := plan.Count(); n != 3 {
		t.Errorf("a replay of all would take %d letters, want the 3 that are not discarded", n)
	}
	if sum, err = b.discard(dlq.Selection{}, undo); err != nil || sum.Done != 2 || sum.Handled != 3 {
		t.Fatalf("undo: %+v, %v", sum, err)
	}
	b.work(b.names)
	if n := b.states(); n[dlq.Undecided] != 5 {
		t.Errorf("after the undo: %v", n)
	}
	_, l = b.reader()
	e, ok := l.Of(dlq.ID{})
	if !ok || e.State != dlq.DecisionReopened || e.Operator != "me@here" || e.Reason != "a test" || e.Job == "" || e.At.IsZero() {
		t.Errorf("ledger: %+v", e)
	}
}

func TestADiscardedLetterCanBeReplayedByName(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.letters(1)
	if _, err := b.discard(undecided()); err != nil {
		t.Fatal(err)
	}
	plan := b.plan("group", dlq.Selection{IDs: []dlq.ID{{}}})
	if sum, err := b.replay(plan); err != nil || sum.Sent != 1 {
		t.Errorf("%+v, %v", sum, err)
	}
	if sum, err := b.discard(dlq.Selection{IDs: []dlq.ID{{}}}); err != nil || sum.Done != 0 || sum.Handled != 1 {
		t.Errorf("a discard after the replay: %+v, %v", sum, err)
	}
}

func TestAForeignLetterIsDiscardedInTheLedgerAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.letters(2)
	if _, err := b.discard(undecided(), func(d *dlq.Discard) { d.Own = false }); err != nil {
		t.Fatal(err)
	}
	if n := len(b.sent(b.names.Replay())); n != 0 {
		t.Errorf("%d records in the replay topic", n)
	}
	if n := b.states(); n[dlq.Discarded] != 2 {
		t.Errorf("%v", n)
	}
}

func TestADiscardThatDiesIsFinishedByTheNext(t *testing.T) {
	t.Parallel()
	for death := 0; ; death++ {
		b := newBench(t)
		b.letters(3)
		b.fate = func(n int, _ queue.Message) (bool, error) {
			if n == death {
				return true, errDied
			}
			return true, nil
		}
		_, err := b.discard(undecided())
		if err == nil {
			return
		}
		if !errors.Is(err, errDied) {
			t.Fatal(err)
		}
		b.fate, b.dead = nil, false
		b.work(b.names)
		b.later(31 * time.Second)
		if _, err := b.discard(undecided()); err != nil {
			t.Fatalf("death at write %d: %v", death, err)
		}
		b.work(b.names)
		_, l := b.reader()
		for p := range int32(3) {
			if e, ok := l.Of(dlq.ID{Partition: p}); !ok || e.State != dlq.DecisionDiscarded || e.Reason == "" {
				t.Errorf("death at write %d: ledger of %d/0: %+v", death, p, e)
			}
		}
		for _, row := range b.rows {
			if row.State != queue.StateDiscarded {
				t.Errorf("death at write %d: row of %d is %s", death, row.Src.Offset, row.State)
			}
		}
	}
}

func TestWhatWasDecidedWhileTheOperatorThoughtIsLeftAlone(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		undo       bool
		before     dlq.Decision
		meanwhile  dlq.Decision
		done, past int
	}{
		{"replayed by another", false, "", dlq.DecisionReplayed, 1, 1},
		{"discarded by another", false, "", dlq.DecisionDiscarded, 1, 1},
		{"reopened by another", false, "", dlq.DecisionReopened, 2, 0},
		{"reopened by another, before an undo", true, dlq.DecisionDiscarded, dlq.DecisionReopened, 1, 1},
		{"replayed by another, before an undo", true, dlq.DecisionDiscarded, dlq.DecisionReplayed, 1, 1},
		{"discarded again, before an undo", true, dlq.DecisionDiscarded, dlq.DecisionDiscarded, 2, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.letters(2)
			enter := func(letter string, state dlq.Decision) {
				b.enter(letter, dlq.Entry{State: state, Job: "other", Operator: "you@there", At: b.clock()})
			}
			if tt.before != "" {
				enter("0/0", tt.before)
				enter("1/0", tt.before)
			}
			sum, err := b.discard(dlq.Selection{}, func(d *dlq.Discard) {
				d.Undo = tt.undo
				d.Now = func() time.Time { // asked only once the letters are chosen
					if tt.meanwhile != "" {
						state := tt.meanwhile
						tt.meanwhile = ""
						enter("1/0", state)
					}
					return b.clock()
				}
			})
			if err != nil || sum.Done != tt.done || sum.Handled != tt.past {
				t.Errorf("%+v, %v; want %d done, %d left alone", sum, err, tt.done, tt.past)
			}
			if n := len(b.sent(b.names.Replay())); n != tt.done {
				t.Errorf("%d records for the worker, want %d", n, tt.done)
			}
		})
	}
}

func TestTheRecordOfADiscard(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.letters(2)
	l, _ := b.reader()
	letter, err := l.At(t.Context(), dlq.ID{Partition: 1})
	if err != nil {
		t.Fatal(err)
	}
	only := dlq.Selection{IDs: []dlq.ID{letter.ID}}
	for i, want := range []string{"true", "undo"} {
		sum, err := b.discard(only, func(d *dlq.Discard) { d.Undo = i == 1 })
		if err != nil || sum.Done != 1 {
			t.Fatalf("%s: %+v, %v", want, sum, err)
		}
		r := b.topics[b.names.Replay()][letter.Trail.Origin.Partition][i]
		trail := queue.ReadTrail(r.Headers)
		if r.Value != nil || string(r.Key) != string(letter.Key) {
			t.Errorf("%s: key %q, value %q; want the letter's key and no value", want, r.Key, r.Value)
		}
		wanted := queue.Trail{
			Discard: want, Hop: letter.Trail.Hop, Origin: letter.Trail.Origin, Group: "g", MsgID: letter.Trail.MsgID, Fingerprint: letter.Trail.Fingerprint,
			ReplayID: sum.Job, ReplayOf: "1/0",
		}
		if trail != wanted {
			t.Errorf("%s: headers\n%+v, want\n%+v", want, trail, wanted)
		}
	}
}

// Whoever goes on with a discard that died counts what it finishes as done, and the ledger tells how far both have come.
func TestAResumedDiscardIsCounted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.letters(3)
	b.fate = func(n int, _ queue.Message) (bool, error) { return true, map[bool]error{true: errDied}[n == 3] }
	if _, err := b.discard(undecided()); !errors.Is(err, errDied) {
		t.Fatal(err)
	}
	b.fate, b.dead = nil, false
	b.later(31 * time.Second)
	sum, err := b.discard(undecided())
	if err != nil || sum.Done != 3 || sum.Handled != 0 {
		t.Errorf("%+v, %v; want all 3 done", sum, err)
	}
	_, l := b.reader()
	for _, j := range l.Jobs() {
		want := map[bool]int{true: 0, false: 3}[j.ID == sum.Job]
		if j.State != dlq.JobFinished || j.Planned != want || j.Done != want || j.Intent != nil {
			t.Errorf("job %+v, want finished with %d letters", j, want)
		}
	}
	for p := range int32(3) {
		if e, _ := l.Of(dlq.ID{Partition: p}); e.Job == sum.Job {
			t.Errorf("%d/0 was decided again by %s", p, e.Job)
		}
	}
}
