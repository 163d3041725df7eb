package store

import (
	"context"
	"database/sql"
	"time"

	"commerce.internal/orderctl/internal/queue"
)

// examples is how many of the newest dead rows are looked at for one of each class.
const examples = 200

// Pending sums up the messages of a group that are not done: by state, class of the last failure, and topic of the live
// copy. The sums of dead rows come with the newest of them.
func (s *Store) Pending(ctx context.Context, group string) ([]queue.PendingSum, error) {
	var sums []queue.PendingSum
	err := s.look(ctx, "sum up message rows", func(tx *sql.Tx) error {
		rs, err := tx.QueryContext(ctx, s.text.sumRows, group)
		err = eachRow(rs, err, func(rs *sql.Rows) error {
			p, err := pendingScan(rs)
			sums = append(sums, p)
			return err
		})
		if err != nil {
			return err
		}
		newest := map[queue.Class]queue.PendingSum{}
		rs, err = tx.QueryContext(ctx, s.text.newestDead, group, examples)
		err = eachRow(rs, err, func(rs *sql.Rows) error {
			var class, order sql.NullString
			var attempts int
			if err := rs.Scan(&class, &order, &attempts); err != nil {
				return err
			}
			if c := queue.Class(class.String); newest[c].Count == 0 {
				newest[c] = queue.PendingSum{Count: 1, OrderID: order.String, Attempts: attempts}
			}
			return nil
		})
		for i, p := range sums {
			if p.State == queue.StateDead {
				sums[i].OrderID, sums[i].Attempts = newest[p.Class].OrderID, newest[p.Class].Attempts
			}
		}
		return err
	})
	return sums, err
}

func pendingScan(rs *sql.Rows) (queue.PendingSum, error) {
	var state string
	var class, topic sql.NullString
	var newest, due sql.NullInt64
	var p queue.PendingSum
	err := rs.Scan(&state, &class, &topic, &p.Count, &newest, &due)
	p.State, p.Class, p.Topic = queue.State(state), queue.Class(class.String), topic.String
	if newest.Valid {
		p.Newest = time.UnixMilli(newest.Int64).UTC()
	}
	if due.Valid {
		p.NextDue = time.UnixMilli(due.Int64).UTC()
	}
	return p, err
}
