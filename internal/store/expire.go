package store

import (
	"context"
	"database/sql"
	"time"

	"commerce.internal/orderctl/internal/queue"
)

// expireMax bounds one call of Expire: a long clean-up shall not keep the worker waiting.
const expireMax = 1_000

// Expire forgets messages that were done before a time, and returns how many: at most a thousand of each partition.
// Committed are the group's commits, each as the position that is read next. A message at or above the commit of the
// partition it came from, or of the one where its last copy lies, stays: it may be delivered again. So does one whose
// partition is not named. Call it again while it returns more than 0.
func (s *Store) Expire(ctx context.Context, group string, before time.Time, committed []queue.Position) (int, error) {
	total := 0
	for _, p := range committed {
		old, err := s.expired(ctx, group, before, p, committed)
		if err != nil {
			return total, err
		}
		n, err := s.forget(ctx, group, before, old)
		total += n
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// expired finds what may go, page by page, as there may be any number of rows in front that may not.
func (s *Store) expired(
	ctx context.Context, group string, before time.Time, source queue.Position, committed []queue.Position,
) (old []queue.RowKey, err error) {
	err = s.look(ctx, "read expired messages", func(tx *sql.Tx) error {
		old = nil
		for next := int64(-1); len(old) < expireMax; {
			rows := 0
			rs, err := tx.QueryContext(ctx, s.text.expired,
				group, source.Topic, source.Partition, next, source.Offset, before.UnixMilli(), expireMax)
			err = eachRow(rs, err, func(rs *sql.Rows) error {
				r, err := rowScan(rs)
				if rows, next = rows+1, r.Src.Offset; passed(r.At, committed) {
					old = append(old, r.RowKey)
				}
				return err
			})
			if err != nil || rows < expireMax {
				return err
			}
		}
		return nil
	})
	return old[:min(len(old), expireMax)], err
}

// passed reports whether the group will not read a position again.
func passed(at queue.Position, committed []queue.Position) bool {
	if at.Offset < 0 {
		return true
	}
	for _, c := range committed {
		if c.Topic == at.Topic && c.Partition == at.Partition {
			return at.Offset < c.Offset
		}
	}
	return false
}

func (s *Store) forget(ctx context.Context, group string, before time.Time, old []queue.RowKey) (int, error) {
	if len(old) == 0 {
		return 0, nil
	}
	n := 0
	err := s.transact(ctx, "forget messages", func(x *session) error {
		n = 0
		for _, k := range old {
			changed, err := x.exec(ctx, s.text.expireRow, group, k.MsgID, k.Fingerprint, before.UnixMilli())
			if err != nil {
				return err
			}
			n += int(changed)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}
