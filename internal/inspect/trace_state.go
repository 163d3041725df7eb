package inspect

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

// message is one message of the order: its row, where there is one, and its records, by hop and offset.
type message struct {
	key     queue.RowKey
	row     *queue.Row
	src     queue.Position
	records []found
}

// judge says where every message is, and so where the order is.
func (t *tracer) judge() {
	for _, m := range t.messages() {
		t.r.Messages = append(t.r.Messages, t.state(m))
	}
	t.r.State = StateNotFound
	for _, s := range urgency() {
		if slices.ContainsFunc(t.r.Messages, func(m TracedMessage) bool { return m.State == s }) {
			t.r.State = s
			break
		}
	}
	t.r.Events = t.events()
	t.r.Order = t.order()
	t.r.Complete = !slices.ContainsFunc(t.r.Searched, func(s Searched) bool { return !s.Complete })
	if t.r.State == StateNotFound && !t.r.Database {
		t.r.Complete = false // the database might know it
	}
}

// messages gathers rows and records of the same message, in the order of the source.
func (t *tracer) messages() []*message {
	byKey := map[queue.RowKey]*message{}
	of := func(k queue.RowKey) *message {
		if byKey[k] == nil {
			byKey[k] = &message{key: k, src: queue.Position{Partition: -1, Offset: -1}}
		}
		return byKey[k]
	}
	for i := range t.view.Rows {
		m := of(t.view.Rows[i].RowKey)
		m.row, m.src = &t.view.Rows[i], t.view.Rows[i].Src
	}
	for _, r := range t.records {
		if r.role == queue.RoleAudit {
			continue
		}
		m := of(r.key)
		m.records = append(m.records, r)
		if m.row == nil && r.src.Offset >= 0 && (m.src.Offset < 0 || r.src.Offset < m.src.Offset) {
			m.src = r.src
		}
	}
	var all []*message
	for _, m := range byKey {
		slices.SortFunc(m.records, func(a, b found) int {
			return cmp.Or(cmp.Compare(a.trail.Hop, b.trail.Hop), cmp.Compare(control(a), control(b)), cmp.Compare(a.Offset, b.Offset))
		})
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b *message) int {
		return cmp.Or(cmp.Compare(a.src.Partition, b.src.Partition), cmp.Compare(a.src.Offset, b.src.Offset), cmp.Compare(a.key.Fingerprint, b.key.Fingerprint))
	})
	return all
}

// control is 1 for a discard and its undo, which carry the hop number of the letter that they are about.
func control(f found) int {
	if f.trail.Discard != "" {
		return 1
	}
	return 0
}

// state says where a message is: by its row, without one by the log.
func (t *tracer) state(m *message) TracedMessage {
	s := TracedMessage{MsgID: m.key.MsgID, Status: statusOf(m), Topic: m.src.Topic, Partition: m.src.Partition, Offset: m.src.Offset}
	switch {
	case m.row != nil:
		r := *m.row
		s.Outcome, s.Class, s.Code, s.Attempts = string(r.Outcome), string(r.Failure.Class), r.Failure.Code, r.Attempts
		s.DueAt, s.BlockedBy = known(r.DueAt), r.BlockedBy
		s.State = t.byRow(m, r)
	case t.r.Database:
		s.State = t.withoutRow(m, &s)
	default:
		s.Presumed = true
		s.State = t.byLog(m, &s)
	}
	return s
}

func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// statusOf is the status that a message brings.
func statusOf(m *message) order.Status {
	for _, r := range m.records {
		if r.order != nil {
			return r.order.Status
		}
	}
	i := strings.LastIndexByte(m.key.MsgID, ':')
	if s := order.Status(m.key.MsgID[i+1:]); slices.Contains(statuses(), s) {
		return s
	}
	return ""
}

// byRow reads the state off a row, first match.
func (t *tracer) byRow(m *message, r queue.Row) OrderState {
	switch {
	case r.State == queue.StateDone:
		return StateApplied
	case r.State == queue.StateRetry && r.At.Topic == t.o.Names.Replay(), t.sentAgain(m, r):
		return StateReplaying
	case r.State == queue.StateDead && r.Failure.Class == queue.ClassBlocked:
		return StateBlocked
	case r.State == queue.StateDead:
		return StateDead
	case r.State == queue.StateDiscarded:
		return StateDiscarded
	case r.State == queue.StateParked:
		return StateParked
	default:
		return StateRetrying
	}
}

