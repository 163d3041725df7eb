package tui

import (
	"strings"

	"github.com/charmbracelet/bubbles/key"
)

// Action is what a key means.
type Action int

// The actions.
const (
	NoAction Action = iota
	Up
	Down
	PageUp
	PageDown
	Top
	Bottom
	OpenRow
	Back
	SortNext
	SortPrevious
	Reverse
	EditFilter
	KeepFilter
	DropFilter
	TogglePause
	SaveFrame
	NextRange
	Slower
	Faster
	ViewOverview
	ViewPartitions
	ViewDead
	NextView
	AskNow
	NextTheme
	ToggleHelp
	Leave
)

// binding is one row of the table of keys.
type binding struct {
	action Action
	key    key.Binding
	footer int // its place in the last line; 0: not there
}

// bindings is the one table: what keys match, the last line, the page of ?, and "orderctl help keys".
func bindings() []binding {
	bind := func(a Action, footer int, shown, does string, keys ...string) binding {
		return binding{a, key.NewBinding(key.WithKeys(keys...), key.WithHelp(shown, does)), footer}
	}
	return []binding{
		bind(Up, 0, "↑ k", "move up", "up", "k"),
		bind(Down, 1, "↓ j", "move down", "down", "j"),
		bind(PageUp, 0, "PgUp", "a page up", "pgup"),
		bind(PageDown, 0, "PgDn", "a page down", "pgdown"),
		bind(Top, 0, "g", "first row", "g", "home"),
		bind(Bottom, 0, "G", "last row", "G", "end"),
		bind(OpenRow, 2, "Enter", "open partition, tier, dlq", "enter"),
		bind(Back, 0, "Esc", "back", "esc"),
		bind(SortNext, 3, "s", "sort by next column", "s"),
		bind(SortPrevious, 0, "S", "sort by previous column", "S"),
		bind(Reverse, 8, "r", "reverse the order", "r"),
		bind(EditFilter, 4, "/", "filter rows; ! inverts", "/"),
		bind(TogglePause, 5, "space", "pause; history goes on", " "),
		bind(NextRange, 6, "t", "range 1m 5m 15m 1h", "t"),
		bind(Slower, 0, "+", "longer interval, to 30 s", "+", "="),
		bind(Faster, 0, "-", "shorter interval, to 1 s", "-"),
		bind(ViewOverview, 0, "1", "overview", "1"),
		bind(ViewPartitions, 0, "2", "partitions", "2"),
		bind(ViewDead, 0, "3", "dead letters", "3"),
		bind(NextView, 0, "Tab", "next of the three", "tab"),
		bind(ViewDead, 9, "d", "dead letters, how to replay", "d"),
		bind(SaveFrame, 7, "e", "save frame as text, JSON", "e"),
		bind(AskNow, 0, "R", "ask Kafka now", "R"),
		bind(NextTheme, 10, "T", "next theme", "T"),
		bind(ToggleHelp, 11, "?", "keys", "?"),
		bind(Leave, 12, "q", "quit; Ctrl-C too", "q", "ctrl+c"),
	}
}

// actionOf returns what a key means, by the name that bubbletea gives it.
func actionOf(pressed string) Action {
	for _, b := range bindings() {
		for _, k := range b.key.Keys() {
			if k == pressed {
				return b.action
			}
		}
	}
	return NoAction
}

// KeyTable is the table of keys for documents: the key, and what it does.
func KeyTable() [][2]string {
	var rows [][2]string
	for _, b := range bindings() {
		h := b.key.Help()
		rows = append(rows, [2]string{h.Key, h.Desc})
	}
	return rows
}

// footer are the keys of the last line, by importance, in a few words each.
func footer(wide bool, g Glyphs) []key.Binding {
	words := map[Action]string{
		Down: "move", OpenRow: "open", SortNext: "sort", Reverse: "reverse", EditFilter: "filter", TogglePause: "pause", NextRange: "range",
		ViewDead: "dlq", SaveFrame: "save", NextTheme: "theme", ToggleHelp: "help", Leave: "quit",
	}
	order := []Action{Down, OpenRow, SortNext, EditFilter, TogglePause, NextRange, SaveFrame, ToggleHelp, Leave}
	if wide {
		order = []Action{Down, OpenRow, SortNext, Reverse, EditFilter, TogglePause, NextRange, ViewDead, SaveFrame, NextTheme, ToggleHelp, Leave}
	}
	var list []key.Binding
	for _, a := range order {
		for _, b := range bindings() {
			if b.action != a || b.footer == 0 {
				continue
			}
			shown := b.key.Help().Key
			switch a {
			case Down:
				shown = g.Arrow
			case OpenRow:
				shown = g.Open
			}
			list = append(list, key.NewBinding(key.WithKeys(b.key.Keys()...), key.WithHelp(shown, words[a])))
		}
	}
	return list
}

// asciiKey writes the name of a key without arrows.
func asciiKey(shown string) string {
	return strings.NewReplacer("↑", "up", "↓", "down").Replace(shown)
}
