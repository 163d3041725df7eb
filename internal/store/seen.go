package store

import (
	"cmp"
	"context"
	"database/sql"
	"slices"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

// seen reads what is known about some records: the rows of their message ids, the unfinished rows of their orders,
// then their orders, under lock. The rows come first: whoever holds the lock on an order has written its rows.
func (x *session) seen(ctx context.Context, group string, look []queue.Lookup) ([]queue.Seen, error) {
	ids, orderIDs := wanted(look)
	byID, err := x.rowsBy(ctx, group, x.store.text.rowsOfIDs, ids, func(r queue.Row) string { return r.MsgID })
	if err != nil {
		return nil, err
	}
	byOrder, err := x.rowsBy(ctx, group, x.store.text.unfinished, orderIDs, func(r queue.Row) string { return r.OrderID })
	if err != nil {
		return nil, err
	}
	stored, err := x.lockOrders(ctx, group, orderIDs)
	if err != nil {
		return nil, err
	}
	out := make([]queue.Seen, len(look))
	for i, l := range look {
		out[i] = queue.Seen{Message: byID[l.MsgID], Order: others(byOrder[l.OrderID], l.MsgID), Stored: stored[l.OrderID]}
	}
	return out, nil
}

func wanted(look []queue.Lookup) (ids, orderIDs []string) {
	for _, l := range look {
		ids = append(ids, l.MsgID)
		if l.OrderID != "" {
			orderIDs = append(orderIDs, l.OrderID)
		}
	}
	return sorted(ids), sorted(orderIDs)
}

func sorted(s []string) []string {
	slices.Sort(s)
	return slices.Compact(s)
}

// others leaves out the contents of the message itself, which are in Message, and sorts the rest as the source has them.
func others(rows []queue.Row, id string) []queue.Row {
	rows = slices.DeleteFunc(slices.Clone(rows), func(r queue.Row) bool { return r.MsgID == id })
	slices.SortFunc(rows, bySource)
	return rows
}

func bySource(a, b queue.Row) int {
	return cmp.Or(
		cmp.Compare(a.Src.Topic, b.Src.Topic), cmp.Compare(a.Src.Partition, b.Src.Partition),
		cmp.Compare(a.Src.Offset, b.Src.Offset), cmp.Compare(a.MsgID, b.MsgID), cmp.Compare(a.Fingerprint, b.Fingerprint))
}

func (x *session) rowsBy(
	ctx context.Context, group string, text func(int) string, names []string, name func(queue.Row) string,
) (map[string][]queue.Row, error) {
	out := map[string][]queue.Row{}
	err := eachChunk(group, names, func(n int, args []any) error {
		return x.rows(ctx, text(n), args, func(rs *sql.Rows) error {
			r, err := rowScan(rs)
			out[name(r)] = append(out[name(r)], r)
			return err
		})
	})
	return out, err
}

func (x *session) lockOrders(ctx context.Context, group string, ids []string) (map[string]*queue.StoredOrder, error) {
	out := map[string]*queue.StoredOrder{}
	err := eachChunk(group, ids, func(n int, args []any) error {
		return x.rows(ctx, x.store.text.orders(n), args, func(rs *sql.Rows) error {
			var id, status string
			err := rs.Scan(&id, &status)
			out[id] = &queue.StoredOrder{Status: order.Status(status)}
			return err
		})
	})
	return out, err
}

// eachChunk calls query for the names in lists of a few fixed lengths, so that few statements have to be prepared. A
// list is filled up by repeating its last name, which finds nothing twice.
func eachChunk(group string, names []string, query func(n int, args []any) error) error {
	for len(names) > 0 {
		n := chunk(len(names))
		part := names[:min(n, len(names))]
		names = names[len(part):]
		args := make([]any, 0, n+1)
		args = append(args, group)
		for i := range n {
			args = append(args, part[min(i, len(part)-1)])
		}
		if err := query(n, args); err != nil {
			return err
		}
	}
	return nil
}

// chunk is the shortest list that holds n names, or the longest there is.
func chunk(n int) int {
	for _, size := range []int{1, 4, 16, 64} {
		if n <= size {
			return size
		}
	}
	return 256
}
