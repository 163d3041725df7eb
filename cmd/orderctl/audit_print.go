package main

import (
	"fmt"
	"strings"

	"commerce.internal/orderctl/internal/inspect"
	"commerce.internal/orderctl/internal/out"
)

// shownExceptions is how many are named in a line for eyes; jsonl names all.
const shownExceptions = 3

// auditLines is a report whose jsonl form is one line of figures, and one line for each exception.
type auditLines struct{ *inspect.AuditReport }

// Lines implements out.Liner.
func (a auditLines) Lines() []any {
	type figures struct {
		*inspect.AuditReport
		Exceptions []inspect.Exception `json:"exceptions,omitempty"` // they have lines of their own
	}
	type exception struct {
		Schema string `json:"schema"`
		inspect.Exception
	}
	lines := []any{figures{AuditReport: a.AuditReport}}
	for _, e := range a.Exceptions {
		lines = append(lines, exception{"orderctl.audit.exception/v1", e})
	}
	return lines
}

// printAudit prints the balance: for eyes a line a figure, for programs one document or one row.
func (s *session) printAudit(r *inspect.AuditReport) error {
	switch out.Format(s.global.format) {
	case out.FormatTable:
		s.balance(r, shownExceptions)
		return nil
	case out.FormatWide:
		s.balance(r, len(r.Exceptions))
		return nil
	}
	return s.print(auditTable(r), auditLines{r})
}

// balance is the page for eyes.
func (s *session) balance(r *inspect.AuditReport, most int) {
	verdict := string(r.Verdict)
	if r.Verdict == inspect.Sampled {
		verdict = fmt.Sprintf("nothing wrong in one order of %s", digits(int64(r.Sample)))
	}
	since := "all that the log has"
	if r.Since != nil {
		since = "since " + stamp(*r.Since)
	}
	s.pageLine(fmt.Sprintf("audit %s -> %s  ", r.Topic, r.Group), verdict, auditStyle(r.Verdict),
		fmt.Sprintf("  %s, as of %s, %d of %d partitions", since, r.AsOf.Format("15:04:05Z"), r.PartitionsRead, r.PartitionsTotal), "  ")
	figure := func(label string, n int64, text string) {
		s.pageLine("", label, out.Plain, strings.TrimRight(fmt.Sprintf(" %*s   %s", 19-len(label), digits(n), text), " "), auditIndent)
	}
	// What must be 0.
	wrong := func(label string, n int64, text string) {
		style := out.Plain
		if n > 0 {
			style = out.Bad
		}
		s.pageLine(label+strings.Repeat(" ", max(20-len(label)-len(digits(n)), 1)), digits(n), style, "   "+text, auditIndent)
	}
	figure("accepted", r.Accepted, fmt.Sprintf("%s records, %s duplicates", digits(r.Records), digits(r.Duplicates)))
	figure("applied", r.Applied, withoutEffect(r))
	figure("dead", r.Dead, fmt.Sprintf("%s undecided, %s discarded", digits(r.Undecided), digits(r.Discarded)))
	figure("in work", r.InWork, fmt.Sprintf("%s waiting, %s retrying or parked", digits(r.Waiting), digits(r.Retrying)))
	wrong("missing", r.Missing, named(r, inspect.Missing, most, "read by the group, and in no row"))
	wrong("no letter", r.NoLetter, named(r, inspect.NoLetter, most, "dead in the database, not in the dead-letter topic"))
	wrong("lost", r.Lost, named(r, inspect.Lost, most, "deleted by retention before the group read them"))
	if r.NotOnTopic != nil {
		wrong("not on topic", *r.NotOnTopic, named(r, inspect.NotOnTopic, most, "named by --ids, and nowhere"))
	}
	if r.Unresolved > 0 {
		wrong("unresolved", r.Unresolved, "looked wrong, and could not be looked at again")
	}
	if len(r.Unread) > 0 {
		wrong("unread", int64(len(r.Unread)), "partitions: "+auditHoles(&inspect.AuditReport{Topic: r.Topic, Unread: r.Unread}))
	}
}

