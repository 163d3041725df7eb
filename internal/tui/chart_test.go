package tui

import (
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/text"
)

func TestAnAxisEndsAtANiceNumber(t *testing.T) {
	t.Parallel()
	for most, want := range map[float64]float64{
		0: 1, 0.5: 0.8, 0.97: 2, 1: 2, 1.9: 2, 2: 2.5, 2.3: 2.5, 2.4: 4, 4.5: 5, 7: 8, 7.7: 10, 1204: 2000, 14210: 20000, 900: 1000, 960: 2000,
	} {
		if got := niceTop(most); math.Abs(got-want) > 1e-9 {
			t.Errorf("the top for %g is %g, want %g", most, got, want)
		}
	}
	if niceTop(math.NaN()) != 1 || niceTop(math.Inf(1)) <= 0 {
		t.Error("what is no number has no top")
	}
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.Float64Range(0.001, 1e12).Draw(t, "most")
		if top := niceTop(most); top <= 1.05*most*(1-1e-9) || top > 2.2*1.05*most {
			t.Fatalf("the top for %g is %g", most, top)
		}
	})
}

func TestAnAxisGrowsAtOnceAndShrinksLate(t *testing.T) {
	t.Parallel()
	s := scale{}.fit(100)
	if s = s.fit(1000); s.top != 2000 {
		t.Errorf("grown to %g", s.top)
	}
	for i := range 9 {
		if s = s.fit(100); s.top != 2000 {
			t.Fatalf("shrunk after %d samples", i+1)
		}
	}
	if interrupted := s.fit(900).fit(100); interrupted.top != 2000 {
		t.Error("a high value in between counts from the beginning")
	}
	if s = s.fit(100); s.top != 200 {
		t.Errorf("after ten low samples the top is %g", s.top)
	}
	if s = (scale{top: 2000, low: 3}).fit(math.NaN()); s.top != 2000 || s.low != 0 {
		t.Error("nothing known shrinks nothing")
	}
}

