package queue

import (
	"strconv"
	"strings"
	"time"
)

// Role is what a topic is for.
type Role string

// The roles of topics.
const (
	RoleSource Role = "source"
	RoleRetry  Role = "retry"
	RoleReplay Role = "replay"
	RoleDLQ    Role = "dlq"
	RoleAudit  Role = "audit"
)

// Names gives the topics of one source topic and one consumer group (DESIGN.md section 5).
type Names struct {
	Source string
	Group  string
	Tiers  []time.Duration // delays of the retry tiers, ascending; empty: none
}

func (n Names) prefix() string { return n.Source + "." + n.Group }

// Retry returns the retry topic with the given delay: "orders.<group>.retry.5s".
func (n Names) Retry(delay time.Duration) string {
	return n.prefix() + ".retry." + FormatDelay(delay)
}

// Replay returns the replay topic, a tier without delay that only operators write.
func (n Names) Replay() string { return n.prefix() + ".replay" }

// DLQ returns the dead-letter topic.
func (n Names) DLQ() string { return n.prefix() + ".dlq" }

// Audit returns the ledger of what operators did with dead letters.
func (n Names) Audit() string { return n.DLQ() + ".audit" }

// Consumed returns what the group subscribes to: the source, its tiers, its replay topic.
func (n Names) Consumed() []string {
	topics := []string{n.Source}
	for _, d := range n.Tiers {
		topics = append(topics, n.Retry(d))
	}
	return append(topics, n.Replay())
}

// All returns every topic of the group, source first.
func (n Names) All() []string { return append(n.Consumed(), n.DLQ(), n.Audit()) }

// Role returns what topic is for this group, and its delay on a retry tier. A tier that has left the configuration is
// still a tier. ok is false for a topic that does not belong to this source and group.
func (n Names) Role(topic string) (role Role, delay time.Duration, ok bool) {
	if topic == n.Source {
		return RoleSource, 0, true
	}
	rest, found := strings.CutPrefix(topic, n.prefix()+".")
	if !found {
		return "", 0, false
	}
	return roleOfSuffix(rest)
}

// RoleOf tells the role of a topic by its name alone; whatever has no known ending is a source.
func RoleOf(topic string) (Role, time.Duration) {
	for i := range topic {
		if topic[i] != '.' {
			continue
		}
		if role, delay, ok := roleOfSuffix(topic[i+1:]); ok {
			return role, delay
		}
	}
	return RoleSource, 0
}

func roleOfSuffix(s string) (Role, time.Duration, bool) {
	switch s {
	case "replay":
		return RoleReplay, 0, true
	case "dlq":
		return RoleDLQ, 0, true
	case "dlq.audit":
		return RoleAudit, 0, true
	}
	name, found := strings.CutPrefix(s, "retry.")
	if !found {
		return "", 0, false
	}
	delay, err := time.ParseDuration(name)
	if err != nil || delay <= 0 || FormatDelay(delay) != name {
		return "", 0, false
	}
	return RoleRetry, delay, true
}

// FormatDelay writes a delay as topic names have it: one number and the largest unit that divides it (5s, 1m, 90s, 2h).
// Below a millisecond it rounds down.
func FormatDelay(d time.Duration) string {
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if d >= u.unit && d%u.unit == 0 {
			return strconv.FormatInt(int64(d/u.unit), 10) + u.name
		}
	}
	return strconv.FormatInt(d.Milliseconds(), 10) + "ms"
}
