package config_test

import (
	"math"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/config"
)

func TestUnits(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]time.Duration{"5s": 5 * time.Second, "1m30s": 90 * time.Second, "250ms": 250 * time.Millisecond, "0": 0, "0s": 0, "-1s": -time.Second} {
		if got, err := config.ParseDuration(in); err != nil || got != want {
			t.Errorf("duration %q: %v, %v", in, got, err)
		}
	}
	for in, want := range map[string]config.Size{"64KiB": 64 << 10, "4MiB": 4 << 20, "1.5GiB": 3 << 29, "1000000": 1_000_000, "1MB": 1_000_000, "7 B": 7, "0": 0, "4mib": 4 << 20} {
		if got, err := config.ParseSize(in); err != nil || got != want {
			t.Errorf("size %q: %d, %v", in, got, err)
		}
	}
	for in, want := range map[string]config.Rate{"100/s": 100, "150k": 150_000, "20k/s": 20_000, "1M/s": 1e6, "0.5": 0.5, "120/m": 2, "7200/h": 2, "0": 0} {
		if got, err := config.ParseRate(in); err != nil || got != want {
			t.Errorf("rate %q: %v, %v", in, got, err)
		}
	}
	for in, want := range map[string]config.Ratio{"0.5": 0.5, "1%": 0.01, "99.5%": 0.995, "1": 1} {
		if got, err := config.ParseRatio(in); err != nil || got != want {
			t.Errorf("share %q: %v, %v", in, got, err)
		}
	}
}

func TestWhatHasNoOrTheWrongUnitIsRefused(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"5", "1.5", "5 s", "s", "", "NaN", "1e3s", "∞"} {
		if got, err := config.ParseDuration(in); err == nil {
			t.Errorf("duration %q: %v", in, got)
		}
	}
	for _, in := range []string{"64 kilo", "-1", "1.5B", "0x10", "1e3", "", "99999999GiB", "KiB", "1_000"} {
		if got, err := config.ParseSize(in); err == nil {
			t.Errorf("size %q: %v", in, got)
		}
	}
	for _, in := range []string{"NaN", "Inf", "-Inf", "fast", "", "1e3", "100/d", "100/", "/s", "0x1p3", "1 /s"} {
		if got, err := config.ParseRate(in); err == nil {
			t.Errorf("rate %q: %v", in, got)
		}
	}
	for _, in := range []string{"NaN", "%", "", "1e3", "half", "0x1"} {
		if got, err := config.ParseRatio(in); err == nil {
			t.Errorf("share %q: %v", in, got)
		}
	}
	for _, in := range []string{"010", "1e3", "3.7", "", "1_000", "+1", "0x10", "99999999999999999999"} {
		if got, err := config.ParseInt(in); err == nil {
			t.Errorf("int %q: %v", in, got)
		}
	}
}

func TestUnitsReadBackWhatTheyWrite(t *testing.T) {
	t.Parallel()
	for _, d := range []time.Duration{0, time.Second, time.Minute, time.Hour, 168 * time.Hour, 90 * time.Second, 3*time.Hour + 5*time.Second, 1500 * time.Microsecond} {
		if got, err := config.ParseDuration(config.FormatDuration(d)); err != nil || got != d {
			t.Errorf("%s became %q became %v, %v", d, config.FormatDuration(d), got, err)
		}
	}
	for d, want := range map[time.Duration]string{time.Minute: "1m", time.Hour: "1h", 90 * time.Minute: "1h30m", 168 * time.Hour: "168h"} {
		if got := config.FormatDuration(d); got != want {
			t.Errorf("%v is written %q, want %q", d, got, want)
		}
	}
	for _, s := range []config.Size{0, 1, 1023, config.KiB, 512 * config.KiB, 1_000_000, config.GiB} {
		if got, err := config.ParseSize(s.String()); err != nil || got != s {
			t.Errorf("%d became %q became %v, %v", int64(s), s, got, err)
		}
	}
	for _, r := range []config.Rate{0, 0.5, 100, 150_000, 1.0 / 3} {
		if got, err := config.ParseRate(r.String()); err != nil || got != r {
			t.Errorf("%v became %q became %v, %v", float64(r), r, got, err)
		}
	}
}

func TestSuggestions(t *testing.T) {
	t.Parallel()
	words := []string{"table", "wide", "json", "jsonl", "csv"}
	for in, want := range map[string]string{"jsn": "json", "tabel": "table", "JSON": "", "wid": "wide", "xml": "", "": "", "csvv": "csv"} {
		if got := config.Suggest(in, words); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func FuzzUnits(f *testing.F) {
	for _, s := range []string{"5s", "64KiB", "100/s", "1%", "NaN", "-1", "1e9", "9223372036854775807"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := config.ParseDuration(s); err == nil {
			if again, err := config.ParseDuration(config.FormatDuration(d)); err != nil || again != d {
				t.Errorf("duration %q: %v, then %v, %v", s, d, again, err)
			}
		}
		if n, err := config.ParseSize(s); err == nil {
			if again, err := config.ParseSize(n.String()); err != nil || again != n || n < 0 {
				t.Errorf("size %q: %d, then %d, %v", s, n, again, err)
			}
		}
		if r, err := config.ParseRate(s); err == nil && math.IsNaN(float64(r)) {
			t.Errorf("rate %q is NaN", s)
		}
		if r, err := config.ParseRatio(s); err == nil && math.IsNaN(float64(r)) {
			t.Errorf("share %q is NaN", s)
		}
	})
}

// Whatever stands in the file: an answer, and never a value that Validate would refuse.
func FuzzFile(f *testing.F) {
	for _, s := range []string{
		config.Template(), "kafka:\n  brokers: [a:1]\n", "a: &a [*a]\n", "contexts: [{name: x}]\ncontext: x\n", "\t", "? - a\n: b", "---\n---\n", "{", "- - - -",
	} {
		f.Add(s)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, s string) {
		path := t.TempDir() + "/f.yaml"
		if err := writeFile(path, s); err != nil {
			t.Fatal(err)
		}
		l, err := config.Load(config.Input{Path: path, Environ: []string{"HOME=" + dir}})
		if err != nil {
			return
		}
		if err := l.Config.Validate(); err != nil {
			t.Errorf("loaded what is wrong: %v", err)
		}
	})
}
