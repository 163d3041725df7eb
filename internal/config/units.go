package config

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes, written 64KiB.
type Size int64

// Units of Size.
const (
	KiB Size = 1 << 10
	MiB Size = 1 << 20
	GiB Size = 1 << 30
)

// Rate is a number a second, written 100/s.
type Rate float64

// Ratio is a share, written 0.5 or 50%.
type Ratio float64

var (
	integer = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)
	number  = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`)
	sized   = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)$`)
)

// ParseDuration reads 5s, 1m30s, 250ms. A bare number has no unit and is refused, but for 0.
func ParseDuration(s string) (time.Duration, error) {
	if s == "0" {
		return 0, nil
	}
	if number.MatchString(s) {
		return 0, fmt.Errorf("%s has no unit; write %ss", strconv.Quote(s), s)
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%s is not a duration; write 250ms, 5s or 1m30s", strconv.Quote(s))
	}
	return d, nil
}

// ParseInt reads a whole number in decimal, without leading zeros, exponent or separators.
func ParseInt(s string) (int, error) {
	if !integer.MatchString(s) {
		return 0, fmt.Errorf("%s is not a whole number; write 12", strconv.Quote(s))
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0, fmt.Errorf("%s is out of range", s)
	}
	return n, nil
}

// ParseSize reads 64KiB, 4MiB, 1GiB, 1MB, or a plain number of bytes.
func ParseSize(s string) (Size, error) {
	bad := fmt.Errorf("%s is not a size; write 512KiB, 4MiB or a number of bytes", strconv.Quote(s))
	m := sized.FindStringSubmatch(s)
	if m == nil {
		return 0, bad
	}
	unit, ok := sizeUnit(m[2])
	if !ok {
		return 0, bad
	}
	f, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return 0, bad
	}
	f *= float64(unit)
	if f != math.Trunc(f) || f > 1<<53 {
		return 0, fmt.Errorf("%s is not a whole number of bytes", strconv.Quote(s))
	}
	return Size(f), nil
}

func sizeUnit(name string) (Size, bool) {
	switch strings.ToLower(name) {
	case "", "b":
		return 1, true
	case "kib":
		return KiB, true
	case "mib":
		return MiB, true
	case "gib":
		return GiB, true
	case "kb":
		return 1_000, true
	case "mb":
		return 1_000_000, true
	case "gb":
		return 1_000_000_000, true
	}
	return 0, false
}

// ParseRate reads 100/s, 100/m, 7200/h, 150k, 0.5: so many a second.
func ParseRate(s string) (Rate, error) {
	bad := fmt.Errorf("%s is not a rate; write 100/s, 20k/s, 0.5/s or 100/m", strconv.Quote(s))
	text, per, found := strings.Cut(s, "/")
	seconds := 1.0
	if found {
		switch per {
		case "s":
		case "m":
			seconds = 60
		case "h":
			seconds = 3600
		default:
			return 0, bad
		}
	}
	factor := 1.0
	switch {
	case strings.HasSuffix(text, "k"):
		text, factor = strings.TrimSuffix(text, "k"), 1e3
	case strings.HasSuffix(text, "M"):
		text, factor = strings.TrimSuffix(text, "M"), 1e6
	}
	f, err := parseFloat(text)
	if err != nil {
		return 0, bad
	}
	return Rate(f * factor / seconds), nil
}

// ParseRatio reads 0.5 or 50%.
func ParseRatio(s string) (Ratio, error) {
	text, percent := strings.CutSuffix(s, "%")
	f, err := parseFloat(text)
	if err != nil {
		return 0, fmt.Errorf("%s is not a share; write 1%% or 0.01", strconv.Quote(s))
	}
	if percent {
		f /= 100
	}
	return Ratio(f), nil
}

// parseFloat knows digits and a point only: no exponent, no NaN, no Inf, no 0x1p3.
func parseFloat(s string) (float64, error) {
	if !number.MatchString(s) {
		return 0, errors.New("not a number")
	}
	return strconv.ParseFloat(s, 64)
}

// String writes the size with the largest unit that divides it.
func (s Size) String() string {
	for _, u := range []struct {
		unit Size
		name string
	}{{GiB, "GiB"}, {MiB, "MiB"}, {KiB, "KiB"}} {
		if s >= u.unit && s%u.unit == 0 {
			return strconv.FormatInt(int64(s/u.unit), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// String writes the rate a second.
func (r Rate) String() string {
	if r == 0 {
		return "0"
	}
	return strconv.FormatFloat(float64(r), 'f', -1, 64) + "/s"
}

// String writes the share as a number between 0 and 1.
func (r Ratio) String() string { return strconv.FormatFloat(float64(r), 'f', -1, 64) }

// FormatDuration writes d in the shortest form that ParseDuration reads: 5s, 1m, 1h30m, never 1m0s.
func FormatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
