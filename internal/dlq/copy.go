package dlq

import (
	"slices"
	"strings"
	"time"

	"commerce.internal/orderctl/internal/queue"
)

// replayed is the record that a letter is replayed as. Key, value and the user's headers are those of the letter; the
// original coordinates go along within the group only, elsewhere the message id keeps the identity.
func replayed(l Letter, e PlanEntry, at queue.Position, group bool, job string, now time.Time) queue.Message {
	t := l.Trail
	t.Hop++
	t.ReplayID, t.ReplayOf = job, e.ID
	t.ReplayCount++
	t.Attempts, t.NotBefore, t.BlockedBy = 0, time.Time{}, ""
	t.Class, t.Code, t.Message, t.Pointer, t.Discard = "", "", "", "", ""
	m := queue.Message{Topic: at.Topic, Partition: at.Partition, Key: l.Key, Value: l.Value, Time: now}
	if e.Edit != nil {
		m.Value, t.Edited = e.Edit.Value, e.Edit.SHA256
	}
	m.Headers = t.Append(l.Headers)
	if !group {
		m.Headers = slices.DeleteFunc(m.Headers, func(h queue.Header) bool { return strings.HasPrefix(h.Name, "__dlq.errors.") })
	}
	return m
}
