package produce

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestRatesAreRead(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]float64{
		"100/s": 100, "100": 100, "20k": 20_000, "150k/s": 150_000, "1.5M": 1_500_000, "0.5": 0.5, "0.5/s": 0.5,
		"100/m": 100.0 / 60, "3/h": 3.0 / 3600, "1.5k/m": 25, " 7/s ": 7, "10M": 10_000_000, ".5": 0.5,
	} {
		r, err := ParseRate(in)
		if err != nil || math.Abs(r.perSecond-want) > 1e-9 || r.max || r.IsZero() {
			t.Errorf("ParseRate(%q) = %+v, %v; want %v/s", in, r, err, want)
		}
	}
	for _, in := range []string{
		"", "0", "0/s", "-1", "NaN", "Inf", "+Inf", "1e3", "0x10", "1_000", "100/d", "100/", "/s", "k", "1 k", "11M", "1/s/s",
		"0.01/h", "1kk", "max/s", "MAX", "١", "1,000",
	} {
		if r, err := ParseRate(in); err == nil {
			t.Errorf("ParseRate(%q) = %v, want an error", in, r)
		}
	}
	if r, err := ParseRate("max"); err != nil || !r.max || r.IsZero() {
		t.Errorf("ParseRate(max) = %+v, %v", r, err)
	}
}

func TestRatesShowAsTheyWereAsked(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"20k": "20k/s", "100/m": "100/m", "max": "max", "0.5": "0.5/s"} {
		var r Rate
		if err := r.Set(in); err != nil || r.String() != want || r.Type() != "rate" {
			t.Errorf("Set(%q): %v, String() = %q", in, err, r.String())
		}
	}
	r := PerSecond(20)
	if err := r.Set("nonsense"); err == nil || r.String() != "20/s" {
		t.Errorf("a bad value changed the rate to %v: %v", r, err)
	}
	if (Rate{}).String() != "" || !(Rate{}).IsZero() {
		t.Error("no rate is a rate")
	}
}

// The schedule of a day at 150,000 a second is exact to the nanosecond: no error adds up.
func TestScheduleIsAbsolute(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		rate string
		n    int64
		want time.Duration
	}{
		{"150k/s", 0, 0},
		{"150k/s", 3, 20 * time.Microsecond},
		{"150k/s", 1, 6_667 * time.Nanosecond},
		{"150k/s", 150_000 * 3600, time.Hour},
		{"150k/s", 150_000 * 86_400, 24 * time.Hour},
		{"0.5/s", 1, 2 * time.Second},
		{"0.5/s", 1_800, time.Hour},
		{"100/m", 1, 600 * time.Millisecond},
		{"100/m", 100, time.Minute},
		{"100/m", 144_000, 24 * time.Hour},
		{"3/h", 1, 20 * time.Minute},
		{"0.5/s", math.MaxInt64, math.MaxInt64},
	} {
		r, err := ParseRate(row.rate)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.at(row.n); got != row.want {
			t.Errorf("record %d at %s is due at %v, want %v", row.n, row.rate, got, row.want)
		}
	}
}

func TestADurationHoldsItsWholeNumberOfRecords(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		rate string
		d    time.Duration
		want int64
	}{
		{"20k", 10 * time.Second, 200_000},
		{"150k", time.Minute, 9_000_000},
		{"0.5", 10 * time.Second, 5},
		{"0.5", time.Second, 1},
		{"100/m", time.Minute, 100},
		{"100/m", 90 * time.Second, 150},
		{"3", time.Second, 3},
		{"7", 10 * time.Second, 70},
		{"1", 1500 * time.Millisecond, 2},
	} {
		r, _ := ParseRate(row.rate)
		if got := r.within(row.d); got != row.want {
			t.Errorf("%s for %v holds %d records, want %d", row.rate, row.d, got, row.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		r := PerSecond(rapid.Float64Range(0.01, 1_000_000).Draw(t, "rate"))
		d := time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "duration"))
		n := r.within(d)
		if n > 0 && r.at(n-1) >= d || r.at(n) < d {
			t.Fatalf("%v for %v: %d records, the last due at %v, the next at %v", r, d, n, r.at(n-1), r.at(n))
		}
	})
}

