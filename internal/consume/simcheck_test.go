package consume

import (
	"maps"
	"slices"
	"strings"

	"commerce.internal/orderctl/internal/queue"
)

// moved looks at a change of a row: it goes along the arrows of the state machine only, and its hop number never falls.
func (s *sim) moved(was, is queue.Row) {
	ok := is.Hop >= was.Hop
	dead := was.State == queue.StateDead || was.State == queue.StateDiscarded
	switch {
	case is.State == queue.StateDiscarded:
		ok = ok && dead
	case was.State == queue.StateDone:
		ok = ok && is.State == queue.StateDone
	case dead && is.State != queue.StateDead:
		ok = ok && is.Hop > was.Hop
	}
	if !ok {
		s.bad("ST %s goes from %s hop %d to %s hop %d", is.MsgID, was.State, was.Hop, is.State, is.Hop)
	}
	s.everD[is.RowKey] = s.everD[is.RowKey] || is.State == queue.StateDiscarded
	s.viaRpl[is.RowKey] = s.viaRpl[is.RowKey] || is.ReplayID != ""
}

// apply is the effect of a task: I2, I5, and that the content is the one which the row speaks of.
func (s *sim) apply(t *simTask) {
	row := s.store.row(t.msg.key)
	e := simDone{key: row.RowKey, truth: truth(t.rec)}
	e.seq = s.first[e.truth]
	want := e.truth.Fingerprint
	got := t.msg.order.Fingerprint()
	if row.ReplayID != "" {
		want, got = s.sent[row.ReplayID], queue.BytesFingerprint(t.rec.Value)
	}
	if want != got {
		s.bad("EDIT %s ran a content that is not that of replay %q", row.MsgID, row.ReplayID)
	}
	free := s.everD[row.RowKey] || s.viaRpl[row.RowKey] && !s.hold
	for _, d := range s.effects[row.OrderID] {
		if d.key.MsgID == row.MsgID {
			s.bad("I2 %s took effect twice", row.MsgID)
		} else if d.seq > e.seq && !free {
			s.bad("I5 %s after %s", row.MsgID, d.key.MsgID)
		}
	}
	for _, r := range s.store.rows() {
		if r.OrderID != row.OrderID || r.MsgID == row.MsgID || r.Src.Offset >= e.seq || r.ReplayID != "" && !s.hold || s.everD[r.RowKey] || free {
			continue
		}
		if r.State.Waiting() || r.State == queue.StateDead && s.hold {
			s.bad("I5 %s past %s, which is %s", row.MsgID, r.MsgID, r.State)
		}
	}
	s.effects[row.OrderID] = append(s.effects[row.OrderID], e)
}

// check looks at a drained world.
func (s *sim) check() {
	for topic, c := range s.owner {
		s.markCommit(c)
		if s.commit[topic] != int64(len(s.logs[topic])) {
			s.bad("LIVE commit of %s is %d of %d at the end", topic, s.commit[topic], len(s.logs[topic]))
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(s.first), func(a, b queue.RowKey) int {
		return strings.Compare(a.MsgID+a.Fingerprint, b.MsgID+b.Fingerprint)
	}) {
		if s.store.row(key).State == "" {
			s.bad("I1 %s has no row", key.MsgID)
		}
	}
	effects := map[queue.RowKey]int{}
	for _, done := range s.effects {
		for _, e := range done {
			effects[e.key]++
			s.checkDone(e)
		}
	}
	for _, row := range s.store.rows() {
		if _, known := s.first[row.RowKey]; !known {
			s.bad("I1 %s has a row of a content that was never produced", row.MsgID)
		}
		if row.State.Waiting() {
			s.bad("I1 %s is still %s", row.MsgID, row.State)
		}
		if n := effects[row.RowKey]; (row.State == queue.StateDone) != (n == 1) {
			s.bad("I2 %s is %s and has %d effects", row.MsgID, row.State, n)
		}
		if row.State == queue.StateDead || row.State == queue.StateDiscarded {
			s.checkLetter(row)
			s.checkControl(row)
		}
	}
	s.checkList()
}

// checkDone: I4, nothing applied has a letter that counts as undecided; which message a letter is of we know better.
func (s *sim) checkDone(e simDone) {
	if row := s.store.row(e.key); row.State != queue.StateDone {
		s.bad("I1 %s took effect and is %s", e.key.MsgID, row.State)
	}
	for _, l := range s.logs[testNames.DLQ()] {
		if truth(l) == e.truth && s.standing(l) == "" {
			s.bad("I4 %s took effect and has an undecided letter", e.key.MsgID)
		}
	}
}

// checkLetter: I3, a dead row has a letter of its hop number, and a replay of it would be accepted.
func (s *sim) checkLetter(row queue.Row) {
	for _, l := range s.logs[testNames.DLQ()] {
		if t := queue.ReadTrail(l.Headers); t.MsgID == row.MsgID && t.Fingerprint == row.Fingerprint && t.Hop == row.Hop {
			m := &message{key: row.RowKey, hop: t.Hop + 1, replayID: "new", at: queue.Position{Topic: testNames.Replay(), Offset: 1 << 30}, orderID: row.OrderID}
			if v := s.policy.decide(m, queue.Seen{Message: []queue.Row{row}}, s.now); v.rule == 6 {
				s.bad("I3 a replay of %s would be refused", row.MsgID)
			}
			return
		}
	}
	s.bad("I3 %s is %s at hop %d without such a letter", row.MsgID, row.State, row.Hop)
}

// checkControl: DISC, the last discard or undo of a letter in the replay topic is what its row says.
func (s *sim) checkControl(row queue.Row) {
	last := ""
	for _, c := range s.logs[testNames.Replay()] {
		if t := queue.ReadTrail(c.Headers); t.Discard != "" && t.MsgID == row.MsgID && t.Fingerprint == row.Fingerprint && t.Hop == row.Hop {
			last = t.Discard
		}
	}
	discarded := row.State == queue.StateDiscarded
	switch superseded := row.Outcome == queue.Superseded; {
	case last == "true" && !discarded, last == "undo" && discarded && !superseded, last == "" && discarded && !superseded:
		s.bad("DISC the last word about %s hop %d is %q, its row is %s", row.MsgID, row.Hop, last, row.State)
	}
}

// checkList: I3, letters of one message and hop are one letter, and the other way round.
func (s *sim) checkList() {
	type name struct {
		queue.RowKey
		hop int
	}
	origins, messages := map[name]queue.Position{}, map[string]queue.RowKey{}
	for _, l := range s.logs[testNames.DLQ()] {
		t := queue.ReadTrail(l.Headers)
		key := queue.RowKey{MsgID: t.MsgID, Fingerprint: t.Fingerprint}
		if at, known := origins[name{key, t.Hop}]; known && at != t.Origin {
			s.bad("I3 %s hop %d is listed as two letters", t.MsgID, t.Hop)
		}
		origins[name{key, t.Hop}] = t.Origin
		if of, known := messages[letterName(l)]; known && of != key {
			s.bad("I3 the letter of %s is that of two messages", letterName(l))
		}
		messages[letterName(l)] = key
	}
}
