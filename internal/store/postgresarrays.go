package store

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
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

// column is one text for all rows, or an array; neither is there while there are but NULLs.
type column struct {
	one   any
	array *wireArray
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

// array is that of the next value, the first of which has so many bytes.
func (c *arrays) array(element uint32, size int) *wireArray {
	col := c.at()
	if col.array == nil {
		col.array = &wireArray{element: element, data: make([]byte, 0, c.most*(size+8))}
		for range c.n {
			col.array.null()
		}
	}
	return col.array
}

func (c *arrays) null() {
	if col := c.at(); col.array != nil {
		col.array.null()
	}
}

func (c *arrays) same(s string) {
	if col := c.at(); col.one == nil {
		col.one = s
	}
}

func (c *arrays) text(s string) { c.array(pgtype.TextOID, len(s)).text(s) }

func (c *arrays) textOrNull(s string) {
	if s == "" {
		c.null()
		return
	}
	c.text(s)
}

func (c *arrays) number(n int64) { c.array(pgtype.Int8OID, 8).number(n) }

func (c *arrays) numberOrNull(n int64, known bool) {
	if !known {
		c.null()
		return
	}
	c.number(n)
}

// args are the columns as the parameters of a statement of postgresInserts.
func (c *arrays) args() []any {
	out := make([]any, len(c.all))
	var first *wireArray
	for i, col := range c.all {
		if col.array == nil {
			out[i] = col.one // nil: NULL
			continue
		}
		if first == nil {
			first = col.array
		}
		first.room += arrayHead + len(col.array.data)
		out[i] = col.array
	}
	return out
}

// wireArray is an array as PostgreSQL takes it: each element behind its length. Boxes for thousands of values, and a buffer
// that grows with each of them, would take more than all else that is done with a batch.
type wireArray struct {
	element uint32 // the type of the elements
	n       uint32
	nulls   uint32 // 1: there are some
	data    []byte
	room    int // of the first array of a statement: what all of them take
}

// arrayHead is what stands in front of the elements.
const arrayHead = 20

func (a *wireArray) text(s string) {
	a.data = append(binary.BigEndian.AppendUint32(a.data, uint32(len(s))), s...) //nolint:gosec // a value is below a gigabyte
	a.n++
}

func (a *wireArray) number(n int64) {
	a.data = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(a.data, 8), uint64(n)) //nolint:gosec // its bits
	a.n++
}

func (a *wireArray) null() {
	a.data = append(a.data, 0xff, 0xff, 0xff, 0xff)
	a.n++
	a.nulls = 1
}

func (a *wireArray) appendTo(b []byte) []byte {
	b = slices.Grow(b, max(a.room, arrayHead+len(a.data)))
	const dimensions, from = 1, 1
	for _, n := range [arrayHead / 4]uint32{dimensions, a.nulls, a.element, a.n, from} {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	return append(b, a.data...)
}

// nameArray is a list of names.
func nameArray(names []string) any {
	a := &wireArray{element: pgtype.TextOID}
	for _, s := range names {
		a.room += 4 + len(s)
	}
	a.data = make([]byte, 0, a.room)
	for _, s := range names {
		a.text(s)
	}
	a.room += arrayHead
	return a
}

// wireCodec takes a wireArray as it is, and all else as its like does.
type wireCodec struct{ *pgtype.ArrayCodec }

// PlanEncode implements pgtype.Codec.
func (c wireCodec) PlanEncode(m *pgtype.Map, oid uint32, format int16, value any) pgtype.EncodePlan {
	if _, ours := value.(*wireArray); ours && format == pgtype.BinaryFormatCode {
		return wirePlan{}
	}
	return c.ArrayCodec.PlanEncode(m, oid, format, value)
}

type wirePlan struct{}

// Encode implements pgtype.EncodePlan.
func (wirePlan) Encode(value any, b []byte) ([]byte, error) {
	a, ours := value.(*wireArray)
	if !ours {
		return nil, fmt.Errorf("encode array: %T is none of ours", value)
	}
	return a.appendTo(b), nil
}

// takeArrays teaches a connection our arrays.
func takeArrays(c *pgx.Conn) {
	m := c.TypeMap()
	for _, oid := range []uint32{pgtype.TextArrayOID, pgtype.Int8ArrayOID} {
		t, _ := m.TypeForOID(oid)
		if like, ok := t.Codec.(*pgtype.ArrayCodec); ok {
			m.RegisterType(&pgtype.Type{Name: t.Name, OID: oid, Codec: wireCodec{like}})
		}
	}
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
