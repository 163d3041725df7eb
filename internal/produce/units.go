package produce

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// number reads a plain number with an optional k or M behind it. ParseFloat alone would also take 1e3, 0x10, 1_000, Inf
// and NaN.
func number(s string) (float64, bool) {
	factor := 1.0
	switch {
	case strings.HasSuffix(s, "k"):
		factor = 1e3
	case strings.HasSuffix(s, "M"):
		factor = 1e6
	}
	if factor > 1 {
		s = s[:len(s)-1]
	}
	n, err := strconv.ParseFloat(s, 64)
	return n * factor, err == nil && strings.Trim(s, "0123456789.") == ""
}

// ParseCount reads a count: "1000", "100k", "1.5M".
func ParseCount(s string) (int64, error) {
	n, ok := number(s)
	if !ok || n != math.Trunc(n) || n > 1e15 {
		return 0, fmt.Errorf("count %q: want a whole number such as 1000, 100k or 1.5M", s)
	}
	return int64(n), nil
}

// ParsePercent reads a share: "99%", "99.5%", "0%".
func ParsePercent(s string) (float64, error) {
	text, found := strings.CutSuffix(s, "%")
	n, ok := number(text)
	if !found || !ok || n > 100 {
		return 0, fmt.Errorf("share %q: want 0%% to 100%%", s)
	}
	return n / 100, nil
}

// ParseSpeed reads how much faster than recorded a file is sent: "1x", "60x", or "max", which is 0: without any gaps.
func ParseSpeed(s string) (float64, error) {
	if s == "max" {
		return 0, nil
	}
	text, found := strings.CutSuffix(s, "x")
	n, ok := number(text)
	if !found || !ok || n <= 0 || n > maxSpeed {
		return 0, fmt.Errorf("speed %q: want a factor such as 1x or 60x, at most 1000000x, or max", s)
	}
	return n, nil
}

// ParseItems reads how many items an order has: "3" or "1-8".
func ParseItems(s string) (least, most int, err error) {
	low, high, found := strings.Cut(s, "-")
	if !found {
		high = low
	}
	a, errLow := strconv.ParseUint(low, 10, 16)
	b, errHigh := strconv.ParseUint(high, 10, 16)
	if errLow != nil || errHigh != nil || a < 1 || b < a || b > 2_000 {
		return 0, 0, fmt.Errorf("items %q: want a number such as 3 or a range such as 1-8, at most 2000", s)
	}
	return int(a), int(b), nil
}
