package store

import (
	"context"
	"database/sql"
	"errors"

	"commerce.internal/orderctl/internal/queue"
)

// Log returns what is remembered of a partition that a group reads. found is false where it was never read.
func (s *Store) Log(ctx context.Context, group, topic string, partition int32) (l queue.Log, found bool, err error) {
	err = s.look(ctx, "read what a commit belongs to", func(tx *sql.Tx) error {
		var halted sql.NullInt64
		err := tx.QueryRowContext(ctx, render(s.text.syntax, `SELECT topic_id, halted_at FROM orderctl_logs
			WHERE consumer_group = ? AND topic = ? AND part = ?`), group, topic, partition).Scan(&l.TopicID, &halted)
		if errors.Is(err, sql.ErrNoRows) {
			found = false
			return nil
		}
		found, l.HaltedAt = err == nil, -1
		if halted.Valid {
			l.HaltedAt = halted.Int64
		}
		return err
	})
	return l, found, err
}

// KeepLog remembers it.
func (s *Store) KeepLog(ctx context.Context, group, topic string, partition int32, l queue.Log) error {
	halted := sql.NullInt64{Int64: l.HaltedAt, Valid: l.HaltedAt >= 0}
	return s.transact(ctx, "note what a commit belongs to", func(x *session) error {
		n, err := x.exec(ctx, render(s.text.syntax, `UPDATE orderctl_logs SET topic_id = ?, halted_at = ?
			WHERE consumer_group = ? AND topic = ? AND part = ?`), l.TopicID, halted, group, topic, partition)
		if err != nil || n > 0 {
			return err
		}
		_, err = x.exec(ctx, render(s.text.syntax, `INSERT INTO orderctl_logs (consumer_group, topic, part, topic_id, halted_at)
			VALUES (?, ?, ?, ?, ?)`), group, topic, partition, l.TopicID, halted)
		return err
	})
}

// ForgetLog lets the next commit of a partition belong to whatever log is there: an operator has said where to go on.
func (s *Store) ForgetLog(ctx context.Context, group, topic string, partition int32) error {
	return s.transact(ctx, "forget what a commit belongs to", func(x *session) error {
		_, err := x.exec(ctx, render(s.text.syntax, `DELETE FROM orderctl_logs
			WHERE consumer_group = ? AND topic = ? AND part = ?`), group, topic, partition)
		return err
	})
}
