package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"commerce.internal/orderctl/internal/config"
	"commerce.internal/orderctl/internal/setup"
)

var wholeNumber = regexp.MustCompile(`^[0-9]+$`)

// parseTarget reads what stands behind --to.
func parseTarget(s string, now time.Time) (setup.Target, error) {
	switch s {
	case "earliest":
		return setup.Target{Kind: setup.ToEarliest}, nil
	case "latest":
		return setup.Target{Kind: setup.ToLatest}, nil
	}
	sign, rest := "", s
	if strings.HasPrefix(s, "+") || strings.HasPrefix(s, "-") {
		sign, rest = s[:1], s[1:]
	}
	if wholeNumber.MatchString(rest) {
		return numbered(s, sign)
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		if t.After(now) {
			return setup.Target{}, fmt.Errorf("%s lies in the future", s)
		}
		return setup.Target{Kind: setup.ToTime, Time: t}, nil
	}
	if d, err := config.ParseDuration(rest); err == nil && sign == "-" && d > 0 {
		return setup.Target{Kind: setup.ToTime, Time: now.Add(-d)}, nil
	}
	return setup.Target{}, fmt.Errorf("%q is none of earliest, latest, an offset (884120), a time (2026-11-22T03:12:07Z), a duration back (-2h), or so many orders further or back (+5, -5)", s)
}

// numbered is an offset, or with a sign so many orders.
func numbered(s, sign string) (setup.Target, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return setup.Target{}, fmt.Errorf("%s is too large", s)
	}
	if sign == "" {
		return setup.Target{Kind: setup.ToOffset, Offset: n}, nil
	}
	return setup.Target{Kind: setup.ToShift, Offset: n}, nil
}
