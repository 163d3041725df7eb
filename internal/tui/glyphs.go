package tui

import (
	"strconv"
	"strings"

	"commerce.internal/orderctl/internal/text"
)

// Glyphs are the characters that frames are made of.
type Glyphs struct {
	Braille                                            bool // charts of dots; else of characters
	Levels                                             []string
	Rule, Bar, Corner, Tee, Tick                       string
	Cursor, Live, Paused, Bad, Up, Down, Warn          string
	First, Second, Cut, Arrow, Delta, Next, Open, Less string
}

// UTF8 are the glyphs of a terminal that shows Unicode.
func UTF8() Glyphs {
	return Glyphs{
		Braille: true, Levels: strings.Split("▁▂▃▄▅▆▇█", ""),
		Rule: "─", Bar: "│", Corner: "└", Tee: "┴", Tick: "┤",
		Cursor: "▸", Live: "●", Paused: "‖", Bad: "✗", Up: "▲", Down: "▼", Warn: "!",
		First: "━", Second: "┄", Cut: "…", Arrow: "↑↓", Delta: "Δ/s", Next: "->", Open: "⏎", Less: "<=",
	}
}

// ASCII are the glyphs of one that does not, or that counts cells in another way.
func ASCII() Glyphs {
	return Glyphs{
		Levels: strings.Split(" .:-=+*#", ""),
		Rule:   "-", Bar: "|", Corner: "+", Tee: "+", Tick: "+",
		Cursor: ">", Live: "*", Paused: "=", Bad: "X", Up: "^", Down: "v", Warn: "!",
		First: "#", Second: "o", Cut: "~", Arrow: "jk", Delta: "+-/s", Next: "->", Open: "Enter", Less: "<=",
	}
}

// ChooseGlyphs looks at the locale and the terminal: braille needs UTF-8 and cells that are one wide.
func ChooseGlyphs(lookup func(string) string) Glyphs {
	locale := ""
	for _, name := range [...]string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if locale = lookup(name); locale != "" {
			break
		}
	}
	folded := strings.ToLower(strings.ReplaceAll(locale, "-", ""))
	wide := strings.HasPrefix(folded, "zh") || strings.HasPrefix(folded, "ja") || strings.HasPrefix(folded, "ko")
	if !strings.Contains(folded, "utf8") || wide || lookup("TERM") == "linux" {
		return ASCII()
	}
	return UTF8()
}

// foreign makes text from outside fit for a frame: nothing that a terminal obeys, and only what it can show.
func (g Glyphs) foreign(s string) string {
	s = text.Safe(s)
	if g.Braille {
		return s
	}
	for i := range len(s) {
		if s[i] >= 0x80 {
			q := strconv.QuoteToASCII(s)
			return strings.ReplaceAll(q[1:len(q)-1], `\\`, `\`)
		}
	}
	return s
}

// cut shortens text at its end.
func (g Glyphs) cut(s string, cells int) string {
	s = text.Truncate(s, cells)
	if g.Cut != "…" && strings.HasSuffix(s, "…") {
		s = strings.TrimSuffix(s, "…") + g.Cut
	}
	return s
}

// middle shortens text in its middle, so that both ends of a name can be told.
func (g Glyphs) middle(s string, cells int) string {
	if text.Width(s) <= cells {
		return s
	}
	if cells < 5 {
		return g.cut(s, cells)
	}
	tail := cells / 2
	runes := []rune(s)
	end := len(runes)
	for end > 0 && text.Width(string(runes[end-1:])) <= tail {
		end--
	}
	back := string(runes[end:])
	head := g.cut(s, cells-text.Width(back))
	if !strings.HasSuffix(head, g.Cut) {
		head = g.cut(head+"x", text.Width(head))
	}
	return head + back
}
