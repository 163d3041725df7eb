package tui_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"pgregory.net/rapid"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/text"
	"commerce.internal/orderctl/internal/tui"
)

// updating reports whether the golden frames are to be written: the flag is that of teatest.
func updating() bool { return flag.Lookup("update").Value.String() == "true" }

var sgr = regexp.MustCompile(`\x1b\[[0-9;]*m`)

// states are all that a dashboard can be in.
func states() map[string]func(t *testing.T, w, h int) *drive {
	one := func(at time.Time) tui.Sample { return of(at, sample(at).Rows[:1]) }
	none := func(at time.Time) tui.Sample { return of(at, []tui.Row{}) }
	lost := "cannot reach Kafka at localhost:9092: connection refused"
	return map[string]func(t *testing.T, w, h int) *drive{
		"live": func(t *testing.T, w, h int) *drive { return live(t, w, h, sample) },
		"paused": func(t *testing.T, w, h int) *drive {
			return live(t, w, h, sample).press(noon, tui.TogglePause).sees(wave(sample(noon.Add(2*time.Second)), 9)).ticks(noon.Add(12 * time.Second))
		},
		"stale": func(t *testing.T, w, h int) *drive {
			d := live(t, w, h, sample)
			for i, after := range []time.Duration{2, 3, 6, 12} {
				d.fails(noon.Add(after*time.Second+time.Duration(i)*10*time.Millisecond), lost)
			}
			return d.ticks(noon.Add(14 * time.Second))
		},
		"starting":      func(t *testing.T, w, h int) *drive { return start(t, w, h) },
		"never reached": func(t *testing.T, w, h int) *drive { return start(t, w, h).fails(noon, lost) },
		"no rows":       func(t *testing.T, w, h int) *drive { return live(t, w, h, none) },
		"one row":       func(t *testing.T, w, h int) *drive { return live(t, w, h, one) },
		"500 rows":      func(t *testing.T, w, h int) *drive { return live(t, w, h, many) },
		"hostile names": func(t *testing.T, w, h int) *drive { return live(t, w, h, hostile) },
		"unknown":       func(t *testing.T, w, h int) *drive { return live(t, w, h, blind) },
		"detail":        func(t *testing.T, w, h int) *drive { return live(t, w, h, sample).press(noon, tui.OpenRow) },
		"dead letters":  func(t *testing.T, w, h int) *drive { return live(t, w, h, sample).press(noon, tui.ViewDead) },
		"partitions": func(t *testing.T, w, h int) *drive {
			return live(t, w, h, sample).press(noon, tui.ViewPartitions, tui.Bottom)
		},
		"help": func(t *testing.T, w, h int) *drive { return live(t, w, h, sample).press(noon, tui.ToggleHelp) },
		"no group": func(t *testing.T, w, h int) *drive {
			return start(t, w, h).sees(tui.Sample{At: noon, Group: tui.Group{Name: "orders-worker", Missing: true}})
		},
	}
}

func sizes() [][2]int { return [][2]int{{40, 10}, {80, 24}, {120, 40}, {200, 60}} }

