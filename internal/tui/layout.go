package tui

// Size is how much there is room for.
type Size int

// The sizes.
const (
	TooSmall Size = iota
	Narrow
	Normal
	Wide
)

const (
	minWidth, minHeight       = 40, 10
	normalWidth, normalHeight = 72, 20
	wideWidth, wideHeight     = 110, 30
	leastRows                 = 3
)

// Layout says how many lines each part of a frame gets. A part with 0 is left out; titles and axes come on top.
type Layout struct {
	Size   Size
	W, H   int
	Header int
	Chart  int  // rows of the drawing
	Two    bool // a second chart beside it
	Table  int  // rows below the heading, the pinned ones among them
	Pinned int  // rows of tiers and dead letters at the end of the table
	Retry  int  // lines about tiers and dead letters where they are no rows
	Events int  // lines of dead letters and events, side by side
	Detail int  // lines about the row of the cursor
	Dead   int  // lines of the view of dead letters
	Help   int
	Empty  int // lines that nothing needs
}

// Plan divides a frame. When there is little room it gives up the detail first, then events, the lines about tiers, the
// third line of the header, the chart; the table keeps three rows, and what is wrong and the keys always stay.
func Plan(w, h int, s State) Layout {
	lay := Layout{W: w, H: h, Size: sizeOf(w, h)}
	if lay.Size == TooSmall {
		return lay
	}
	lay.Header = 2
	rest := h - lay.Header - 1 // the last line
	switch {
	case s.Help:
		lay.Help = rest
		return lay
	case s.View == DeadLetters:
		lay.Header, lay.Dead = 3, rest-1
		return lay
	}
	pinned := 0
	if sample := s.shown(); sample != nil && (lay.Size == Wide || s.View == Partitions && lay.Size == Normal) {
		pinned = min(len(sample.Pinned), 8)
	}
	rest -= 2 // title and heading of the table
	take := func(lines int) bool {
		if rest-lines < min(leastRows+pinned, rest) {
			return false
		}
		rest -= lines
		return true
	}
	if lay.Size == Narrow {
		lay.fill(s, rest, pinned, take)
		return lay
	}
	detail := 4
	if s.Detail && take(1+detail) { // it was asked for: it comes first
		lay.Detail = detail
	}
	if s.View == Overview {
		if rows := chartRows(lay.Size, h); take(rows + 3) {
			lay.Chart, lay.Two = rows, lay.Size == Wide
		}
	}
	if take(1) {
		lay.Header = 3
	}
	if s.View == Overview && lay.Size == Normal && take(3) {
		lay.Retry = 2
	}
	if s.View == Overview && lay.Size == Wide && take(5) {
		lay.Events = 4
	}
	if lay.Size == Wide && lay.Detail == 0 && take(1+detail) {
		lay.Detail = detail
	}
	lay.fill(s, rest, pinned, take)
	return lay
}

// fill gives the table what is left, as far as it has rows; the events may have the rest.
func (l *Layout) fill(s State, rest, pinned int, take func(int) bool) {
	if l.Size == Narrow && s.Detail && take(3) {
		l.Detail = 2
		rest -= 3
	}
	l.Pinned = min(pinned, max(rest-leastRows, 0))
	l.Table = max(min(rest, len(s.Order)+l.Pinned), min(rest, leastRows+l.Pinned))
	spare := rest - l.Table
	if l.Events > 0 {
		l.Events += spare
		spare = 0
	}
	l.Empty = spare
}

func sizeOf(w, h int) Size {
	switch {
	case w >= wideWidth && h >= wideHeight:
		return Wide
	case w >= normalWidth && h >= normalHeight:
		return Normal
	case w >= minWidth && h >= minHeight:
		return Narrow
	default:
		return TooSmall
	}
}

// chartRows are such that the marks of the axis fall on rows.
func chartRows(size Size, h int) int {
	switch {
	case size == Wide && h >= 40:
		return 9
	case h >= 24:
		return 6
	default:
		return 4
	}
}
