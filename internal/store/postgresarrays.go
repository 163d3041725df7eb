package store

import (
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"commerce.internal/orderctl/internal/queue"
)

// arrays are rows turned on their side: an array for each column, so that one statement inserts them all however many
// there are. A column without any value is sent as NULL, which unnest takes for as many NULLs as the others have rows.
type arrays struct {
	n, most int // rows that are there, and that there may be
	next    int // the column of the next value
	all     []column
}

// column is an array. It is of the kind of its first value.
type column struct {
	one     any // in place of an array
	texts   textArray
	numbers numberArray
}

func newArrays(most int) *arrays { return &arrays{most: most, all: make([]column, 0, 32)} }

func (c *arrays) endRow() { c.n, c.next = c.n+1, 0 }

// at is the column of the next value.
func (c *arrays) at() *column {
	if c.next == len(c.all) {
		c.all = append(c.all, column{})
	}
	c.next++
	return &c.all[c.next-1]
}

func (c *arrays) same(s string) {
	if col := c.at(); col.one == nil {
		col.one = s
	}
}

func (c *arrays) text(s string) {
	col := c.at()
	if col.texts == nil {
		col.texts = make(textArray, c.most)
	}
	col.texts[c.n] = pgtype.Text{String: s, Valid: true}
}

func (c *arrays) textOrNull(s string) {
	if s == "" {
		c.at()
		return
	}
	c.text(s)
}

func (c *arrays) number(n int64) {
	col := c.at()
	if col.numbers == nil {
		col.numbers = make(numberArray, c.most)
	}
	col.numbers[c.n] = pgtype.Int8{Int64: n, Valid: true}
}

func (c *arrays) numberOrNull(n int64, known bool) {
	if !known {
		c.at()
		return
	}
	c.number(n)
}

// args are the arrays as the parameters of a statement of postgresInsert.
func (c *arrays) args() []any {
	out := make([]any, len(c.all))
	for i, col := range c.all {
		switch {
		case col.one != nil:
			out[i] = col.one
		case col.texts != nil:
			out[i] = col.texts[:c.n]
		case col.numbers != nil:
			out[i] = col.numbers[:c.n]
		}
	}
	return out
}

// textArray is an array of PostgreSQL. Its elements are handed out by reference: an interface of one needs no memory then.
type textArray []pgtype.Text

// Dimensions implements pgtype.ArrayGetter.
func (a textArray) Dimensions() []pgtype.ArrayDimension { return oneDimension(len(a)) }

// Index implements pgtype.ArrayGetter.
func (a textArray) Index(i int) any { return &a[i] }

// IndexType implements pgtype.ArrayGetter.
func (a textArray) IndexType() any { return (*pgtype.Text)(nil) }

// numberArray is an array of PostgreSQL, as textArray.
type numberArray []pgtype.Int8

// Dimensions implements pgtype.ArrayGetter.
func (a numberArray) Dimensions() []pgtype.ArrayDimension { return oneDimension(len(a)) }

// Index implements pgtype.ArrayGetter.
func (a numberArray) Index(i int) any { return &a[i] }

// IndexType implements pgtype.ArrayGetter.
func (a numberArray) IndexType() any { return (*pgtype.Int8)(nil) }

func oneDimension(n int) []pgtype.ArrayDimension {
	return []pgtype.ArrayDimension{{Length: int32(n), LowerBound: 1}} //nolint:gosec // as many as a batch has records
}

// nameArray is a list of names.
func nameArray(names []string) any {
	a := make(textArray, len(names))
	for i, s := range names {
		a[i] = pgtype.Text{String: s, Valid: true}
	}
	return a
}

// selected are what the columns of a row are made of, parameter by parameter.
type selected []string

func (l *selected) add(form string)          { *l = append(*l, fmt.Sprintf(form, len(*l)+1)) }
func (l *selected) same(string)              { l.add("$%d::text") }
func (l *selected) text(string)              { l.add("unnest($%d::text[])") }
func (l *selected) textOrNull(string)        { l.text("") }
func (l *selected) number(int64)             { l.add("unnest($%d::bigint[])") }
func (l *selected) numberOrNull(int64, bool) { l.number(0) }

// postgresInserts are the statements that insert rows and orders, one array for each column. All arrays are walked at once,
// row by row: in FROM the server would first copy each of them into a table of its own, and that took more than the insert.
func postgresInserts() (rows, orders string) {
	var r, o selected
	rowValues(&r, "", &queue.Row{}, time.Time{})
	orderValues(&o, "", &queue.Effect{}, time.Time{})
	return "INSERT INTO orderctl_messages (consumer_group, done_id, " + columns + ") SELECT " + strings.Join(r, ", "),
		"INSERT INTO orders (" + orderColumns + ") SELECT " + strings.Join(o, ", ")
}
