package tui

import (
	"fmt"
	"strings"

	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/text"
)

// table draws the rows that are on the screen.
func (v *view) table() {
	s, sample := v.s, v.s.shown()
	rows, pinned := v.visible()
	all := 0
	if sample != nil {
		all = len(sample.Rows)
	}
	v.put(v.rule(v.tableTitle(all, len(rows))...), false)
	columns, widths := v.columns(), []int(nil)
	cells := make([][]piece, 0, len(rows)+len(pinned))
	list := append(rows, pinned...)
	for _, r := range list {
		cells = append(cells, v.cells(columns, r))
	}
	columns, widths = v.fitColumns(columns, cells)
	v.put(v.heading(columns, widths), false)
	for _, r := range list {
		l := v.rowLine(columns, widths, v.cells(columns, r), r)
		if r.Key == s.Cursor {
			l = l.fit(v.lay.W, v.g).as(chosen)
		}
		v.add(l)
	}
	left := v.lay.Table - len(list)
	if word := v.noRows(all, len(rows)); word != "" && left > 0 {
		v.add(say(faint, "   "+word))
		left--
	}
	for range left {
		v.add(nil)
	}
}

// noRows is what stands in the place of rows that are not there.
func (v *view) noRows(all, shown int) string {
	switch {
	case v.s.shown() == nil:
		return "no answer yet"
	case all == 0:
		return "no partitions"
	case shown == 0:
		return "no row passes the filter"
	default:
		return ""
	}
}

func (v *view) tableTitle(all, shown int) []string {
	s := v.s
	head := "Partitions " + digits(int64(all))
	if s.shown() == nil {
		head = "Partitions " + unknown
	}
	if shown > 0 && shown < len(s.Order) {
		head += fmt.Sprintf(", rows %d-%d", s.First+1, s.First+shown)
	}
	order := v.g.Down
	if s.Reverse {
		order = v.g.Up
	}
	filter := "none"
	if s.Filter.Text != "" {
		filter = fmt.Sprintf("%s (%d)", v.g.cut(v.g.foreign(s.Filter.Text), 24), len(s.Order))
	}
	if v.lay.Size == Narrow {
		return []string{head, strings.ToUpper(SortNames()[s.Sort]) + order}
	}
	list := []string{head, "sort " + strings.ToUpper(SortNames()[s.Sort]) + order, "filter: " + filter}
	if v.lay.Size == Wide {
		list = append(list, "range "+span(s.Range))
	}
	return list
}

// visible are the rows of partitions on the screen, and the pinned ones.
func (v *view) visible() (rows, pinned []Row) {
	sample := v.s.shown()
	if sample == nil {
		return nil, nil
	}
	page := v.lay.Table - v.lay.Pinned
	from := min(max(v.s.First, 0), len(v.s.Order))
	wanted := v.s.Order[from:min(from+page, len(v.s.Order))]
	at := make(map[Key]int, len(wanted))
	for i, k := range wanted {
		at[k] = i
	}
	found := make([]*Row, len(wanted))
	for i := range sample.Rows {
		if j, ok := at[sample.Rows[i].Key]; ok {
			found[j] = &sample.Rows[i]
		}
	}
	for _, r := range found {
		if r != nil {
			rows = append(rows, *r)
		}
	}
	return rows, sample.Pinned[:min(v.lay.Pinned, len(sample.Pinned))]
}

func (v *view) cells(columns []column, r Row) []piece {
	list := make([]piece, len(columns))
	for i, c := range columns {
		if c.cell != nil {
			list[i] = c.cell(v, r)
		}
	}
	return list
}

// fitColumns measures the columns and lets those leave for which there is no room.
func (v *view) fitColumns(columns []column, cells [][]piece) ([]column, []int) {
	const marker = 3
	between := len(v.columnGap())
	widths := make([]int, len(columns))
	for i, c := range columns {
		widths[i] = max(c.least, text.Width(c.name))
		for _, row := range cells {
			widths[i] = max(widths[i], text.Width(row[i].text))
		}
		if c.most > 0 {
			widths[i] = min(widths[i], c.most)
		}
	}
	need := func() int {
		n := marker - between
		for _, w := range widths {
			n += w + between
		}
		return n
	}
	for need() > v.lay.W {
		out := -1
		for i, c := range columns {
			if c.drop > 0 && (out < 0 || c.drop > columns[out].drop) {
				out = i
			}
		}
		if out < 0 {
			break
		}
		columns = append(append([]column(nil), columns[:out]...), columns[out+1:]...)
		widths = append(append([]int(nil), widths[:out]...), widths[out+1:]...)
	}
	for i, c := range columns {
		if c.name == trendName { // takes what is left, up to twice its least
			widths[i] += max(0, min(v.lay.W-need(), 2*c.least-widths[i]))
		}
	}
	if spare := need() - v.lay.W; spare > 0 { // the name has to give
		widths[0] = max(widths[0]-spare, min(widths[0], columns[0].least))
	}
	return columns, widths
}

// columnGap stands between columns.
func (v *view) columnGap() string {
	if v.lay.Size == Narrow {
		return " "
	}
	return "  "
}

func (v *view) heading(columns []column, widths []int) line {
	parts := make([]string, len(columns))
	for i, c := range columns {
		name := c.name
		if name == trendName {
			name += " " + span(v.s.Range)
		}
		if c.right {
			parts[i] = right(name, widths[i], v.g)
		} else {
			parts[i] = left(name, widths[i], v.g)
		}
	}
	return say(faint, "   "+strings.Join(parts, v.columnGap()))
}

func (v *view) rowLine(columns []column, widths []int, cells []piece, r Row) line {
	mark, warn := " ", piece{" ", plain}
	if r.Key == v.s.Cursor {
		mark = v.g.Cursor
	}
	if r.Role != queue.RoleDLQ && grade(r.Severity) > 0 {
		warn = piece{v.g.Warn, toneOf(r.Severity)}
	}
	l := line{{mark, plain}, warn, {" ", plain}}
	for i, c := range columns {
		p := cells[i]
		switch {
		case c.name == trendName:
			p = piece{left(sparkline(v.s.shownHistory().Unread(r.Key, v.s.edge(), v.s.Range, widths[i]), v.g), widths[i], v.g), faint}
		case c.name == "TOPIC":
			p.text = left(v.g.middle(p.text, widths[i]), widths[i], v.g)
		case c.right:
			p.text = right(p.text, widths[i], v.g)
		default:
			p.text = left(p.text, widths[i], v.g)
		}
		if i > 0 {
			l = append(l, piece{v.columnGap(), plain})
		}
		l = append(l, p)
	}
	return l
}
