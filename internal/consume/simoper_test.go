package consume

import (
	"fmt"
	"time"

	"commerce.internal/orderctl/internal/queue"
)

// What an operator does with a letter.
const (
	operNothing = iota
	operReplay
	operEdit
	operDiscard
	operUndo
)

// simOper is an operator at work on one letter: he looks what has become of it, notes what he is about to do, sends, and
// notes that he has. After a crash he goes on by his notes.
type simOper struct {
	kind     int
	job      string
	letter   queue.Record
	step     int // 0 look, 1 send, 2 note
	body     int // of an edit
	again    bool
	toOrigin bool
	noStore  bool // the database cannot be reached: his own notes decide
	intent   bool
}

// standing is what the row says about a letter: "" is undecided.
func (s *sim) standing(letter queue.Record) string {
	t := queue.ReadTrail(letter.Headers)
	row := s.store.row(queue.RowKey{MsgID: t.MsgID, Fingerprint: t.Fingerprint})
	switch {
	case row.State == "":
		return "unknown"
	case row.State == queue.StateDone:
		return "resolved"
	case row.Hop != t.Hop:
		return "past"
	case row.State == queue.StateDead:
		return ""
	case row.State == queue.StateDiscarded:
		return "discarded"
	}
	return "in work"
}

// noted is what the operators wrote down about it; replayed is final.
func (s *sim) noted(letter queue.Record) string {
	last := ""
	for _, n := range s.ledger[letterName(letter)] {
		if n == "replayed" {
			return n
		}
		last = n
	}
	if last == "reopened" {
		return ""
	}
	return last
}

func letterName(letter queue.Record) string {
	t := queue.ReadTrail(letter.Headers)
	return fmt.Sprintf("%s hop %d", t.Origin, t.Hop)
}

// operate makes one step of an operator; false: he has nothing to do.
func (s *sim) operate(o *simOper, chaos int) bool {
	switch {
	case o.kind == operNothing:
		return false
	case o.step == 0:
		state := s.standing(o.letter)
		if o.noStore {
			state = s.noted(o.letter)
		}
		wanted := state == "" || o.again
		if o.kind == operUndo {
			wanted = state == "discarded"
		}
		if !o.intent && !wanted { // what the intent of an earlier run may have sent is never dropped
			*o = simOper{}
			return true
		}
		o.step = 1
	case o.step == 1:
		o.intent = true
		s.send(o, 1+chaos/2)
		if chaos != 1 {
			o.step = 2
		}
	default:
		note := []string{"", "replayed", "replayed", "discarded", "reopened"}[o.kind]
		s.ledger[letterName(o.letter)] = append(s.ledger[letterName(o.letter)], note)
		*o = simOper{}
	}
	return true
}

// send writes what the operator wants into the replay topic, or into the source.
func (s *sim) send(o *simOper, times int) {
	t := queue.ReadTrail(o.letter.Headers)
	topic, value := testNames.Replay(), o.letter.Value
	t.Class, t.Code, t.Message, t.NotBefore = "", "", "", time.Time{}
	switch o.kind {
	case operDiscard:
		t.Discard = "true"
	case operUndo:
		t.Discard = "undo"
	default:
		t.Hop, t.ReplayID = t.Hop+1, o.job
		if o.kind == operEdit {
			edited := simContent(string(o.letter.Key), o.body)
			value = edited.AppendJSON(nil)
			if s.bugs["fp-edit"] {
				t.Fingerprint = edited.Fingerprint()
			}
		}
		if o.toOrigin {
			topic = "orders"
		}
		s.sent[o.job] = queue.BytesFingerprint(value)
	}
	for range times {
		at := s.write(topic, o.letter.Key, value, t.Append(o.letter.Headers))
		s.say("OPERATOR %s of %s (%s) at %s", []string{"", "replay", "edited replay", "discard", "undo"}[o.kind], t.MsgID, letterName(o.letter), at)
	}
}

// begin gives an operator a letter to work on.
func (s *sim) begin(o *simOper, kind, letter, body int) {
	s.jobs++
	l := s.logs[testNames.DLQ()][letter]
	*o = simOper{kind: kind, job: fmt.Sprintf("job%d", s.jobs), letter: l, body: body}
}
