package tui

import (
	"math"
	"strings"
	"time"

	"commerce.internal/orderctl/internal/text"
)

const axisWidth = 6 // of the figures at the left of a chart, and the line that they stand at

// graph is one chart with its title and axes.
type graph struct {
	title         line
	first, second []float64
	top           float64
}

// charts draws orders per second and, where there is room, the backlog beside it.
func (v *view) charts() {
	if v.lay.Chart == 0 {
		return
	}
	s, h := v.s, v.s.shownHistory()
	width := v.lay.W - 1
	if v.lay.Two {
		width = v.lay.W/2 - 1
	}
	dots := 2 * (width - axisWidth)
	flow := graph{
		title: say(title, " Orders per second   ", first, v.g.First+" in   ", second, v.g.Second+" out"),
		first: h.Total(seriesIn, s.edge(), s.Range, dots), second: h.Total(seriesOut, s.edge(), s.Range, dots), top: s.Scales[0].top,
	}
	lines := v.draw(flow, width)
	if v.lay.Two {
		backlog := graph{title: say(title, "Unread"), first: h.Total(seriesUnread, s.edge(), s.Range, dots), top: s.Scales[1].top}
		for i, l := range v.draw(backlog, v.lay.W-width-3) {
			lines[i] = append(append(lines[i], piece{"   ", plain}), l...)
		}
	}
	for _, l := range lines {
		v.add(l)
	}
}

// draw draws a chart in so many cells: a title, the drawing, the axis and its ends.
func (v *view) draw(c graph, width int) []line {
	cols, rows := width-axisWidth, v.lay.Chart
	if most := maximum(c.first, c.second); c.top <= 0 || most > c.top {
		c.top = niceTop(most)
	}
	lines := []line{between(c.title, say(faint, span(v.s.Range)), width, v.g)}
	body, blank := v.body(c, cols, rows), math.IsNaN(maximum(c.first, c.second))
	parts := divisions(rows)
	for r := range rows {
		label, bar := "", v.g.Bar
		if r%((rows-1)/parts) == 0 {
			label, bar = short(c.top*float64(rows-1-r)/float64(rows-1)), v.g.Tick
			if blank && r < rows-1 {
				label = "" // nothing was seen: there is no scale
			}
		}
		l := say(faint, right(label, axisWidth-1, v.g)+bar)
		lines = append(lines, append(l, body[r]...).fit(width, v.g))
	}
	return append(lines, v.axis(cols).fit(width, v.g), v.ends(cols).fit(width, v.g))
}

func (v *view) body(c graph, cols, rows int) []line {
	lines := make([]line, rows)
	if !v.g.Braille {
		for r, row := range rough(cols, rows, c.top, c.first, c.second, v.g.Levels) {
			for _, cell := range row {
				as := first
				if cell == v.g.Second {
					as = second
				}
				lines[r] = lines[r].append(cell, as)
			}
		}
		return lines
	}
	p := newPlot(cols, rows)
	p.line(c.second, c.top, true)
	p.line(c.first, c.top, false)
	for r := range rows {
		for col := range cols {
			cell, owner := p.cell(col, r)
			lines[r] = lines[r].append(cell, [...]tone{plain, first, second}[owner])
		}
	}
	return lines
}

// append adds text; what has the tone of the last piece joins it.
func (l line) append(s string, as tone) line {
	if n := len(l); n > 0 && (l[n-1].tone == as || strings.TrimSpace(s) == "") {
		l[n-1].text += s
		return l
	}
	return append(l, piece{s, as})
}

func (v *view) axis(cols int) line {
	const parts = 5
	var b strings.Builder
	b.WriteString(strings.Repeat(" ", axisWidth-1) + v.g.Corner)
	for c := range cols {
		if c > 0 && c%max(cols/parts, 1) == 0 && c < cols-2 {
			b.WriteString(v.g.Tee)
			continue
		}
		b.WriteString(v.g.Rule)
	}
	return say(faint, b.String())
}

func (v *view) ends(cols int) line {
	from, till := "-"+span(v.s.Range), "now"
	if v.s.Paused != nil {
		till = v.clockText(v.s.Paused.At, false)
	}
	gap := max(cols-text.Width(from)-text.Width(till), 1)
	return say(faint, strings.Repeat(" ", axisWidth)+from+strings.Repeat(" ", gap)+till)
}

// seconds is a length of time in seconds, as figures of the report are.
func seconds(d time.Duration) float64 { return math.Round(d.Seconds()*1000) / 1000 }
