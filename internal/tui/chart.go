package tui

import (
	"math"
	"strings"
)

// niceTop is the top of an axis: the smallest of 1 2 2.5 4 5 8 times a power of ten that leaves some room.
func niceTop(most float64) float64 {
	if math.IsNaN(most) || most <= 0 {
		return 1
	}
	need := 1.05 * most
	for unit := math.Pow(10, math.Floor(math.Log10(need))); ; unit *= 10 {
		for _, m := range [...]float64{1, 2, 2.5, 4, 5, 8} {
			if top := m * unit; top > need || math.IsInf(unit, 1) {
				return top
			}
		}
	}
}

// scale is the top of an axis that grows at once and shrinks only when there was little to show for a while.
type scale struct {
	top float64
	low int // samples in a row under 40 % of top
}

const (
	shrinkUnder = 0.4
	shrinkAfter = 10
)

func (s scale) fit(most float64) scale {
	switch want := niceTop(most); {
	case s.top == 0 || want > s.top:
		return scale{top: want}
	case !(most < shrinkUnder*s.top) || want == s.top:
		return scale{top: s.top}
	case s.low+1 >= shrinkAfter:
		return scale{top: want}
	default:
		return scale{top: s.top, low: s.low + 1}
	}
}

func maximum(lists ...[]float64) float64 {
	most := math.NaN()
	for _, list := range lists {
		for _, v := range list {
			if !math.IsNaN(v) && (math.IsNaN(most) || v > most) {
				most = v
			}
		}
	}
	return most
}

// plot is the drawing area of a chart: cells of 2 x 4 dots. A second series is dashed.
type plot struct {
	cols, rows int
	dots       []byte // by cell, as braille counts its dots
	owner      []byte // by cell: 1 the first series, 2 the second alone
}

func newPlot(cols, rows int) *plot {
	return &plot{cols: cols, rows: rows, dots: make([]byte, cols*rows), owner: make([]byte, cols*rows)}
}

// height is where a value lies, counted in dots from the top: 0 and top lie in the middle of the last and the first row,
// where the ticks of the axis are.
func (p *plot) height(v, top float64) int {
	if p.rows < 2 || top <= 0 {
		return 4*p.rows - 2
	}
	at := 1.5 + (1-min(max(v/top, 0), 1))*4*float64(p.rows-1)
	return int(math.Round(at))
}

// line draws a series of two values a cell. A gap breaks it.
func (p *plot) line(values []float64, top float64, second bool) {
	before := -1
	for x, v := range values {
		if math.IsNaN(v) {
			before = -1
			continue
		}
		y := p.height(v, top)
		from, to := y, y
		if before >= 0 && before < y {
			from = min(before+1, y)
		} else if before > y {
			to = max(before-1, y)
		}
		before = y
		if second && x%6 > 2 { // three dots on, three off
			continue
		}
		for at := from; at <= to; at++ {
			p.dot(x, at, second)
		}
	}
}

func (p *plot) dot(x, y int, second bool) {
	col, row := x/2, y/4
	if col >= p.cols || row >= p.rows || row < 0 {
		return
	}
	left, right := [4]byte{0x01, 0x02, 0x04, 0x40}, [4]byte{0x08, 0x10, 0x20, 0x80}
	bit := left[y%4]
	if x%2 == 1 {
		bit = right[y%4]
	}
	i := row*p.cols + col
	p.dots[i] |= bit
	switch {
	case !second:
		p.owner[i] = 1
	case p.owner[i] == 0:
		p.owner[i] = 2
	}
}

// cell is what one cell shows, and whose it is.
func (p *plot) cell(col, row int) (string, byte) {
	i := row*p.cols + col
	if p.dots[i] == 0 {
		return " ", 0
	}
	return string(0x2800 + rune(p.dots[i])), p.owner[i]
}

// rough draws the series with characters: how high in its row the first one is, and o for the second.
func rough(cols, rows int, top float64, first, second []float64, levels []string) [][]string {
	grid := make([][]string, rows)
	for r := range grid {
		grid[r] = strings.Split(strings.Repeat(" ", cols), "")
	}
	put := func(values []float64, glyph func(part float64) string) {
		for c := range min(cols, len(values)/2) {
			v := maximum(values[2*c : 2*c+2])
			if math.IsNaN(v) || rows < 1 {
				continue
			}
			at := (1 - min(max(v/top, 0), 1)) * float64(max(rows-1, 0))
			r := min(int(math.Round(at)), rows-1)
			grid[r][c] = glyph(float64(r) + 0.5 - at)
		}
	}
	put(second, func(float64) string { return "o" })
	put(first, func(part float64) string { return levels[1+min(int(max(part, 0)*7), 6)] })
	return grid
}

// divisions is into how many equal parts an axis of so many rows is divided, so that each mark is in the middle of a row.
func divisions(rows int) int {
	for _, d := range [...]int{5, 4, 3, 2} {
		if rows > d && (rows-1)%d == 0 {
			return d
		}
	}
	return 1
}
