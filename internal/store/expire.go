package store

import (
	"context"
	"database/sql"
	"time"

	"commerce.internal/orderctl/internal/queue"
)

// expireMax bounds one call of Expire: a long clean-up shall not keep the worker waiting.
const expireMax = 1_000

// Partition names one partition of a topic.
type Partition struct {
	Topic     string
	Partition int32
}

// Expire forgets messages that were done before a time, at most some of each partition, and returns how many. A message
// at or above the commit of the partition it came from, or of the one where its last copy lies, stays: it may be
// delivered again. So does one whose commit is not named. Call it again while it returns more than 0.
func (s *Store) Expire(ctx context.Context, group string, before time.Time, committed map[Partition]int64) (int, error) {
	total := 0
	for p, offset := range committed {
		old, err := s.expired(ctx, group, before, p, offset, committed)
		if err != nil || len(old) == 0 {
			if err != nil {
				return total, err
			}
			continue
		}
		n, err := s.forget(ctx, group, before, old)
		total += n
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

func (s *Store) expired(
	ctx context.Context, group string, before time.Time, p Partition, offset int64, committed map[Partition]int64,
) ([]queue.RowKey, error) {
	var out []queue.RowKey
	err := s.look(ctx, "read expired messages", func(tx *sql.Tx) error {
		rs, err := tx.QueryContext(ctx, s.text.expired, group, p.Topic, p.Partition, offset, before.UnixMilli(), expireMax)
		return eachRow(rs, err, func(rs *sql.Rows) error {
			var k queue.RowKey
			var topic sql.NullString
			var partition sql.NullInt32
			var at sql.NullInt64
			err := rs.Scan(&k.MsgID, &k.Fingerprint, &topic, &partition, &at)
			if !at.Valid || at.Int64 < committed[Partition{topic.String, partition.Int32}] {
				out = append(out, k)
			}
			return err
		})
	})
	return out, err
}

func (s *Store) forget(ctx context.Context, group string, before time.Time, old []queue.RowKey) (int, error) {
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
