package text_test

import (
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"commerce.internal/orderctl/internal/text"
)

func TestSafeWritesOutWhatATerminalWouldObey(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                            "",
		"plain":                       "plain",
		"\x1b[2J":                     `\x1b[2J`,
		"\x1b]0;x\a":                  `\x1b]0;x\a`,
		"\x1b]52;c;aGk=\x1b\\":        `\x1b]52;c;aGk=\x1b\`,
		"\u009b31m":                   `\u009b31m`,
		"\x9b31m":                     `\x9b31m`,
		"\r\n\t\x00\x7f":              `\r\n\t\x00\x7f`,
		"\u202e\u2066\u061c":          `\u202e\u2066\u061c`,
		"\u200b\u200d\u2060":          `\u200b\u200d\u2060`,
		"\ufeff\u00ad\u2028":          `\ufeff\u00ad\u2028`,
		"\U000e0041":                  `\U000e0041`,
		"订单 🛒 e\u0301 \u3000 \ufffd!": "订单 🛒 e\u0301 \u3000 \ufffd!",
		`C:\temp\x1b`:                 `C:\temp\x1b`,
		"a\xff\xfeb":                  `a\xff\xfeb`,
		"cut \xe8\xae":                `cut \xe8\xae`,
		`it's "so"`:                   `it's "so"`,
	} {
		if got := text.Safe(in); got != want {
			t.Errorf("Safe(%q) = %s, want %s", in, got, want)
		}
		if got := text.SafeBytes([]byte(in)); got != want {
			t.Errorf("SafeBytes(%q) = %s, want %s", in, got, want)
		}
	}
}

// holds is what may be trusted of safe text.
func holds(t interface{ Errorf(string, ...any) }, in string) {
	got := text.Safe(in)
	if !utf8.ValidString(got) {
		t.Errorf("Safe(%q) is not UTF-8: %q", in, got)
	}
	for _, r := range got {
		if !strconv.IsGraphic(r) {
			t.Errorf("Safe(%q) lets %U through", in, r)
		}
	}
	if again := text.Safe(got); again != got {
		t.Errorf("Safe is not idempotent: %q, then %q", got, again)
	}
	if clean := strings.IndexFunc(in, func(r rune) bool { return !strconv.IsGraphic(r) }) < 0 && utf8.ValidString(in); clean && got != in {
		t.Errorf("Safe(%q) changed harmless text to %q", in, got)
	}
}

func TestSafeHoldsForAnyBytes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		holds(t, rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "in"))
	})
}

func FuzzSafe(f *testing.F) {
	for _, s := range []string{"", "a", "\x1b[2J", "\u202e", "\xff", "\\", "\u009b", "订单"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) { holds(t, string(b)) })
}

func TestWidthCountsCells(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]int{
		"": 0, "order": 5, "订单": 4, "e\u0301": 1, "…": 1, "🛒": 2, "\u3000": 2, "─│●°×": 5, "a订b": 4,
	} {
		if got := text.Width(in); got != want {
			t.Errorf("Width(%q) = %d, want %d", in, got, want)
		}
	}
}

func TestTruncateNeverSplitsACharacter(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		in    string
		cells int
		want  string
	}{
		{"order", 5, "order"},
		{"order", 4, "ord…"},
		{"order", 1, "…"},
		{"order", 0, ""},
		{"order", -1, ""},
		{"订单号", 6, "订单号"},
		{"订单号", 5, "订单…"},
		{"订单号", 4, "订…"},
		{"订单号", 1, "…"},
		{"", 3, ""},
	} {
		if got := text.Truncate(row.in, row.cells); got != row.want {
			t.Errorf("Truncate(%q, %d) = %q, want %q", row.in, row.cells, got, row.want)
		}
	}
}

func TestTruncateFitsForAnyText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := text.Safe(rapid.String().Draw(t, "s"))
		n := rapid.IntRange(0, 30).Draw(t, "cells")
		got := text.Truncate(s, n)
		if w := text.Width(got); w > n {
			t.Fatalf("Truncate(%q, %d) = %q takes %d cells", s, n, got, w)
		}
		if text.Width(s) <= n && got != s {
			t.Fatalf("Truncate(%q, %d) = %q cut what fits", s, n, got)
		}
	})
}

func BenchmarkSafe(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		text.Safe("536365 a plain header value of an ordinary order")
	}
}
