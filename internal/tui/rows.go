package tui

import (
	"fmt"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/queue"
)

// column is one column of the table.
type column struct {
	name  string
	right bool
	least int
	most  int // 0: as wide as it needs
	drop  int // the highest leaves first; 0: stays
	cell  func(v *view, r Row) piece
}

// trendName heads the column of sparklines; its width follows from what the others leave.
const trendName = "TREND"

func (v *view) columns() []column {
	topic := column{name: "TOPIC", least: 6, most: 24, cell: func(v *view, r Row) piece { return piece{v.g.foreign(r.Name), plain} }}
	part := column{name: "PART", right: true, least: 5, cell: partCell}
	backlog := column{name: "UNREAD", right: true, least: 7, cell: unreadCell}
	oldest := column{name: "OLDEST", right: true, least: 6, cell: oldestCell}
	status := column{name: "STATUS", least: 8, most: 16, cell: func(v *view, r Row) piece { return statusPiece(r) }}
	if v.lay.Size == Narrow {
		topic.most, part.least, backlog.least = 12, 4, 6
		return []column{topic, part, backlog, oldest, status}
	}
	if v.lay.Size == Normal {
		topic.most = 14
	}
	number := func(name string, least, drop int, value func(Row) string) column {
		return column{name: name, right: true, least: least, drop: drop, cell: func(_ *view, r Row) piece { return piece{value(r), plain} }}
	}
	return []column{
		topic, part,
		number("COMMITTED", 9, 6, func(r Row) string { return offset(r, r.Committed, r.Fresh) }),
		number("END", 9, 9, func(r Row) string { return offset(r, r.End, false) }),
		backlog,
		{name: v.g.Delta, right: true, least: 4, drop: 2, cell: deltaCell},
		number("IN/s", 5, 8, func(r Row) string { return rateCell(r, r.In) }),
		number("OUT/s", 5, 7, func(r Row) string { return rateCell(r, r.Out) }),
		oldest, status,
		{name: trendName, least: 8, drop: 3, cell: nil},
		{name: "OWNER", least: 5, most: 16, drop: 4, cell: ownerCell},
	}
}

func partCell(_ *view, r Row) piece {
	switch {
	case r.Partition >= 0:
		return piece{fmt.Sprint(r.Partition), plain}
	case r.Role == queue.RoleSource:
		return piece{unknown, unsure}
	default:
		return piece{"all", plain}
	}
}

func unreadCell(v *view, r Row) piece {
	switch {
	case !r.Unread.Known:
		return piece{unknown, unsure}
	case r.AtMost:
		return piece{v.g.Less + " " + digits(r.Unread.V), plain}
	default:
		return piece{digits(r.Unread.V), strong}
	}
}

func deltaCell(_ *view, r Row) piece {
	if r.Role == queue.RoleDLQ {
		return piece{"-", plain}
	}
	d := delta(r.In, r.Out)
	switch {
	case !d.Known:
		return piece{unknown, unsure}
	case d.V >= 0.05:
		return piece{signed(d), warning}
	default:
		return piece{signed(d), plain}
	}
}

func rateCell(r Row, m lag.Maybe[float64]) string {
	switch {
	case r.Role == queue.RoleDLQ:
		return "-"
	case !m.Known:
		return unknown
	default:
		return rate(m.V)
	}
}

// offset is a place in the log, which a topic as a whole does not have. none: there is none, and that is known.
func offset(r Row, m lag.Maybe[int64], none bool) string {
	if r.Role != queue.RoleSource || none {
		return "-"
	}
	return count(m)
}

func oldestCell(v *view, r Row) piece {
	switch {
	case r.Role == queue.RoleDLQ:
		return piece{"-", plain}
	case r.Role != queue.RoleSource:
		return dueCell(r)
	case !r.Oldest.Known:
		return piece{unknown, unsure}
	}
	mark := ""
	if r.Rough {
		mark = "~"
	}
	return piece{mark + age(wholeSeconds(r.Oldest.V)), plain}
}

// dueCell says when the next retry of a tier is due.
func dueCell(r Row) piece {
	switch {
	case r.Due.Known && r.Due.V < -1:
		return piece{"late " + age(wholeSeconds(-r.Due.V)), warning}
	case r.Due.Known:
		return piece{"in " + age(wholeSeconds(max(r.Due.V, 0))), plain}
	case r.Unread.Known && r.Unread.V == 0:
		return piece{"-", plain}
	default:
		return piece{unknown, unsure}
	}
}

func statusPiece(r Row) piece {
	if r.Role == queue.RoleDLQ {
		return piece{"-", plain}
	}
	word := string(r.Status)
	if r.Status == lag.Lost && r.Lost.Known {
		word += " " + digits(r.Lost.V)
	}
	if r.Severity == lag.SevOK.String() {
		return piece{word, plain}
	}
	return piece{word, toneOf(r.Severity)}
}

func ownerCell(v *view, r Row) piece {
	switch {
	case r.Role != queue.RoleSource:
		return piece{"-", plain}
	case !r.Owner.Known:
		return piece{unknown, unsure}
	case r.Owner.V == "":
		return piece{"-", plain}
	default:
		return piece{v.g.foreign(r.Owner.V), plain}
	}
}
