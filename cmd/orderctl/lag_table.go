package main

import (
	"fmt"
	"strings"
	"time"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/out"
	"commerce.internal/orderctl/internal/queue"
)

// lagRow is a row of the table and the group that it belongs to.
type lagRow struct {
	lag.Row
	group lag.Group
}

func rowsOf(g lag.Group, rows []lag.Row) []lagRow {
	list := make([]lagRow, 0, len(rows))
	for _, r := range rows {
		list = append(list, lagRow{Row: r, group: g})
	}
	return list
}

// field is one column of the table, and how a row fills it.
type field struct {
	out.Column
	cell func(lagRow) out.Cell
}

// table is the rows of one group, or, named, of several.
func (p *lagPrinter) table(rows []lagRow, named bool) out.Table {
	fields := p.fields()
	if named {
		fields = append([]field{{out.Column{Name: "GROUP", JSON: "group"}, func(r lagRow) out.Cell { return out.Text(r.group.Group) }}}, fields...)
	}
	t := out.Table{Schema: lag.Schema, List: "partitions"}
	for _, f := range fields {
		t.Columns = append(t.Columns, f.Column)
	}
	for _, r := range rows {
		cells := make([]out.Cell, 0, len(fields))
		for _, f := range fields {
			cells = append(cells, f.cell(r))
		}
		t.Rows = append(t.Rows, cells)
	}
	return t
}

// fields are the columns in their order. On a narrow terminal the owner leaves first, then the rates; of wide the names of the
// member and what only Kafka cares about leave before anything that tells how far the group is.
func (p *lagPrinter) fields() []field {
	number := func(name, json string, drop int, value func(lagRow) lag.Maybe[int64]) field {
		return field{out.Column{Name: name, JSON: json, Kind: out.KindInt, Drop: drop}, func(r lagRow) out.Cell { return maybe(value(r)) }}
	}
	age := func(name, json string, drop int, cell func(lagRow) out.Cell) field {
		return field{out.Column{Name: name, JSON: json, Kind: out.KindDuration, Drop: drop}, cell}
	}
	rate := func(name, json string, drop int, value func(lagRow) lag.Maybe[float64]) field {
		return field{out.Column{Name: name, JSON: json, Kind: out.KindNumber, Drop: drop}, func(r lagRow) out.Cell { return p.rate(value(r)) }}
	}
	list := []field{
		{out.Column{Name: "TOPIC", JSON: "topic"}, func(r lagRow) out.Cell { return out.Text(r.Topic) }},
		{out.Column{Name: "PART", JSON: "partition", Kind: out.KindInt}, partCell},
		{out.Column{Name: "COMMITTED", JSON: "committed", Kind: out.KindInt, Drop: 21}, committedCell},
		number("END", "end", 20, func(r lagRow) lag.Maybe[int64] { return r.End }),
		number("UNREAD", "unread", 0, func(r lagRow) lag.Maybe[int64] { return r.Unread }),
	}
	if p.o.watch > 0 {
		list = append(list,
			field{out.Column{Name: "dUNREAD", JSON: "unread_change", Kind: out.KindInt, Drop: 10}, p.changeCell},
			field{out.Column{Name: "TREND", JSON: "trend", Drop: 10}, func(r lagRow) out.Cell { return word(r.Trend) }})
	}
	list = append(list,
		age("OLDEST", "oldest_seconds", 0, p.oldest),
		rate("IN/s", "in_per_second", 8, func(r lagRow) lag.Maybe[float64] { return r.In }),
		rate("OUT/s", "out_per_second", 8, func(r lagRow) lag.Maybe[float64] { return r.Out }),
		age("ETA", "eta_seconds", 9, p.eta))
	if p.o.watch > 0 {
		list = append(list, age("BREACH-IN", "breach_seconds", 9, p.breach))
	}
	return append(append(list, p.wide()...),
		field{out.Column{Name: "STATUS", JSON: "status"}, p.status},
		field{out.Column{Name: "REASONS", JSON: "reasons", Wide: true, Drop: 16}, func(r lagRow) out.Cell { return out.Text(reasons(r.Reasons)) }},
		field{out.Column{Name: "OWNER", JSON: "owner", Drop: 2}, r1(func(o *lag.Owner) out.Cell { return out.Text(strings.TrimSpace(o.ClientID + " " + o.Host)) })})
}

