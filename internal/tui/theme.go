package tui

import (
	"io"

	"github.com/charmbracelet/lipgloss"
	"github.com/muesli/termenv"
)

// tone is what a piece of text means; the theme says how that looks. The words and glyphs say it, too.
type tone int

const (
	plain tone = iota
	strong
	faint
	good
	warning
	bad
	unsure
	first  // the first series of a chart
	second // the second one
	chosen // the row of the cursor
	title
	toneCount
)

// Theme is how tones look. Its renderer is its own, and its profile is set: it asks the terminal nothing.
type Theme struct {
	Name   string
	styles [toneCount]lipgloss.Style
	bare   bool // text alone
}

// Bare is the theme of frames that are saved: no escape sequences at all.
func Bare() Theme { return Theme{Name: "bare", bare: true} }

// ThemeNames are the themes, in the order in which T walks through them.
func ThemeNames() []string { return []string{"auto", "cvd", "mono"} }

// NewTheme returns a theme by its name. Without colour every theme is mono; reverse, bold and dim stay.
func NewTheme(name string, colour bool) Theme {
	r := lipgloss.NewRenderer(io.Discard)
	r.SetColorProfile(termenv.ANSI) // also for mono: a profile without colours would drop reverse, and with it the cursor
	r.SetHasDarkBackground(true)
	t := Theme{Name: name}
	for i := range t.styles {
		t.styles[i] = r.NewStyle().Inline(true)
	}
	t.styles[strong] = t.styles[strong].Bold(true)
	t.styles[title] = t.styles[title].Bold(true)
	t.styles[faint] = t.styles[faint].Faint(true)
	t.styles[bad] = t.styles[bad].Bold(true)
	t.styles[chosen] = t.styles[chosen].Reverse(true)
	if !colour || name == "mono" {
		return t
	}
	paint := map[tone]string{good: "2", warning: "3", bad: "1", unsure: "5", first: "6", second: "3"}
	if name == "cvd" { // blue and yellow can be told apart by nearly everyone
		paint = map[tone]string{good: "4", warning: "3", bad: "3", unsure: "7", first: "4", second: "3"}
	}
	for tone, colour := range paint {
		t.styles[tone] = t.styles[tone].Foreground(lipgloss.Color(colour))
	}
	return t
}

// paint writes text in a tone.
func (t Theme) paint(s string, as tone, dim bool) string {
	if t.bare {
		return s
	}
	style := t.styles[as]
	if dim && as != chosen {
		style = style.Faint(true)
	}
	if as == plain && !dim {
		return s
	}
	return style.Render(s)
}
