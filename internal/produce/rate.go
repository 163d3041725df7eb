package produce

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// The bounds of a rate, records a second.
const (
	minRate = 1.0 / 86_400 // one a day
	maxRate = 10_000_000
)

// Rate is how many records a second are asked for. The zero value says that nothing was asked; Max asks for as many as
// the target takes.
type Rate struct {
	perSecond float64
	max       bool
	text      string
}

// Max is the rate without a limit.
func Max() Rate { return Rate{max: true, text: "max"} }

// PerSecond is the rate of n records a second. It is not checked; ParseRate checks.
func PerSecond(n float64) Rate {
	return Rate{perSecond: n, text: strconv.FormatFloat(n, 'f', -1, 64) + "/s"}
}

// ParseRate reads a rate: "100/s", "20k", "150k/s", "1.5M", "0.5", "100/m", "3/h", or "max". Without a unit it is a second's.
func ParseRate(s string) (Rate, error) {
	text := strings.TrimSpace(s)
	if text == "max" {
		return Max(), nil
	}
	value, unit, found := strings.Cut(text, "/")
	per := time.Second
	switch unit {
	case "s":
	case "m":
		per = time.Minute
	case "h":
		per = time.Hour
	default:
		if found {
			return Rate{}, badRate(s)
		}
	}
	n, ok := number(value)
	if !ok {
		return Rate{}, badRate(s)
	}
	r := Rate{perSecond: n / per.Seconds(), text: text}
	if !(r.perSecond >= minRate && r.perSecond <= maxRate) {
		return Rate{}, fmt.Errorf("rate %q: must be 1 a day to 10 million a second", s)
	}
	if !found {
		r.text += "/s"
	}
	return r, nil
}

func badRate(s string) error {
	return fmt.Errorf("rate %q: want a number of records such as 100/s, 20k, 0.5 or 100/m, or max", s)
}

// IsZero reports whether no rate was asked for.
func (r Rate) IsZero() bool { return !r.max && r.perSecond == 0 }

// PerSecond returns the rate per second; 0: as fast as it goes.
func (r Rate) PerSecond() float64 {
	if r.max {
		return 0
	}
	return r.perSecond
}

// String returns the rate as it was asked for.
func (r Rate) String() string { return r.text }

// Set reads a rate from a flag.
func (r *Rate) Set(s string) error {
	parsed, err := ParseRate(s)
	if err == nil {
		*r = parsed
	}
	return err
}

// Type names the kind of value in the help of a flag.
func (r *Rate) Type() string { return "rate" }

// at returns when record n is due on the absolute schedule, counted from its start: late records are caught up with,
// never forgotten.
func (r Rate) at(n int64) time.Duration {
	ns := float64(n) / r.perSecond * float64(time.Second)
	if ns >= math.MaxInt64 {
		return math.MaxInt64
	}
	return time.Duration(math.Round(ns))
}

// within returns how many records are due before d.
func (r Rate) within(d time.Duration) int64 {
	n := int64(d.Seconds() * r.perSecond)
	for n > 0 && r.at(n-1) >= d {
		n--
	}
	for r.at(n) < d {
		n++
	}
	return n
}