func TestUnitsAreRead(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]int64{"0": 0, "1000": 1_000, "1k": 1_000, "100k": 100_000, "1.5M": 1_500_000} {
		if got, err := ParseCount(in); err != nil || got != want {
			t.Errorf("ParseCount(%q) = %d, %v", in, got, err)
		}
	}
	for in, want := range map[string]float64{"99%": 0.99, "0%": 0, "100%": 1, "99.5%": 0.995} {
		if got, err := ParsePercent(in); err != nil || got != want {
			t.Errorf("ParsePercent(%q) = %v, %v", in, got, err)
		}
	}
	for in, want := range map[string]float64{"max": 0, "1x": 1, "60x": 60, "0.5x": 0.5} {
		if got, err := ParseSpeed(in); err != nil || got != want {
			t.Errorf("ParseSpeed(%q) = %v, %v", in, got, err)
		}
	}
	for in, want := range map[string][2]int{"3": {3, 3}, "1-8": {1, 8}, "2000": {2_000, 2_000}, "1-2000": {1, 2_000}} {
		if a, b, err := ParseItems(in); err != nil || a != want[0] || b != want[1] {
			t.Errorf("ParseItems(%q) = %d, %d, %v", in, a, b, err)
		}
	}
	for _, in := range []string{"", "-1", "1.5", "NaN", "1e3", "x", "k", "2000000000M"} {
		if n, err := ParseCount(in); err == nil {
			t.Errorf("ParseCount(%q) = %d", in, n)
		}
	}
	for _, in := range []string{"", "99", "101%", "-1%", "NaN%", "%"} {
		if n, err := ParsePercent(in); err == nil {
			t.Errorf("ParsePercent(%q) = %v", in, n)
		}
	}
	for _, in := range []string{"", "0x", "60", "-1x", "Infx", "2Mx", "x"} {
		if n, err := ParseSpeed(in); err == nil {
			t.Errorf("ParseSpeed(%q) = %v", in, n)
		}
	}
	for _, in := range []string{"", "0", "8-1", "0-3", "1-2001", "1-", "-3", "1-2-3", "1 - 2", "a"} {
		if a, b, err := ParseItems(in); err == nil {
			t.Errorf("ParseItems(%q) = %d-%d", in, a, b)
		}
	}
}

func TestGapsNeverGoBackAndNeverLastTooLong(t *testing.T) {
	t.Parallel()
	var g gaps
	for i, row := range []struct {
		recorded int64
		want     time.Duration
	}{
		{1_000_000, 0},
		{1_002_000, time.Second},
		{1_001_000, time.Second},
		{0, time.Second},
		{-5, time.Second},
		{1_004_000, 2 * time.Second},
		{9_999_999_000, 2*time.Second + time.Minute},
		{9_999_999_002, 2*time.Second + time.Minute + time.Millisecond},
	} {
		if got := g.next(row.recorded, 2, time.Minute); got != row.want {
			t.Errorf("order %d, recorded at %d, is due at %v, want %v", i, row.recorded, got, row.want)
		}
	}
}

// Whatever is accepted is a schedule that moves on.
func FuzzParseRate(f *testing.F) {
	for _, s := range []string{"100/s", "20k", "0.5", "100/m", "max", "1e3", "NaN", "-1", "1_0", "3/h", "", "k/s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRate(s)
		if err != nil || r.max {
			return
		}
		if !(r.perSecond >= minRate && r.perSecond <= maxRate) || r.IsZero() || r.at(0) != 0 || r.at(1) <= 0 || r.at(1_000) < r.at(999) {
			t.Errorf("ParseRate(%q) = %+v", s, r)
		}
		if again, err := ParseRate(r.String()); err != nil || again.perSecond != r.perSecond {
			t.Errorf("ParseRate(%q) shows as %q: %v", s, r, err)
		}
	})
}

func BenchmarkSampler(b *testing.B) {
	s := newSampler(Options{RunID: "bench", Seed: 1, MinItems: 1, MaxItems: 8})
	k := &Kafka{Topic: "orders", Partitions: 12, Partition: func([]byte, int32) int32 { return 0 }}
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		r, _, _ := s.next()
		_ = r.message(k, "bench", "bench-1", now)
	}
}
