package store

import "strings"

// texts are the SQL statements of the store in the words of one database.
type texts struct {
	syntax syntax

	insertRow, updateRow, controlRow, placeRow, expireRow string
	insertOrder, updateOrder                              string
	countRows, sumRows, newestDead                        string
	expired, rowsOfOrder, oneOrder                        string
}

// columns of a message row, in the order in which rowScan reads them and rowArgs writes them.
const columns = `msg_id, fingerprint, state, outcome, hop, at_topic, at_partition, at_offset, order_id,
	src_topic, src_partition, src_offset, attempts, class, code, message, due_at, blocked_by, replay_id,
	control_offset, starts, trace_id, first_failure, last_failure, updated_at`

// orderColumns are those of an order, in the order of insertOrderArgs.
const orderColumns = `consumer_group, order_id, user_id, status, currency, total_amount, items, attributes, created_at,
	updated_at, msg_id, src_partition, src_offset, trace_id, applied_at`

// asRead is the compare of every change: the row still is where it was when it was read.
const asRead = ` WHERE consumer_group = ? AND msg_id = ? AND fingerprint = ?
	AND {state} = ? AND hop = ? AND at_topic <=> ? AND at_partition <=> ? AND at_offset <=> ?`

func newTexts(y syntax) texts {
	r := func(text string) string { return render(y, text) }
	return texts{
		syntax: y,
		insertRow: r(`INSERT INTO orderctl_messages (consumer_group, done_id, ` + columns + `)
			VALUES (` + list(27) + `)`),
		updateRow: r(`UPDATE orderctl_messages SET state = ?, done_id = ?, outcome = ?, hop = ?, at_topic = ?,
			at_partition = ?, at_offset = ?, order_id = ?, attempts = ?, class = ?, code = ?, message = ?, due_at = ?,
			blocked_by = ?, replay_id = ?, starts = ?, trace_id = ?, first_failure = ?, last_failure = ?,
			updated_at = ?` + asRead),
		controlRow: r(`UPDATE orderctl_messages SET state = ?, outcome = ?, control_offset = ?, updated_at = ?` + asRead + `
			AND (control_offset IS NULL OR control_offset < ?)`),
		placeRow: r(`UPDATE orderctl_messages SET at_topic = ?, at_partition = ?, at_offset = ?
			WHERE consumer_group = ? AND msg_id = ? AND fingerprint = ? AND hop = ? AND at_offset IS NULL`),
		insertOrder: r(`INSERT INTO orders (` + orderColumns + `)
			VALUES (` + list(15) + `)`),
		updateOrder: r(`UPDATE orders SET user_id = ?, status = ?, currency = ?, total_amount = ?, items = ?,
			attributes = ?, updated_at = ?, msg_id = ?, src_partition = ?, src_offset = ?, trace_id = ?, applied_at = ?
			WHERE consumer_group = ? AND order_id = ? AND status = ?`),
		countRows: r(`SELECT state, count(*) FROM orderctl_messages
			WHERE consumer_group = ? AND state <> 'done' GROUP BY state`),
		sumRows: r(`SELECT state, class, at_topic, count(*), max(last_failure), min(due_at) FROM orderctl_messages
			WHERE consumer_group = ? AND state <> 'done' GROUP BY state, class, at_topic`),
		newestDead: r(`SELECT class, order_id, attempts FROM orderctl_messages
			WHERE consumer_group = ? AND state = 'dead' AND state <> 'done' ORDER BY last_failure DESC LIMIT ?`),
		expired: r(`SELECT ` + columns + ` FROM orderctl_messages
			WHERE consumer_group = ? AND src_topic = ? AND src_partition = ? AND src_offset > ? AND src_offset < ?
			AND state = 'done' AND updated_at < ? ORDER BY src_offset LIMIT ?`),
		rowsOfOrder: r(`SELECT ` + columns + ` FROM orderctl_messages
			WHERE consumer_group = ? AND order_id = ?`),
		oneOrder: r(`SELECT order_id, status, currency, total_amount, applied_at FROM orders
			WHERE consumer_group = ? AND order_id = ?`),
		expireRow: r(`DELETE FROM orderctl_messages WHERE consumer_group = ? AND msg_id = ? AND fingerprint = ?
			AND state = 'done' AND updated_at < ?`),
	}
}

// rowsOfIDs reads every content of n message ids.
func (t texts) rowsOfIDs(n int) string { return t.rowsOf(columns, n) }

// rowsOf reads some columns of every content of n message ids.
func (t texts) rowsOf(columns string, n int) string {
	return t.lookup(n, lookup{columns: columns, from: "orderctl_messages", key: "msg_id", end: "ORDER BY msg_id, fingerprint"})
}

// unfinished reads the messages of n orders that may stand in front of another. It does not sort: SQLite would walk the
// index of the source, which has the wanted order, through the whole group.
func (t texts) unfinished(n int) string {
	return t.lookup(n, lookup{columns: columns, from: "orderctl_messages", key: "order_id", more: " AND {state} IN ('retry', 'parked', 'dead')"})
}

// orders reads and locks n orders, always in the same sequence, so that two workers never wait for each other.
func (t texts) orders(n int) string {
	return t.lookup(n, lookup{columns: "order_id, status", from: "orders", key: "order_id", end: "ORDER BY order_id {lock}"})
}

// lookup is a query for the rows of a group that have one of some names.
type lookup struct {
	columns, from, key, more, end string
}

func (t texts) lookup(n int, q lookup) string {
	if t.syntax.lookup != nil {
		return t.syntax.lookup(q)
	}
	return render(t.syntax, `SELECT `+q.columns+` FROM `+q.from+`
		WHERE consumer_group = ? AND `+q.key+` IN (`+list(n)+`)`+q.more+` `+q.end)
}

// list is n parameters.
func list(n int) string { return strings.Repeat("?, ", n-1) + "?" }
