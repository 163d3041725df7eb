package lag

import (
	"time"

	"commerce.internal/orderctl/internal/queue"
)

// lastHour is how far back the dead letters of a topic are counted as recent.
const lastHour = time.Hour

// MarkAge returns how old a record must be to lie before the mark of its topic: the SLO in a source topic, the delay in
// a tier, an hour among dead letters. ok is false where no mark is needed.
func MarkAge(topic string, slo time.Duration) (age time.Duration, ok bool) {
	switch role, delay := queue.RoleOf(topic); role {
	case queue.RoleRetry, queue.RoleReplay:
		return delay, true
	case queue.RoleDLQ:
		return lastHour, true
	case queue.RoleSource:
		return slo, slo > 0
	default:
		return 0, false
	}
}

// Belongs reports whether topic carries the name of group: a tier, the replay topic, the dead letters or their ledger.
func Belongs(topic, group string) bool {
	_, _, ok := owned(topic, group)
	return ok
}

// SourceOf returns the source of a tier of the group. Who has tiers reads it, whether a commit says so or not: Kafka deletes
// the commits of a topic together with it.
func SourceOf(topic, group string) (source string, ok bool) {
	source, role, ok := owned(topic, group)
	return source, ok && tier(role)
}

func owned(topic, group string) (source string, role queue.Role, ok bool) {
	for i := range topic {
		if topic[i] != '.' {
			continue
		}
		if role, _, ok := (queue.Names{Source: topic[:i], Group: group}).Role(topic); ok {
			return topic[:i], role, true
		}
	}
	return "", "", false
}

func tier(r queue.Role) bool { return r == queue.RoleRetry || r == queue.RoleReplay }
