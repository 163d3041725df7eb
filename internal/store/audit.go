package store

import (
	"context"
	"database/sql"
	"slices"

	"commerce.internal/orderctl/internal/queue"
)

// auditColumns is as much of a message row as tells what became of a message and where its copy lies. Rows without the
// rest are read in half the time, and an audit reads all there are.
const auditColumns = `msg_id, fingerprint, state, outcome, hop, at_topic, at_partition, at_offset, order_id,
	src_topic, src_partition, src_offset, class, replay_id`

// sourcedText reads a page of the rows that come from one partition, behind a row. It walks the index of the source; the
// other terms only part rows that name one and the same record, which forged headers alone can bring about.
func sourcedText(y syntax, more string) string {
	return render(y, `SELECT `+auditColumns+` FROM orderctl_messages
		WHERE consumer_group = ? AND src_topic = ? AND src_partition = ? AND src_offset >= ? AND src_offset < ?`+more+`
		AND (src_offset > ? OR msg_id > ? OR msg_id = ? AND fingerprint > ?)
		ORDER BY src_offset, msg_id, fingerprint LIMIT ?`)
}

// Sourced returns, a page at a time, the rows of the messages that come from one partition of a source topic: those
// behind the row after, below the offset end, by offset and key. A row with a position and no key stands in front of all
// rows of that position. The rows say what became of a message and where its copy lies, no more.
func (s *Store) Sourced(ctx context.Context, group string, after queue.Row, end int64, limit int) ([]queue.Row, error) {
	return s.sourced(ctx, group, "", after, end, limit)
}

// Dead is Sourced for the messages that are dead.
func (s *Store) Dead(ctx context.Context, group string, after queue.Row, end int64, limit int) ([]queue.Row, error) {
	return s.sourced(ctx, group, " AND state = 'dead'", after, end, limit)
}

func (s *Store) sourced(ctx context.Context, group, more string, after queue.Row, end int64, limit int) ([]queue.Row, error) {
	var page []queue.Row
	err := s.look(ctx, "read message rows of a partition", func(tx *sql.Tx) (err error) {
		page, err = auditRows(ctx, tx, sourcedText(s.text.syntax, more),
			group, after.Src.Topic, after.Src.Partition, after.Src.Offset, end,
			after.Src.Offset, after.MsgID, after.MsgID, after.Fingerprint, limit)
		return err
	})
	return page, err
}

// Messages returns the rows of some message ids, every content of each, as Sourced does.
func (s *Store) Messages(ctx context.Context, group string, ids []string) ([]queue.Row, error) {
	var all []queue.Row
	err := s.look(ctx, "read message rows by id", func(tx *sql.Tx) error {
		all = nil
		return s.text.eachChunk(group, sorted(slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !isText(id) })), func(n int, args []any) error {
			rows, err := auditRows(ctx, tx, s.text.rowsOf(auditColumns, n), args...)
			all = append(all, rows...)
			return err
		})
	})
	return all, err
}

func auditRows(ctx context.Context, tx *sql.Tx, query string, args ...any) ([]queue.Row, error) {
	var found []queue.Row
	rs, err := tx.QueryContext(ctx, query, args...)
	err = eachRow(rs, err, func(rs *sql.Rows) error {
		var r queue.Row
		var outcome, atTopic, orderID, class, replay sql.NullString
		var atPartition, atOffset sql.NullInt64
		err := rs.Scan(&r.MsgID, &r.Fingerprint, &r.State, &outcome, &r.Hop, &atTopic, &atPartition, &atOffset, &orderID,
			&r.Src.Topic, &r.Src.Partition, &r.Src.Offset, &class, &replay)
		r.Outcome = queue.Outcome(outcome.String)
		r.At = queue.Position{Topic: atTopic.String, Partition: int32(atPartition.Int64), Offset: orMinusOne(atOffset)} //nolint:gosec // written from an int32
		r.OrderID, r.ReplayID, r.Failure.Class = orderID.String, replay.String, queue.Class(class.String)
		found = append(found, r)
		return err
	})
	return found, err
}
