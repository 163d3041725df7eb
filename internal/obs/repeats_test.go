package obs_test

import (
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"commerce.internal/orderctl/internal/obs"
)

// Whoever logs whatever, however fast: lines shown plus lines counted are the lines logged.
func TestNoLineIsLostWithoutBeingCounted(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		pauses := rapid.SliceOfN(rapid.IntRange(0, 300), 1, 120).Draw(rt, "pauses in ms")
		synctest.Test(t, func(t *testing.T) {
			l, w := newLogs(t, false)
			var wg sync.WaitGroup
			for _, name := range []string{"a", "b"} {
				log := obs.Component(l.Log, name)
				wg.Go(func() {
					for i, ms := range pauses {
						<-time.After(time.Duration(ms) * time.Millisecond)
						log.WarnContext(t.Context(), "same", slog.Int("i", i))
					}
				})
			}
			wg.Wait()
			if err := l.Close(); err != nil {
				rt.Error(err)
			}
			synctest.Wait()
			sum := 0
			for _, m := range decode(t, w.String()) {
				if n, counted := m["repeated"].(float64); counted {
					sum += int(n)
				} else {
					sum++
				}
			}
			if sum != 2*len(pauses) {
				rt.Errorf("%d lines shown or counted of %d", sum, 2*len(pauses))
			}
		})
	})
}

// A line that comes seldom is never held back.
func TestSeldomLinesAllPass(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, w := newLogs(t, true)
		for range 50 {
			l.Log.WarnContext(t.Context(), "same")
			<-time.After(120 * time.Millisecond)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if n := strings.Count(w.String(), "\n"); n != 50 {
			t.Errorf("%d lines, want 50", n)
		}
	})
}