// wide are the columns that only wide, and programs, show.
func (p *lagPrinter) wide() []field {
	number := func(name, json string, drop int, value func(lagRow) out.Cell) field {
		return field{out.Column{Name: name, JSON: json, Kind: out.KindInt, Wide: true, Drop: drop}, value}
	}
	list := []field{
		number("START", "start", 7, func(r lagRow) out.Cell { return maybe(r.Start) }),
		number("LSO", "last_stable", 6, func(r lagRow) out.Cell { return maybe(r.Stable) }),
		number("HELD", "held", 12, func(r lagRow) out.Cell { return maybe(r.Held) }),
		number("STALE", "stale", 13, staleCell),
		number("LOST", "lost", 17, func(r lagRow) out.Cell { return maybe(r.Lost) }),
		number("AHEAD", "ahead", 17, func(r lagRow) out.Cell { return maybe(r.Ahead) }),
		{out.Column{Name: "LOSS-IN", JSON: "loss_earliest_seconds", Kind: out.KindDuration, Wide: true, Drop: 11}, p.loss},
	}
	if p.o.watch == 0 {
		list = append(list, field{out.Column{Name: "BREACH-IN", JSON: "breach_seconds", Kind: out.KindDuration, Wide: true, Drop: 10}, p.breach})
	}
	return append(list,
		number("LEADER", "leader", 14, func(r lagRow) out.Cell { return maybe(r.Leader) }),
		number("EPOCH", "leader_epoch", 4, func(r lagRow) out.Cell { return maybe(r.Epoch) }),
		field{out.Column{Name: "ISR", JSON: "isr", Wide: true, Drop: 5}, isrCell},
		field{out.Column{Name: "CLIENT-ID", JSON: "client_id", Wide: true, Drop: 4}, r1(func(o *lag.Owner) out.Cell { return out.Text(o.ClientID) })},
		field{out.Column{Name: "INSTANCE-ID", JSON: "instance_id", Wide: true, Drop: 3}, r1(func(o *lag.Owner) out.Cell { return orNA(o.InstanceID.V) })},
		field{out.Column{Name: "MEMBER-ID", JSON: "member_id", Wide: true, Drop: 1}, r1(func(o *lag.Owner) out.Cell { return out.Text(o.MemberID) })})
}

// r1 fills a cell from the owner. Nobody owns the partition, or it is not known who.
func r1(cell func(*lag.Owner) out.Cell) func(lagRow) out.Cell {
	return func(r lagRow) out.Cell {
		switch {
		case r.Owner != nil:
			return cell(r.Owner)
		case !r.group.Members.Known:
			return out.Unknown()
		}
		return out.NA()
	}
}

func reasons(list []lag.Status) string {
	said := make([]string, 0, len(list))
	for _, s := range list {
		said = append(said, string(s))
	}
	return strings.Join(said, " ")
}

func partCell(r lagRow) out.Cell {
	if r.Partition < 0 {
		return out.Unknown()
	}
	return out.Int(int64(r.Partition))
}

func committedCell(r lagRow) out.Cell {
	if r.Commit == lag.CommitNone {
		return out.NA()
	}
	return maybe(r.Committed)
}

// staleCell: a tier has an age of its own to keep, that of its delay.
func staleCell(r lagRow) out.Cell {
	if r.Role != queue.RoleSource {
		return out.NA()
	}
	return maybe(r.Stale)
}

func isrCell(r lagRow) out.Cell {
	if !r.ISR.Known || !r.Replicas.Known {
		return out.Unknown()
	}
	return out.Text(fmt.Sprintf("%d/%d", r.ISR.V, r.Replicas.V))
}

