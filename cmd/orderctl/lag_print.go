package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

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
func (l *lagRun) printLag(r lag.Report) error { return l.printTo(l.stdout, l.output(), r) }

func (l *lagRun) printTo(w io.Writer, o out.Options, r lag.Report) error {
	if l.o.summary {
		for _, g := range r.Groups {
			if _, err := io.WriteString(w, text.Safe(summary(g))+"\n"); err != nil {
				return err
			}
		}
		return nil
	}
	p := &lagPrinter{w: w, out: o, o: l.o, program: o.Format != out.FormatTable && o.Format != out.FormatWide, height: l.env.lines(), configured: l.cfg.Consume.Group}
	r = l.o.shape(r)
	switch {
	case !p.program && l.o.by != "group":
	case l.o.by != "partition":
		return out.Print(w, o, p.by(r.Groups), lagLines{r})
	default:
		var rows []lagRow
		for _, g := range r.Groups {
			rows = append(rows, rowsOf(g, g.Partitions)...)
		}
		return out.Print(w, o, p.table(rows, true), lagLines{r})
	}
	for i, g := range r.Groups {
		if i > 0 {
			p.line("")
		}
		if err := p.group(r, g); err != nil {
			return err
		}
	}
	for _, b := range r.SilentBrokers {
		p.line(fmt.Sprintf("broker %d did not answer, its groups are missing", b))
	}
	return p.err
}

// shape leaves out the rows that were not asked for, and sorts the others. Totals stay.
func (o lagOptions) shape(r lag.Report) lag.Report {
	groups := make([]lag.Group, len(r.Groups))
	for i, g := range r.Groups {
		rows := slices.DeleteFunc(slices.Clone(g.Partitions), func(row lag.Row) bool {
			return row.Unread.Known && row.Unread.V < o.minUnread || o.minAge > 0 && row.Oldest.Known && secondsOf(row.Oldest.V) < o.minAge
		})
		slices.SortStableFunc(rows, o.order())
		if rows == nil {
			rows = []lag.Row{}
		}
		g.Partitions = rows
		groups[i] = g
	}
	r.Groups = groups
	return r
}

// order is how rows are sorted; the rest of it is that of the verdict.
func (o lagOptions) order() func(a, b lag.Row) int {
	unknownFirst := func(a, b bool) int {
		switch {
		case a == b:
			return 0
		case a:
			return 1
		}
		return -1
	}
	switch o.sort {
	case "unread":
		return func(a, b lag.Row) int {
			return cmp.Or(unknownFirst(a.Unread.Known, b.Unread.Known), cmp.Compare(b.Unread.V, a.Unread.V))
		}
	case "oldest":
		return func(a, b lag.Row) int {
			return cmp.Or(unknownFirst(a.Oldest.Known, b.Oldest.Known), cmp.Compare(b.Oldest.V, a.Oldest.V))
		}
	case "partition":
		return func(a, b lag.Row) int {
			return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
		}
	}
	return lag.BySeverity
}

// lagPrinter prints the blocks of a report. The first error of a write is kept.
type lagPrinter struct {
	w       io.Writer
	out     out.Options
	o       lagOptions
	program bool // csv: plain numbers
	height  int  // of the terminal

	configured string // group
	err        error
}

// line writes one line, escaped. A line that is redrawn must not wrap.
func (p *lagPrinter) line(l string) {
	l = text.Safe(l)
	if p.o.watch > 0 && p.out.Terminal {
		l = text.Truncate(l, p.out.Width)
	}
	if _, err := io.WriteString(p.w, l+"\n"); p.err == nil {
		p.err = err
	}
}

// wrap writes a line, on a terminal too narrow for it broken where sep stands.
func (p *lagPrinter) wrap(l, sep, indent string) {
	if !p.out.Terminal {
		p.line(l)
		return
	}
	for _, line := range breakLine(text.Safe(l), sep, indent, p.out.Width) {
		p.line(line)
	}
}

func (p *lagPrinter) group(r lag.Report, g lag.Group) error {
	p.wrap(p.headline(g), ", ", "  ")
	p.wrap(subline(r, g), "; ", "  ")
	p.line("")
	rows, hidden := p.shown(g.Partitions)
	t := p.table(rowsOf(g, rows), false)
	if p.o.by != "partition" {
		t, hidden = p.by([]lag.Group{g}), nil
	}
	if err := out.Print(p.w, p.out, t, nil); err != nil {
		return err
	}
	if len(hidden) > 0 {
		word := "more"
		if !slices.ContainsFunc(hidden, func(r lag.Row) bool { return r.Status != lag.OK }) {
			word = "more OK"
		}
		p.line(fmt.Sprintf("  %d %s (--all)", len(hidden), word))
	}
	if len(g.Delayed)+len(g.DeadLetters) > 0 {
		p.line("")
		if err := out.Print(p.w, p.out, p.side(g), nil); err != nil {
			return err
		}
	}
	p.advice(g)
	return p.err
}

// advice says why, and what to look at next.
func (p *lagPrinter) advice(g lag.Group) {
	a := g.Advise(p.configured)
	if len(a.Why)+len(a.Next) == 0 {
		return
	}
	p.line("")
	for i, why := range a.Why {
		head := "why   "
		if i > 0 {
			head = "      "
		}
		p.wrap(head+why, " ", "        ")
	}
	next := make([]string, 0, len(a.Next))
	for _, n := range a.Next {
		next = append(next, "orderctl "+n)
	}
	if len(next) > 0 {
		p.wrap("next  "+strings.Join(next, "     "), "     ", "      ")
	}
}

// fewRows are shown on a terminal even where all of them are fine.
const fewRows = 12

// shown leaves out the rows that say nothing: those of tiers that are as they should be, for the second table sums them up,
// and, on a terminal, source partitions that are OK where there are many.
func (p *lagPrinter) shown(rows []lag.Row) (shown, hidden []lag.Row) {
	if p.o.all {
		return rows, nil
	}
	sources := 0
	for _, r := range rows {
		if r.Role == queue.RoleSource {
			sources++
		}
	}
	most := len(rows)
	if p.o.watch > 0 && p.out.Terminal {
		most = max(p.height-fewRows, 3) // head, tiers and advice stay on the screen
	}
	for _, r := range rows {
		quietTier := r.Role != queue.RoleSource && r.Severity < lag.SevWarning
		if quietTier || p.out.Terminal && sources > fewRows && r.Status == lag.OK || len(shown) == most {
			hidden = append(hidden, r)
			continue
		}
		shown = append(shown, r)
	}
	return shown, hidden
}

// line writes one line to stdout, escaped. An error shows at the end of the command.
func (s *session) line(l string) { _, _ = s.stdout.Write([]byte(text.Safe(l) + "\n")) }
