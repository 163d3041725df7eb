package tui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/queue"
)

const noteLimit = 200

// Note is something that happened.
type Note struct {
	At   time.Time `json:"at"`
	Kind string    `json:"kind"` // status, state, members, leader, overdue, dead, gap
	Text string    `json:"text"`

	about string // what notes of many partitions have in common
}

const crowd = 4 // so many partitions are named

// crowded puts notes together that say the same of many partitions of a topic.
func crowded(rows []Note) []Note {
	alike := map[string]int{}
	for _, n := range rows {
		alike[n.about]++
	}
	list, told := []Note{}, map[string]bool{}
	for _, n := range rows {
		many := alike[n.about] > crowd
		if many && told[n.about] {
			continue
		}
		if many {
			told[n.about] = true
			n.Text = fmt.Sprintf("%s and %d partitions more", n.Text, alike[n.about]-1)
		}
		list = append(list, n)
	}
	return list
}

// remembering is a sample that still knows what the one before it knew of leaders and members, where it does not: what
// changes while nobody can tell is told afterwards.
func (s Sample) remembering(before *Sample) Sample {
	led := map[Key]lag.Maybe[int32]{}
	if before != nil {
		for _, r := range before.Rows {
			led[r.Key] = r.ledBy
		}
		if !s.Group.Members.Known {
			if s.Group.before = before.Group.before; s.Group.before == nil {
				s.Group.before = &before.Group
			}
		}
	}
	rows := slices.Clone(s.Rows)
	for i, r := range rows {
		if rows[i].ledBy = r.Leader; !r.Leader.Known {
			rows[i].ledBy = led[r.Key]
		}
	}
	s.Rows = rows
	return s
}

// Changes tells what happened between two samples. What was or is unknown has not changed.
func Changes(before, now Sample) []Note {
	var list []Note
	note := func(kind, format string, args ...any) {
		list = append(list, Note{At: now.At, Kind: kind, Text: fmt.Sprintf(format, args...)})
	}
	groupChanges(before.Group, now.Group, note)
	was := map[Key]Row{}
	for _, r := range append(slices.Clone(before.Rows), before.Pinned...) {
		was[r.Key] = r
	}
	rows := []Note{}
	for _, r := range now.Rows {
		if old, ok := was[r.Key]; ok {
			rowChanges(old, r, func(kind, format string, args ...any) {
				rows = append(rows, Note{At: now.At, Kind: kind, Text: fmt.Sprintf(format, args...), about: kind + " " + r.Topic + " " + string(r.Status)})
			})
		}
	}
	list = append(list, crowded(rows)...)
	for _, r := range now.Pinned {
		if old, ok := was[r.Key]; ok {
			pinnedChanges(old, r, now.Pending.Known, note)
		}
	}
	deadChanges(before.Pending, now.Pending, note)
	return list
}

func groupChanges(old, now Group, note func(kind, format string, args ...any)) {
	if old.Missing != now.Missing {
		if now.Missing {
			note("state", "the group %s is gone", now.Name)
			return
		}
		note("state", "the group %s appeared", now.Name)
	}
	if old.before != nil {
		old.Members, old.Names = old.before.Members, old.before.Names
	}
	if old.Members.Known && now.Members.Known {
		var said []string
		for _, m := range now.Names {
			if !slices.Contains(old.Names, m) {
				said = append(said, m+" joined")
			}
		}
		for _, m := range old.Names {
			if !slices.Contains(now.Names, m) {
				said = append(said, m+" left")
			}
		}
		if old.Members.V != now.Members.V || len(said) > 0 {
			list := ""
			if len(said) > 0 {
				list = ", " + strings.Join(said, ", ")
			}
			note("members", "members %d -> %d%s", old.Members.V, now.Members.V, list)
		}
	}
	if old.State.Known && now.State.Known && old.State.V != now.State.V {
		note("state", "group %s -> %s", old.State.V, now.State.V)
	}
}

func rowChanges(old, now Row, note func(kind, format string, args ...any)) {
	name := lag.TopicPartition{Topic: now.Topic, Partition: now.Partition}.String()
	was := old.Leader
	if !was.Known {
		was = old.ledBy
	}
	if was.Known && now.Leader.Known && was.V != now.Leader.V {
		note("leader", "leader of %s: b%d -> b%d", name, was.V, now.Leader.V)
	}
	if old.Status == now.Status || !notable(old) && !notable(now) {
		return
	}
	if !notable(now) {
		note("status", "%s %s again, was %s", name, now.Status, old.Status)
		return
	}
	unread := count(now.Unread) + " unread"
	note("status", "%s %s: %s", name, now.Status, unread)
}

// notable: the others come and go with every burst.
func notable(r Row) bool { return grade(r.Severity) > grade(lag.SevOK.String()) }

func pinnedChanges(old, now Row, store bool, note func(kind, format string, args ...any)) {
	switch now.Role {
	case queue.RoleDLQ:
		if !store && old.Unread.Known && now.Unread.Known && now.Unread.V > old.Unread.V {
			note("dead", "dlq +%s", digits(now.Unread.V-old.Unread.V))
		}
	default:
		if old.Status != now.Status && (notable(old) || notable(now)) {
			note("overdue", "%s %s: %s waiting", now.Name, now.Status, count(now.Unread))
		}
	}
}

func deadChanges(old, now lag.Maybe[Pending], note func(kind, format string, args ...any)) {
	if !old.Known || !now.Known || old.V.At.Equal(now.V.At) {
		return
	}
	was := map[string]int64{}
	for _, c := range old.V.Classes {
		was[c.Class] = c.Count
	}
	for _, c := range now.V.Classes {
		if more := c.Count - was[c.Class]; more > 0 {
			order := ""
			if c.OrderID != "" {
				order = ", order " + c.OrderID
			}
			note("dead", "dlq +%s %s%s", digits(more), c.Class, order)
		}
	}
}

// keep adds notes to those that there are; the oldest leave.
func keep(list []Note, more ...Note) []Note {
	all := append(slices.Clone(list), more...)
	return all[max(0, len(all)-noteLimit):]
}