func TestFramesAreAsTheyWere(t *testing.T) {
	t.Parallel()
	for name, make := range states() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b strings.Builder
			for _, size := range sizes() {
				d := make(t, size[0], size[1])
				fmt.Fprintf(&b, "== %dx%d\n%s\n", size[0], size[1], d.frame())
				fmt.Fprintf(&b, "== %dx%d ascii\n%s\n", size[0], size[1], frame(d.s, tui.ASCII()))
			}
			golden(t, strings.ReplaceAll(name, " ", "-"), b.String())
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	lines := strings.Split(got, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ") // editors would take them away
	}
	got = strings.Join(lines, "\n")
	path := filepath.Join("testdata", "golden", name+".txt")
	if updating() {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	old := strings.Split(string(want), "\n")
	for i, l := range lines {
		if i >= len(old) || l != old[i] {
			t.Fatalf("%s:%d\nwas %q\nis  %q", path, i+1, append(old, "")[min(i, len(old))], l)
		}
	}
	if len(old) != len(lines) {
		t.Fatalf("%s has %d lines, not %d", path, len(old), len(lines))
	}
}

// Colours and mono are the same text; only what is around it differs.
func TestColoursOnlyRepeatWhatIsSaid(t *testing.T) {
	t.Parallel()
	for name, make := range states() {
		for _, size := range sizes()[1:3] {
			t.Run(fmt.Sprintf("%s at %dx%d", name, size[0], size[1]), func(t *testing.T) {
				t.Parallel()
				d := make(t, size[0], size[1])
				lay := tui.Plan(d.s.W, d.s.H, d.s)
				for _, theme := range tui.ThemeNames() {
					for _, colour := range []bool{true, false} {
						got := tui.Render(d.s, lay, tui.NewTheme(theme, colour), tui.UTF8())
						if plain := sgr.ReplaceAllString(got, ""); plain != d.frame() {
							t.Fatalf("%s: the text differs from\n%s\nit is\n%s", theme, d.frame(), plain)
						}
						for _, code := range sgr.FindAllString(got, -1) {
							if mono := !colour || theme == "mono"; mono && !regexp.MustCompile(`^\x1b\[(0|1|2|7|;)*m$`).MatchString(code) {
								t.Fatalf("%s without colours has %q", theme, code)
							}
						}
					}
				}
			})
		}
	}
}

func TestWithoutColourTheCursorIsReversedAndWithItStatesAreColoured(t *testing.T) {
	t.Parallel()
	d := live(t, 80, 24, sample)
	lay := tui.Plan(80, 24, d.s)
	mono, colour := tui.Render(d.s, lay, tui.NewTheme("auto", false), tui.UTF8()), tui.Render(d.s, lay, tui.NewTheme("auto", true), tui.UTF8())
	line := func(frame, mark string) string {
		for l := range strings.SplitSeq(frame, "\n") {
			if strings.Contains(sgr.ReplaceAllString(l, ""), mark) {
				return l
			}
		}
		return ""
	}
	if !strings.Contains(line(mono, "▸"), "\x1b[7m") {
		t.Errorf("the row of the cursor is not reversed: %q", line(mono, "▸"))
	}
	if !strings.Contains(line(colour, "LIVE"), "\x1b[32m") {
		t.Errorf("LIVE is not green: %q", line(colour, "LIVE"))
	}
}

func exact(t interface {
	Helper()
	Fatalf(string, ...any)
}, frame string, w, h int,
) {
	t.Helper()
	lines := strings.Split(frame, "\n")
	if len(lines) != h {
		t.Fatalf("%d lines, not %d:\n%s", len(lines), h, frame)
	}
	for i, l := range lines {
		if got := text.Width(sgr.ReplaceAllString(l, "")); got != w {
			t.Fatalf("line %d has %d cells, not %d: %q", i+1, got, w, l)
		}
	}
}

func TestEveryFrameHasExactlyItsSize(t *testing.T) {
	t.Parallel()
	all := states()
	made := map[string]*drive{}
	var names []string
	for name, make := range all {
		made[name] = make(t, 120, 40)
		names = append(names, name)
	}
	rapid.Check(t, func(rt *rapid.T) {
		s := made[rapid.SampledFrom(names).Draw(rt, "state")].s
		w, h := rapid.IntRange(1, 220).Draw(rt, "w"), rapid.IntRange(1, 70).Draw(rt, "h")
		s, _ = tui.Reduce(s, tui.Resized{W: w, H: h})
		s.View = tui.View(rapid.IntRange(0, 2).Draw(rt, "view"))
		s.Detail, s.Help = rapid.Bool().Draw(rt, "detail"), rapid.IntRange(0, 5).Draw(rt, "help") == 0
		g := rapid.SampledFrom([]tui.Glyphs{tui.UTF8(), tui.ASCII()}).Draw(rt, "glyphs")
		exact(rt, tui.Render(s, tui.Plan(w, h, s), tui.NewTheme("auto", true), g), w, h)
	})
}

func TestNothingForeignReachesTheScreenRaw(t *testing.T) {
	t.Parallel()
	for _, glyphs := range []tui.Glyphs{tui.UTF8(), tui.ASCII()} {
		for _, size := range sizes() {
			d := live(t, size[0], size[1], hostile)
			d.s.Setup.Cluster, d.s.Setup.Group = "pr\x1bod", "\x1b[2Jworker\u202e"
			d.fails(noon.Add(2*time.Second), "bad\x1b]0;x\a news\u009b")
			for _, press := range []tui.Action{tui.NoAction, tui.OpenRow, tui.ViewDead, tui.ViewPartitions} {
				d.press(noon.Add(3*time.Second), press)
				got := frame(d.s, glyphs)
				exact(t, got, size[0], size[1])
				for _, r := range got {
					switch {
					case r != '\n' && (unicode.IsControl(r) || strings.ContainsRune("\u202e\u2066\u200b", r)):
						t.Fatalf("%U in\n%s", r, got)
					case !glyphs.Braille && r > unicode.MaxASCII:
						t.Fatalf("%U on a terminal that cannot show it:\n%s", r, got)
					}
				}
			}
		}
	}
}

// A narrow terminal gives up the detail first, then events, the lines of tiers, the third line, the chart.
func TestHeightIsGivenUpInOrder(t *testing.T) {
	t.Parallel()
	d := live(t, 120, 60, sample)
	parts := func(h int) []bool {
		l := tui.Plan(120, h, d.s)
		return []bool{l.Detail > 0, l.Events > 0, l.Header > 2, l.Chart > 0}
	}
	last := parts(60)
	for h := 59; h >= 30; h-- {
		now := parts(h)
		for i := 1; i < len(now); i++ {
			if now[i-1] && !now[i] {
				t.Errorf("at %d lines part %d went before part %d", h, i, i-1)
			}
			if now[i] && !last[i] {
				t.Errorf("at %d lines part %d came back", h, i)
			}
		}
		last = now
	}
	for h := 10; h < 60; h++ {
		for _, w := range []int{40, 72, 110, 200} {
			if l := tui.Plan(w, h, d.s); l.Table-l.Pinned < 3 && l.Size != tui.TooSmall {
				t.Errorf("at %dx%d the table has %d rows", w, h, l.Table-l.Pinned)
			}
		}
	}
}

func TestWidthDropsColumnsInOrder(t *testing.T) {
	t.Parallel()
	d := live(t, 120, 40, sample)
	d.press(noon, tui.ViewPartitions)
	heads := func(w int) string {
		d.do(tui.Resized{W: w, H: 40})
		for l := range strings.SplitSeq(d.frame(), "\n") {
			if strings.Contains(l, "TOPIC") {
				return l
			}
		}
		return ""
	}
	order := []string{" END ", "IN/s", "COMMITTED", "OWNER"}
	for w := 140; w >= 72; w-- {
		h := heads(w)
		for i := 1; i < len(order); i++ {
			if strings.Contains(h, order[i-1]) && !strings.Contains(h, order[i]) {
				t.Fatalf("at %d columns %s went before %s: %s", w, order[i], order[i-1], h)
			}
		}
		for _, stays := range []string{"TOPIC", "PART", "UNREAD", "OLDEST", "STATUS"} {
			if !strings.Contains(h, stays) {
				t.Fatalf("at %d columns %s is missing: %s", w, stays, h)
			}
		}
	}
	if h := heads(40); h != "   TOPIC  PART UNREAD OLDEST STATUS     " {
		t.Errorf("at 40 columns: %q", h)
	}
}

func TestTheSmallestTerminalIsToldWhatItLacks(t *testing.T) {
	t.Parallel()
	start(t, 38, 9).shows("terminal is 38x9, need 40x10")
	d := live(t, 120, 40, sample)
	before := d.frame()
	for i := range 200 { // a storm of sizes leaves no trace
		d.do(tui.Resized{W: 20 + i%190, H: 5 + i%60})
		exact(t, d.frame(), d.s.W, d.s.H)
	}
	d.do(tui.Resized{W: 30, H: 8}).shows("terminal is 30x8").do(tui.Resized{W: 120, H: 40})
	if after := d.frame(); after != before {
		t.Errorf("after the storm\n%s\nit was\n%s", after, before)
	}
}

func TestUnknownIsNeverZero(t *testing.T) {
	t.Parallel()
	for _, size := range sizes() {
		d := live(t, size[0], size[1], blind)
		got := d.frame()
		for l := range strings.SplitSeq(got, "\n") {
			if strings.Contains(l, "orders ") && strings.Contains(l, "UNKNOWN") && !strings.Contains(l, "?") {
				t.Errorf("no ? in %q", l)
			}
		}
		if strings.Contains(got, "Unread 0") || strings.Contains(got, "In 0") || strings.Contains(got, "Oldest 0") {
			t.Errorf("unknown is shown as 0:\n%s", got)
		}
		d.shows("Unread ?", "In ?")
	}
	some := func(at time.Time) tui.Sample {
		s := sample(at)
		s.Rows[1].Unread, s.Rows[1].In = lag.Maybe[int64]{}, lag.Maybe[float64]{}
		return of(at, s.Rows)
	}
	live(t, 120, 40, some).shows("Unread >= 13,252", "In >= 531/s")
}
