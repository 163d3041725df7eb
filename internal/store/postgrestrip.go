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
//
// How a prepared statement is done is decided early, and kept. A table that was empty then has grown: so it is decided again
// when a connection has run twice as many transactions as the last time. (In a table of a page all indexes are alike.)
func (d *postgresDialect) begins(n int) []statement {
	texts := []string{
		d.syntax().begin, "SET LOCAL lock_timeout = '3s'", "SET LOCAL idle_in_transaction_session_timeout = '30s'",
	}
	if n > 8 && n&(n-1) == 0 {
		texts = append(texts, "DISCARD PLANS")
	}
	var list []statement
	for _, text := range texts {
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

// writes inserts all new rows with one statement and all new orders with another, and compares and sets known ones one by
// one.
func (d *postgresDialect) writes(t texts, group string, changes []change, now time.Time) []statement {
	var list, compared, updates []statement
	var rows, inserts [][]any
	first := [2]int{nobody, nobody} // a record of each of the two
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
			args := append(updateOrderArgs(c, now), group, c.Effect.Order.OrderID, string(c.seen.Stored.Status))
			updates = append(updates, statement{text: mustChange(t.updateOrder), args: args, index: c.index, compares: true})
		}
	}
	if len(rows) > 0 {
		list = append(list, statement{text: postgresInsert("orderctl_messages", "consumer_group, done_id, "+columns, rowTypes()), args: arrays(rows), index: first[0]})
	}
	list = append(list, compared...)
	if len(inserts) > 0 {
		list = append(list, statement{text: postgresInsert("orders", orderColumns, orderTypes()), args: arrays(inserts), index: first[1]})
	}
	return append(list, updates...)
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

// postgresLookup asks for one name after the other, by the index of the names. A list of names would be slow for as long
// as the server has not counted the rows: it takes a group for a handful and reads all of it. OFFSET 0 keeps the queries
// apart.
func postgresLookup(n int, q lookup) string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("($%d::text)", i+2))
	}
	return render((&postgresDialect{}).syntax(), `SELECT found.* FROM (VALUES `+strings.Join(names, ", ")+`) AS wanted (name) CROSS JOIN LATERAL (
		SELECT `+q.columns+` FROM `+q.from+` WHERE consumer_group = $1 AND `+q.key+` = wanted.name`+q.more+`
		`+q.end+` OFFSET 0) AS found`)
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
