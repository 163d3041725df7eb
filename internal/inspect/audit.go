package inspect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

// Rows finds message rows.
type Rows interface {
	// Sourced returns a page of the rows that come from one source partition, behind a row, below the offset end. A row
	// with a position and no key stands in front of all rows of that position.
	Sourced(ctx context.Context, group string, after queue.Row, end int64, limit int) ([]queue.Row, error)
	// Messages returns the rows of message ids, every content of each.
	Messages(ctx context.Context, group string, ids []string) ([]queue.Row, error)
}

// DeadRows finds the rows of dead messages, as Rows.Sourced does.
type DeadRows interface {
	Dead(ctx context.Context, group string, after queue.Row, end int64, limit int) ([]queue.Row, error)
}

// How much is asked at once, and how much is kept. Together they bound the memory of an audit.
const (
	rowsPage       = 5_000
	idsPage        = 500
	lettersPage    = 500
	mostDoubts     = 100_000
	progressPeriod = 1_000 // records
)

// AuditOptions says what is audited.
type AuditOptions struct {
	Names   queue.Names
	Log     Log
	Source  lag.Source
	Rows    Rows
	Dead    DeadRows
	Unknown order.Unknown // as the worker has it: the content of a message depends on it

	Since    time.Time                              // zero: all that the log has
	Settle   time.Duration                          // after which what looks wrong is looked at again
	Sample   int                                    // one order of so many; 0 and 1: all
	IDs      func(each func(id string) error) error // ids that must be on the topic, called twice; nil: none
	Progress func(offsets, total int64, doubts int) // nil: nobody listens
	Most     int                                    // so many doubts are kept; 0: 100,000
}

// Audit compares what was accepted with what became of it: every record of the source topic has a row of its message, is a
// duplicate of one that has, or waits in front of the commit; and every dead message has its letter. It reads with the
// flow (commits, ends, log, rows), so that an order on the move is seen twice, and then its row counts, but never nowhere.
func Audit(ctx context.Context, o AuditOptions) (*AuditReport, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.Most == 0 {
		o.Most = mostDoubts
	}
	a := &auditor{o: o, r: newAuditReport(o), named: map[queue.RowKey]bool{}}
	if err := a.loadIDs(); err != nil {
		return nil, err
	}
	stretches, err := a.plan(ctx)
	if err != nil {
		return nil, err
	}
	for i := range stretches {
		if err := a.partition(ctx, &stretches[i]); err != nil {
			return nil, err
		}
	}
	if err := a.settle(ctx, stretches); err != nil {
		return nil, err
	}
	if g := a.snap.Groups[o.Names.Group]; g.Missing() && a.rows == 0 {
		return nil, &NotFoundError{Kind: "consumer group", Name: o.Names.Group}
	}
	a.r.finish()
	return a.r, nil
}

func (o AuditOptions) check() error {
	switch {
	case o.Log == nil:
		return errors.New("inspect: AuditOptions.Log is required")
	case o.Source == nil:
		return errors.New("inspect: AuditOptions.Source is required")
	case o.Rows == nil:
		return errors.New("inspect: AuditOptions.Rows is required")
	case o.Dead == nil:
		return errors.New("inspect: AuditOptions.Dead is required")
	}
	return nil
}

// auditor is one audit.
type auditor struct {
	o      AuditOptions
	r      *AuditReport
	snap   lag.Snapshot // commits and ends: the first, then the fresh one of each settling
	doubts []doubt
	named  map[queue.RowKey]bool // the messages that are missing
	ids    *idSet
	rows   int64 // found
	done   int64 // offsets behind us
	total  int64
}

// stretch is the part of a source partition that is audited.
type stretch struct {
	partition int32
	place
	commit    int64 // -1: none
	from, end int64
}

// observe looks at commits and ends of all that the group has to do with.
func (a *auditor) observe(ctx context.Context) error {
	n := a.o.Names
	s, err := a.o.Source.Snapshot(ctx, lag.Query{Groups: []string{n.Group}, Topics: append(n.Consumed(), n.DLQ())})
	if err != nil {
		return fmt.Errorf("observe %s: %w", n.Group, err)
	}
	a.snap = s
	return nil
}

