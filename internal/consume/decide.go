package consume

import (
	"time"

	"commerce.internal/orderctl/internal/failpoint"
	"commerce.internal/orderctl/internal/queue"
)

// Outcomes of a record, as they stand in logs and metrics. Those of the effect are queue.Outcome.
const (
	outcomeDuplicate = "duplicate"
	outcomeStaleCopy = "stale_copy"
	outcomeRetried   = "retried"
	outcomeParked    = "parked"
	outcomeDead      = "dead"
	outcomeControl   = "control" // a discard or its undo
	outcomeStarted   = "started" // on probation: its row says that it is about to run
	outcomeAbandoned = "abandoned"
)

// policy is what decide knows beside the record and its rows.
type policy struct {
	names    queue.Names
	ordering Ordering
	hold     bool
	effect   bool // the handler changes the orders table
	posts    bool // the handler takes orders to a sink
	skipLoad bool // orders of a load test have no effect
	attempts int  // in place
	maxAge   time.Duration

	probation bool // a row says that its record is about to run before it does
}

// verdict is what happens to a record.
type verdict struct {
	rule    int // of the eleven; 0: a discard or its undo
	outcome string
	change  queue.Change
	hop     *queue.Row // the row whose copy is to be written; nil: the record is done with the change
	post    bool       // the order goes to the sink; what that answers is decided again
	held    bool       // nothing is written: its partition has too many letters
	again   bool       // with the change committed, the record is read and decided once more
	used    int        // attempts counted so far
	failure queue.Failure
}

// decide says what happens to a record, from what the transaction read: the eleven rules, first match wins. It is pure.
// With m.failure it says what happens after the effect was given up. The model of these rules found errors in earlier
// versions that no reader had seen: change both or none.
func (p policy) decide(m *message, seen queue.Seen, now time.Time) verdict {
	row := content(seen.Message, m.key)
	if m.discard != "" {
		return control(m, row)
	}
	d := draft{policy: p, m: m, now: now, cur: m.first()}
	if row != nil {
		d.was, d.cur = row, *row
		dead := row.State == queue.StateDead || row.State == queue.StateDiscarded
		onItsWay := row.At.Offset < 0
		switch {
		// 1. This message is done: a duplicate.
		case row.State == queue.StateDone:
			return verdict{rule: 1, outcome: outcomeDuplicate}
		// 2. The live copy.
		case row.At == m.at:
		// 3. The copy that was on its way.
		case onItsWay && m.hop == row.Hop && m.replayID == row.ReplayID:
			d.cur.At = m.at
		// 4. An accepted replay.
		case dead && m.hop == row.Hop+1 && m.replayID != "":
			d.accept()
		// 5. The record whose hop was cut short: hop again to where the row says, do not run.
		case onItsWay && m.hop == row.Hop-1 && m.replayID == row.ReplayID:
			if failpoint.Bug("no-rehop") {
				return verdict{rule: 6, outcome: outcomeStaleCopy}
			}
			return verdict{rule: 5, outcome: hopped(row.State), hop: row, failure: row.Failure}
		// 6. Any other row of this message: a stale copy.
		default:
			return verdict{rule: 6, outcome: outcomeStaleCopy}
		}
	}
	d.cur.Attempts += m.tries
	return supersede(d.mayRun(seen), seen.Message, now)
}

// mayRun is what keeps a live record from its effect.
func (d *draft) mayRun(seen queue.Seen) verdict {
	dead, waiting := d.inFront(seen.Order)
	switch {
	// 7. Undecodable, invalid; of a tier also: nobody knows from where.
	case d.m.bad != nil:
		return d.dead(7, *d.m.bad)
	case d.was == nil && d.m.src.Offset < 0:
		return d.dead(7, queue.Failure{Class: queue.ClassInvalid, Code: "origin", Message: "its headers do not say where it comes from"})
	// 8. The message id is done with another content.
	case doneOtherwise(seen.Message, d.m.key):
		return d.dead(8, queue.Failure{
			Class: queue.ClassConflict, Code: "message-id", Message: "message id " + d.m.key.MsgID + " took effect with another content",
		})
	// 9. Behind a dead one that holds.
	case dead != nil:
		return d.blocked(9, dead.MsgID)
	// 10. Behind an unfinished one. Without a tier to wait in, it follows as if that one were dead.
	case waiting != nil && len(d.tiers()) == 0:
		return d.blocked(10, waiting.MsgID)
	case waiting != nil:
		return d.park(*waiting)
	}
	// 11. Run.
	if d.m.failure != nil {
		return d.givenUp(*d.m.failure)
	}
	if d.probation && !d.m.started {
		return d.start()
	}
	return d.run(seen.Stored)
}

// inFront finds the nearest message of this order and source partition in front of this one that is dead and holds it,
// and the nearest that waits.
func (d *draft) inFront(rows []queue.Row) (dead, waiting *queue.Row) {
	if d.ordering == Unordered {
		return nil, nil
	}
	for i := range rows {
		r := &rows[i]
		if r.MsgID == d.cur.MsgID || r.OrderID != d.cur.OrderID || r.OrderID == "" ||
			r.Src.Topic != d.cur.Src.Topic || r.Src.Partition != d.cur.Src.Partition || r.Src.Offset >= d.cur.Src.Offset {
			continue
		}
		switch {
		case r.State == queue.StateDead && d.hold && (dead == nil || r.Src.Offset > dead.Src.Offset):
			dead = r
		case r.State.Waiting() && (waiting == nil || r.Src.Offset > waiting.Src.Offset):
			waiting = r
		}
	}
	return dead, waiting
}

// control is a discard of a dead message, or its undo: the last one in the replay topic counts.
func control(m *message, row *queue.Row) verdict {
	if row == nil {
		return verdict{outcome: outcomeControl}
	}
	dead := row.State == queue.StateDead || row.State == queue.StateDiscarded
	if !dead || row.Hop != m.hop || row.Control >= m.at.Offset {
		return verdict{outcome: outcomeControl}
	}
	next := *row
	next.State, next.Outcome, next.Control = queue.StateDiscarded, queue.ByOperator, m.at.Offset
	if m.discard == "undo" {
		next.State, next.Outcome = queue.StateDead, ""
	}
	return verdict{outcome: outcomeControl, change: queue.Change{Writes: []queue.Write{{Kind: queue.Control, Was: *row, Row: next}}}}
}

// content finds the row of a message among those of its id; nil: there is none.
func content(rows []queue.Row, key queue.RowKey) *queue.Row {
	for i := range rows {
		if rows[i].RowKey == key {
			return &rows[i]
		}
	}
	return nil
}

func doneOtherwise(rows []queue.Row, key queue.RowKey) bool {
	for _, r := range rows {
		if r.MsgID == key.MsgID && r.Fingerprint != key.Fingerprint && r.State == queue.StateDone {
			return true
		}
	}
	return false
}

func hopped(s queue.State) string {
	switch s {
	case queue.StateRetry:
		return outcomeRetried
	case queue.StateParked:
		return outcomeParked
	}
	return outcomeDead
}
