package dlq_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/dlq"
	"commerce.internal/orderctl/internal/queue"
)

// A letter may claim whatever origin it likes: its discard is a word in the ledger, and stands in nobody's way.
func TestALetterOfNoPartitionStopsNoDiscard(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.letters(2)
	b.kill(0, 9, "X", "X:1", queue.ClassInvalid, func(t *queue.Trail) { t.Origin.Partition = 9_999 })
	b.kill(0, 10, "Y", "", queue.ClassInvalid) // a message without an id has no row
	sum, err := b.discard(undecided())
	if err != nil || sum.Done != 4 {
		t.Fatalf("%+v, %v", sum, err)
	}
	if sent := b.sent(b.names.Replay()); !once(sent, 2) {
		t.Errorf("records in the replay topic: %v", sent)
	}
	if n := b.states(); n[dlq.Discarded] != 4 {
		t.Errorf("%v", n)
	}
	if sum, err = b.discard(dlq.Selection{}, undo); err != nil || sum.Done != 4 {
		t.Errorf("undo: %+v, %v", sum, err)
	}
}

// What a job had in hand is looked for in its targets. A target that is gone since, or a word that is none of ours, keeps
// nobody from going on.
func TestAnIntentThatLeadsNowhereStopsNoReplay(t *testing.T) {
	t.Parallel()
	for _, place := range []string{"gone/0", "garbage", "other/77", "other/-1", ""} {
		b := newBench(t)
		b.letters(2)
		b.raw(0, "job/r-0", `{"schema":"orderctl.dlq.audit/v1","kind":"replay","state":"failed","planned":2,"intent":{"batch":1,"letters":["0/0","x","9/9"],"ends":{"`+place+`":-3}},"at":"2026-01-02T03:04:05Z"}`)
		if sum, err := b.replay(b.plan("topic=other", undecided())); err != nil || sum.Sent != 2 {
			t.Errorf("%q: %+v, %v", place, sum, err)
		}
	}
}

// A ledger that could not take the word on some of the letters takes none: nothing is sent that could not be written down.
func TestALedgerTooNarrowDecidesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.letters(3)
	b.topic(b.names.Audit(), 2)
	plan := b.plan("group", undecided())
	for what, act := range map[string]func() error{
		"replay":  func() error { _, err := b.replay(plan); return err },
		"discard": func() error { _, err := b.discard(undecided()); return err },
	} {
		err := act()
		if !errors.Is(err, dlq.ErrNarrowLedger) || !strings.Contains(err.Error(), "orders.g.dlq.audit has 2, orders.g.dlq has 3") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if b.writes != 0 {
		t.Errorf("%d records were written", b.writes)
	}
}

// A dead-letter topic that was made anew names its letters as the old one did. What the ledger says of those is not about
// them.
func TestLettersOfATopicMadeAnewAreUndecided(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"replay", "discard"} {
		b := newBench(t)
		b.letters(3)
		act := func() (int, error) {
			if what == "discard" {
				sum, err := b.discard(undecided(), func(d *dlq.Discard) { d.Own = false })
				return sum.Done, err
			}
			sum, err := b.replay(b.plan("topic=other", undecided()))
			return sum.Sent, err
		}
		if n, err := act(); err != nil || n != 3 {
			t.Fatalf("%s: %d, %v", what, n, err)
		}
		b.topic(topic, 3)
		clear(b.rows)
		for p := range int32(3) {
			b.kill(p, 50+int64(p), "N", "N:1", queue.ClassExhausted)
		}
		if n := b.states(); n[dlq.Undecided] != 3 {
			t.Errorf("after a %s: %v", what, n)
		}
		b.later(time.Minute)
		if n, err := act(); err != nil || n != 3 {
			t.Errorf("a second %s: %d, %v", what, n, err)
		}
		if n := b.states(); n[dlq.Undecided] != 0 {
			t.Errorf("after the second %s: %v", what, n)
		}
	}
}

// Nor is what lies in a target from before: it was sent in the name of a letter that is no more.
func TestWhatWasSentOfATopicMadeAnewIsNoClaim(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.letters(3)
	b.fate = func(_ int, m queue.Message) (bool, error) {
		if m.Topic == "other" && m.Partition == 2 {
			return true, errDied
		}
		return true, nil
	}
	if _, err := b.replay(b.plan("topic=other", undecided())); !errors.Is(err, errDied) {
		t.Fatal(err)
	}
	b.fate = nil
	b.topic(topic, 3)
	clear(b.rows)
	for p := range int32(3) {
		b.kill(p, 50+int64(p), "N", "N:1", queue.ClassExhausted)
	}
	b.later(time.Minute)
	before := len(b.sent("other"))
	if sum, err := b.replay(b.plan("topic=other", undecided())); err != nil || sum.Sent != 3 || sum.Handled != 0 || len(b.sent("other")) != before+3 {
		t.Errorf("%+v, %v", sum, err)
	}
}