// plan decides what of each partition is read. What cannot be known of one is a problem of that one.
func (a *auditor) plan(ctx context.Context) ([]stretch, error) {
	if err := a.observe(ctx); err != nil {
		return nil, err
	}
	topic := a.o.Names.Source
	if there, known := exists(a.snap, topic); known && !there {
		return nil, &NotFoundError{Kind: "topic", Name: topic}
	}
	if a.snap.Groups[a.o.Names.Group].Problem == lag.NoAccess {
		return nil, &DeniedError{Kind: "consumer group", Name: a.o.Names.Group}
	}
	var all []stretch
	for p := range int32(a.snap.Topics[topic].Partitions) { //nolint:gosec // Kafka counts partitions in 32 bits
		s := stretch{partition: p, place: placeOf(a.snap, topic, p)}
		known := false
		if s.commit, known = commitOf(a.snap, a.o.Names.Group, topic, p); !known && s.problem == "" {
			s.problem = "its commit is unknown"
		}
		s.from, s.end = s.start, s.stable
		all = append(all, s)
	}
	a.r.AsOf, a.r.PartitionsTotal = a.snap.AsOf.UTC().Truncate(time.Millisecond), len(all)
	if len(all) == 0 {
		return nil, untold(a.snap, topic)
	}
	if err := a.since(ctx, all); err != nil {
		return nil, err
	}
	for _, s := range all {
		a.total += s.end - s.from
	}
	return all, nil
}

// since moves the beginnings to a time.
func (a *auditor) since(ctx context.Context, all []stretch) error {
	if a.o.Since.IsZero() {
		return nil
	}
	at := map[lag.TopicPartition]time.Time{}
	for _, s := range all {
		if s.problem == "" {
			at[lag.TopicPartition{Topic: a.o.Names.Source, Partition: s.partition}] = a.o.Since
		}
	}
	marks, err := a.o.Source.OffsetsAt(ctx, at)
	if err != nil {
		return fmt.Errorf("find offsets of %s at %s: %w", a.o.Names.Source, a.o.Since.Format(time.RFC3339), err)
	}
	for i := range all {
		s := &all[i]
		m := marks[lag.TopicPartition{Topic: a.o.Names.Source, Partition: s.partition}]
		switch {
		case s.problem != "":
		case !m.Known:
			s.problem = "nobody tells where " + a.o.Since.Format(time.RFC3339) + " lies in it"
		case m.V.Offset < 0:
			s.from = s.end
		default:
			s.from = min(max(s.start, m.V.Offset), s.end)
		}
	}
	return nil
}

// partition audits one partition.
func (a *auditor) partition(ctx context.Context, s *stretch) error {
	if s.problem != "" {
		a.r.unread(s.partition, s.problem)
		return nil
	}
	if s.commit >= 0 && s.start > s.commit {
		a.r.lost(s.partition, s.commit, s.start-s.commit)
	}
	if err := a.oldDead(ctx, *s); err != nil {
		return err
	}
	j := newJoin(a, s)
	if err := j.run(ctx); err != nil {
		return err
	}
	if j.unread != nil {
		a.r.unread(s.partition, why(j.unread))
		return nil
	}
	a.r.PartitionsRead++
	return nil
}

// oldDead looks for the letters of dead messages whose records the log has let go. They are not in the balance any more,
// but they must still have their letter.
func (a *auditor) oldDead(ctx context.Context, s stretch) error {
	if !a.o.Since.IsZero() || a.o.Sample > 1 || s.from == 0 {
		return nil
	}
	after := queue.Row{Src: queue.Position{Topic: a.o.Names.Source, Partition: s.partition}}
	for {
		page, err := a.o.Dead.Dead(ctx, a.o.Names.Group, after, s.from, lettersPage)
		if err != nil {
			return fmt.Errorf("read dead messages of %s/%d: %w", after.Src.Topic, s.partition, err)
		}
		dead := make([]doubt, 0, len(page))
		for _, r := range page {
			dead = append(dead, letterOf(r, false))
		}
		if err := a.letters(ctx, dead); err != nil || len(page) < lettersPage {
			return err
		}
		after = page[len(page)-1]
	}
}

// tell reports progress.
func (a *auditor) tell() {
	if a.o.Progress != nil {
		a.o.Progress(a.done, max(a.total, a.done), len(a.doubts))
	}
}

// doubt keeps what looks wrong for a second look. Without room for it, it stays unresolved.
func (a *auditor) doubt(d doubt) {
	if len(a.doubts) >= a.o.Most {
		a.r.Unresolved++
		return
	}
	a.doubts = append(a.doubts, d)
}

// byIDs returns the rows of some message ids, by their keys.
func (a *auditor) byIDs(ctx context.Context, ids []string) (map[queue.RowKey]queue.Row, error) {
	found := map[queue.RowKey]queue.Row{}
	for part := range slices.Chunk(ids, idsPage) {
		rows, err := a.o.Rows.Messages(ctx, a.o.Names.Group, part)
		if err != nil {
			return nil, fmt.Errorf("read message rows by id: %w", err)
		}
		for _, r := range rows {
			found[r.RowKey] = r
		}
	}
	return found, nil
}

// gone reports whether the log let go of what was to be read.
func gone(err error) bool { return errors.Is(err, queue.ErrNotFound) }
