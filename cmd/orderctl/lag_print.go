package main

import (
	"fmt"
	"strings"
	"time"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/out"
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
		var rows []lag.Row
		var groups []string
		for _, g := range r.Groups {
			for _, row := range g.Partitions {
				rows, groups = append(rows, row), append(groups, g.Group)
			}
		}
		return s.print(lagTable(rows, groups), lagLines{r})
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
	rows, hidden := g.Partitions, 0
	if s.env.stdoutTerminal && !all && len(rows) > fewRows {
		rows = nil
		for _, row := range g.Partitions {
			if row.Status == lag.OK {
				hidden++
				continue
			}
			rows = append(rows, row)
		}
	}
	if err := s.print(lagTable(rows, nil), nil); err != nil {
		return err
	}
	if hidden > 0 {
		s.line(fmt.Sprintf("  %d more OK (--all)", hidden))
	}
	if len(g.Delayed)+len(g.DeadLetters) == 0 {
		return nil
	}
	s.line("")
	return s.print(sideTable(g), nil)
}

// fewRows are shown even where all of them are fine.
const fewRows = 12

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

// lagTable is the rows of one group, or, with groups, of several.
func lagTable(rows []lag.Row, groups []string) out.Table {
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
	if groups != nil {
		t.Columns = append([]out.Column{{Name: "GROUP", JSON: "group"}}, t.Columns...)
	}
	for i, r := range rows {
		cells := lagCells(r)
		if groups != nil {
			cells = append([]out.Cell{out.Text(groups[i])}, cells...)
		}
		t.Rows = append(t.Rows, cells)
	}
	return t
}

func lagCells(r lag.Row) []out.Cell {
	committed := maybe(r.Committed)
	if r.Commit == lag.CommitNone {
		committed = out.NA()
	}
	part := out.Int(int64(r.Partition))
	if r.Partition < 0 {
		part = out.Unknown()
	}
	isr, client, instance, member, owner := out.Unknown(), out.NA(), out.NA(), out.NA(), out.NA()
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
		{Name: "DEPTH", JSON: "depth", Kind: out.KindInt},
		{Name: "PARKED", JSON: "parked", Kind: out.KindInt},
		{Name: "OVERDUE", JSON: "overdue", Kind: out.KindInt},
		{Name: "UNDECIDED", JSON: "undecided", Kind: out.KindInt},
		{Name: "LAST 1h", JSON: "last_hour_max", Kind: out.KindInt},
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