// picture draws a series in a plot.
func picture(values []float64, top float64, cols, rows int, second bool) string {
	p := newPlot(cols, rows)
	p.line(values, top, second)
	var b strings.Builder
	for r := range rows {
		for c := range cols {
			cell, _ := p.cell(c, r)
			b.WriteString(cell)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestALineIsUnbrokenButForGaps(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	if got := picture([]float64{0, 0, 0, 10, 10, 10}, 10, 3, 3, false); got != " ⢰⠒\n ⢸ \n⠤⠼ \n" && got != " ⡰⠒\n ⡇ \n⠤⠃ \n" {
		t.Logf("a step:\n%s", got)
	}
	if got := picture([]float64{5, 5, nan, nan, 5, 5}, 10, 3, 3, false); got != "   \n⠤ ⠤\n   \n" {
		t.Errorf("a gap:\n%s", got)
	}
	if got := picture([]float64{0, 0, 0, 0}, 10, 2, 2, false); got != "  \n⠤⠤\n" {
		t.Errorf("zero is the middle of the last row, where its mark is:\n%s", got)
	}
	if got := picture([]float64{10, 10, 10, 10}, 10, 2, 2, false); got != "⠤⠤\n  \n" {
		t.Errorf("the top is the middle of the first row:\n%s", got)
	}
	if got := picture([]float64{5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5}, 10, 6, 3, true); strings.Split(got, "\n")[1] != "⠤⠄ ⠤⠄ " {
		t.Errorf("the second series is dashed: %q", got)
	}
}

// Between two known neighbours no step of the line may miss: every row from one to the other has a dot.
func TestALineConnectsItsValues(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Float64Range(0, 10).Draw(t, "a"), rapid.Float64Range(0, 10).Draw(t, "b")
		p := newPlot(1, 6)
		p.line([]float64{a, b}, 10, false)
		from, to := p.height(a, 10), p.height(b, 10)
		if from > to {
			from, to = to, from
		}
		for y := from; y <= to; y++ {
			if p.dots[y/4] == 0 {
				t.Fatalf("no dot in row %d between %g and %g", y/4, a, b)
			}
		}
	})
}

func TestRoughChartsKeepTheirSize(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	rows := rough(4, 3, 10, []float64{0, 0, 10, 10, nan, nan, 5, 5}, []float64{10, 10, 10, 10, 10, 10, 0, 0}, ASCII().Levels)
	var got []string
	for _, r := range rows {
		got = append(got, strings.Join(r, ""))
	}
	if got[0][2] != 'o' || got[2][3] != 'o' || got[0][0] != 'o' || got[2][2] != ' ' {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	if len(rough(0, 0, 1, nil, nil, ASCII().Levels)) != 0 {
		t.Error("nothing is drawn in no room")
	}
}

func TestASparklineHasAScaleOfItsOwnAndBlanksForTheUnknown(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	for _, row := range []struct {
		values []float64
		want   string
	}{
		{[]float64{0, 50, 100}, "▁▅█"},
		{[]float64{0, 0, 0}, "▁▁▁"},
		{[]float64{1000, nan, 2000}, "▅ █"},
		{[]float64{nan, nan}, "  "},
		{nil, ""},
	} {
		if got := sparkline(row.values, UTF8()); got != row.want {
			t.Errorf("%v is drawn as %q, want %q", row.values, got, row.want)
		}
	}
	if got := sparkline([]float64{0, 50, 100}, ASCII()); got != " =#" && got != " -#" && got != " +#" {
		t.Errorf("in ASCII %q", got)
	}
}

func TestMarksOfAnAxisFallOnRows(t *testing.T) {
	t.Parallel()
	for _, size := range []Size{Normal, Wide} {
		for h := 20; h < 70; h++ {
			rows := chartRows(size, h)
			if d := divisions(rows); d < 3 || (rows-1)%d != 0 {
				t.Errorf("%d rows have %d parts", rows, d)
			}
		}
	}
}

func look(at time.Time, in float64, unread int64) Sample {
	s := Sample{At: at, Group: Group{In: lag.Know(in), Unread: lag.Know(unread)}}
	s.Rows = []Row{{Key: Key{"orders", 0}, Unread: lag.Know(unread)}}
	return s
}

var dawn = time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)

func TestHistoryKeepsGapsAndNeverZero(t *testing.T) {
	t.Parallel()
	var h History
	for i := range 10 {
		if i == 4 || i == 5 || i == 6 {
			h = h.Gap(dawn.Add(time.Duration(2*i) * time.Second))
			continue
		}
		h = h.Push(look(dawn.Add(time.Duration(2*i)*time.Second), 100, int64(i)), 6*time.Second)
	}
	got := h.Total(seriesIn, dawn.Add(18*time.Second), 20*time.Second, 10)
	for i, v := range got {
		if gap := i >= 4 && i <= 6; math.IsNaN(v) != gap || !gap && v != 100 {
			t.Errorf("step %d is %g: %v", i, v, got)
		}
	}
	rows := h.Unread(Key{"orders", 0}, dawn.Add(18*time.Second), 20*time.Second, 10)
	if rows[9] != 9 || !math.IsNaN(rows[5]) {
		t.Errorf("the row: %v", rows)
	}
	if v := h.Unread(Key{"orders", 7}, dawn, time.Minute, 3); !math.IsNaN(v[0]) {
		t.Errorf("a row that was never there: %v", v)
	}
}

// One sample a step, whatever the jitter: no step between two samples is a gap.
func TestHistoryHasNoFalseGaps(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var h History
		at := dawn
		for range 160 {
			at = at.Add(2*time.Second + time.Duration(rapid.IntRange(-300, 1500).Draw(t, "jitter"))*time.Millisecond)
			h = h.Push(look(at, 5, 5), 6*time.Second)
		}
		steps := rapid.IntRange(1, 200).Draw(t, "steps")
		for i, v := range h.Total(seriesIn, at, 5*time.Minute, steps) {
			if math.IsNaN(v) {
				t.Fatalf("step %d of %d is a gap", i, steps)
			}
		}
	})
}

