package tui

import (
	"math"
	"strings"
)

// sparkline draws values on a scale of their own, 0 to their maximum. What is not known is blank.
func sparkline(values []float64, g Glyphs) string {
	top := 0.0
	for _, v := range values {
		if !math.IsNaN(v) {
			top = max(top, v)
		}
	}
	var b strings.Builder
	for _, v := range values {
		switch {
		case math.IsNaN(v):
			b.WriteByte(' ')
		case top <= 0:
			b.WriteString(g.Levels[0])
		default:
			b.WriteString(g.Levels[int(math.Round(7*max(v, 0)/top))])
		}
	}
	return b.String()
}
