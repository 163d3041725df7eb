package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

// look runs fn on one reading connection, in one look at the database. Where the connection turns out to be dead it looks
// again, once: it may have died long ago. So fn begins with nothing.
func (s *Store) look(ctx context.Context, doing string, fn func(*sql.Tx) error) error {
	lost, err := s.lookOnce(ctx, doing, fn)
	if lost && ctx.Err() == nil {
		_, err = s.lookOnce(ctx, doing, fn)
	}
	return err
}

func (s *Store) lookOnce(ctx context.Context, doing string, fn func(*sql.Tx) error) (lost bool, err error) {
	l, err := s.current(ctx)
	if err != nil {
		return false, whole(s.dialect, doing, err)
	}
	moment := s.dialect.syntax().looks
	tx, err := l.read.BeginTx(ctx, &moment)
	if err != nil {
		return s.abandon(ctx, l, err), whole(s.dialect, doing, err)
	}
	err = fn(tx)
	if back := tx.Rollback(); err == nil && !errors.Is(back, sql.ErrTxDone) {
		err = back
	}
	if err != nil {
		return s.abandon(ctx, l, err), whole(s.dialect, doing, err)
	}
	return false, nil
}

// Order returns what the database knows of one order.
func (s *Store) Order(ctx context.Context, group, orderID string) (queue.OrderView, error) {
	v := queue.OrderView{OrderID: orderID}
	if !isText(orderID) {
		return v, nil // no database holds it
	}
	err := s.look(ctx, "read order", func(tx *sql.Tx) error {
		v = queue.OrderView{OrderID: orderID}
		if err := s.appliedOrder(ctx, tx, group, &v); err != nil {
			return err
		}
		rs, err := tx.QueryContext(ctx, s.text.rowsOfOrder, group, orderID)
		return eachRow(rs, err, func(rs *sql.Rows) error {
			r, err := rowScan(rs)
			v.Rows = append(v.Rows, r)
			return err
		})
	})
	slices.SortFunc(v.Rows, bySource)
	return v, err
}

func (s *Store) appliedOrder(ctx context.Context, tx *sql.Tx, group string, v *queue.OrderView) error {
	var status string
	var applied int64
	var id string
	err := tx.QueryRowContext(ctx, s.text.oneOrder, group, v.OrderID).Scan(&id, &status, &v.Currency, &v.TotalAmount, &applied)
	if errors.Is(err, sql.ErrNoRows) || err == nil && id != v.OrderID {
		return nil // MySQL takes "A " for "A"
	}
	if err != nil {
		return err
	}
	v.Found, v.Status, v.AppliedAt = true, order.Status(status), time.UnixMilli(applied).UTC()
	return nil
}

// Rows returns the rows of some messages; those that are not there are missing from the map.
func (s *Store) Rows(ctx context.Context, group string, keys []queue.RowKey) (map[queue.RowKey]queue.Row, error) {
	wanted := make(map[queue.RowKey]bool, len(keys))
	var ids []string
	for _, k := range keys {
		if isText(k.MsgID) {
			wanted[k] = true
			ids = append(ids, k.MsgID)
		}
	}
	out := make(map[queue.RowKey]queue.Row, len(keys))
	err := s.look(ctx, "read message rows", func(tx *sql.Tx) error {
		return s.text.eachChunk(group, sorted(ids), func(n int, args []any) error {
			rs, err := tx.QueryContext(ctx, s.text.rowsOfIDs(n), args...)
			return eachRow(rs, err, func(rs *sql.Rows) error {
				r, err := rowScan(rs)
				if wanted[r.RowKey] {
					out[r.RowKey] = r
				}
				return err
			})
		})
	})
	return out, err
}

// Counts returns how many messages of a group are in each state, but done: those are all that ever was.
func (s *Store) Counts(ctx context.Context, group string) (map[queue.State]int64, error) {
	out := map[queue.State]int64{
		queue.StateRetry: 0, queue.StateParked: 0, queue.StateDead: 0, queue.StateDiscarded: 0,
	}
	err := s.look(ctx, "count message rows", func(tx *sql.Tx) error {
		rs, err := tx.QueryContext(ctx, s.text.countRows, group)
		return eachRow(rs, err, func(rs *sql.Rows) error {
			var state string
			var n int64
			err := rs.Scan(&state, &n)
			out[queue.State(state)] = n
			return err
		})
	})
	return out, err
}
