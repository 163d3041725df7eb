package store

import (
	"cmp"
	"context"
	"slices"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

// seen reads what is known about some records: the rows of their message ids, the unfinished rows of their orders,
// then their orders, under lock. The rows come first: whoever holds the lock on an order has written its rows.
func (x *session) seen(ctx context.Context, group string, look []queue.Lookup) ([]queue.Seen, error) {
	ids, orderIDs := wanted(look)
	f := found{byID: map[string][]queue.Row{}, byOrder: map[string][]queue.Row{}, stored: map[string]*queue.StoredOrder{}}
	t := x.store.text
	list := t.lookups(nil, group, t.rowsOfIDs, ids, f.message)
	list = t.lookups(list, group, t.unfinished, orderIDs, f.ofOrder)
	list = t.lookups(list, group, t.orders, orderIDs, f.order)
	if err := x.send(ctx, list...); err != nil {
		return nil, err
	}
	out := make([]queue.Seen, len(look))
	for i, l := range look {
		out[i] = queue.Seen{
			Message: f.byID[l.MsgID], Order: others(f.byOrder[l.OrderID], l.MsgID), Stored: f.stored[l.OrderID],
		}
	}
	return out, nil
}

// found gathers what the database answers.
type found struct {
	byID, byOrder map[string][]queue.Row
	stored        map[string]*queue.StoredOrder
}

func (f found) message(a answer) error {
	r, err := rowScan(a)
	f.byID[r.MsgID] = append(f.byID[r.MsgID], r)
	return err
}

func (f found) ofOrder(a answer) error {
	r, err := rowScan(a)
	f.byOrder[r.OrderID] = append(f.byOrder[r.OrderID], r)
	return err
}

func (f found) order(a answer) error {
	var id, status string
	err := a.Scan(&id, &status)
	f.stored[id] = &queue.StoredOrder{Status: order.Status(status)}
	return err
}

// lookups adds the queries for some names to list.
func (t texts) lookups(list []statement, group string, text func(int) string, names []string, row func(answer) error) []statement {
	_ = t.eachChunk(group, names, func(n int, args []any) error {
		list = append(list, statement{text: text(n), args: args, row: row, index: nobody})
		return nil
	})
	return list
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

// eachChunk calls query for the names in lists of a few fixed lengths, so that few statements have to be prepared. A
// list is filled up with NULL, which finds nothing. Where a list is one parameter its length is all the same.
func (t texts) eachChunk(group string, names []string, query func(n int, args []any) error) error {
	for len(names) > 0 {
		n := chunk(len(names))
		part := names[:min(n, len(names))]
		names = names[len(part):]
		if t.syntax.names != nil {
			if err := query(n, []any{group, t.syntax.names(part)}); err != nil {
				return err
			}
			continue
		}
		args := make([]any, 0, n+1)
		args = append(args, group)
		for i := range n {
			if i < len(part) {
				args = append(args, part[i])
			} else {
				args = append(args, nil)
			}
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
