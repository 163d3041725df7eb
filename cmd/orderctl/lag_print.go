package main

import (
	"fmt"
	"strings"
	"time"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/out"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/text"
)

// lagLines is a report whose jsonl form is one line.
type lagLines struct{ lag.Report }

// Lines implements out.Liner.
func (l lagLines) Lines() []any { return []any{l.Report} }

// printLag prints a report: for eyes a block a group, for programs one document or one table.
func (s *session) printLag(r lag.Report, all bool) error {
	switch out.Format(s.global.format) {
	case out.FormatTable, out.FormatWide:
	default:
		var rows []lagRow
		for _, g := range r.Groups {
			rows = append(rows, rowsOf(g, g.Partitions)...)
		}
		return s.print(lagTable(rows, true), lagLines{r})
	}
	for i, g := range r.Groups {
		if i > 0 {
			s.line("")
		}
		if err := s.printGroup(r, g, all); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) printGroup(r lag.Report, g lag.Group, all bool) error {
	s.line(headline(g))
	s.line(subline(r, g))
	s.line("")
	rows, hidden := s.shown(g.Partitions, all)
	if err := s.print(lagTable(rowsOf(g, rows), false), nil); err != nil {
		return err
	}
	if hidden > 0 {
		s.line(fmt.Sprintf("  %d more (--all)", hidden))
	}
	if len(g.Delayed)+len(g.DeadLetters) == 0 {
		return nil
	}
	s.line("")
	return s.print(sideTable(g), nil)
}

// fewRows are shown on a terminal even where all of them are fine.
const fewRows = 12

// shown leaves out the rows that say nothing: those of tiers that are as they should be, for the second table sums them up,
// and, on a terminal, source partitions that are OK where there are many.
func (s *session) shown(rows []lag.Row, all bool) (shown []lag.Row, hidden int) {
	if all {
		return rows, 0
	}
	sources := 0
	for _, r := range rows {
		if r.Role == queue.RoleSource {
			sources++
		}
	}
	for _, r := range rows {
		quietTier := r.Role != queue.RoleSource && r.Severity < lag.SevWarning
		if quietTier || s.env.stdoutTerminal && sources > fewRows && r.Status == lag.OK {
			hidden++
			continue
		}
		shown = append(shown, r)
	}
	return shown, hidden
}

// line writes one line to stdout, escaped. An error shows at the end of the command.
func (s *session) line(l string) { _, _ = s.stdout.Write([]byte(text.Safe(l) + "\n")) }

// headline says how a group is, in one line.
func headline(g lag.Group) string {
	parts := []string{amount(g.Unread, g.LowerBound, "unread")}
	if g.Stale.Known && g.Stale.V > 0 {
		parts = append(parts, fmt.Sprintf("%s older than %s", digits(g.Stale.V), out.Age(time.Duration(g.SLOSeconds*float64(time.Second)))))
	}
	for _, n := range []struct {
		m    lag.Maybe[int64]
		what string
	}{{g.Lost, "LOST"}, {g.Ahead, "AHEAD"}} {
		if n.m.Known && n.m.V > 0 {
			parts = append(parts, digits(n.m.V)+" "+n.what)
		}
	}
	return fmt.Sprintf("%s  %s  %s", g.Group, g.Status, strings.Join(parts, ", "))
}

// amount writes a total: unknown is ?, a lower bound is >=.
func amount(m lag.Maybe[int64], atLeast bool, what string) string {
	switch {
	case !m.Known:
		return "? " + what
	case atLeast:
		return ">= " + digits(m.V) + " " + what
	}
	return digits(m.V) + " " + what
}

// digits groups the digits of a number by three.
func digits(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func subline(r lag.Report, g lag.Group) string {
	known := func(m lag.Maybe[string]) string {
		if !m.Known {
			return "?"
		}
		return m.V
	}
	members := "? members"
	if g.Members.Known {
		members = fmt.Sprintf("%d members", g.Members.V)
		if g.Members.V == 1 {
			members = "1 member"
		}
	}
	parts := []string{known(g.State)}
	kind := known(g.Type)
	if g.Protocol.Known && g.Protocol.V != "" {
		kind += "/" + g.Protocol.V
	}
	parts = append(parts, kind, members)
	if g.Coordinator.Known {
		parts = append(parts, fmt.Sprintf("coordinator %d", g.Coordinator.V))
	}
	return fmt.Sprintf("%s; %d of %d partitions known; %s, snapshot %dms", strings.Join(parts, ", "), g.Known, g.Total,
		r.AsOf.UTC().Format("15:04:05Z"), r.SnapshotMS)
}

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

// lagTable is the rows of one group, or, named, of several.
func lagTable(rows []lagRow, named bool) out.Table {
	t := out.Table{Schema: lag.Schema, List: "partitions", Columns: []out.Column{
		{Name: "TOPIC", JSON: "topic"},
		{Name: "PART", JSON: "partition", Kind: out.KindInt},
		{Name: "COMMITTED", JSON: "committed", Kind: out.KindInt, Drop: 4},
		{Name: "END", JSON: "end", Kind: out.KindInt, Drop: 3},
		{Name: "UNREAD", JSON: "unread", Kind: out.KindInt},
		{Name: "LOST", JSON: "lost", Kind: out.KindInt},
		{Name: "AHEAD", JSON: "ahead", Kind: out.KindInt},
		{Name: "IN/s", JSON: "in_per_second", Kind: out.KindNumber, Drop: 2},
		{Name: "START", JSON: "start", Kind: out.KindInt, Wide: true},
		{Name: "LSO", JSON: "last_stable", Kind: out.KindInt, Wide: true},
		{Name: "HELD", JSON: "held", Kind: out.KindInt, Wide: true},
		{Name: "STALE", JSON: "stale", Kind: out.KindInt, Wide: true},
		{Name: "LEADER", JSON: "leader", Kind: out.KindInt, Wide: true},
		{Name: "EPOCH", JSON: "leader_epoch", Kind: out.KindInt, Wide: true},
		{Name: "ISR", JSON: "isr", Wide: true},
		{Name: "CLIENT-ID", JSON: "client_id", Wide: true},
		{Name: "INSTANCE-ID", JSON: "instance_id", Wide: true},
		{Name: "MEMBER-ID", JSON: "member_id", Wide: true},
		{Name: "STATUS", JSON: "status"},
		{Name: "REASONS", JSON: "reasons", Wide: true},
		{Name: "OWNER", JSON: "owner", Drop: 1},
	}}
	if named {
		t.Columns = append([]out.Column{{Name: "GROUP", JSON: "group"}}, t.Columns...)
	}
	for _, r := range rows {
		nobody := out.NA()
		if !r.group.Members.Known {
			nobody = out.Unknown()
		}
		cells := lagCells(r.Row, nobody)
		if named {
			cells = append([]out.Cell{out.Text(r.group.Group)}, cells...)
		}
		t.Rows = append(t.Rows, cells)
	}
	return t
}

// lagCells is one row. nobody is what stands for an owner that is not there: unknown where the members are.
func lagCells(r lag.Row, nobody out.Cell) []out.Cell {
	committed := maybe(r.Committed)
	if r.Commit == lag.CommitNone {
		committed = out.NA()
	}
	part := out.Int(int64(r.Partition))
	if r.Partition < 0 {
		part = out.Unknown()
	}
	isr, client, instance, member, owner := out.Unknown(), nobody, nobody, nobody, nobody
	if r.ISR.Known && r.Replicas.Known {
		isr = out.Text(fmt.Sprintf("%d/%d", r.ISR.V, r.Replicas.V))
	}
	if o := r.Owner; o != nil {
		client, member = out.Text(o.ClientID), out.Text(o.MemberID)
		owner = out.Text(strings.TrimSpace(o.ClientID + " " + strings.TrimPrefix(o.Host, "/")))
		if o.InstanceID.Known {
			instance = out.Text(o.InstanceID.V)
		}
	}
	reasons := make([]string, 0, len(r.Reasons))
	for _, reason := range r.Reasons {
		reasons = append(reasons, string(reason))
	}
	return []out.Cell{
		out.Text(r.Topic), part, committed, maybe(r.End), maybe(r.Unread), maybe(r.Lost), maybe(r.Ahead), maybeNumber(r.In),
		maybe(r.Start), maybe(r.Stable), maybe(r.Held), maybe(r.Stale), maybe32(r.Leader), maybe32(r.Epoch), isr, client, instance, member,
		out.Text(string(r.Status)).With(severity(r.Severity)), out.Text(strings.Join(reasons, " ")), owner,
	}
}

// sideTable is the retry tiers and dead letters of a group.
func sideTable(g lag.Group) out.Table {
	t := out.Table{Schema: lag.Schema, Columns: []out.Column{
		{Name: "RETRY, DEAD LETTERS", JSON: "topic"},
		{Name: "DEPTH <=", JSON: "depth", Kind: out.KindInt},
		{Name: "PARKED", JSON: "parked", Kind: out.KindInt},
		{Name: "OVERDUE", JSON: "overdue", Kind: out.KindInt},
		{Name: "UNDECIDED", JSON: "undecided", Kind: out.KindInt},
		{Name: "LAST 1h <=", JSON: "last_hour_max", Kind: out.KindInt},
	}}
	for _, d := range g.Delayed {
		t.Rows = append(t.Rows, []out.Cell{out.Text(d.Topic), maybe(d.Depth), maybe(d.Parked), maybe(d.Overdue), out.NA(), out.NA()})
	}
	for _, d := range g.DeadLetters {
		t.Rows = append(t.Rows, []out.Cell{out.Text(d.Topic), maybe(d.DepthMax), out.NA(), out.NA(), maybe(d.Undecided), maybe(d.LastHourMax)})
	}
	return t
}

func maybe(m lag.Maybe[int64]) out.Cell {
	if !m.Known {
		return out.Unknown()
	}
	return out.Int(m.V)
}

func maybe32(m lag.Maybe[int32]) out.Cell {
	if !m.Known {
		return out.Unknown()
	}
	return out.Int(int64(m.V))
}

func maybeNumber(m lag.Maybe[float64]) out.Cell {
	if !m.Known {
		return out.Unknown()
	}
	return out.Number(m.V)
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
