package tui

import (
	"fmt"
	"strings"
	"time"
)

// Render draws a state: exactly Layout.H lines of Layout.W cells.
func Render(s State, lay Layout, t Theme, g Glyphs) string {
	v := view{s: s, lay: lay, t: t, g: g, dim: s.Phase == PhaseStale && s.Paused == nil || s.Paused != nil && s.Paused.Phase == PhaseStale}
	if lay.Size == TooSmall {
		return v.tooSmall()
	}
	v.header()
	switch {
	case lay.Help > 0:
		v.help()
	case lay.Dead > 0:
		v.deadLetters()
	default:
		v.charts()
		v.table()
		v.retry()
		v.events()
		v.detail()
	}
	for len(v.out) < lay.H-1 {
		v.add(nil)
	}
	v.out = v.out[:min(len(v.out), lay.H-1)]
	v.last()
	return strings.Join(v.out, "\n")
}

// view is a frame that is being drawn.
type view struct {
	s   State
	lay Layout
	t   Theme
	g   Glyphs
	dim bool // what stands there is old
	out []string
}

func (v *view) add(l line) { v.put(l, v.dim) }

func (v *view) put(l line, dim bool) {
	var b strings.Builder
	l.fit(v.lay.W, v.g).write(&b, v.t, dim)
	v.out = append(v.out, b.String())
}

// rule is a title: ─ Events ─────
func (v *view) rule(parts ...string) line {
	l := line{}
	for i, p := range parts {
		lead := strings.Repeat(v.g.Rule, 2) + " "
		if i == 0 {
			lead = v.g.Rule + " "
		}
		l = append(l, piece{lead, faint}, piece{p + " ", title})
	}
	return v.ruled(l, v.lay.W)
}

func (v *view) ruled(l line, cells int) line {
	if fill := cells - l.width(); fill > 0 {
		l = append(l, piece{strings.Repeat(v.g.Rule, fill), faint})
	}
	return l
}

func (v *view) tooSmall() string {
	words := fmt.Sprintf("terminal is %dx%d, need %dx%d", v.lay.W, v.lay.H, minWidth, minHeight)
	for i := range max(v.lay.H, 0) {
		if i == 0 {
			v.put(say(words), false)
			continue
		}
		v.put(nil, false)
	}
	return strings.Join(v.out, "\n")
}

func (v *view) clockText(t time.Time, long bool) string {
	loc := v.s.Setup.Location
	if loc == nil {
		loc = time.UTC
	}
	if long {
		return t.In(loc).Format("2 Jan 15:04:05")
	}
	return t.In(loc).Format("15:04:05")
}

// last is the line of the keys, of the filter that is being typed, or of what became of a saved frame.
func (v *view) last() {
	s, g := v.s, v.g
	switch {
	case s.Edit != nil:
		before, at, after := editParts(s.Edit)
		l := say(strong, " / ", plain, g.foreign(before), chosen, at, plain, g.foreign(after))
		if s.Edit.Bad != "" {
			l = append(l, piece{"  " + g.Bad + " " + s.Edit.Bad, bad})
		}
		v.put(append(l, piece{"   Enter keep  Esc drop", faint}), false)
	case s.Banner != "":
		mark, as := g.Live, good
		if s.Warned {
			mark, as = g.Bad, bad
		}
		v.put(say(as, " "+mark+" "+g.foreign(s.Banner)), false)
	default:
		v.put(say(faint, " "+v.footer()), false)
	}
}

// editParts splits a text at its cursor.
func editParts(e *Edit) (before, at, after string) {
	r := []rune(e.Text)
	pos := min(max(e.Pos, 0), len(r))
	if pos == len(r) {
		return string(r), " ", ""
	}
	return string(r[:pos]), string(r[pos : pos+1]), string(r[pos+1:])
}