func (p *lagPrinter) status(r lagRow) out.Cell {
	said := string(r.Status)
	switch {
	case p.program:
	case r.Status == lag.Lost:
		said = fmt.Sprintf("%s %d", said, r.Lost.V)
	case r.Status == lag.Ahead:
		said = fmt.Sprintf("%s %d", said, r.Ahead.V)
	}
	return out.Text(said).With(severity(r.Severity))
}

// duration is a length of time for eyes, or for programs.
func (p *lagPrinter) duration(d time.Duration, mark string) out.Cell {
	if p.program {
		return out.Duration(d)
	}
	return out.Text(mark + lag.Age(d))
}

// oldest is the age of the next record: ~ where records may be missing, a range where it is known no better.
func (p *lagPrinter) oldest(r lagRow) out.Cell {
	switch age, precision := secondsOf(r.Oldest.V), secondsOf(r.Precision.V); {
	case lag.Ages(p.o.age) == lag.AgeOff || r.Status == lag.Gone:
		return p.gone(r)
	case !r.Oldest.Known:
		return out.Unknown()
	case p.program:
		return out.Duration(age)
	case r.Oldest.V == 0:
		return out.NA()
	case precision > max(2*time.Second, age/100):
		return out.Text(lag.Age(age-precision) + ".." + lag.Age(age))
	case r.Compacted:
		return p.duration(age, "~")
	default:
		return p.duration(age, "")
	}
}

// gone is an age that cannot be: nobody looked, or the topic is no more.
func (p *lagPrinter) gone(r lagRow) out.Cell {
	if r.Status == lag.Gone {
		return out.Unknown()
	}
	return out.NA()
}

func (p *lagPrinter) rate(m lag.Maybe[float64]) out.Cell {
	switch {
	case !m.Known:
		return out.Unknown()
	case p.program:
		return out.Number(m.V)
	}
	return out.Text(fmt.Sprintf("%.1f", m.V))
}

func (p *lagPrinter) eta(r lagRow) out.Cell {
	switch {
	case r.Drain.V == lag.DrainIdle && !p.program:
		return out.NA()
	case r.ETA.Known:
		return p.duration(secondsOf(r.ETA.V), "")
	case !r.Drain.Known || p.program:
		return out.Unknown()
	}
	return out.Text("never")
}

func (p *lagPrinter) breach(r lagRow) out.Cell {
	switch {
	case r.Role != queue.RoleSource:
		return out.NA()
	case r.Seconds.Known && (p.program || r.State.V == lag.BreachForecast):
		return p.duration(secondsOf(r.Seconds.V), "")
	case p.program:
		return out.Unknown()
	case r.State.Known:
		return out.Text(r.State.V)
	case r.Earliest.Known && r.Unread.V > 0:
		return p.duration(secondsOf(r.Earliest.V), ">= ")
	case r.Earliest.Known:
		return out.NA()
	}
	return out.Unknown()
}

func (p *lagPrinter) loss(r lagRow) out.Cell {
	switch {
	case r.Role != queue.RoleSource:
		return out.NA()
	case r.LossEarliest.Known:
		return p.duration(secondsOf(r.LossEarliest.V), "")
	case r.Unread.Known && r.Unread.V == 0:
		return out.NA()
	}
	return out.Unknown()
}

func (p *lagPrinter) changeCell(r lagRow) out.Cell {
	if !r.Change.Known || p.program {
		return maybe(r.Change)
	}
	return out.Text(fmt.Sprintf("%+d", r.Change.V))
}

func word(m lag.Maybe[string]) out.Cell {
	if !m.Known {
		return out.Unknown()
	}
	return out.Text(m.V)
}

func maybe[T int | int32 | int64](m lag.Maybe[T]) out.Cell {
	if !m.Known {
		return out.Unknown()
	}
	return out.Int(int64(m.V))
}

func severity(s lag.Severity) out.Style {
	switch s {
	case lag.SevCritical:
		return out.Bad
	case lag.SevWarning, lag.SevUnknown:
		return out.Warn
	case lag.SevOK:
	}
	return out.Plain
}
