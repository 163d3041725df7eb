package lag_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/inspect/lag"
)

// aging is a window of n looks, one each five seconds, at partitions whose oldest order has the age that age says; of the
// last look the age is exact. Below 0: it is not known.
func aging(n int, every time.Duration, age ...func(i int) time.Duration) []lag.Snapshot {
	var w []lag.Snapshot
	for i := range n {
		parts, of, heads := map[lag.TopicPartition]lag.PartitionObs{}, map[lag.TopicPartition]int64{}, map[int32]time.Duration{}
		for p, f := range age {
			at := tp("orders", int32(p))
			obs := part(0, 1000+int64(10*i))
			obs.Mark = lag.Know(lag.OffsetAt{Offset: 0})
			parts[at], of[at] = obs, int64(i)
			if a := f(i); a >= 0 {
				heads[int32(p)] = a
			}
		}
		s := snapshot(group(lag.StateEmpty, nil, of), parts)
		s.AsOf = now().Add(time.Duration(i) * every)
		for at, p := range s.Partitions {
			p.EndAt = s.AsOf
			c := s.Groups["g"].Commits.V[at]
			c.At = s.AsOf
			s.Partitions[at], s.Groups["g"].Commits.V[at] = p, c
		}
		w = append(w, withHeads(s, "g", heads))
	}
	return w
}

func steadily(from time.Duration, slope float64, every time.Duration) func(int) time.Duration {
	return func(i int) time.Duration {
		return from + time.Duration(slope*float64(i)*float64(every))
	}
}

func TestForecast(t *testing.T) {
	t.Parallel()
	const each = 5 * time.Second
	rng := rand.New(rand.NewPCG(1, 2))
	noise := func(i int) time.Duration {
		return time.Minute + time.Duration(rng.NormFloat64()*float64(2*time.Second))
	}
	outliers := func(i int) time.Duration {
		if i%5 == 2 { // every fifth look is wrong by far
			return time.Duration(rng.IntN(280)) * time.Second
		}
		return steadily(time.Minute, 0.5, each)(i) + time.Duration(rng.NormFloat64()*float64(100*time.Millisecond))
	}
	tests := []struct {
		name    string
		window  []lag.Snapshot
		state   string
		seconds float64 // below 0: unknown
	}{
		{"steady growth", aging(40, each, steadily(time.Minute, 0.5, each)), lag.BreachForecast, (300 - 60 - 0.5*195) / 0.5},
		{"steady growth with 20 % outliers", aging(60, each, outliers), lag.BreachForecast, (300 - 60 - 0.5*295) / 0.5},
		{"it cannot grow faster than time", aging(20, each, steadily(time.Minute, 1.4, each)), lag.BreachForecast, 300 - (60 + 0.4*47.5 + 95)},
		{"flat noise", aging(60, each, noise), lag.BreachNo, -1},
		{"it shrinks", aging(40, each, steadily(4*time.Minute, -0.5, each)), lag.BreachNo, -1},
		{"so slowly that it takes more than a day", aging(60, each, steadily(time.Minute, 0.001, each)), lag.BreachNo, -1},
		{"four points", aging(4, 10*time.Second, steadily(time.Minute, 0.5, 10*time.Second)), "", -1},
		{"less than half a minute", aging(6, each, steadily(time.Minute, 0.5, each)), "", -1},
		{"the age is not known", aging(40, each, func(int) time.Duration { return -1 }), "", -1},
		{"the SLO is crossed already", aging(1, each, steadily(6*time.Minute, 1, each)), lag.BreachBreached, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := find(t, lag.Evaluate(tt.window, lag.Policy{}), "g")
			for _, b := range []lag.Breach{row(t, g, "orders", 0).Breach, g.Breach} {
				if b.State.V != tt.state || b.Seconds.Known != (tt.seconds >= 0) {
					t.Fatalf("%+v, want %q in %v", b, tt.state, tt.seconds)
				}
				if b.Seconds.Known && math.Abs(b.Seconds.V-tt.seconds) > 0.1*tt.seconds {
					t.Errorf("in %v s, want %v within a tenth", b.Seconds.V, tt.seconds)
				}
				if b.Seconds.Known && b.Seconds.V < b.Earliest.V {
					t.Errorf("before the bound: %+v", b)
				}
			}
		})
	}
}

