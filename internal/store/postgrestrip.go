package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/stdlib"

	"commerce.internal/orderctl/internal/queue"
)

// begins bounds what others can do to this transaction, and it to others: a lock that is not given back in time is asked
// for again in a new transaction, and a worker that is stopped in the middle does not hold its locks for ever.
func (d *postgresDialect) begins() []statement {
	var list []statement
	for _, text := range []string{
		d.syntax().begin, "SET LOCAL lock_timeout = '3s'", "SET LOCAL idle_in_transaction_session_timeout = '30s'",
	} {
		list = append(list, statement{text: text, index: nobody})
	}
	return list
}

// trip sends all statements in one pipeline. Those that a connection has not seen are prepared in another before.
func (d *postgresDialect) trip(ctx context.Context, conn *sql.Conn, list []statement) (failed statement, err error) {
	err = conn.Raw(func(driverConn any) error {
		c, ok := driverConn.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("send statements: %T is no connection of PostgreSQL", driverConn)
		}
		failed, err = pipeline(ctx, c.Conn(), list)
		return err
	})
	return failed, err
}

func pipeline(ctx context.Context, c *pgx.Conn, list []statement) (failed statement, err error) {
	b := &pgx.Batch{}
	for _, st := range list {
		b.Queue(st.text, st.args...)
	}
	answers := c.SendBatch(ctx, b)
	for _, st := range list {
		if err := take(answers, st); err != nil {
			_ = answers.Close() // it says the same
			return st, err
		}
	}
	return statement{index: nobody}, answers.Close()
}

func take(answers pgx.BatchResults, st statement) error {
	if st.row == nil {
		_, err := answers.Exec()
		return err
	}
	rs, err := answers.Query()
	if err != nil {
		return err
	}
	defer rs.Close()
	for rs.Next() {
		if err := st.row(rs); err != nil {
			return err
		}
	}
	return rs.Err()
}

// writes inserts all new rows with one statement and all new orders with another, changes all known orders with a third,
// and compares and sets known rows one by one.
func (d *postgresDialect) writes(t texts, group string, changes []change, now time.Time) []statement {
	var list, compared []statement
	var rows, inserts, updates [][]any
	first := [3]int{nobody, nobody, nobody} // a record of each of the three
	for _, w := range inKeyOrder(changes) {
		switch w.Kind {
		case queue.Insert:
			rows, first[0] = append(rows, insertArgs(group, w.Row, now)), w.index
		case queue.Control:
			compared = append(compared, statement{text: mustChange(t.controlRow), args: controlArgs(group, w.Write, now), index: w.index, compares: true})
		default:
			compared = append(compared, statement{text: mustChange(t.updateRow), args: updateArgs(group, w.Write, now), index: w.index, compares: true})
		}
	}
	for _, c := range inOrderOfOrders(changes) {
		if c.Effect.Insert {
			inserts, first[1] = append(inserts, insertOrderArgs(group, c, now)), c.index
		} else {
			updates = append(updates, append(updateOrderArgs(c, now), c.Effect.Order.OrderID, string(c.seen.Stored.Status)))
			first[2] = c.index
		}
	}
	if len(rows) > 0 {
		list = append(list, statement{text: postgresInsert("orderctl_messages", "consumer_group, done_id, "+columns, rowTypes()), args: arrays(rows), index: first[0]})
	}
	list = append(list, compared...)
	if len(inserts) > 0 {
		list = append(list, statement{text: postgresInsert("orders", orderColumns, orderTypes()), args: arrays(inserts), index: first[1]})
	}
	if len(updates) > 0 {
		list = append(list, statement{text: postgresUpdateOrders(), args: append(arrays(updates), group, len(updates)), index: first[2], compares: true})
	}
	return list
}

// mustChange makes a statement divide by zero where it changes no row, so that the commit behind it is not done.
func mustChange(update string) string {
	return "WITH changed AS (" + update + " RETURNING 1) SELECT 1 / count(*) FROM changed"
}

func (d *postgresDialect) unequal(err error) bool { return d.blame(err).code == "22012" }

// rowTypes are the types of the columns of insertArgs, orderTypes those of insertOrderArgs: t text, n a number.
func rowTypes() string   { return "ttttttntnnttnnntttnttnntnnn" }
func orderTypes() string { return "tttttnttnntnntn" }

// postgresInsert takes one array for each column, so that it is one statement however many rows there are.
func postgresInsert(table, columns, types string) string {
	return "INSERT INTO " + table + " (" + columns + ") SELECT * FROM " + unnest(types)
}

func unnest(types string) string {
	var list []string
	for i, t := range types {
		kind := "text"
		if t == 'n' {
			kind = "bigint"
		}
		list = append(list, fmt.Sprintf("$%d::%s[]", i+1, kind))
	}
	return "unnest(" + strings.Join(list, ", ") + ")"
}

// postgresUpdateOrders sets the orders that are locked, as texts.updateOrder does one. It divides by zero unless it
// changes all of them.
func postgresUpdateOrders() string {
	return `WITH changed AS (UPDATE orders AS o SET user_id = v.user_id, status = v.status, currency = v.currency,
		total_amount = v.total_amount, items = v.items, attributes = v.attributes, updated_at = v.updated_at,
		msg_id = v.msg_id, src_partition = v.src_partition, src_offset = v.src_offset, trace_id = v.trace_id,
		applied_at = v.applied_at
		FROM ` + unnest("tttnttntnntntt") + ` AS v (user_id, status, currency, total_amount, items, attributes,
		updated_at, msg_id, src_partition, src_offset, trace_id, applied_at, order_id, was)
		WHERE o.consumer_group = $15 AND o.order_id = v.order_id AND o.status = v.was RETURNING 1)
		SELECT 1 / (count(*) = $16::bigint)::int FROM changed`
}

// arrays turns rows of values into columns of them.
func arrays(rows [][]any) []any {
	out := make([]any, len(rows[0]))
	for n := range out {
		column := make(pgtype.FlatArray[any], len(rows))
		for i, r := range rows {
			column[i] = r[n]
		}
		out[n] = column
	}
	return out
}