// sentAgain reports whether a dead message was sent again and the worker has not come to it yet.
func (t *tracer) sentAgain(m *message, r queue.Row) bool {
	if r.State != queue.StateDead && r.State != queue.StateDiscarded {
		return false
	}
	return slices.ContainsFunc(m.records, func(f found) bool {
		return f.trail.ReplayID != "" && f.trail.Hop == r.Hop+1 && f.role != queue.RoleDLQ && !t.passed(f.Position())
	})
}

// passed reports whether the group has committed a position.
func (t *tracer) passed(at queue.Position) bool {
	commit, known := commitOf(t.snap, t.o.Names.Group, at.Topic, at.Partition)
	return known && commit > at.Offset
}

// withoutRow is the state of a message that the database does not know.
func (t *tracer) withoutRow(m *message, s *TracedMessage) OrderState {
	switch {
	case m.src.Offset < 0: // a copy that does not say where it came from
		return t.byLog(m, s)
	case m.src.Offset < placeOf(t.snap, m.src.Topic, m.src.Partition).start:
		return StateLost
	case t.passed(m.src):
		return StateMissing
	}
	return t.waiting(m, s)
}

// waiting says how many stand in front of a record, and how long that takes at the pace that was seen.
func (t *tracer) waiting(m *message, s *TracedMessage) OrderState {
	group, topic, p := t.o.Names.Group, m.src.Topic, m.src.Partition
	commit, ok := commitOf(t.snap, group, topic, p)
	if !ok {
		return StateWaiting
	}
	before := m.src.Offset - max(commit, placeOf(t.snap, topic, p).start)
	s.Before = &before
	was, ok := commitOf(t.first, group, topic, p)
	if took := t.snap.AsOf.Sub(t.first.AsOf).Seconds(); ok && was >= 0 && commit > was && took > 0 {
		eta := float64(before+1) * took / float64(commit-was)
		s.ETASeconds = &eta
	}
	return StateWaiting
}

// byLog is the state that the log alone tells: that of the newest copy. One that the group has passed and that went nowhere
// from there was applied, as far as the log knows.
func (t *tracer) byLog(m *message, s *TracedMessage) OrderState {
	last := m.records[len(m.records)-1]
	s.Class, s.Code, s.Attempts, s.BlockedBy = string(last.trail.Class), last.trail.Code, last.trail.Attempts, last.trail.BlockedBy
	switch {
	case last.role == queue.RoleDLQ && t.ledger(last) == EventDiscarded:
		return StateDiscarded
	case last.role == queue.RoleDLQ && last.trail.Class == queue.ClassBlocked:
		return StateBlocked
	case last.role == queue.RoleDLQ:
		return StateDead
	case last.trail.Discard == "undo": // it is about the letter before it
		return StateDead
	case last.trail.Discard != "":
		return StateDiscarded
	case t.passed(last.Position()):
		return StateApplied
	case last.role == queue.RoleReplay:
		return StateReplaying
	case last.role == queue.RoleSource:
		return t.waiting(m, s)
	}
	s.DueAt = known(last.trail.NotBefore)
	if last.trail.BlockedBy != "" {
		return StateParked
	}
	return StateRetrying
}

// order is the order as the database has it, else as its newest readable record does.
func (t *tracer) order() *TracedOrder {
	if t.view.Found {
		return &TracedOrder{Status: t.view.Status, Currency: t.view.Currency, TotalAmount: t.view.TotalAmount}
	}
	var newest *found
	for i, r := range t.records {
		if r.order != nil && (newest == nil || r.src.Offset > newest.src.Offset) {
			newest = &t.records[i]
		}
	}
	if newest == nil {
		return nil
	}
	return &TracedOrder{Status: newest.order.Status, Currency: newest.order.Currency, TotalAmount: newest.order.TotalAmount}
}