func TestHistoryIsAValueAndBounded(t *testing.T) {
	t.Parallel()
	a := History{}.Push(look(dawn, 1, 1), time.Second)
	b, c := a.Push(look(dawn.Add(time.Second), 2, 2), time.Second), a.Push(look(dawn.Add(time.Second), 3, 3), time.Second)
	end := dawn.Add(time.Second)
	if x, y := b.Total(seriesIn, end, time.Second, 1)[0], c.Total(seriesIn, end, time.Second, 1)[0]; x != 2 || y != 3 || a.Known(end, time.Minute) != 1 {
		t.Errorf("branches of one history mix: %g %g", x, y)
	}
	var h History
	wide := Sample{Group: Group{Unread: lag.Know[int64](1)}}
	for p := range int32(1200) {
		wide.Rows = append(wide.Rows, Row{Key: Key{"orders", p}, Unread: lag.Know(int64(p))})
	}
	for i := range 400 {
		wide.At = dawn.Add(time.Duration(i) * 10 * time.Second)
		h = h.Push(wide, 30*time.Second)
	}
	bytes, indexes := 0, map[*index]bool{}
	for _, p := range append(append([]*point(nil), h.fine...), h.coarse...) {
		bytes += 200 + 4*len(p.unread)
		indexes[p.rows] = true
	}
	if len(h.fine) != fineLimit || len(h.coarse) != coarseLimit || bytes > 8<<20 || len(indexes) != 1 {
		t.Errorf("%d and %d points, %d bytes, %d indexes", len(h.fine), len(h.coarse), bytes, len(indexes))
	}
}

func TestAnHourKeepsMaximaAndMeansOfRates(t *testing.T) {
	t.Parallel()
	var h History
	at := dawn
	for i := range 1800 {
		at = dawn.Add(time.Duration(i) * 2 * time.Second)
		in, unread := 100.0, int64(10)
		if i%5 == 0 {
			in, unread = 200, 5000
		}
		h = h.Push(look(at, in, unread), 6*time.Second)
	}
	in, unread := h.Total(seriesIn, at, time.Hour, 60), h.Total(seriesUnread, at, time.Hour, 60)
	for i := 2; i < 59; i++ {
		if math.Abs(in[i]-120) > 1 || unread[i] != 5000 {
			t.Errorf("minute %d: %g in, %g unread", i, in[i], unread[i])
		}
	}
	if v, ok := h.since(seriesUnread, at.Add(-time.Minute)); !ok || v <= 0 {
		t.Errorf("a minute ago: %g %v", v, ok)
	}
}

func TestNumbersAndTimesReadLikeText(t *testing.T) {
	t.Parallel()
	for in, want := range map[float64]string{0: "0s", 0.004: "4ms", 0.9999: "1000ms", 9: "9s", 60: "1m", 70: "1m10s", 362: "6m02s", 3600: "1h", 7500: "2h05m", 90000: "1d01h", -5: "-5s"} {
		if got := age(in); got != want {
			t.Errorf("age(%g) = %s, want %s", in, got, want)
		}
	}
	for in, want := range map[float64]string{0: "0", 0.2: "0.2", 800: "800", 1200: "1.2k", 2000: "2.0k", 16000: "16k", 12500: "12.5k", 2.5e6: "2.5M", 3e9: "3.0G"} {
		if got := short(in); got != want {
			t.Errorf("short(%g) = %s, want %s", in, got, want)
		}
	}
	for in, want := range map[float64]string{0: "0", 0.01: "0", 0.4: "+0.4", 24: "+24", -4: "-4", 1204.4: "+1,204", -0.02: "0"} {
		if got := signed(lag.Know(in)); got != want {
			t.Errorf("signed(%g) = %s, want %s", in, got, want)
		}
	}
	for in, want := range map[time.Duration]string{5 * time.Minute: "5m", time.Hour: "1h", 90 * time.Second: "90s", 500 * time.Millisecond: "500ms"} {
		if got := span(in); got != want {
			t.Errorf("span(%s) = %s, want %s", in, got, want)
		}
	}
	for in, want := range map[time.Duration]string{40 * time.Second: "40s", 22 * time.Minute: "22m", 3 * time.Hour: "3h", 50 * time.Hour: "2d", -time.Second: "0s"} {
		if got := coarse(in); got != want {
			t.Errorf("coarse(%s) = %s, want %s", in, got, want)
		}
	}
	if eta(lag.Know(lag.DrainIdle), lag.Maybe[float64]{}) != "0s" || eta(lag.Maybe[string]{}, lag.Maybe[float64]{}) != "?" || eta(lag.Know(lag.DrainStalled), lag.Maybe[float64]{}) != "never" {
		t.Error("what is unknown has no end, what is idle is at it, what stalls never comes to it")
	}
}

