package out

import (
	"math"
	"strconv"
	"strings"
	"time"

	"commerce.internal/orderctl/internal/text"
)

// Style is how a cell looks on a terminal that shows colours. It is never the only carrier of a meaning.
type Style int

// The styles.
const (
	Plain Style = iota
	Good
	Warn
	Bad
	Dim
	Bold
	Reverse
)

type cellState int

const (
	known cellState = iota
	unknown
	notApplicable
)

// Cell is one value of a table.
type Cell struct {
	state cellState
	kind  Kind
	text  string
	int   int64
	float float64
	time  time.Time
	style Style
}

// Text is text, also foreign text: it is escaped where it is printed.
func Text(s string) Cell { return Cell{kind: KindText, text: s} }

// Int is a whole number.
func Int(n int64) Cell { return Cell{kind: KindInt, int: n} }

// Number is a number with a fraction. NaN and infinities are unknown.
func Number(f float64) Cell { return finite(KindNumber, f) }

// Ratio is a share, 0.38 shown as 38%. NaN and infinities are unknown.
func Ratio(f float64) Cell { return finite(KindRatio, f) }

// Duration is a length of time.
func Duration(d time.Duration) Cell { return Cell{kind: KindDuration, int: int64(d)} }

// Time is a point in time; the zero time is unknown.
func Time(t time.Time) Cell {
	if t.IsZero() {
		return Unknown()
	}
	return Cell{kind: KindTime, time: t}
}

// Bytes is a size.
func Bytes(n int64) Cell { return Cell{kind: KindBytes, int: n} }

// Bool is yes or no.
func Bool(b bool) Cell {
	c := Cell{kind: KindBool}
	if b {
		c.int = 1
	}
	return c
}

// Unknown is a value that could not be learnt: ? in a table, null in JSON, empty in CSV, never 0.
func Unknown() Cell { return Cell{state: unknown} }

// NA is a value that this row cannot have: - in a table, absent in JSON, empty in CSV.
func NA() Cell { return Cell{state: notApplicable} }

// With returns the cell in a style.
func (c Cell) With(s Style) Cell {
	c.style = s
	return c
}

func finite(k Kind, f float64) Cell {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return Unknown()
	}
	return Cell{kind: k, float: f}
}

// show writes the cell for a table: for eyes on a terminal, for programs elsewhere.
func (c Cell) show(o Options) string {
	switch c.state {
	case unknown:
		return "?"
	case notApplicable:
		return "-"
	}
	switch c.kind {
	case KindInt:
		if o.Terminal {
			return groupDigits(c.int)
		}
		return strconv.FormatInt(c.int, 10)
	case KindNumber:
		return shortFloat(c.float)
	case KindRatio:
		return shortFloat(c.float*100) + "%"
	case KindDuration:
		return Age(time.Duration(c.int))
	case KindTime:
		return c.showTime(o)
	case KindBytes:
		if o.Terminal {
			return Size(c.int)
		}
		return strconv.FormatInt(c.int, 10)
	case KindBool:
		if c.int == 1 {
			return "yes"
		}
		return "no"
	default:
		return text.Safe(c.text)
	}
}

func (c Cell) showTime(o Options) string {
	if !o.Terminal {
		return c.time.UTC().Format(time.RFC3339)
	}
	loc := o.Location
	if loc == nil {
		loc = time.Local
	}
	return c.time.In(loc).Format(time.DateTime)
}

// groupDigits writes 14,210.
func groupDigits(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	var b strings.Builder
	for i, r := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(r)
	}
	return sign + b.String()
}

// shortFloat writes at most one digit behind the point, and none where it would be 0.
func shortFloat(f float64) string {
	return strings.TrimSuffix(strconv.FormatFloat(f, 'f', 1, 64), ".0")
}

// Age writes a length of time in at most two units: 250ms, 9s, 12m, 3h12m, 2d4h.
func Age(d time.Duration) string {
	if d < 0 {
		return "-" + Age(-max(d, -math.MaxInt64)) // the least duration has no positive twin
	}
	switch {
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + "ms"
	case d < time.Minute:
		return strconv.FormatInt(int64(d/time.Second), 10) + "s"
	case d < time.Hour:
		return twoUnits(d, time.Minute, "m", time.Second, "s", 10)
	case d < 24*time.Hour:
		return twoUnits(d, time.Hour, "h", time.Minute, "m", 24)
	}
	return twoUnits(d, 24*time.Hour, "d", time.Hour, "h", 100)
}

// twoUnits leaves the smaller unit away from so many of the larger on, where nobody asks for it any more.
func twoUnits(d, large time.Duration, largeName string, small time.Duration, smallName string, from int64) string {
	n, rest := int64(d/large), int64(d%large/small)
	s := strconv.FormatInt(n, 10) + largeName
	if rest == 0 || n >= from {
		return s
	}
	return s + strconv.FormatInt(rest, 10) + smallName
}

// Size writes a number of bytes: 512 B, 38 MiB, 1.5 GiB.
func Size(n int64) string {
	if n < 1024 && n > -1024 {
		return strconv.FormatInt(n, 10) + " B"
	}
	f, units := float64(n), []string{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	i := -1
	for math.Abs(f) >= 1023.95 && i < len(units)-1 {
		f /= 1024
		i++
	}
	if i < 0 {
		return strconv.FormatInt(n, 10) + " B"
	}
	return shortFloat(f) + " " + units[i]
}
