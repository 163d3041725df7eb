package dlq

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

// maxRelated bounds how many other letters of an order are looked for, and maxScanned how far.
const (
	maxRelated = 20
	maxScanned = 200_000
)

// Detail is all that is known of one letter.
type Detail struct {
	Letter  Letter     // whole; of a letter with copies the one that was named, under the lowest id
	Row     *queue.Row // nil: no row, or no store
	Store   bool       // the store was asked
	Source  Source     // the record that the letter came from
	Lines   []Line     // the order as JSON, indented; empty: undecodable, look at the bytes
	Related []Letter   // other letters of the order, by seq
	Partial bool       // the search for copies and related letters was cut short
}

// Source is how the record that a letter came from compares with the letter.
type Source string

// What can be told of a source record.
const (
	SourceUnknown Source = "?" // the origin is incomplete, or the record may not be read
	SourceSame    Source = "same"
	SourceChanged Source = "changed" // the letter was edited, or the topic was made anew
	SourceGone    Source = "gone"    // compacted, deleted, or not there any more
)

// source compares a letter with the record that it came from.
func (r *Reader) source(ctx context.Context, l Letter) (Source, error) {
	if _, whole := l.copyOf(); !whole {
		return SourceUnknown, nil
	}
	if l.Pointer && !l.Lost {
		return SourceSame, nil // its key and value are those of the source
	}
	probe := []Letter{{Trail: l.Trail, Pointer: true}}
	switch err := r.follow(ctx, probe); {
	case errors.Is(err, queue.ErrDenied):
		return SourceUnknown, nil
	case err != nil:
		return SourceUnknown, err
	case probe[0].Lost:
		return SourceGone, nil
	case l.Lost, !bytes.Equal(probe[0].Key, l.Key), !bytes.Equal(probe[0].Value, l.Value):
		return SourceChanged, nil
	}
	return SourceSame, nil
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
	d := Detail{Letter: l, Store: r.question(l) != (question{}), Lines: mark(readable(l), l.Trail.Code)}
	known, err := r.known(ctx, []Letter{l})
	if err != nil {
		return Detail{}, err
	}
	if row, ok := known[r.question(l)]; ok {
		d.Row = &row
	}
	if d.Source, err = r.source(ctx, l); err != nil {
		return Detail{}, err
	}
	return d, r.around(ctx, &d)
}

// around finds the copies of the letter and the other letters of its order. All records of a key are in one partition.
func (r *Reader) around(ctx context.Context, d *Detail) error {
	bounds, err := r.log.Bounds(ctx, r.topic)
	if err != nil {
		return fmt.Errorf("find ends of %s: %w", r.topic, err)
	}
	named := d.Letter.ID
	span := bounds[named.Partition]
	from := max(span.Start, min(span.End-maxScanned, named.Offset))
	end := min(span.End, from+maxScanned)
	var found []Letter
	err = r.log.Scan(ctx, r.topic, named.Partition, from, end, func(rec queue.Record) error {
		other := letterOf(rec)
		other.Value, other.Headers = nil, nil
		switch {
		case rec.Offset == named.Offset:
		case merge([]Letter{d.Letter}, other):
			d.Letter.Copies++
			d.Letter.CopyIDs = append(d.Letter.CopyIDs, other.ID)
			if other.ID.Offset < d.Letter.ID.Offset {
				d.Letter.ID = other.ID
			}
		case len(found) <= maxRelated && other.OrderID() != "" && other.OrderID() == d.Letter.OrderID() && !merge(found, other):
			found = append(found, other)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("look for letters of the same order: %w", err)
	}
	if err := r.judge(ctx, found); err != nil {
		return err
	}
	slices.SortStableFunc(found, func(a, b Letter) int { return cmp.Compare(a.Trail.Origin.Offset, b.Trail.Origin.Offset) })
	d.Partial = from > span.Start || end < span.End || len(found) > maxRelated
	d.Related = found[:min(len(found), maxRelated)]
	return nil
}

// readable returns the order of a letter as JSON, also one in Protobuf; what is neither comes back as it is.
func readable(l Letter) []byte {
	if kind, _ := queue.First(l.Headers, queue.HeaderContentType); kind != queue.ContentProtobuf {
		return l.Value
	}
	o, err := order.ParseProto(l.Value)
	if err != nil {
		return l.Value
	}
	return o.AppendJSON(nil)
}

// mark indents a JSON order and marks the line that the pointer of code leads to. Nil for what is no JSON.
func mark(value []byte, code string) []Line {
	var indented bytes.Buffer
	if json.Indent(&indented, value, "", "  ") != nil {
		return nil
	}
	failing := -1
	if pointer, isPointer := strings.CutPrefix(code, "#"); isPointer || strings.HasPrefix(code, "/") {
		failing = lineOf(indented.Bytes(), pointer)
	}
	lines := make([]Line, 0, 64)
	for i, text := range strings.Split(indented.String(), "\n") {
		lines = append(lines, Line{Text: text, Failing: i == failing})
	}
	return lines
}

// lineOf returns the line, from 0, of the value that a JSON pointer (RFC 6901) names, or of the nearest value around it:
// what fails may be that a member is missing.
func lineOf(doc []byte, pointer string) int {
	best, line := -1, -1
	dec := jsontext.NewDecoder(bytes.NewReader(doc), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	for {
		if _, err := dec.ReadToken(); err != nil {
			return line
		}
		at := string(dec.StackPointer())
		around := pointer == at || strings.HasPrefix(pointer, at+"/")
		if around && len(at) > best {
			best, line = len(at), bytes.Count(doc[:dec.InputOffset()], []byte("\n"))
		}
	}
}
