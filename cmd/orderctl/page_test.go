package main

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"commerce.internal/orderctl/internal/text"
)

// A broken line loses nothing but the blanks where it was broken, and no part is wider than the screen unless it is one word.
func TestBrokenLines(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		l := rapid.StringOf(rapid.RuneFrom([]rune("ab  订单,;"))).Draw(rt, "line")
		width := rapid.IntRange(8, 40).Draw(rt, "width")
		lines := breakLine(l, " ", "  ", width)
		if got := strings.Fields(strings.Join(lines, " ")); strings.Join(got, " ") != strings.Join(strings.Fields(l), " ") {
			rt.Errorf("%q of %q", lines, l)
		}
		if text.Width(l) <= width && (len(lines) != 1 || lines[0] != l) {
			rt.Errorf("%q fits and was broken: %q", l, lines)
		}
		for _, part := range lines[1:] {
			if text.Width(part) > width && strings.Contains(strings.TrimSpace(part), " ") {
				rt.Errorf("%q is wider than %d", part, width)
			}
		}
	})
}
