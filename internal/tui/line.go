package tui

import (
	"strings"

	"commerce.internal/orderctl/internal/text"
)

// piece is some text of one tone.
type piece struct {
	text string
	tone tone
}

// line is one row of a frame.
type line []piece

// say makes a line of alternating tones and texts easy to read: say(faint, "Unread ", strong, "12").
func say(parts ...any) line {
	var l line
	as := plain
	for _, p := range parts {
		switch p := p.(type) {
		case tone:
			as = p
		case string:
			l = append(l, piece{p, as})
		case line:
			l = append(l, p...)
		}
	}
	return l
}

func (l line) width() int {
	n := 0
	for _, p := range l {
		n += text.Width(p.text)
	}
	return n
}

// fit cuts or pads a line to exactly so many cells.
func (l line) fit(cells int, g Glyphs) line {
	if w := l.width(); w <= cells {
		return append(l[:len(l):len(l)], piece{strings.Repeat(" ", cells-w), plain})
	}
	var out line
	room := cells - 1 // the last cell shows that something is missing
	for _, p := range l {
		if w := text.Width(p.text); w <= room {
			out, room = append(out, p), room-w
			continue
		}
		p.text = g.cut(p.text+" ", room+1)
		out, room = append(out, p), room+1-text.Width(p.text)
		break
	}
	return append(out, piece{strings.Repeat(" ", max(room, 0)), plain})
}

// between puts right at the end of a line of so many cells.
func between(left, right line, cells int, g Glyphs) line {
	gap := cells - left.width() - right.width()
	if gap < 1 {
		return append(left.fit(max(cells-right.width()-1, 0), g), append(line{{" ", plain}}, right...)...).fit(cells, g)
	}
	return append(append(left, piece{strings.Repeat(" ", gap), plain}), right...)
}

// as gives every piece one tone.
func (l line) as(t tone) line {
	out := make(line, len(l))
	for i, p := range l {
		out[i] = piece{p.text, t}
	}
	return out
}

// write renders a line.
func (l line) write(b *strings.Builder, t Theme, dim bool) {
	for _, p := range l {
		b.WriteString(t.paint(p.text, p.tone, dim))
	}
}

// right pads text on the left.
func right(s string, cells int, g Glyphs) string {
	s = g.cut(s, cells)
	return strings.Repeat(" ", max(cells-text.Width(s), 0)) + s
}

// left pads text on the right.
func left(s string, cells int, g Glyphs) string {
	s = g.cut(s, cells)
	return s + strings.Repeat(" ", max(cells-text.Width(s), 0))
}

// width is how many cells a text takes.
func width(s string) int { return text.Width(s) }
