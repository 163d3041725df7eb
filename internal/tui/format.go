package tui

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"commerce.internal/orderctl/internal/inspect/lag"
)

const unknown = "?"

// digits groups the digits of a number by three.
func digits(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func count(m lag.Maybe[int64]) string {
	if !m.Known {
		return unknown
	}
	return digits(m.V)
}

// perSecond is a rate with its unit: 1,204/s, 0.4/s.
func perSecond(m lag.Maybe[float64]) string {
	if !m.Known {
		return unknown
	}
	return rate(m.V) + "/s"
}

// rate is a number a second without its unit.
func rate(v float64) string {
	if a := math.Abs(v); a > 0 && a < 9.95 && math.Abs(v-math.Round(v)) >= 0.05 {
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return digits(int64(math.Round(v)))
}

// signed is a rate with its sign; about 0 has none.
func signed(m lag.Maybe[float64]) string {
	switch {
	case !m.Known:
		return unknown
	case math.Abs(m.V) < 0.05:
		return "0"
	case m.V > 0:
		return "+" + rate(m.V)
	default:
		return rate(m.V)
	}
}

// age writes a length of time with at most two units: 480ms, 9s, 1m10s, 2h05m, 3d04h.
func age(seconds float64) string {
	switch s := int64(math.Round(seconds)); {
	case seconds < 0:
		return "-" + age(-seconds)
	case seconds > 0 && seconds < 1:
		return fmt.Sprintf("%dms", int64(math.Round(seconds*1000)))
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return twoUnits(s/60, "m", s%60, "s")
	case s < 86400:
		return twoUnits(s/3600, "h", s/60%60, "m")
	default:
		return twoUnits(s/86400, "d", s/3600%24, "h")
	}
}

func twoUnits(a int64, large string, b int64, small string) string {
	if b == 0 {
		return fmt.Sprintf("%d%s", a, large)
	}
	return fmt.Sprintf("%d%s%02d%s", a, large, b, small)
}

func maybeAge(m lag.Maybe[float64]) string {
	if !m.Known {
		return unknown
	}
	return age(wholeSeconds(m.V))
}

// wholeSeconds rounds what is on a screen for a second or longer.
func wholeSeconds(s float64) float64 { return math.Round(s) }

// latency writes the time of an operation: 6ms, 1.2s.
func latency(m lag.Maybe[float64]) string {
	switch {
	case !m.Known:
		return unknown
	case m.V < 1:
		return fmt.Sprintf("%dms", int64(math.Ceil(m.V*1000)))
	default:
		return strconv.FormatFloat(m.V, 'f', 1, 64) + "s"
	}
}

func percent(m lag.Maybe[float64]) string {
	if !m.Known {
		return unknown
	}
	return strconv.FormatFloat(100*m.V, 'f', 1, 64) + "%"
}

// span is a length of time that was chosen: 5m, 1h, 2s, 500ms.
func span(d time.Duration) string {
	for _, u := range [...]struct {
		size time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if d >= u.size && d%u.size == 0 {
			return strconv.FormatInt(int64(d/u.size), 10) + u.name
		}
	}
	return d.String()
}

// short is a number for an axis: 800, 1.2k, 16k, 2.5M.
func short(v float64) string {
	for _, u := range [...]struct {
		size float64
		name string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		switch n := v / u.size; {
		case n >= 10:
			return strconv.FormatFloat(math.Round(n*10)/10, 'f', -1, 64) + u.name
		case n >= 1:
			return strconv.FormatFloat(n, 'f', 1, 64) + u.name
		}
	}
	return strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64)
}

// eta says when the backlog is gone.
func eta(drain lag.Maybe[string], m lag.Maybe[float64]) string {
	switch {
	case m.Known:
		return age(wholeSeconds(m.V))
	case !drain.Known:
		return unknown
	case drain.V == lag.DrainIdle:
		return "0s"
	default:
		return "never"
	}
}

// coarse is an age in one unit: 40s, 22m, 3h, 2d.
func coarse(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + "s"
	case d < time.Hour:
		return strconv.Itoa(int(d.Minutes())) + "m"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d.Hours())) + "h"
	default:
		return strconv.Itoa(int(d.Hours()/24)) + "d"
	}
}