func TestOneLookGivesACertainBound(t *testing.T) {
	t.Parallel()
	minute := steadily(time.Minute, 1, time.Second)
	g := find(t, lag.Evaluate(aging(1, time.Second, minute), lag.Policy{}), "g")
	if b := g.Breach; b.State.Known || b.Earliest != lag.Know(240.0) {
		t.Errorf("%+v", b)
	}
	unknown := find(t, lag.Evaluate(aging(1, time.Second, minute, func(int) time.Duration { return -1 }), lag.Policy{}), "g")
	if unknown.Earliest.Known {
		t.Errorf("a bound though one age is unknown: %+v", unknown.Breach)
	}
}

func TestAGroupComesToItsSLOWithItsFirstPartition(t *testing.T) {
	t.Parallel()
	const each = 5 * time.Second
	slow, fast := steadily(time.Minute, 0.1, each), steadily(time.Minute, 0.5, each)
	falls := steadily(4*time.Minute, -0.2, each)
	unknown := func(int) time.Duration { return -1 }
	for name, tt := range map[string]struct {
		ages  []func(int) time.Duration
		state string
	}{
		"the soonest counts":                   {[]func(int) time.Duration{slow, fast, falls}, lag.BreachForecast},
		"no, where none will":                  {[]func(int) time.Duration{falls, falls}, lag.BreachNo},
		"not known, where one may":             {[]func(int) time.Duration{falls, unknown}, ""},
		"a forecast stands beside the unknown": {[]func(int) time.Duration{fast, unknown}, lag.BreachForecast},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := find(t, lag.Evaluate(aging(40, each, tt.ages...), lag.Policy{}), "g")
			if g.Breach.State.V != tt.state {
				t.Fatalf("%+v", g.Breach)
			}
			if tt.state == lag.BreachForecast && math.Abs(g.Seconds.V-285) > 3 {
				t.Errorf("in %v s, want 285", g.Seconds.V)
			}
		})
	}
}

func TestGrowingIsAWarningOnlyNearTheSLO(t *testing.T) {
	t.Parallel()
	const each = 5 * time.Second
	for name, tt := range map[string]struct {
		slope   float64
		verdict lag.Severity
	}{"in five minutes": {0.5, lag.SevWarning}, "in half an hour": {0.1, lag.SevOK}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := aging(40, each, steadily(time.Minute, tt.slope, each))
			for i := range w {
				g := w[i].Groups["g"]
				g.State, g.Members = lag.StateStable, lag.Know([]lag.MemberObs{member("m", []string{"orders"}, tp("orders", 0))})
				w[i].Groups["g"] = g
			}
			g := find(t, lag.Evaluate(w, lag.Policy{}), "g")
			if r := row(t, g, "orders", 0); r.Status != lag.Growing || g.Status != tt.verdict || slices.Contains(g.Reasons, lag.Growing) != (tt.verdict > lag.SevOK) {
				t.Errorf("%v, %v, %v, %+v", r.Status, g.Status, g.Reasons, r.Breach)
			}
		})
	}
}

func TestTrendOfWhatIsUnread(t *testing.T) {
	t.Parallel()
	owned := []lag.MemberObs{member("m1", []string{"orders"}, tp("orders", 0))}
	for name, tt := range map[string]struct {
		high   func(i int) int64
		looks  int
		trend  string
		change int64
	}{
		"it rises":               {func(i int) int64 { return 100 + 10*int64(i) }, 10, lag.TrendRising, 8},
		"it falls":               {func(i int) int64 { return 100 }, 10, lag.TrendFalling, -2},
		"it stays":               {func(i int) int64 { return 100 + 2*int64(i) }, 10, lag.TrendFlat, 0},
		"it goes up and down":    {func(i int) int64 { return 100 + 2*int64(i) + int64(i%2) }, 11, lag.TrendFlat, -1},
		"too early to tell":      {func(i int) int64 { return 100 + 10*int64(i) }, 4, "", 8},
		"one look has no change": {func(i int) int64 { return 100 }, 1, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := over(owned, func(i int) int64 { return 2 * int64(i) }, tt.high, tt.looks)
			r := row(t, find(t, lag.Evaluate(w, lag.Policy{}), "g"), "orders", 0)
			if r.Trend.V != tt.trend || r.Change != (lag.Maybe[int64]{V: tt.change, Known: tt.looks > 1}) {
				t.Errorf("%v, %v", r.Trend, r.Change)
			}
		})
	}
}
