// Package text makes foreign text safe to show, and measures text in cells of a terminal. It knows nothing of tables,
// colours or the terminal itself.
package text

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"
)

// Safe returns s with everything a terminal or a log might obey, or a reader might not see, written out as %q writes it:
// a rune stays if strconv.IsGraphic; a byte that is not UTF-8 appears as \xNN. A backslash stays, so that Safe changes
// nothing the second time.
func Safe(s string) string {
	n := 0
	for n < len(s) && s[n] >= ' ' && s[n] < 0x7f {
		n++
	}
	if n == len(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	b.WriteString(s[:n])
	for i := n; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			b.WriteString(escapeByte(s[i]))
		case strconv.IsGraphic(r):
			b.WriteString(s[i : i+size])
		default:
			q := strconv.QuoteRuneToASCII(r)
			b.WriteString(q[1 : len(q)-1])
		}
		i += size
	}
	return b.String()
}

// SafeBytes is Safe for bytes.
func SafeBytes(b []byte) string { return Safe(string(b)) }

func escapeByte(c byte) string {
	const hex = "0123456789abcdef"
	return string([]byte{'\\', 'x', hex[c>>4], hex[c&15]})
}

// cells measures as Western terminals do, whatever the environment says: else the same table would have other bytes
// under another LANG.
func cells() *runewidth.Condition { return &runewidth.Condition{StrictEmojiNeutral: true} }

// Width returns how many cells of a terminal s takes. Text from outside goes through Safe first.
func Width(s string) int {
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f {
			return cells().StringWidth(s)
		}
	}
	return len(s)
}

// Truncate cuts s to at most the given number of cells; what was cut ends in "…". A character that takes two cells is
// never split.
func Truncate(s string, most int) string {
	if Width(s) <= most {
		return s
	}
	if most <= 0 {
		return ""
	}
	return cells().Truncate(s, most, "…")
}
