package dlq

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"commerce.internal/orderctl/internal/queue"
)

// maxRelated bounds how many other letters of an order are looked for, and maxScanned how far.
const (
	maxRelated = 20
	maxScanned = 200_000
)

// Detail is all that is known of one letter.
type Detail struct {
	Letter  Letter
	Row     *queue.Row // nil: no row, or no store
	Store   bool       // the store was asked
	Lines   []Line     // the order, indented; empty: undecodable, look at the bytes
	Related []Letter   // other letters of the order, by seq
	Partial bool       // the search for related letters was cut short
}

// Line is one line of an indented order. Failing is set where the pointer of the letter's code leads.
type Line struct {
	Text    string
	Failing bool
}

// Show returns one letter with what is known around it.
func (r *Reader) Show(ctx context.Context, id ID) (Detail, error) {
	l, err := r.At(ctx, id)
	if err != nil {
		return Detail{}, err
	}
	d := Detail{Letter: l, Store: r.rows != nil, Lines: mark(l.Value, l.Trail.Code)}
	if r.rows != nil {
		rows, err := r.rows.Rows(ctx, r.group, []queue.RowKey{l.rowKey()})
		if err != nil {
			return Detail{}, fmt.Errorf("read message row of letter %s: %w", id, err)
		}
		if row, ok := rows[l.rowKey()]; ok {
			d.Row = &row
		}
	}
	d.Related, d.Partial, err = r.related(ctx, l)
	return d, err
}

// related finds the other letters of the order. All records of a key are in one partition.
func (r *Reader) related(ctx context.Context, l Letter) (found []Letter, partial bool, err error) {
	if len(l.Key) == 0 {
		return nil, false, nil
	}
	bounds, err := r.log.Bounds(ctx, r.topic)
	if err != nil {
		return nil, false, fmt.Errorf("find ends of %s: %w", r.topic, err)
	}
	span := bounds[l.ID.Partition]
	from := max(span.Start, span.End-maxScanned)
	mine, _ := l.copyOf()
	seen := map[string]bool{}
	err = r.log.Scan(ctx, r.topic, l.ID.Partition, from, span.End, func(rec queue.Record) error {
		if !bytes.Equal(rec.Key, l.Key) || rec.Offset == l.ID.Offset {
			return nil
		}
		other := letterOf(rec)
		id, ok := other.copyOf()
		if ok && (id == mine || seen[id]) {
			return nil
		}
		seen[id] = ok
		other.Value, other.Headers = nil, nil
		found = append(found, other)
		return nil
	})
	if err != nil {
		return nil, false, fmt.Errorf("look for letters of the same order: %w", err)
	}
	if r.rows != nil {
		if err := decide(ctx, r.rows, r.group, found); err != nil {
			return nil, false, err
		}
	}
	slices.SortStableFunc(found, func(a, b Letter) int { return int(min(max(a.Trail.Origin.Offset-b.Trail.Origin.Offset, -1), 1)) })
	partial = from > span.Start || len(found) > maxRelated
	return found[:min(len(found), maxRelated)], partial, nil
}

// mark indents a JSON order and marks the line that the pointer of code leads to. Nil for what is no JSON.
func mark(value []byte, code string) []Line {
	var indented bytes.Buffer
	if json.Indent(&indented, value, "", "  ") != nil {
		return nil
	}
	failing := lineOf(indented.Bytes(), strings.TrimPrefix(code, "#"))
	lines := make([]Line, 0, 64)
	for i, text := range strings.Split(indented.String(), "\n") {
		lines = append(lines, Line{Text: text, Failing: i == failing})
	}
	return lines
}

// lineOf returns the line, from 0, of the value that a JSON pointer (RFC 6901) names; -1: there is none.
func lineOf(doc []byte, pointer string) int {
	if !strings.HasPrefix(pointer, "/") {
		return -1
	}
	dec := jsontext.NewDecoder(bytes.NewReader(doc), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	for {
		_, err := dec.ReadToken()
		if errors.Is(err, io.EOF) || err != nil {
			return -1
		}
		if string(dec.StackPointer()) == pointer {
			return bytes.Count(doc[:dec.InputOffset()], []byte("\n"))
		}
	}
}

func header(h queue.Header) [2]*string {
	out := [2]*string{&h.Name, nil}
	if h.Value != nil {
		v := base64.StdEncoding.EncodeToString(h.Value)
		out[1] = &v
	}
	return out
}

func bytesOrNull(b []byte) *[]byte {
	if b == nil {
		return nil
	}
	return &b
}

func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
