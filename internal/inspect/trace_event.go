package inspect

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"commerce.internal/orderctl/internal/queue"
)

// ranks of places among events of the same time: an order goes through them in this sequence.
const (
	rankSource = iota
	rankTier
	rankReplay
	rankDLQ
	rankLedger
	rankDatabase
)

// events is all that happened, in the order of time.
func (t *tracer) events() []Event {
	events := []Event{}
	for _, r := range t.records {
		if e, ok := t.event(r); ok {
			events = append(events, e)
		}
	}
	for i := range t.view.Rows {
		if e, ok := t.rowEvent(t.view.Rows[i]); ok {
			events = append(events, e)
		}
	}
	slices.SortStableFunc(events, func(a, b Event) int {
		c := cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.rank, b.rank))
		if c == 0 && a.Offset != nil && b.Offset != nil {
			c = cmp.Compare(*a.Offset, *b.Offset)
		}
		return c
	})
	return events
}

// event is what a record tells.
func (t *tracer) event(r found) (Event, bool) {
	e := Event{Time: r.Time.UTC(), Topic: r.Topic, Partition: &r.Partition, Offset: &r.Offset, MsgID: r.key.MsgID, Value: r.Value, Order: r.order}
	if r.order != nil {
		e.Status = r.order.Status
	}
	if r.role == queue.RoleAudit {
		return ledgerEvent(e, r)
	}
	tr := r.trail
	e.Hop, e.Attempts, e.Class, e.Code, e.Message = tr.Hop, tr.Attempts, string(tr.Class), tr.Code, tr.Message
	e.BlockedBy, e.Job = tr.BlockedBy, tr.ReplayID
	switch r.role {
	case queue.RoleRetry:
		e.rank, e.Kind, e.Due = rankTier, EventRetry, known(tr.NotBefore)
		if tr.BlockedBy != "" {
			e.Kind = EventParked
		}
	case queue.RoleReplay:
		e.rank, e.Kind = rankReplay, EventReplay
		switch tr.Discard {
		case "true":
			e.Kind = EventDiscard
		case "undo":
			e.Kind = EventUndo
		}
	case queue.RoleDLQ:
		e.rank, e.Kind = rankDLQ, EventDead
	default:
		e.rank, e.Kind = rankSource, EventAccepted
		e.Hop, e.Attempts, e.Class, e.Code, e.Message, e.BlockedBy = 0, 0, "", "", "", "" // forged, in the source
		e.RequestID, _ = queue.First(r.Headers, queue.HeaderRequestID)
		e.Client, _ = queue.First(r.Headers, queue.HeaderClient)
		parent, _ := queue.First(r.Headers, queue.HeaderTraceparent)
		if parts := strings.Split(parent, "-"); len(parts) >= 4 {
			e.TraceID = parts[1]
		}
	}
	return e, true
}

// entry is an entry of the ledger, orderctl.dlq.audit/v1: what an operator did with a letter.
type entry struct {
	State    EventKind `json:"state"`
	Job      string    `json:"job"`
	Operator string    `json:"operator"`
	Reason   string    `json:"reason"`
}

func ledgerEvent(e Event, r found) (Event, bool) {
	var v entry
	if json.Unmarshal(r.Value, &v) != nil {
		return e, false // a tombstone, or nothing of ours
	}
	e.rank, e.Kind, e.Job, e.Operator, e.Reason = rankLedger, v.State, v.Job, v.Operator, v.Reason
	return e, true
}

// ledger is the last thing that an operator did with a letter.
func (t *tracer) ledger(letter found) EventKind {
	key, last := fmt.Sprintf("%d/%d", letter.Partition, letter.Offset), EventKind("")
	for _, r := range t.records {
		if r.role == queue.RoleAudit && string(r.Key) == key {
			if e, ok := ledgerEvent(Event{}, r); ok {
				last = e.Kind
			}
		}
	}
	return last
}

// rowEvent is what the database alone tells: the end of a message, and where it is when no record of that was found. What
// a record says already is not said again.
func (t *tracer) rowEvent(r queue.Row) (Event, bool) {
	e := Event{
		Time: r.UpdatedAt.UTC(), MsgID: r.MsgID, Hop: r.Hop, Attempts: r.Attempts, Outcome: string(r.Outcome), TraceID: r.TraceID,
		Status: statusOf(&message{key: r.RowKey}), rank: rankDatabase,
	}
	switch {
	case r.State == queue.StateDone:
		e.Kind = EventDone
		return e, true
	case r.State == queue.StateDiscarded:
		e.Kind = EventDiscarded
		return e, true
	case t.seen[r.At]:
		return e, false
	}
	e.Kind, e.Outcome, e.Message = EventMoving, string(r.State), r.At.String()
	e.Class, e.Code, e.BlockedBy, e.Due = string(r.Failure.Class), r.Failure.Code, r.BlockedBy, known(r.DueAt)
	return e, true
}
