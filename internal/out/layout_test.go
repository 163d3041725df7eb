package out_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"commerce.internal/orderctl/internal/out"
	"commerce.internal/orderctl/internal/text"
)

// sample has a cell of every kind, an unknown and one that does not apply.
func sample() out.Table {
	at := time.Date(2026, 11, 22, 14, 32, 45, 0, time.UTC)
	return out.Table{
		Schema: "orderctl.sample/v1", List: "partitions",
		Columns: []out.Column{
			{Name: "Part.id", JSON: "partition"},
			{Name: "UNREAD", JSON: "unread", Kind: out.KindInt},
			{Name: "AGE", JSON: "age_seconds", Kind: out.KindDuration, Drop: 2},
			{Name: "SINCE", JSON: "since", Kind: out.KindTime, Drop: 1},
			{Name: "OWNER", JSON: "owner", Wide: true},
			{Name: "REASON", JSON: "reason", Flex: true},
		},
		Rows: [][]out.Cell{
			{out.Text("orders/1"), out.Int(14210), out.Duration(9 * time.Second), out.Time(at), out.Text("w-1"), out.Text("504 from downstream")},
			{out.Text("orders/11"), out.Unknown(), out.NA(), out.Unknown(), out.NA(), out.Text("")},
		},
	}
}

