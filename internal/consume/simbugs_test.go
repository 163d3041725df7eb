package consume

import (
	"slices"

	"commerce.internal/orderctl/internal/queue"
)

// decide asks the rules. A seeded bug shows them a part of the truth only, as if they did not compare it.
func (s *sim) decide(t *simTask) verdict {
	m, seen := *t.msg, queue.Seen{Message: slices.Clone(t.seen.Message), Order: slices.Clone(t.seen.Order), Stored: t.seen.Stored}
	own := slices.IndexFunc(seen.Message, func(r queue.Row) bool { return r.RowKey == m.key })
	if s.bugs["no-park"] {
		seen.Order = nil
	}
	if s.bugs["drop-rule9"] {
		seen.Order = slices.DeleteFunc(seen.Order, func(r queue.Row) bool { return r.State == queue.StateDead })
	}
	if s.bugs["drop-rule8"] {
		seen.Message = slices.DeleteFunc(seen.Message, func(r queue.Row) bool { return r.State == queue.StateDone && r.RowKey != m.key })
		own = slices.IndexFunc(seen.Message, func(r queue.Row) bool { return r.RowKey == m.key })
	}
	if own < 0 {
		return s.policy.decide(&m, seen, s.now)
	}
	row, true := &seen.Message[own], seen.Message[own]
	dead := row.State == queue.StateDead || row.State == queue.StateDiscarded
	if s.bugs["seq-dup"] {
		row.Src = m.src
	}
	if s.bugs["accept-twice"] && dead && m.replayID != "" && m.discard == "" {
		row.Hop = m.hop - 1
	}
	if s.bugs["rule5-job"] && row.At.Offset < 0 && m.hop == row.Hop-1 {
		m.replayID = row.ReplayID
	}
	if s.bugs["control-off"] {
		row.Control = -1
	}
	v := s.policy.decide(&m, seen, s.now)
	for i := range v.change.Writes {
		if w := &v.change.Writes[i]; w.Row.RowKey == m.key {
			w.Was.Hop = true.Hop
		}
	}
	return v
}
