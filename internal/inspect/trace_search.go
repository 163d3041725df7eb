package inspect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

// errCut says that the search has read as much as it may.
var errCut = errors.New("as many bytes were read as may be")

// pollTransactions is how often an open transaction is looked at again.
const pollTransactions = 200 * time.Millisecond

// recordOverhead is about what a record takes in the log beside key, value and headers.
const recordOverhead = 20

// search reads the partitions that the order is in, and the others where it is in none of them.
func (t *tracer) search(ctx context.Context, n int32) error {
	mine := t.partitions()
	if err := t.all(ctx, mine); err != nil {
		return err
	}
	if len(t.records) > 0 || len(t.view.Rows) > 0 {
		return nil
	}
	t.r.Elsewhere = true
	var others []int32
	for p := range n {
		if !slices.Contains(mine, p) {
			others = append(others, p)
		}
	}
	return t.all(ctx, others)
}

// all reads some partitions of every topic, in the order in which an order goes through them. What an open transaction of a
// foreign producer holds back is read when it is over, if that is in time.
func (t *tracer) all(ctx context.Context, partitions []int32) error {
	marks, err := t.marks(ctx, partitions)
	if err != nil {
		return err
	}
	var held []*Searched
	for _, topic := range t.o.Names.All() {
		if there, known := exists(t.snap, topic); known && !there {
			continue // a tier that nobody made, a ledger that nobody wrote
		}
		for _, p := range partitions {
			s := t.bounds(topic, p, marks)
			end := placeOf(t.snap, topic, p).high
			if err := t.read(ctx, s); err != nil {
				t.r.Searched = append(t.r.Searched, *s)
				return err
			}
			if s.Problem == "" && s.End < end {
				s.held = end
				held = append(held, s)
				continue
			}
			t.r.Searched = append(t.r.Searched, *s)
		}
	}
	return t.wait(ctx, held)
}

// marks finds where the search begins in each partition, with one question.
func (t *tracer) marks(ctx context.Context, partitions []int32) (map[lag.TopicPartition]lag.Maybe[lag.OffsetAt], error) {
	at := map[lag.TopicPartition]time.Time{}
	for _, topic := range t.o.Names.All() {
		for _, p := range partitions {
			if placeOf(t.snap, topic, p).problem == "" {
				at[lag.TopicPartition{Topic: topic, Partition: p}] = t.r.Since
			}
		}
	}
	if len(at) == 0 {
		return nil, nil
	}
	marks, err := t.o.Source.OffsetsAt(ctx, at)
	if err != nil {
		t.r.Searched = append(t.r.Searched, Searched{Topic: t.o.Names.Source, Partition: t.r.Partition, Problem: why(err)})
		return nil, fmt.Errorf("find where to begin: %w", err)
	}
	return marks, nil
}

// bounds is what is to be read of a partition.
func (t *tracer) bounds(topic string, partition int32, marks map[lag.TopicPartition]lag.Maybe[lag.OffsetAt]) *Searched {
	p := placeOf(t.snap, topic, partition)
	s := &Searched{Topic: topic, Partition: partition, From: p.start, End: p.stable, Problem: p.problem}
	m := marks[lag.TopicPartition{Topic: topic, Partition: partition}]
	switch {
	case p.problem != "":
	case !m.Known:
		s.Problem = "nobody tells where to begin"
	case m.V.Offset < 0:
		s.From = s.End
	default:
		s.From = min(max(s.From, m.V.Offset), s.End)
	}
	if role, _, _ := t.o.Names.Role(topic); role == queue.RoleAudit && s.Problem == "" {
		s.From = p.start // compacted: an entry keeps its place, and is younger than its letter anyway
		if len(t.letters) == 0 {
			s.From = s.End // there is no letter that it could speak of
		}
	}
	return s
}

