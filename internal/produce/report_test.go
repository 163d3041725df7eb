package produce

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"
)

func TestVerdictsAndExitCodes(t *testing.T) {
	t.Parallel()
	good := Report{Sent: 100, Acknowledged: 100, MinRate: 0.99}
	with := func(change func(*Report)) Report {
		r := good
		change(&r)
		return r
	}
	ratio := func(f float64) *float64 { return &f }
	for _, row := range []struct {
		name string
		r    Report
		c    conduct
		exit int
	}{
		{"all acknowledged, no rate asked", good, conduct{}, 0},
		{"the rate reached", with(func(r *Report) { r.AchievedRatio = ratio(0.99) }), conduct{}, 0},
		{"the rate missed", with(func(r *Report) { r.AchievedRatio = ratio(0.989) }), conduct{}, 5},
		{"dropped", with(func(r *Report) { r.Dropped = 1 }), conduct{}, 5},
		{"not sent", with(func(r *Report) { r.NotSent = 1 }), conduct{}, 1},
		{"unknown", with(func(r *Report) { r.Unknown = 1 }), conduct{}, 1},
		{"rejected", with(func(r *Report) { r.Rejected = 1 }), conduct{}, 1},
		{"rejected as expected", with(func(r *Report) { r.Rejected, r.Expected = 253, 253 }), conduct{}, 0},
		{"one more than expected", with(func(r *Report) { r.Rejected, r.Expected = 254, 253 }), conduct{}, 1},
		{"failures count before the rate", with(func(r *Report) { r.Unknown, r.AchievedRatio = 1, ratio(0.1) }), conduct{}, 1},
		{"cut", with(func(r *Report) { r.Unknown = 1 }), conduct{cut: true, stopped: true}, 130},
		{"stopped without an asked end", good, conduct{stopped: true}, 0},
		{"nothing sent at all", Report{MinRate: 0.99, AchievedRatio: ratio(0)}, conduct{}, 0},
	} {
		row.r.Verdict = row.r.verdict(row.c)
		if got := row.r.ExitCode(); got != row.exit {
			t.Errorf("%s: exit %d (%s), want %d", row.name, got, row.r.Verdict, row.exit)
		}
	}
}

// Names of the schema are a promise to scripts.
func TestTheReportHasItsMembers(t *testing.T) {
	t.Parallel()
	o := Options{Kafka: &Kafka{Topic: "orders"}, RunID: "r", Rate: Max()}
	raw, err := json.Marshal(o.report(newTally(time.Time{}, nil, nil).view(), conduct{}))
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"schema", "run_id", "seed", "target", "schedule", "window", "asked_rate", "achieved_rate", "achieved_ratio", "min_rate",
		"sent", "acknowledged", "not_sent", "rejected", "unknown", "expected_rejections", "dropped", "duplicates", "poison",
		"errors", "cpu_us_per_record", "verdict", "latency_ms", "send_delay_ms", "service_ms",
	}
	for _, name := range want {
		if _, found := got[name]; !found {
			t.Errorf("no member %s", name)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d members, want %d", len(got), len(want))
	}
	for _, name := range []string{"asked_rate", "achieved_rate", "achieved_ratio", "cpu_us_per_record"} {
		if got[name] != nil {
			t.Errorf("%s = %v; what is not known is null", name, got[name])
		}
	}
	if !reflect.DeepEqual(got["errors"], map[string]any{}) {
		t.Errorf("errors = %v, want an empty object", got["errors"])
	}
	var members []string
	for name := range got["latency_ms"].(map[string]any) {
		members = append(members, name)
	}
	slices.Sort(members)
	if !slices.Equal(members, []string{"clamped", "count", "max", "mean", "p50", "p90", "p99", "p999"}) {
		t.Errorf("latency has %v", members)
	}
}

func TestHistogramsKeepThreeDigits(t *testing.T) {
	t.Parallel()
	h := newHist()
	for i := 1; i <= 1_000; i++ {
		h.record(time.Duration(i) * time.Millisecond)
	}
	h.record(-time.Second)
	h.record(2 * time.Minute)
	l := h.latency()
	for name, pair := range map[string][2]float64{
		"p50": {l.P50, 500}, "p90": {l.P90, 901}, "p99": {l.P99, 991}, "max": {l.Max, 60_000},
	} {
		if diff := pair[0]/pair[1] - 1; diff < -0.002 || diff > 0.002 {
			t.Errorf("%s = %v, want %v", name, pair[0], pair[1])
		}
	}
	if l.Count != 1_002 || l.Clamped != 1 {
		t.Errorf("count %d, clamped %d", l.Count, l.Clamped)
	}
}

func TestALatencyOfNothingIsUnknown(t *testing.T) {
	t.Parallel()
	none, err := json.Marshal(Latency{})
	if err != nil {
		t.Fatal(err)
	}
	one, err := json.Marshal(Latency{Count: 1})
	if err != nil {
		t.Fatal(err)
	}
	var got, some map[string]*float64
	if err := errors.Join(json.Unmarshal(none, &got), json.Unmarshal(one, &some)); err != nil {
		t.Fatal(err)
	}
	for name := range some {
		v, there := got[name]
		if counts := name == "count" || name == "clamped"; !there || counts != (v != nil) || some[name] == nil {
			t.Errorf("%s: %v of nothing, %v of one 0", name, v, some[name])
		}
	}
	if len(got) != len(some) {
		t.Errorf("%s has not the members of %s", none, one)
	}
}
