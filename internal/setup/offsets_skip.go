package setup

import (
	"context"
	"fmt"

	"commerce.internal/orderctl/internal/queue"
)

const (
	askAtOnce    = 500 // message ids in one question to the database
	mostExamples = 3
)

// skipped is a record that the group would not read any more.
type skipped struct {
	key queue.RowKey
	at  queue.Position
}

// count reads what a move would skip, and counts what nobody would finish then.
func (o *Offsets) count(ctx context.Context, m *Move) error {
	if m.Skips == 0 {
		return nil
	}
	to := o.effective(Move{From: m.To, Start: m.Start, End: m.End})
	m.Skips = 0 // markers and holes are no orders
	source := sourceOf(m.Topic, o.opts.Group)
	var page []skipped
	flush := func() error {
		err := o.judge(ctx, m, page)
		page = page[:0]
		return err
	}
	err := o.opts.Records.Scan(ctx, m.Topic, m.Partition, o.effective(*m), to, func(r queue.Record) error {
		m.Skips++
		page = append(page, skipped{key: queue.Identify(r, source, o.opts.Unknown), at: r.Position()})
		if len(page) < askAtOnce {
			return nil
		}
		return flush()
	})
	if err != nil {
		return fmt.Errorf("read what would be skipped of %s: %w", m.TopicPartition(), err)
	}
	return flush()
}

// judge asks the database for a page of skipped records. One that no row knows is unseen, and so is one that a row waits
// for: the copy that it would run.
func (o *Offsets) judge(ctx context.Context, m *Move, page []skipped) error {
	if len(page) == 0 {
		return nil
	}
	known := map[queue.RowKey]queue.Row{}
	if o.opts.Rows != nil {
		ids := make([]string, len(page))
		for i, s := range page {
			ids[i] = s.key.MsgID
		}
		rows, err := o.opts.Rows.Messages(ctx, o.opts.Group, ids)
		if err != nil {
			return fmt.Errorf("ask which orders of %s are known: %w", m.TopicPartition(), err)
		}
		for _, r := range rows {
			known[r.RowKey] = r
		}
	}
	for _, s := range page {
		row, found := known[s.key]
		if found && (!row.State.Waiting() || row.At != s.at) {
			continue
		}
		m.Unseen++
		if len(m.Examples) < mostExamples {
			m.Examples = append(m.Examples, s.at.String()+" "+s.key.MsgID)
		}
	}
	return nil
}
