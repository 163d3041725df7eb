package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"commerce.internal/orderctl/internal/dlq"
	"commerce.internal/orderctl/internal/out"
	"commerce.internal/orderctl/internal/text"
)

// printPlan shows a plan: the whole of it as JSON, else counts, differences and what comes next.
func (s *session) printPlan(p dlq.Plan, file string) error {
	if out.Format(s.global.format) == out.FormatJSON {
		return p.Write(s.stdout)
	}
	t := planRows(p)
	if out.Format(s.global.format) == out.FormatTable {
		t = planGroups(p)
	}
	if err := s.print(t, nil); err != nil {
		return err
	}
	if !wordsFor(s) {
		return nil
	}
	s.printChanges(p)
	replay, skip, warnings := p.Count()
	s.note("%d to replay, %d to skip%s", replay, skip, warned(warnings))
	if replay == 0 {
		return nil
	}
	if file != "" {
		s.note("next: orderctl dlq replay --plan %s --wait", text.Safe(file))
		return nil
	}
	s.note("next: the same with 'replay' for 'plan', or with --file plan.json to keep it")
	return nil
}

// printChanges shows what the edits of a plan change, the same change once.
func (s *session) printChanges(p dlq.Plan) {
	const shown = 20
	var order []dlq.Change
	letters := map[dlq.Change][]string{}
	for _, e := range p.Entries {
		if e.Edit == nil {
			continue
		}
		for _, c := range e.Edit.Changes {
			if letters[c] == nil {
				order = append(order, c)
			}
			letters[c] = append(letters[c], e.ID)
		}
	}
	for _, c := range order[:min(shown, len(order))] {
		who := letters[c][0]
		if n := len(letters[c]); n > 1 {
			who = fmt.Sprintf("%d letters", n)
		}
		s.line(fmt.Sprintf("%s  %s: %s -> %s", who, c.Pointer, orNone(c.Before), orNone(c.After)))
	}
	if len(order) > shown {
		s.note("and %d more changes; -o json or --file has them all", len(order)-shown)
	}
}

func orNone(v string) string {
	if v == "" {
		return "(none)"
	}
	return v
}

// warned is ": 3 done, 2 loop", the most frequent first; empty where nothing is warned of.
func warned(warnings map[dlq.Warning]int) string {
	names := slices.SortedFunc(maps.Keys(warnings), func(a, b dlq.Warning) int {
		if warnings[a] != warnings[b] {
			return warnings[b] - warnings[a]
		}
		return strings.Compare(string(a), string(b))
	})
	parts := make([]string, len(names))
	for i, n := range names {
		parts[i] = fmt.Sprintf("%d %s", warnings[n], n)
	}
	if len(parts) == 0 {
		return ""
	}
	return ": " + strings.Join(parts, ", ")
}

// planGroups are the letters of a plan by action and warnings, in the order of their first letters.
func planGroups(p dlq.Plan) out.Table {
	t := out.Table{Columns: []out.Column{
		{Name: "ACTION", JSON: "action"},
		{Name: "LETTERS", JSON: "letters", Kind: out.KindInt},
		{Name: "WARNINGS", JSON: "warnings"},
		{Name: "TO", JSON: "to"},
		{Name: "FIRST", JSON: "first", Flex: true},
	}}
	type group struct {
		action, warnings, to string
	}
	var order []group
	ids := map[group][]string{}
	for _, e := range p.Entries {
		g := group{action: actionOf(e), warnings: warningWords(e), to: e.Target}
		if i := strings.LastIndexByte(g.to, '/'); i > 0 {
			g.to = g.to[:i]
		}
		if ids[g] == nil {
			order = append(order, g)
		}
		ids[g] = append(ids[g], e.ID)
	}
	for _, g := range order {
		const shown = 4
		first := strings.Join(ids[g][:min(shown, len(ids[g]))], " ")
		if len(ids[g]) > shown {
			first += " ..."
		}
		t.Rows = append(t.Rows, []out.Cell{out.Text(g.action), out.Int(int64(len(ids[g]))), orNA(g.warnings), orUnknown(g.to), out.Text(first)})
	}
	return t
}

func actionOf(e dlq.PlanEntry) string {
	if e.Edit != nil {
		return string(e.Action) + " edited"
	}
	return string(e.Action)
}

func warningWords(e dlq.PlanEntry) string {
	words := make([]string, len(e.Warnings))
	for i, w := range e.Warnings {
		words[i] = string(w)
	}
	return strings.Join(words, " ")
}

// planRows are the letters of a plan, one a row.
func planRows(p dlq.Plan) out.Table {
	t := out.Table{Schema: "orderctl.dlq.plan.rows/v1", List: "entries", Columns: []out.Column{
		{Name: "ID", JSON: "id"},
		{Name: "ACTION", JSON: "action"},
		{Name: "CLASS", JSON: "class"},
		{Name: "CODE", JSON: "code", Drop: 2},
		{Name: "ORDER", JSON: "key"},
		{Name: "SEQ", JSON: "seq", Kind: out.KindInt, Wide: true},
		{Name: "REPLAYS", JSON: "replays", Kind: out.KindInt, Wide: true},
		{Name: "MSG-ID", JSON: "msg_id", Wide: true},
		{Name: "TARGET", JSON: "target", Drop: 1},
		{Name: "WARNINGS", JSON: "warnings", Flex: true},
	}}
	for _, e := range p.Entries {
		seq := out.Unknown()
		if e.Seq != nil {
			seq = out.Int(*e.Seq)
		}
		t.Rows = append(t.Rows, []out.Cell{
			out.Text(e.ID), out.Text(actionOf(e)), orUnknown(e.Class), orNA(e.Code), orNA(e.Key), seq, out.Int(int64(e.Replays)), orUnknown(e.MsgID),
			orUnknown(e.Target), orNA(warningWords(e)),
		})
	}
	return t
}
