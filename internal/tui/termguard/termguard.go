// Package termguard keeps the libraries of the dashboard from questioning the terminal at the start of every command: bubbletea asks lipgloss for
// the colour of the background in an init of its own, which writes a query and waits up to 5 s for the answer. Here the answer is given first.
// It holds because the path of this package sorts before that of bubbletea; a test compares the two. It is the only init of the project.
package termguard

import "github.com/charmbracelet/lipgloss"

func init() { lipgloss.SetHasDarkBackground(true) }
