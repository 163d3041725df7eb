package out

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"

	"commerce.internal/orderctl/internal/text"
)

const gap = "  " // between columns

// column is a column that is being laid out: its texts, header first where there is one.
type column struct {
	Column
	cells  []string
	widths []int // of the cells
	styles []Style
	width  int // of the widest
}

// text prints the table for table and wide.
func (t Table) text(b *bytes.Buffer, o Options) error {
	columns := t.columns(o)
	if o.Terminal {
		width := o.Width
		if width <= 0 {
			width = 80
		}
		columns = fit(columns, width)
	}
	if len(columns) == 0 || len(columns[0].cells) == 0 {
		return nil
	}
	lines, err := layout(columns)
	if err != nil {
		return err
	}
	for i, line := range lines {
		fill(b, line, columns, i, o.Color)
		b.WriteByte('\n')
	}
	return nil
}

func (t Table) columns(o Options) []column {
	var columns []column
	for i, c := range t.Columns {
		if c.Wide && o.Format != FormatWide {
			continue
		}
		rows := len(t.Rows) + 1
		col := column{Column: c, cells: make([]string, 0, rows), styles: make([]Style, 0, rows)}
		if !o.NoHeader {
			col.cells, col.styles = append(col.cells, c.Name), append(col.styles, Bold)
		}
		for _, row := range t.Rows {
			col.cells = append(col.cells, row[i].show(o))
			col.styles = append(col.styles, row[i].style)
		}
		col.measure()
		columns = append(columns, col)
	}
	return columns
}

func (c *column) measure() {
	c.width, c.widths = 0, make([]int, len(c.cells))
	for i, s := range c.cells {
		c.widths[i] = text.Width(s)
		c.width = max(c.width, c.widths[i])
	}
}

// cut shortens every cell of the column to at most width cells.
func (c *column) cut(width int) {
	for i, s := range c.cells {
		c.cells[i] = text.Truncate(s, width)
	}
	c.measure()
}

func total(columns []column) int {
	n := len(gap) * (len(columns) - 1)
	for _, c := range columns {
		n += c.width
	}
	return n
}

const readable = 16 // free text shorter than this tells nothing, so columns leave first

// fit makes the table as wide as the terminal at most: columns leave in their order until free text can stay readable,
// then free text is cut to the room there is, and last the widest columns are cut.
func fit(columns []column, width int) []column {
	for needed(columns) > width {
		i := nextToLeave(columns)
		if i < 0 {
			break
		}
		columns = append(columns[:i:i], columns[i+1:]...)
	}
	for i := range columns {
		if over := total(columns) - width; columns[i].Flex && over > 0 {
			columns[i].cut(max(columns[i].width-over, 1))
		}
	}
	for over := total(columns) - width; over > 0; over = total(columns) - width {
		widest, next := widest(columns)
		if columns[widest].width <= 1 {
			break
		}
		columns[widest].cut(max(columns[widest].width-over, min(next, columns[widest].width-1), 1))
	}
	return columns
}

// widest returns the widest column, and the width of the one that comes next.
func widest(columns []column) (index, next int) {
	for i, c := range columns {
		if c.width > columns[index].width {
			index = i
		}
	}
	for i, c := range columns {
		if i != index {
			next = max(next, c.width)
		}
	}
	return index, next
}

// needed is the width of the table with its free text cut as far as one can still read it.
func needed(columns []column) int {
	n := total(columns)
	for _, c := range columns {
		if c.Flex {
			n -= max(c.width-readable, 0)
		}
	}
	return n
}

func nextToLeave(columns []column) int {
	next := -1
	for i, c := range columns {
		if c.Drop > 0 && (next < 0 || c.Drop < columns[next].Drop) {
			next = i
		}
	}
	return next
}

// layout lets tablewriter pad and align. It is given a stand-in of the right width for each cell: so its own ideas of
// the width of a character, of wrapping, trimming and headings never meet the real text. Rows whose cells are as wide as
// those of a row before look the same to it, so it is shown each kind once: of thousands of rows that leaves dozens.
func layout(columns []column) ([]string, error) {
	var b bytes.Buffer
	table := newTable(&b, columns)
	rows := len(columns[0].cells)
	kinds, kindOf := map[string]int{}, make([]int, rows)
	var key []byte
	for r := range rows {
		key = key[:0]
		for _, c := range columns {
			key = binary.AppendUvarint(key, uint64(c.widths[r])) //nolint:gosec // a width is never negative
		}
		kind, seen := kinds[string(key)]
		if !seen {
			kind = len(kinds)
			kinds[string(key)] = kind
			if err := table.Append(standIns(columns, r)); err != nil {
				return nil, fmt.Errorf("lay out table: %w", err)
			}
		}
		kindOf[r] = kind
	}
	if err := table.Render(); err != nil {
		return nil, fmt.Errorf("lay out table: %w", err)
	}
	laid := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	if len(laid) != len(kinds) {
		return nil, fmt.Errorf("lay out table: %d lines for %d kinds of row", len(laid), len(kinds))
	}
	lines := make([]string, rows)
	for r, kind := range kindOf {
		lines[r] = laid[kind]
	}
	return lines, nil
}

// standIns is a fresh slice each time: tablewriter keeps it.
func standIns(columns []column, r int) []string {
	cells := make([]string, len(columns))
	for i, c := range columns {
		cells[i] = strings.Repeat("x", c.widths[r])
	}
	return cells
}

func newTable(w io.Writer, columns []column) *tablewriter.Table {
	align := make([]tw.Align, len(columns))
	for i, c := range columns {
		align[i] = tw.AlignLeft
		if c.right() {
			align[i] = tw.AlignRight
		}
	}
	section := tw.CellConfig{
		Formatting: tw.CellFormatting{AutoWrap: tw.WrapNone, AutoFormat: tw.Off},
		Alignment:  tw.CellAlignment{PerColumn: align},
		Padding:    tw.CellPadding{Global: tw.Padding{Right: gap, Overwrite: true}},
	}
	return tablewriter.NewTable(w,
		tablewriter.WithRenderer(renderer.NewBlueprint(tw.Rendition{
			Borders: tw.BorderNone, Symbols: tw.NewSymbols(tw.StyleNone),
			Settings: tw.Settings{Lines: tw.LinesNone, Separators: tw.SeparatorsNone},
		})),
		tablewriter.WithConfig(tablewriter.Config{
			Header: section, Row: section,
			Behavior: tw.Behavior{TrimSpace: tw.Off, TrimTab: tw.Off, TrimLine: tw.Off, AutoHide: tw.Off},
		}),
		tablewriter.WithEastAsian(tw.Off),
	)
}

func (c column) right() bool { return c.Kind != KindText && c.Kind != KindTime && c.Kind != KindBool }

// fill writes row r: its line with the real texts in the place of their stand-ins, coloured, without blanks at its end.
func fill(b *bytes.Buffer, line string, columns []column, r int, color bool) {
	begin, at := b.Len(), 0
	for _, c := range columns {
		start := at
		if c.right() {
			start += c.width - c.widths[r]
		}
		b.WriteString(line[at:min(start, len(line))])
		b.WriteString(Paint(c.cells[r], c.styles[r], color))
		end := min(start+c.widths[r], len(line))
		at = min(at+c.width+len(gap), len(line))
		b.WriteString(line[min(end, at):at])
	}
	b.Truncate(begin + len(bytes.TrimRight(b.Bytes()[begin:], " ")))
}
