package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"commerce.internal/orderctl/internal/queue"
)

// mysqlPacket bounds what is sent at once: a server refuses, and hangs up on, what is above its max_allowed_packet. The
// smallest in use is 4 MiB, and quoting may double a text.
const mysqlPacket = 1 << 20

func (d *mysqlDialect) begins(int) []statement {
	return []statement{{text: d.syntax().begin, index: nobody}}
}

// trip sends statements as one text as far as they fit. Which one failed is not known then, so those of the operator go
// by themselves.
func (d *mysqlDialect) trip(ctx context.Context, conn *sql.Conn, list []statement) (failed statement, err error) {
	for len(list) > 0 {
		n := together(list)
		if err := multi(ctx, conn, list[:n]); err != nil {
			return likely(list[:n], d.unequal(err)), err
		}
		list = list[n:]
	}
	return statement{index: nobody}, nil
}

// together is how many of the next statements make one text.
func together(list []statement) int {
	size := 0
	for n, st := range list {
		size += len(st.text)
		for _, a := range st.args {
			if s, ok := a.(string); ok {
				size += len(s)
			}
		}
		if n > 0 && (size > mysqlPacket || st.operators && !list[n-1].operators || odd(st) || odd(list[n-1])) {
			return n
		}
	}
	return len(list)
}

// odd reports whether a ? of a statement is not a parameter. The driver counts them, and prepares such a statement.
func odd(st statement) bool { return strings.Count(st.text, "?") != len(st.args) }

func multi(ctx context.Context, conn *sql.Conn, list []statement) error {
	var text strings.Builder
	var args []any
	reads := false
	for _, st := range list {
		text.WriteString(st.text + ";\n")
		args = append(args, st.args...)
		reads = reads || st.row != nil
	}
	query := strings.TrimSuffix(text.String(), ";\n")
	if !reads {
		_, err := conn.ExecContext(ctx, query, args...)
		return err
	}
	rs, err := conn.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rs.Close()
	return answers(rs, list)
}

// answers hands each set of rows to the statement that asked for it. The others have none.
func answers(rs *sql.Rows, list []statement) error {
	first := true
	for _, st := range list {
		if st.row == nil {
			continue
		}
		if !first && !rs.NextResultSet() {
			return errors.Join(rs.Err(), errors.New("an answer is missing"))
		}
		first = false
		for rs.Next() {
			if err := st.row(rs); err != nil {
				return err
			}
		}
		if err := rs.Err(); err != nil {
			return err
		}
	}
	for rs.NextResultSet() { // what follows may have failed
	}
	return rs.Err()
}

// likely is the statement that may have failed: one that compares where that is what failed, else one of a record, else
// the last, which may be the commit.
func likely(list []statement, compared bool) statement {
	for _, st := range list {
		if compared && st.compares || !compared && st.index != nobody {
			return st
		}
	}
	return list[len(list)-1]
}

// unequal: a number is too large, as ifMissed makes it.
func (d *mysqlDialect) unequal(err error) bool {
	var e *mysql.MySQLError
	return errors.As(err, &e) && e.Number == 1690
}

// ifMissed fails unless the statement before it has met a row, so that the commit behind it is not done. (SET, as DO
// would forgive the error.)
func ifMissed(index int) statement {
	return statement{text: "SET @orderctl_met = EXP(IF(ROW_COUNT() = 1, 0, 1000))", index: index, compares: true}
}

// writes inserts new rows and new orders many at a time, and compares and sets known ones one by one.
func (d *mysqlDialect) writes(t texts, group string, changes []change, now time.Time) []statement {
	var list, compared []statement
	rows := inserts{into: "orderctl_messages (consumer_group, done_id, " + columns + ")"}
	for _, w := range inKeyOrder(changes) {
		switch w.Kind {
		case queue.Insert:
			rows.add(insertArgs(group, &w.Row, now), w.index)
		case queue.Control:
			compared = append(compared, statement{text: t.controlRow, args: controlArgs(group, w.Write, now), index: w.index}, ifMissed(w.index))
		default:
			compared = append(compared, statement{text: t.updateRow, args: updateArgs(group, w.Write, now), index: w.index}, ifMissed(w.index))
		}
	}
	orders := inserts{into: "orders (" + orderColumns + ")"}
	var updates []statement
	for _, c := range inOrderOfOrders(changes) {
		if c.Effect.Insert {
			orders.add(insertOrderArgs(group, c, now), c.index)
			continue
		}
		args := append(updateOrderArgs(c, now), group, c.Effect.Order.OrderID, string(c.seen.Stored.Status))
		updates = append(updates, statement{text: t.updateOrder, args: args, index: c.index}, ifMissed(c.index))
	}
	list = append(append(rows.list, compared...), orders.list...)
	return append(list, updates...)
}

// inserts are INSERT statements of many rows, none of them larger than what is sent at once.
type inserts struct {
	into string
	list []statement
	size int // of the last
}

func (w *inserts) add(row []any, index int) {
	size := 0
	for _, v := range row {
		if s, ok := v.(string); ok {
			size += len(s)
		}
	}
	values := "(" + list(len(row)) + ")"
	if len(w.list) == 0 || w.size+size > mysqlPacket/2 {
		w.list = append(w.list, statement{text: "INSERT INTO " + w.into + " VALUES " + values, args: row, index: index})
		w.size = size
		return
	}
	last := &w.list[len(w.list)-1]
	last.text += ", " + values
	last.args = append(last.args, row...)
	w.size += size
}
