package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/kafka/read"
	"commerce.internal/orderctl/internal/out"
	"commerce.internal/orderctl/internal/queue"
)

// errEnoughRead ends a scan after its first record.
var errEnoughRead = errors.New("enough read")

// peek shows the record that the group reads next in one partition: the one that it is stuck at, if it is.
func (l *lagRun) peek(ctx context.Context) error {
	at, err := parsePartition(l.o.peek)
	if err != nil {
		return err
	}
	row, err := l.rowAt(ctx, at)
	if err != nil {
		return err
	}
	from := row.Start.V
	if row.Committed.Known {
		from = max(from, row.Committed.V)
	}
	reader, err := ask(ctx, l.session, func(ctx context.Context) (*read.Reader, error) { return read.New(ctx, l.kafka("lag", l.log)) })
	if err != nil {
		return err
	}
	defer reader.Close()
	var rec *queue.Record
	_, err = ask(ctx, l.session, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, reader.Scan(ctx, at.Topic, at.Partition, from, row.End.V, func(r queue.Record) error {
			rec = &r
			return errEnoughRead
		})
	})
	switch {
	case rec != nil:
		return l.printRecord(*rec, row)
	case err != nil:
		return err
	}
	return nothingNext(at, l.o.groups[0])
}

func nothingNext(at lag.TopicPartition, group string) error {
	return &exitError{code: exitNotFound, text: fmt.Sprintf("nothing waits in %s for %s", at, group), err: queue.ErrNotFound}
}

func parsePartition(s string) (lag.TopicPartition, error) {
	i := strings.LastIndexByte(s, '/')
	if i > 0 {
		if n, err := strconv.ParseInt(s[i+1:], 10, 32); err == nil && n >= 0 {
			return lag.TopicPartition{Topic: s[:i], Partition: int32(n)}, nil
		}
	}
	return lag.TopicPartition{}, &usageError{text: fmt.Sprintf("--peek: %q is no partition; write topic/partition, such as orders/2", s), path: "orderctl lag"}
}

// rowAt is where the group stands in the partition.
func (l *lagRun) rowAt(ctx context.Context, at lag.TopicPartition) (lag.Row, error) {
	q := lag.Query{Groups: l.o.groups, Topics: []string{at.Topic}, Isolation: lag.Isolation(l.o.isolation)}
	seen, err := ask(ctx, l.session, func(ctx context.Context) (lag.Snapshot, error) { return l.observer.Snapshot(ctx, q) })
	if err != nil {
		return lag.Row{}, err
	}
	report := lag.Evaluate([]lag.Snapshot{seen}, l.lagPolicy())
	if err := l.missing(ctx, report); err != nil {
		return lag.Row{}, err
	}
	for _, row := range report.Groups[0].Partitions {
		switch {
		case row.Topic != at.Topic || row.Partition != at.Partition && row.Partition >= 0: // below 0: nobody tells its partitions
		case row.Status == lag.Refused:
			return row, &exitError{code: exitDenied, text: fmt.Sprintf("access refused: %s, or where %s stands in it", at, l.o.groups[0]), hint: "both need the right DESCRIBE", err: queue.ErrDenied}
		case row.Partition < 0 && row.Status == lag.Gone:
		case !row.Unread.Known || !row.Start.Known:
			return row, &exitError{code: exitPartial, text: fmt.Sprintf("%s: where the group stands is not known (%s)", at, row.Status), err: queue.ErrPartial}
		case row.Unread.V == 0:
			return row, nothingNext(at, report.Groups[0].Group)
		default:
			return row, nil
		}
	}
	return lag.Row{}, &exitError{code: exitNotFound, text: fmt.Sprintf("no partition %s", at), err: queue.ErrNotFound}
}

// peeked is a record as programs get it. Text that is no UTF-8 stands in base64.
type peeked struct {
	Schema      string         `json:"schema"`
	Group       string         `json:"group"`
	Topic       string         `json:"topic"`
	Partition   int32          `json:"partition"`
	Offset      int64          `json:"offset"`
	Unread      int64          `json:"unread"`
	Time        time.Time      `json:"time"`
	Key         *string        `json:"key"`
	KeyBase64   string         `json:"key_base64,omitempty"`
	Headers     []peekedHeader `json:"headers"`
	Value       *string        `json:"value"`
	ValueBase64 string         `json:"value_base64,omitempty"`
}

type peekedHeader struct {
	Name        string  `json:"name"`
	Value       *string `json:"value"`
	ValueBase64 string  `json:"value_base64,omitempty"`
}

// textOr is b as text, or, where it is none, in base64. Nil is neither.
func textOr(b []byte) (plain *string, coded string) {
	switch {
	case b == nil:
		return nil, ""
	case utf8.Valid(b):
		s := string(b)
		return &s, ""
	}
	return nil, base64.StdEncoding.EncodeToString(b)
}

func (l *lagRun) printRecord(r queue.Record, row lag.Row) error {
	if !wordsFor(l.session) {
		doc := peeked{
			Schema: "orderctl.lag.peek/v1", Group: l.o.groups[0], Topic: r.Topic, Partition: r.Partition, Offset: r.Offset,
			Unread: row.Unread.V, Time: r.Time.UTC(), Headers: []peekedHeader{},
		}
		doc.Key, doc.KeyBase64 = textOr(r.Key)
		doc.Value, doc.ValueBase64 = textOr(r.Value)
		for _, h := range r.Headers {
			p := peekedHeader{Name: h.Name}
			p.Value, p.ValueBase64 = textOr(h.Value)
			doc.Headers = append(doc.Headers, p)
		}
		if out.Format(l.global.format) == out.FormatJSON {
			return out.WriteJSON(l.stdout, doc)
		}
		return out.WriteLine(l.stdout, doc)
	}
	l.line(fmt.Sprintf("%s/%d@%d  next for %s, %s unread, %s old", r.Topic, r.Partition, r.Offset, l.o.groups[0], digits(row.Unread.V), lag.Age(l.env.now().Sub(r.Time))))
	l.line("key        " + string(r.Key))
	l.line("time       " + r.Time.UTC().Format(time.RFC3339))
	for _, h := range r.Headers {
		l.line("header     " + h.Name + ": " + string(h.Value))
	}
	l.line("")
	l.printValue(r.Value)
	return nil
}

// printValue shows JSON indented, and other bytes as they lie.
func (l *lagRun) printValue(v []byte) {
	const most = 4 << 10
	var b bytes.Buffer
	switch {
	case v == nil:
		l.line("no value")
	case json.Indent(&b, v, "", "  ") == nil:
		for line := range strings.SplitSeq(b.String(), "\n") {
			l.line(line)
		}
	default:
		for line := range strings.Lines(hex.Dump(v[:min(len(v), most)])) {
			l.line(strings.TrimRight(line, "\n"))
		}
		if len(v) > most {
			l.line(fmt.Sprintf("%d of %d bytes", most, len(v)))
		}
	}
}
