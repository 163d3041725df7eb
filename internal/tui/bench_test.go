package tui_test

import (
	"fmt"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/tui"
)

// A frame of 500 rows costs about what one of 40 does: only rows on the screen are drawn.
func BenchmarkRender(b *testing.B) {
	for _, rows := range []int32{40, 500} {
		b.Run(fmt.Sprintf("%d rows", rows), func(b *testing.B) {
			s := crowd(rows)
			theme, g := tui.NewTheme("auto", true), tui.UTF8()
			for b.Loop() {
				_ = tui.Render(s, tui.Plan(s.W, s.H, s), theme, g)
			}
		})
	}
}

// BenchmarkReduce takes a sample of 200 rows: every two seconds.
func BenchmarkReduce(b *testing.B) {
	s := crowd(200)
	at := s.Now
	for b.Loop() {
		at = at.Add(2 * time.Second)
		next := *s.Last
		next.At = at
		s, _ = tui.Reduce(s, tui.Sampled{Gen: s.Poll, At: at, Sample: next})
	}
}

// crowd is a dashboard of so many rows that has looked for ten minutes.
func crowd(rows int32) tui.State {
	var list []tui.Row
	for p := range rows {
		list = append(list, partition("orders", p, int64(p%37)))
	}
	s, _ := tui.NewState(setup(), 2*time.Second, 5*time.Minute, noon)
	s, _ = tui.Reduce(s, tui.Resized{W: 120, H: 40})
	for i := range 300 {
		at := noon.Add(time.Duration(i) * 2 * time.Second)
		s, _ = tui.Reduce(s, tui.Sampled{Gen: s.Poll, At: at, Sample: wave(of(at, list), i)})
	}
	return s
}

// The bar that is held without a clock of its own: the cost of a frame does not grow with the rows that are not on it.
// It counts allocations, which cannot be done beside other tests.
func TestAFrameOfManyRowsCostsLittleMore(t *testing.T) {
	cost := func(rows int32) float64 {
		s := crowd(rows)
		theme, g := tui.NewTheme("auto", true), tui.UTF8()
		return testing.AllocsPerRun(20, func() { _ = tui.Render(s, tui.Plan(s.W, s.H, s), theme, g) })
	}
	if few, many := cost(40), cost(500); many > 1.5*few {
		t.Errorf("a frame of 500 rows allocates %.0f times, one of 40 rows %.0f", many, few)
	}
}
