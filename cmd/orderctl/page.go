package main

import (
	"strings"

	"commerce.internal/orderctl/internal/out"
	"commerce.internal/orderctl/internal/text"
)

// pageLine prints a line for eyes: escaped, and on a terminal too narrow for it broken between words, with an indent before
// what follows. The word behind before gets its style; it says the same without.
func (a *app) pageLine(before, word string, style out.Style, after, indent string) {
	o := a.output()
	l := text.Safe(before + word + after)
	lines := []string{l}
	if o.Terminal {
		lines = breakLine(l, " ", indent, o.Width)
	}
	head := text.Safe(before)
	if rest, ok := strings.CutPrefix(lines[0], head+text.Safe(word)); ok {
		lines[0] = head + out.Paint(text.Safe(word), style, o.Color) + rest
	}
	for _, line := range lines {
		_, _ = a.stdout.Write([]byte(line + "\n")) // an error shows at the end of the command
	}
}

// breakLine breaks an escaped line where sep stands, so that no part is wider than the terminal unless it has no sep.
func breakLine(l, sep, indent string, width int) []string {
	if text.Width(l) <= width {
		return []string{l}
	}
	var lines []string
	line := ""
	for i, part := range strings.Split(l, sep) {
		switch {
		case i == 0:
			line = part
		case text.Width(strings.TrimRight(line+sep+part, " ")) > width:
			lines, line = append(lines, strings.TrimRight(line+sep, " ")), indent+part
		default:
			line += sep + part
		}
	}
	return append(lines, strings.TrimRight(line, " "))
}
