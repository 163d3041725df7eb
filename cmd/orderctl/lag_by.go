package main

import (
	"cmp"
	"slices"
	"strings"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/out"
	"commerce.internal/orderctl/internal/queue"
)

// side is the retry tiers and dead letters of a group.
func (p *lagPrinter) side(g lag.Group) out.Table {
	t := out.Table{Schema: lag.Schema, Columns: []out.Column{
		{Name: "RETRY, DEAD LETTERS", JSON: "topic"},
		{Name: "DEPTH", JSON: "depth", Kind: out.KindInt},
		{Name: "PARKED", JSON: "parked", Kind: out.KindInt, Drop: 1},
		{Name: "OVERDUE", JSON: "overdue", Kind: out.KindInt},
		{Name: "OLDEST OVERDUE", JSON: "oldest_overdue_seconds", Kind: out.KindDuration, Drop: 2},
		{Name: "UNDECIDED", JSON: "undecided", Kind: out.KindInt},
		{Name: "LAST 1h", JSON: "last_hour", Kind: out.KindInt},
	}}
	most := func(m lag.Maybe[int64]) out.Cell {
		if !m.Known {
			return out.Unknown()
		}
		number := digits(m.V)
		if !p.out.Terminal {
			number = strings.ReplaceAll(number, ",", "")
		}
		return out.Text("<= " + number)
	}
	for _, d := range g.Delayed {
		overdue := out.Unknown()
		switch {
		case d.OldestOverdue.Known && d.OldestOverdue.V == 0:
			overdue = out.NA()
		case d.OldestOverdue.Known:
			overdue = p.duration(secondsOf(d.OldestOverdue.V), "")
		}
		t.Rows = append(t.Rows, []out.Cell{out.Text(d.Topic), maybe(d.Depth), maybe(d.Parked), maybe(d.Overdue), overdue, out.NA(), p.lastHour(d.LastHour)})
	}
	for _, d := range g.DeadLetters {
		t.Rows = append(t.Rows, []out.Cell{out.Text(d.Topic), most(d.DepthMax), out.NA(), out.NA(), out.NA(), maybe(d.Undecided), most(d.LastHourMax)})
	}
	return t
}

// lastHour is not looked for where ages are not.
func (p *lagPrinter) lastHour(m lag.Maybe[int64]) out.Cell {
	if !m.Known && lag.Ages(p.o.age) == lag.AgeOff {
		return out.NA()
	}
	return maybe(m)
}

// heap is some rows that are shown as one.
type heap struct {
	group lag.Group
	name  string
	rows  []lag.Row
}

// status is the first reason of the group that holds of a row of the heap, else what its first row shows.
func (h heap) status() out.Cell {
	worst := slices.MaxFunc(h.rows, func(a, b lag.Row) int { return cmp.Compare(a.Severity, b.Severity) })
	for _, s := range h.group.Reasons {
		if slices.ContainsFunc(h.rows, func(r lag.Row) bool { return slices.Contains(r.Reasons, s) }) {
			return out.Text(string(s)).With(severity(worst.Severity))
		}
	}
	return out.Text(string(worst.Status))
}

// by is the table with one row for each topic, member or group.
func (p *lagPrinter) by(groups []lag.Group) out.Table {
	if p.o.by == "group" {
		return p.byGroup(groups)
	}
	t := out.Table{Schema: lag.Schema, List: p.o.by + "s", Columns: []out.Column{
		{Name: strings.ToUpper(p.o.by), JSON: p.o.by},
		{Name: "PARTS", JSON: "partitions", Kind: out.KindInt},
		{Name: "UNREAD", JSON: "unread", Kind: out.KindInt},
		{Name: "STALE", JSON: "stale", Kind: out.KindInt, Drop: 2},
		{Name: "OLDEST", JSON: "oldest_seconds", Kind: out.KindDuration},
		{Name: "IN/s", JSON: "in_per_second", Kind: out.KindNumber, Drop: 1},
		{Name: "OUT/s", JSON: "out_per_second", Kind: out.KindNumber, Drop: 1},
		{Name: "STATUS", JSON: "status"},
	}}
	if p.program {
		t.Columns = append([]out.Column{{Name: "GROUP", JSON: "group"}}, t.Columns...)
	}
	for _, g := range groups {
		for _, h := range heaps(g, p.o.by) {
			t.Rows = append(t.Rows, p.heapCells(h))
		}
	}
	return t
}