func printed(t *testing.T, o out.Options, tab out.Table) string {
	t.Helper()
	var b bytes.Buffer
	if err := out.Print(&b, o, tab, nil); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestATableInAPipeIsWholeAndPlain(t *testing.T) {
	t.Parallel()
	want := `Part.id    UNREAD  AGE  SINCE                 REASON
orders/1    14210   9s  2026-11-22T14:32:45Z  504 from downstream
orders/11       ?    -  ?
`
	if got := printed(t, out.Options{}, sample()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestATableOnATerminalIsForEyes(t *testing.T) {
	t.Parallel()
	o := out.Options{Terminal: true, Width: 100, Location: time.FixedZone("CST", 8*3600)}
	want := `Part.id    UNREAD  AGE  SINCE                REASON
orders/1   14,210   9s  2026-11-22 22:32:45  504 from downstream
orders/11       ?    -  ?
`
	if got := printed(t, o, sample()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestWideShowsMoreColumns(t *testing.T) {
	t.Parallel()
	if got := printed(t, out.Options{Format: out.FormatWide}, sample()); !strings.Contains(got, "OWNER") || !strings.Contains(got, "w-1") {
		t.Errorf("no owner in\n%s", got)
	}
}

func TestOnANarrowTerminalColumnsLeaveInTheirOrder(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name  string
		width int
		want  string
	}{
		{"free text is cut first", 63, "Part.id    UNREAD  AGE  SINCE                REASON\norders/1   14,210   9s  2026-11-22 14:32:45  504 from downstre…"},
		{"then the first column leaves", 46, "Part.id    UNREAD  AGE  REASON\norders/1   14,210   9s  504 from downstream"},
		{"then the second", 36, "Part.id    UNREAD  REASON\norders/1   14,210  504 from downstr…"},
		{"then free text is cut as far as it must", 24, "Part.id    UNREAD  REAS…\norders/1   14,210  504 …"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			got := printed(t, out.Options{Terminal: true, Width: row.width, Location: time.UTC}, sample())
			if !strings.HasPrefix(got, row.want+"\n") {
				t.Errorf("got\n%s\nwant\n%s", got, row.want)
			}
		})
	}
}

func TestHeadersCanBeLeftOut(t *testing.T) {
	t.Parallel()
	for _, f := range []out.Format{out.FormatTable, out.FormatCSV} {
		if got := printed(t, out.Options{Format: f, NoHeader: true}, sample()); !strings.HasPrefix(got, "orders/1") {
			t.Errorf("%s: got\n%s", f, got)
		}
	}
}

func TestAnEmptyListIsTheHeadingAlone(t *testing.T) {
	t.Parallel()
	tab := sample()
	tab.Rows = nil
	if got, want := printed(t, out.Options{}, tab), "Part.id  UNREAD  AGE  SINCE  REASON\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := printed(t, out.Options{NoHeader: true}, tab); got != "" {
		t.Errorf("without a heading: %q", got)
	}
}

func TestARowOfTheWrongLengthIsRefused(t *testing.T) {
	t.Parallel()
	for _, row := range [][]out.Cell{{out.Text("short")}, make([]out.Cell, 7)} {
		tab := sample()
		tab.Rows = append(tab.Rows, row)
		if err := out.Print(&bytes.Buffer{}, out.Options{}, tab, nil); err == nil {
			t.Errorf("a row of %d cells was taken for 6 columns", len(row))
		}
	}
}

func TestCellsStayOnOneLineAndInTheirColumn(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, cell, want string }{
		{"a line feed is no second line", "a\nb", `a\nb  1`},
		{"long text does not wrap", strings.Repeat("word ", 60) + "end", strings.Repeat("word ", 60) + "end  1"},
		{"blanks at the front stay", "  a", "  a  1"},
		{"wide characters take two cells", "订单", "订单  1"},
		{"an ellipsis takes one", "a…", "a…  1"},
		{"an emoji with a colour of skin takes two", "👍🏽", "👍🏽  1"},
		{"an empty cell keeps its place", "", "1"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			tab := out.Table{
				Columns: []out.Column{{Name: "", JSON: "a"}, {Name: "N", JSON: "n", Kind: out.KindInt}},
				Rows:    [][]out.Cell{{out.Text(row.cell), out.Int(1)}},
			}
			got := printed(t, out.Options{NoHeader: true}, tab)
			if strings.TrimSpace(got) != strings.TrimSpace(row.want) || strings.Count(got, "\n") != 1 {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

func TestRowsOfBlanksAreRows(t *testing.T) {
	t.Parallel()
	tab := out.Table{Columns: []out.Column{{Name: "A", JSON: "a"}}, Rows: [][]out.Cell{{out.Text("")}, {out.Text("x")}, {out.Text("")}}}
	if got := printed(t, out.Options{}, tab); got != "A\n\nx\n\n" {
		t.Errorf("got %q", got)
	}
}

func TestColourIsPutOnTheFinishedLayout(t *testing.T) {
	t.Parallel()
	tab := out.Table{
		Columns: []out.Column{{Name: "STATUS", JSON: "status"}, {Name: "N", JSON: "n", Kind: out.KindInt}, {Name: "订", JSON: "x"}},
		Rows: [][]out.Cell{
			{out.Text("LOST").With(out.Bad), out.Int(7).With(out.Warn), out.Text("单")},
			{out.Text("OK").With(out.Good), out.Int(1000), out.Text("")},
		},
	}
	plain := printed(t, out.Options{}, tab)
	coloured := printed(t, out.Options{Color: true}, tab)
	want := "\x1b[1mSTATUS\x1b[0m     \x1b[1mN\x1b[0m  \x1b[1m订\x1b[0m\n\x1b[31mLOST\x1b[0m       \x1b[33m7\x1b[0m  单\n\x1b[32mOK\x1b[0m      1000\n"
	if coloured != want {
		t.Errorf("got %q\nwant %q", coloured, want)
	}
	if stripped := stripColours(coloured); stripped != plain {
		t.Errorf("without its colours %q is not %q", stripped, plain)
	}
}

func stripColours(s string) string {
	for _, code := range []string{"0", "1", "2", "7", "31", "32", "33"} {
		s = strings.ReplaceAll(s, "\x1b["+code+"m", "")
	}
	return s
}

// The library decides on widths from the environment once, so processes of their own must print.
func TestTheSameBytesInEveryLocale(t *testing.T) {
	t.Parallel()
	if os.Getenv("OUT_LOCALE_CHILD") != "" {
		tab := sample()
		tab.Rows = append(tab.Rows, []out.Cell{out.Text("订单…─"), out.Int(1), out.NA(), out.NA(), out.NA(), out.Text(strings.Repeat("长", 300))})
		_ = out.Print(os.Stdout, out.Options{Terminal: true, Width: 80, Location: time.UTC}, tab, nil)
		os.Exit(0)
	}
	var first []byte
	for _, env := range []string{"LANG=C.UTF-8", "LANG=zh_CN.GBK", "RUNEWIDTH_EASTASIAN=1"} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), "OUT_LOCALE_CHILD=1", env)
		got, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", env, err)
		}
		if first == nil {
			first = got
		}
		if !bytes.Equal(first, got) {
			t.Errorf("under %s:\n%s\ninstead of\n%s", env, got, first)
		}
	}
	if !bytes.Contains(first, []byte("长…")) {
		t.Errorf("300 wide characters were not cut:\n%s", first)
	}
}

func TestTenThousandRowsKeepTheirCountAndTheirColumns(t *testing.T) {
	t.Parallel()
	tab := out.Table{Columns: []out.Column{{Name: "N", JSON: "n", Kind: out.KindInt}, {Name: "TEXT", JSON: "text"}, {Name: "M", JSON: "m", Kind: out.KindInt}}}
	var want []string
	for i := range 10_000 {
		tab.Rows = append(tab.Rows, []out.Cell{out.Int(int64(i)), out.Text(strings.Repeat("订", i%4)), out.Int(int64(i * i))})
		want = append(want, fmt.Sprintf("%4d  %s%s  %8d", i, strings.Repeat("订", i%4), strings.Repeat(" ", 6-i%4*2), i*i))
	}
	got := strings.Split(strings.TrimSuffix(printed(t, out.Options{}, tab), "\n"), "\n")
	if len(got) != len(want)+1 {
		t.Fatalf("%d lines", len(got))
	}
	for i, line := range got[1:] {
		if line != want[i] {
			t.Fatalf("row %d is %q, want %q", i, line, want[i])
		}
	}
	tab.Columns[1].Flex = true
	if got := strings.Count(printed(t, out.Options{Terminal: true, Width: 16}, tab), "\n"); got != 10_001 {
		t.Errorf("%d lines on a narrow terminal", got)
	}
}

// anyTable draws tables as real commands have them: some numbers that stay, columns that leave, free text at the end.
func anyTable(t *rapid.T) out.Table {
	foreign := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
		"", "订单号码", "\x1b]0;x\a", "\u009b2J", "a\u202eb", "\xff\xfe", "=1+1", "👍🏽", strings.Repeat("x", 300),
	}))
	tab := out.Table{Schema: "orderctl.any/v1", Columns: []out.Column{
		{Name: "ID", JSON: "id", Kind: out.KindInt},
		{Name: "KEY", JSON: "key", Drop: 2},
		{Name: "AGE", JSON: "age_seconds", Kind: out.KindDuration, Drop: 1},
		{Name: "REASON", JSON: "reason", Flex: true},
	}}
	for range rapid.IntRange(0, 5).Draw(t, "rows") {
		tab.Rows = append(tab.Rows, []out.Cell{
			out.Int(rapid.Int64().Draw(t, "id")),
			out.Text(foreign.Draw(t, "key")),
			out.Duration(time.Duration(rapid.Int64().Draw(t, "age"))),
			out.Text(foreign.Draw(t, "reason")),
		})
	}
	return tab
}

func TestEveryTableFitsTheTerminal(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tab, width := anyTable(t), rapid.IntRange(40, 200).Draw(t, "width")
		var b bytes.Buffer
		if err := out.Print(&b, out.Options{Terminal: true, Width: width}, tab, nil); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
		if len(lines) != len(tab.Rows)+1 {
			t.Fatalf("%d lines for %d rows", len(lines), len(tab.Rows))
		}
		for _, line := range lines {
			if text.Width(line) > width {
				t.Fatalf("%d cells on a terminal of %d: %q", text.Width(line), width, line)
			}
			if strings.HasSuffix(line, " ") {
				t.Fatalf("blanks at the end of %q", line)
			}
		}
	})
}

func TestNoFormatLetsAControlCharacterThrough(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tab := anyTable(t)
		for _, f := range out.Formats() {
			var b bytes.Buffer
			if err := out.Print(&b, out.Options{Format: out.Format(f)}, tab, nil); err != nil {
				t.Fatal(err)
			}
			if got := strings.ReplaceAll(b.String(), "\n", ""); text.Safe(got) != got {
				t.Fatalf("%s: %q holds what text.Safe would escape", f, got)
			}
		}
	})
}
