package out_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/out"
)

func TestCellsForEyesAndForPrograms(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 600_000_000, time.UTC)
	for _, row := range []struct {
		name                 string
		kind                 out.Kind
		cell                 out.Cell
		terminal, pipe, json string
	}{
		{"a number is grouped", out.KindInt, out.Int(1234567), "1,234,567", "1234567", "1234567"},
		{"a small one is not", out.KindInt, out.Int(-999), "-999", "-999", "-999"},
		{"a negative one is", out.KindInt, out.Int(-1000), "-1,000", "-1000", "-1000"},
		{"zero is zero", out.KindInt, out.Int(0), "0", "0", "0"},
		{"unknown is never zero", out.KindInt, out.Unknown(), "?", "?", "null"},
		{"what does not apply is left out", out.KindInt, out.NA(), "-", "-", "absent"},
		{"a fraction has one digit", out.KindNumber, out.Number(1.26), "1.3", "1.3", "1.26"},
		{"NaN is unknown", out.KindNumber, out.Number(math.NaN()), "?", "?", "null"},
		{"infinity is unknown", out.KindRatio, out.Ratio(math.Inf(1)), "?", "?", "null"},
		{"a share is a percentage", out.KindRatio, out.Ratio(0.38), "38%", "38%", "0.38"},
		{"a size has a unit for eyes", out.KindBytes, out.Bytes(38 << 20), "38 MiB", "39845888", "39845888"},
		{"a length of time is in seconds for programs", out.KindDuration, out.Duration(90 * time.Second), "1m30s", "1m30s", "90"},
		{"a time is local for eyes", out.KindTime, out.Time(at), "2026-01-02 11:04:05", "2026-01-02T03:04:05Z", `"2026-01-02T03:04:05.6Z"`},
		{"the zero time is unknown", out.KindTime, out.Time(time.Time{}), "?", "?", "null"},
		{"yes", out.KindBool, out.Bool(true), "yes", "yes", "true"},
		{"no", out.KindBool, out.Bool(false), "no", "no", "false"},
		{"text is escaped", out.KindText, out.Text("a\x1b"), `a\x1b`, `a\x1b`, `"a\u001b"`},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			tab := out.Table{Columns: []out.Column{{JSON: "x", Kind: row.kind}}, Rows: [][]out.Cell{{row.cell}}}
			o := out.Options{Terminal: true, NoHeader: true, Location: time.FixedZone("CST", 8*3600)}
			if got := strings.TrimSpace(printed(t, o, tab)); got != row.terminal {
				t.Errorf("on a terminal %q, want %q", got, row.terminal)
			}
			if got := strings.TrimSpace(printed(t, out.Options{NoHeader: true}, tab)); got != row.pipe {
				t.Errorf("in a pipe %q, want %q", got, row.pipe)
			}
			want := `{"schema":"","x":` + row.json + "}\n"
			if row.json == "absent" {
				want = "{\"schema\":\"\"}\n"
			}
			if got := printed(t, out.Options{Format: out.FormatJSONL}, tab); got != want {
				t.Errorf("in json %s, want %s", got, want)
			}
		})
	}
}

func TestAgeHasAtMostTwoUnits(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0ms", 250 * time.Millisecond: "250ms", 9900 * time.Millisecond: "9s", 59 * time.Second: "59s", time.Minute: "1m",
		61 * time.Second: "1m1s", 12*time.Minute + 30*time.Second: "12m", 192 * time.Minute: "3h12m", 24 * time.Hour: "1d",
		52 * time.Hour: "2d4h", 5000 * time.Hour: "208d", -3 * time.Second: "-3s",
	} {
		if got := out.Age(d); got != want {
			t.Errorf("Age(%s) = %q, want %q", d, got, want)
		}
	}
}

func TestSizeHasAUnit(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 1 << 20: "1 MiB", 1<<20 - 1: "1 MiB", math.MaxInt64: "8 EiB",
		-2048: "-2 KiB",
	} {
		if got := out.Size(n); got != want {
			t.Errorf("Size(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestTheOrderOfColourSettings(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name     string
		flag     string
		env      string
		terminal bool
		want     bool
	}{
		{"a terminal has colours", "auto", "", true, true},
		{"a pipe has none", "auto", "", false, false},
		{"always beats NO_COLOR and a pipe", "always", "NO_COLOR=1", false, true},
		{"never beats a terminal and FORCE_COLOR", "never", "FORCE_COLOR=1", true, false},
		{"NO_COLOR beats CLICOLOR_FORCE", "auto", "NO_COLOR=1 CLICOLOR_FORCE=1", true, false},
		{"an empty NO_COLOR is unset", "auto", "NO_COLOR=", true, true},
		{"CLICOLOR_FORCE beats a pipe and dumb", "auto", "CLICOLOR_FORCE=1 TERM=dumb", false, true},
		{"FORCE_COLOR beats a pipe", "auto", "FORCE_COLOR=1", false, true},
		{"FORCE_COLOR=0 forces nothing", "auto", "FORCE_COLOR=0", false, false},
		{"dumb beats a terminal", "auto", "TERM=dumb", true, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			if got := out.UseColor(row.flag, lookup(row.env), row.terminal); got != row.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

// lookup reads variables written as "A=1 B=2".
func lookup(env string) func(string) string {
	return func(name string) string {
		for field := range strings.FieldsSeq(env) {
			if v, ok := strings.CutPrefix(field, name+"="); ok {
				return v
			}
		}
		return ""
	}
}