// auditIndent is where the text of a figure stands.
const auditIndent = "                       "

func auditStyle(v inspect.Verdict) out.Style {
	switch v {
	case inspect.Balanced:
		return out.Good
	case inspect.NotBalanced:
		return out.Bad
	default: // nothing is wrong in what was seen, and not all was
		return out.Warn
	}
}

func withoutEffect(r *inspect.AuditReport) string {
	var why []string
	if r.Stale > 0 {
		why = append(why, "stale")
	}
	if r.Skipped > 0 {
		why = append(why, "skipped")
	}
	if len(why) == 0 {
		return "0 without effect"
	}
	return fmt.Sprintf("%s without effect (%s)", digits(r.Stale+r.Skipped), strings.Join(why, ", "))
}

// named lists the exceptions of a kind; without one it says what that would be.
func named(r *inspect.AuditReport, kind inspect.ExceptionKind, most int, meaning string) string {
	var names []string
	more, next := 0, ""
	for _, e := range r.Exceptions {
		switch {
		case e.Kind != kind:
		case len(names) == most:
			more++
		default:
			names = append(names, exceptionName(e))
			if next == "" && e.OrderID != "" && kind != inspect.NotOnTopic {
				next = "   next: orderctl trace " + argument(e.OrderID)
			}
		}
	}
	if len(names) == 0 {
		return meaning
	}
	list := strings.Join(names, ", ")
	if more > 0 {
		list += fmt.Sprintf(" and %s more (-o jsonl names all)", digits(int64(more)))
	}
	return list + next
}

// argument is a word that whoever sent the order chose, as one that a shell and a command take for what it is.
func argument(s string) string {
	if strings.HasPrefix(s, "-") {
		return "-- " + quoted(s)
	}
	return quoted(s)
}

func exceptionName(e inspect.Exception) string {
	if e.Partition == nil {
		return e.OrderID
	}
	at := fmt.Sprintf("%s/%d@%d", e.Topic, *e.Partition, *e.Offset)
	if e.Kind == inspect.Lost {
		return fmt.Sprintf("%s on, %s records", at, digits(e.Count))
	}
	if e.OrderID == "" {
		return at
	}
	return at + " " + e.OrderID
}

// auditTable is the figures in one row.
func auditTable(r *inspect.AuditReport) out.Table {
	t := out.Table{Schema: inspect.AuditSchema, Columns: []out.Column{{Name: "VERDICT", JSON: "verdict"}}}
	row := []out.Cell{out.Text(string(r.Verdict))}
	notOnTopic := out.NA()
	if r.NotOnTopic != nil {
		notOnTopic = out.Int(*r.NotOnTopic)
	}
	for _, c := range []struct {
		name string
		cell out.Cell
	}{
		{"partitions_read", out.Int(int64(r.PartitionsRead))},
		{"partitions_total", out.Int(int64(r.PartitionsTotal))},
		{"records", out.Int(r.Records)},
		{"duplicates", out.Int(r.Duplicates)},
		{"accepted", out.Int(r.Accepted)},
		{"applied", out.Int(r.Applied)},
		{"stale", out.Int(r.Stale)},
		{"skipped", out.Int(r.Skipped)},
		{"dead", out.Int(r.Dead)},
		{"undecided", out.Int(r.Undecided)},
		{"discarded", out.Int(r.Discarded)},
		{"in_work", out.Int(r.InWork)},
		{"waiting", out.Int(r.Waiting)},
		{"retrying", out.Int(r.Retrying)},
		{"missing", out.Int(r.Missing)},
		{"no_letter", out.Int(r.NoLetter)},
		{"lost", out.Int(r.Lost)},
		{"not_on_topic", notOnTopic},
		{"unresolved", out.Int(r.Unresolved)},
	} {
		t.Columns = append(t.Columns, out.Column{Name: strings.ToUpper(c.name), JSON: c.name, Kind: out.KindInt})
		row = append(row, c.cell)
	}
	t.Rows = [][]out.Cell{row}
	return t
}