// heaps puts the rows of a group together by topic, or by who owns them.
func heaps(g lag.Group, by string) []heap {
	at := map[string]int{}
	var list []heap
	for _, r := range g.Partitions {
		name := r.Topic
		if by == "member" {
			name = "-"
			switch {
			case r.Owner != nil:
				name = strings.TrimSpace(r.Owner.ClientID + " " + r.Owner.Host)
			case !g.Members.Known:
				name = "?"
			}
		}
		key := name
		if by == "member" && r.Owner != nil {
			key = r.Owner.MemberID // members may share a client id
		}
		i, ok := at[key]
		if !ok {
			i = len(list)
			at[key] = i
			list = append(list, heap{group: g, name: name})
		}
		list[i].rows = append(list[i].rows, r)
	}
	return list
}

func (p *lagPrinter) heapCells(h heap) []out.Cell {
	oldest := lagRow{Row: h.rows[0]}
	in, gone := lag.Know(0.0), lag.Know(0.0)
	unread, atLeast := sumOf(h.rows, func(r lag.Row) lag.Maybe[int64] { return r.Unread })
	stale, _ := sumOf(h.rows, func(r lag.Row) lag.Maybe[int64] { return staleOrDue(r) })
	for _, r := range h.rows {
		in, gone = plus(in, r.In), plus(gone, r.Out)
		if r.Oldest.V > oldest.Oldest.V {
			oldest.Row = r
		}
	}
	cells := []out.Cell{
		out.Text(h.name), out.Int(int64(len(h.rows))), p.total(unread, atLeast), maybe(stale), p.oldest(oldest), p.rate(in), p.rate(gone),
		h.status(),
	}
	if p.program {
		cells = append([]out.Cell{out.Text(h.group.Group)}, cells...)
	}
	return cells
}

func staleOrDue(r lag.Row) lag.Maybe[int64] {
	if r.Role == queue.RoleSource {
		return r.Stale
	}
	return r.Overdue
}

// sumOf adds what is known; atLeast says that something was not, and the sum is unknown where nothing was.
func sumOf(rows []lag.Row, value func(lag.Row) lag.Maybe[int64]) (total lag.Maybe[int64], atLeast bool) {
	for _, r := range rows {
		v := value(r)
		total.Known, atLeast = total.Known || v.Known, atLeast || !v.Known
		total.V = lag.Plus(total.V, v.V)
	}
	return total, atLeast
}

func plus(a, b lag.Maybe[float64]) lag.Maybe[float64] {
	if !a.Known || !b.Known {
		return lag.Maybe[float64]{}
	}
	return lag.Know(a.V + b.V)
}

// total is a sum: a program gets none where something is missing.
func (p *lagPrinter) total(m lag.Maybe[int64], atLeast bool) out.Cell {
	switch {
	case !m.Known || atLeast && p.program:
		return out.Unknown()
	case atLeast:
		return out.Text(">= " + digits(m.V))
	}
	return out.Int(m.V)
}

// byGroup is one row a group, for a look at all of them.
func (p *lagPrinter) byGroup(groups []lag.Group) out.Table {
	t := out.Table{Schema: lag.Schema, List: "groups", Columns: []out.Column{
		{Name: "GROUP", JSON: "group"},
		{Name: "STATE", JSON: "state", Drop: 3},
		{Name: "MEMBERS", JSON: "members", Kind: out.KindInt, Drop: 4},
		{Name: "UNREAD", JSON: "unread", Kind: out.KindInt},
		{Name: "STALE", JSON: "stale", Kind: out.KindInt, Drop: 2},
		{Name: "OLDEST", JSON: "oldest_seconds", Kind: out.KindDuration},
		{Name: "LOST", JSON: "lost", Kind: out.KindInt, Drop: 5},
		{Name: "AHEAD", JSON: "ahead", Kind: out.KindInt, Drop: 5},
		{Name: "STATUS", JSON: "status"},
		{Name: "REASONS", JSON: "reasons", Drop: 1},
	}}
	for _, g := range groups {
		oldest := out.Unknown()
		switch {
		case g.Oldest.Known && g.Oldest.V == 0 && !p.program || lag.Ages(p.o.age) == lag.AgeOff:
			oldest = out.NA()
		case g.Oldest.Known:
			oldest = p.duration(secondsOf(g.Oldest.V), "")
		}
		t.Rows = append(t.Rows, []out.Cell{
			out.Text(g.Group), word(g.State), maybe(g.Members), p.total(g.Unread, g.LowerBound), maybe(g.Stale), oldest, maybe(g.Lost), maybe(g.Ahead),
			out.Text(g.Status.String()).With(severity(g.Status)), out.Text(reasons(g.Reasons)),
		})
	}
	return t
}
