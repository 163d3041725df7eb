// Package out prints what a command found: as a table for eyes, as JSON or CSV for programs. A command hands it columns
// and cells; what they look like on a terminal, in a pipe and in each format is decided here alone. It opens no files
// and knows nothing of Kafka. It is the only place that imports tablewriter and progressbar.
package out

import (
	"bytes"
	"fmt"
	"io"
	"time"
)

// Format is how an answer is printed.
type Format string

// The formats.
const (
	FormatTable Format = "table"
	FormatWide  Format = "wide"
	FormatJSON  Format = "json"
	FormatJSONL Format = "jsonl"
	FormatCSV   Format = "csv"
)

// Formats returns the names of the formats, for flags and completion.
func Formats() []string {
	return []string{string(FormatTable), string(FormatWide), string(FormatJSON), string(FormatJSONL), string(FormatCSV)}
}

// Options is where and how an answer is printed.
type Options struct {
	Format   Format
	Terminal bool           // the writer is a terminal: fit its width, group digits, local time
	Width    int            // of the terminal, in cells; 0: 80
	Color    bool           // see UseColor
	NoHeader bool           // of table, wide and csv
	Location *time.Location // of times on a terminal; nil: time.Local
}

// Kind is what the cells of a column hold. It decides alignment, spelling and the type in JSON.
type Kind int

// The kinds of column.
const (
	KindText Kind = iota
	KindInt
	KindNumber
	KindDuration
	KindTime
	KindBytes
	KindRatio
	KindBool
)

// Column is one column of a table.
type Column struct {
	Name string // heading, upper case
	JSON string // member of JSON and heading of CSV, snake_case
	Kind Kind
	Wide bool // shown by wide, json, jsonl and csv, not by table
	Drop int  // on a narrow terminal columns leave in this order, 1 first; 0: stays
	Flex bool // free text: is cut before any column leaves; at most one, the last
}

// Table is an answer in rows.
type Table struct {
	Schema  string // of its JSON: orderctl.lag/v1
	List    string // the member that holds the rows; empty: rows
	Columns []Column
	Rows    [][]Cell
}

// Liner is a JSON value that has a form of its own for jsonl: one object a line.
type Liner interface {
	Lines() []any
}

// Print writes an answer. Of json and jsonl it writes doc, or, where doc is nil, what the table says. It writes once, so
// that a reader never sees half an answer, except for jsonl, which goes out line by line.
func Print(w io.Writer, o Options, t Table, doc any) error {
	if err := t.check(); err != nil {
		return err
	}
	var b bytes.Buffer
	var err error
	switch o.Format {
	case FormatJSON:
		if doc == nil {
			doc = t.document()
		}
		return WriteJSON(w, doc)
	case FormatJSONL:
		return writeLines(w, t, doc)
	case FormatCSV:
		err = t.csv(&b, o)
	case FormatTable, FormatWide, "":
		err = t.text(&b, o)
	default:
		return fmt.Errorf("print answer: unknown format %q", o.Format)
	}
	if err != nil {
		return err
	}
	_, err = w.Write(b.Bytes())
	return err
}

// check refuses a row whose cells do not match the columns: tablewriter would silently add or fill columns.
func (t Table) check() error {
	for i, row := range t.Rows {
		if len(row) != len(t.Columns) {
			return fmt.Errorf("print %s: row %d has %d cells for %d columns", t.Schema, i, len(row), len(t.Columns))
		}
	}
	return nil
}
