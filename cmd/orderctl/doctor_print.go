package main

import (
	"strings"

	"commerce.internal/orderctl/internal/out"
	"commerce.internal/orderctl/internal/setup"
	"commerce.internal/orderctl/internal/text"
)

// doctorDoc is the JSON of a diagnosis, orderctl.doctor/v1.
type doctorDoc struct {
	Schema   string        `json:"schema"`
	Cluster  *string       `json:"cluster"` // null: the configuration does not load
	Status   setup.Level   `json:"status"`  // the worst
	ExitCode int           `json:"exit_code"`
	Checks   []doctorCheck `json:"checks"`
}

type doctorCheck struct {
	Check   string      `json:"check"`
	Status  setup.Level `json:"status"`
	Finding string      `json:"finding"`
	Fix     *string     `json:"fix"` // null: there is nothing to do
}

// Lines implements out.Liner.
func (d doctorDoc) Lines() []any {
	type line struct {
		Schema string `json:"schema"`
		doctorCheck
	}
	lines := make([]any, len(d.Checks))
	for i, c := range d.Checks {
		lines[i] = line{"orderctl.doctor.check/v1", c}
	}
	return lines
}

// printDoctor prints a diagnosis and ends with its code. The lines have said it, so the error says nothing more.
func (a *app) printDoctor(d setup.Diagnosis, cluster string, strict bool) error {
	code := d.ExitCode(strict)
	doc := doctorDoc{Schema: "orderctl.doctor/v1", Status: d.Worst(), ExitCode: code, Checks: []doctorCheck{}}
	if cluster != "" {
		doc.Cluster = &cluster
	}
	for _, f := range d.Findings {
		c := doctorCheck{Check: f.Check, Status: f.Level, Finding: f.Text}
		if f.Fix != "" {
			c.Fix = &f.Fix
		}
		doc.Checks = append(doc.Checks, c)
	}
	o, t := a.output(), doctorTable(d)
	if o.Format == out.FormatTable || o.Format == out.FormatWide {
		t = doctorLines(d, o)
		o.NoHeader, o.Width = true, len(t.Rows)*1<<12 // findings are folded, and a fix stays whole to be copied
	}
	if err := out.Print(a.stdout, o, t, doc); err != nil {
		return err
	}
	if code != exitOK {
		return exitWith(code, "", "")
	}
	return nil
}

func doctorTable(d setup.Diagnosis) out.Table {
	t := out.Table{Schema: "orderctl.doctor/v1", List: "checks", Columns: []out.Column{
		{Name: "STATUS", JSON: "status"}, {Name: "CHECK", JSON: "check"}, {Name: "FINDING", JSON: "finding"}, {Name: "FIX", JSON: "fix"},
	}}
	for _, f := range d.Findings {
		t.Rows = append(t.Rows, []out.Cell{out.Text(string(f.Level)), out.Text(f.Check), out.Text(f.Text), orNA(f.Fix)})
	}
	return t
}

// doctorLines are the lines for eyes: level, check, finding, and below it the fix.
func doctorLines(d setup.Diagnosis, o out.Options) out.Table {
	t := out.Table{Columns: []out.Column{{Name: "STATUS"}, {Name: "CHECK"}, {Name: "FINDING"}}}
	room := 1 << 20
	if o.Terminal {
		names := 0
		for _, f := range d.Findings {
			names = max(names, text.Width(text.Safe(f.Check)))
		}
		room = max(24, max(o.Width, 40)-len("FAIL    ")-names)
	}
	styles := map[setup.Level]out.Style{setup.LevelOK: out.Good, setup.LevelWarn: out.Warn, setup.LevelFail: out.Bad, setup.LevelSkip: out.Dim}
	for _, f := range d.Findings {
		level, name := out.Text(string(f.Level)).With(styles[f.Level]), out.Text(f.Check)
		for _, line := range fold(text.Safe(f.Text), room) {
			t.Rows = append(t.Rows, []out.Cell{level, name, out.Text(line)})
			level, name = out.Text(""), out.Text("")
		}
		if f.Fix != "" {
			t.Rows = append(t.Rows, []out.Cell{out.Text(""), out.Text(""), out.Text("fix: " + f.Fix)})
		}
	}
	return t
}

// fold breaks a line between words, by cells.
func fold(s string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(s) {
		if line != "" && text.Width(line)+1+text.Width(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
