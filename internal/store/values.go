package store

import "time"

// values takes the values of one row, column by column. The columns of a table are named once then, whether a database
// wants its rows one after the other or turned on their side.
type values interface {
	same(s string) // one text for all rows
	text(s string)
	textOrNull(s string) // "" is NULL
	number(n int64)
	numberOrNull(n int64, known bool)
}

// millis is a time; the zero one is NULL.
func millis(v values, t time.Time) { v.numberOrNull(t.UnixMilli(), !t.IsZero()) }

// valueList is a row as the parameters of one statement.
type valueList []any

func (l *valueList) same(s string)       { *l = append(*l, s) }
func (l *valueList) text(s string)       { *l = append(*l, s) }
func (l *valueList) textOrNull(s string) { *l = append(*l, orNull(s)) }
func (l *valueList) number(n int64)      { *l = append(*l, n) }

func (l *valueList) numberOrNull(n int64, known bool) {
	if !known {
		*l = append(*l, nil)
		return
	}
	*l = append(*l, n)
}
