package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
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
	byKey, byOrder := inKeyOrder(changes), inOrderOfOrders(changes)
	rows, inserts := newArrays(len(byKey)), newArrays(len(byOrder))
	first := [2]int{nobody, nobody} // a record of each of the two
	for _, w := range byKey {
		switch w.Kind {
		case queue.Insert:
			rowValues(rows, group, &w.Row, now)
			first[0] = w.index
			rows.endRow()
		case queue.Control:
			compared = append(compared, statement{text: mustChange(t.controlRow), args: controlArgs(group, w.Write, now), index: w.index, compares: true})
		default:
			compared = append(compared, statement{text: mustChange(t.updateRow), args: updateArgs(group, w.Write, now), index: w.index, compares: true})
		}
	}
	for _, c := range byOrder {
		if c.Effect.Insert {
			orderValues(inserts, group, c.Effect, now)
			first[1] = c.index
			inserts.endRow()
		} else {
			args := append(updateOrderArgs(c, now), group, c.Effect.Order.OrderID, string(c.seen.Stored.Status))
			updates = append(updates, statement{text: mustChange(t.updateOrder), args: args, index: c.index, compares: true})
		}
	}
	if rows.n > 0 {
		list = append(list, statement{text: d.insertRows, args: rows.args(), index: first[0]})
	}
	list = append(list, compared...)
	if inserts.n > 0 {
		list = append(list, statement{text: d.insertOrders, args: inserts.args(), index: first[1]})
	}
	return append(list, updates...)
}

// mustChange makes a statement divide by zero where it changes no row, so that the commit behind it is not done.
func mustChange(update string) string {
	return "WITH changed AS (" + update + " RETURNING 1) SELECT 1 / count(*) FROM changed"
}

func (d *postgresDialect) unequal(err error) bool { return d.blame(err).code == "22012" }

// postgresLookup asks for one name after the other, by the index of the names. A list of names would be slow for as long
// as the server has not counted the rows: it takes a group for a handful and reads all of it. OFFSET 0 keeps the queries
// apart.
func postgresLookup(q lookup) string {
	return render((&postgresDialect{}).syntax(), `SELECT found.* FROM unnest($2::text[]) AS wanted (name) CROSS JOIN LATERAL (
		SELECT `+q.columns+` FROM `+q.from+` WHERE consumer_group = $1 AND `+q.key+` = wanted.name`+q.more+`
		`+q.end+` OFFSET 0) AS found`)
}