func TestLongNamesLoseTheirMiddle(t *testing.T) {
	t.Parallel()
	g := UTF8()
	if got := g.middle("orders.orders-worker.retry.10m", 14); got != "orders…try.10m" {
		t.Errorf("%q", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		s := g.foreign(rapid.String().Draw(t, "s"))
		cells := rapid.IntRange(1, 40).Draw(t, "cells")
		for _, got := range []string{g.middle(s, cells), g.cut(s, cells), ASCII().middle(ASCII().foreign(s), cells)} {
			if text.Width(got) > cells {
				t.Fatalf("%q has %d cells, at most %d", got, text.Width(got), cells)
			}
		}
	})
}

func TestGlyphsFollowTheTerminal(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name    string
		env     map[string]string
		braille bool
	}{
		{"UTF-8", map[string]string{"LANG": "en_US.UTF-8"}, true},
		{"C.UTF-8", map[string]string{"LANG": "C.utf8"}, true},
		{"LC_ALL goes before LANG", map[string]string{"LC_ALL": "C", "LANG": "en_US.UTF-8"}, false},
		{"nothing said", nil, false},
		{"the console of Linux", map[string]string{"LANG": "en_US.UTF-8", "TERM": "linux"}, false},
		{"a locale of ambiguous width", map[string]string{"LANG": "zh_CN.UTF-8"}, false},
	} {
		if got := ChooseGlyphs(func(n string) string { return row.env[n] }); got.Braille != row.braille {
			t.Errorf("%s: braille %v", row.name, got.Braille)
		}
	}
}

func TestWordsOfACommandAreQuotedWhereTheyNeedIt(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"orders-worker": "orders-worker", "": "''", "a b": "'a b'", "it's": `'it'\''s'`, "$(rm)": "'$(rm)'", "a/b.c:9": "a/b.c:9"} {
		if got := quote(in); got != want {
			t.Errorf("quote(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestEveryKeyHasOneMeaningAndIsInTheTable(t *testing.T) {
	t.Parallel()
	seen := map[string]Action{}
	for _, b := range bindings() {
		for _, k := range b.key.Keys() {
			if other, twice := seen[k]; twice {
				t.Errorf("%q means %d and %d", k, other, b.action)
			}
			seen[k] = b.action
		}
		if h := b.key.Help(); h.Key == "" || h.Desc == "" {
			t.Errorf("action %d has no help", b.action)
		}
	}
	for _, k := range []string{"up", "down", "k", "j", "pgup", "pgdown", "g", "G", "enter", "esc", "s", "S", "r", "/", " ", "e", "t", "+", "-", "1", "2", "3", "tab", "d", "R", "T", "?", "q", "ctrl+c"} {
		if actionOf(k) == NoAction {
			t.Errorf("%q does nothing", k)
		}
	}
	if actionOf("x") != NoAction || len(KeyTable()) != len(bindings()) {
		t.Error("the table and the keys differ")
	}
}

func TestOldLooksAreThinnedAndNewOnesAreKept(t *testing.T) {
	t.Parallel()
	var seen []*lag.Look
	for i := range 400 {
		seen = thin(append(seen, lag.NewLook(lag.Snapshot{AsOf: dawn.Add(time.Duration(i) * 2 * time.Second)})))
	}
	now := seen[len(seen)-1].AsOf
	if oldest := now.Sub(seen[0].AsOf); oldest < 285*time.Second || oldest > seenSpan || len(seen) > 65 {
		t.Errorf("%d looks, the oldest %s old", len(seen), oldest)
	}
	for i := 1; i < len(seen); i++ {
		gap, age := seen[i].AsOf.Sub(seen[i-1].AsOf), now.Sub(seen[i].AsOf)
		if gap > 12*time.Second || age < fullSpan && gap != 2*time.Second {
			t.Errorf("%s ago there is a gap of %s", age, gap)
		}
	}
	if one := thin(seen[:1]); len(one) != 1 {
		t.Error("the only look was dropped")
	}
}