// read goes through a partition. What is wrong with it stands in s; an error ends the whole search.
func (t *tracer) read(ctx context.Context, s *Searched) error {
	if s.Problem != "" {
		return nil
	}
	for pos := s.From; pos < s.End; {
		err := t.o.Log.Scan(ctx, s.Topic, s.Partition, pos, s.End, func(r queue.Record) error {
			pos = r.Offset + 1
			return t.look(r, s)
		})
		switch {
		case err == nil:
			pos = s.End
		case errors.Is(err, errCut), ctx.Err() != nil:
			s.Problem = cutAt(err, pos)
			return err
		case gone(err) && t.observe(ctx) == nil && placeOf(t.snap, s.Topic, s.Partition).start > pos:
			pos = placeOf(t.snap, s.Topic, s.Partition).start // retention was at work
		default:
			s.Problem = why(err)
			return nil
		}
	}
	s.Complete = true
	return nil
}

func cutAt(err error, pos int64) string {
	if errors.Is(err, errCut) {
		return fmt.Sprintf("cut at offset %d by --max-bytes", pos)
	}
	return fmt.Sprintf("cut at offset %d by --timeout", pos)
}

// look takes a record that is the order's. Only those are decoded.
func (t *tracer) look(r queue.Record, s *Searched) error {
	size := int64(len(r.Key)+len(r.Value)) + recordOverhead
	for _, h := range r.Headers {
		size += int64(len(h.Name) + len(h.Value))
	}
	s.Records++
	s.Bytes += size
	t.bytes += size
	if t.bytes > t.o.MaxBytes {
		return errCut
	}
	role, _, _ := t.o.Names.Role(r.Topic)
	if role == queue.RoleAudit && t.letters[string(r.Key)] || role != queue.RoleAudit && bytes.Equal(r.Key, []byte(t.id)) {
		t.take(r)
	}
	return nil
}

// take keeps a record of the order.
func (t *tracer) take(r queue.Record) {
	if t.seen[r.Position()] {
		return
	}
	t.seen[r.Position()] = true
	r.Key, r.Value = bytes.Clone(r.Key), bytes.Clone(r.Value) // its batch need not stay in memory
	r.Headers = slices.Clone(r.Headers)
	for i, h := range r.Headers {
		r.Headers[i].Value = bytes.Clone(h.Value)
	}
	f := found{Record: r, trail: queue.ReadTrail(r.Headers)}
	f.role, _, _ = t.o.Names.Role(r.Topic)
	if f.role == queue.RoleDLQ {
		t.letters[fmt.Sprintf("%d/%d", r.Partition, r.Offset)] = true
	}
	if f.role != queue.RoleAudit {
		f.key = queue.Identify(r, t.o.Names.Source, t.o.Unknown)
		f.src, _ = queue.OriginOf(r, t.o.Names.Source)
		contentType, _ := queue.First(r.Headers, queue.HeaderContentType)
		if o, err := order.Parse(contentType, r.Value, t.o.Unknown); err == nil {
			f.order = &o
		}
	}
	t.records = append(t.records, f)
}

// wait reads what transactions held back, as they end.
func (t *tracer) wait(ctx context.Context, held []*Searched) error {
	for len(held) > 0 {
		err := wait(ctx, pollTransactions)
		if err == nil {
			err = t.observe(ctx)
		}
		if err != nil {
			for _, s := range held {
				s.Complete = false
				s.Problem = fmt.Sprintf("an open transaction holds back what lies from offset %d on", s.End)
				t.r.Searched = append(t.r.Searched, *s)
			}
			return err
		}
		var still []*Searched
		for _, s := range held {
			p := placeOf(t.snap, s.Topic, s.Partition)
			if p.problem == "" && p.stable < s.held {
				still = append(still, s)
				continue
			}
			rest := &Searched{Topic: s.Topic, Partition: s.Partition, From: s.End, End: s.held, Records: s.Records, Bytes: s.Bytes, Problem: p.problem}
			err := t.read(ctx, rest)
			rest.From = s.From
			t.r.Searched = append(t.r.Searched, *rest)
			if err != nil {
				return err
			}
		}
		held = still
	}
	return nil
}
