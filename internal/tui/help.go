package tui

import (
	"strings"

	"github.com/charmbracelet/bubbles/help"
	"github.com/charmbracelet/bubbles/key"
	"github.com/charmbracelet/lipgloss"
)

// plainHelp lays out keys without colours of its own: it would ask the default renderer for them.
func plainHelp(g Glyphs, width int) help.Model {
	h := help.New()
	none := lipgloss.NewStyle()
	h.Styles = help.Styles{
		Ellipsis: none, ShortKey: none, ShortDesc: none, ShortSeparator: none, FullKey: none, FullDesc: none, FullSeparator: none,
	}
	h.ShortSeparator, h.FullSeparator, h.Ellipsis, h.Width = "  ", "   ", g.Cut, width
	return h
}

func (v *view) footer() string {
	list := footer(v.lay.Size == Wide, v.g)
	if v.lay.Size == Narrow {
		list = []key.Binding{list[0], list[len(list)-2], list[len(list)-1]}
	}
	return plainHelp(v.g, v.lay.W-1).ShortHelpView(list)
}

// help is the page of all keys, in as many columns as there is room for.
func (v *view) help() {
	all := bindings()
	columns := 1
	if v.lay.Help-1 < len(all) {
		columns = 2
	}
	per := (len(all) + columns - 1) / columns
	var groups [][]key.Binding
	for from := 0; from < len(all); from += per {
		var group []key.Binding
		for _, b := range all[from:min(from+per, len(all))] {
			shown := b.key.Help()
			words := shown.Desc
			if columns == 2 {
				words = v.g.cut(words, max(v.lay.W/2-12, 8))
			}
			name := shown.Key
			if !v.g.Braille {
				name = asciiKey(name)
			}
			group = append(group, key.NewBinding(key.WithKeys(b.key.Keys()...), key.WithHelp(name, words)))
		}
		groups = append(groups, group)
	}
	v.put(v.rule("Keys"), false)
	for l := range strings.SplitSeq(plainHelp(v.g, 0).FullHelpView(groups), "\n") {
		v.put(say("  "+l), false)
	}
}
