//go:build crash

package crash

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

// look is what topics and database say at one moment.
type look struct {
	names   queue.Names
	commits map[queue.Position]int64 // read first: rows may be newer, never older
	rows    map[queue.RowKey]queue.Row
	journal []string // message ids, as they took effect
	records map[string][]queue.Record
}

func (w *world) look(ctx context.Context) (look, error) {
	l := look{names: w.names, rows: map[queue.RowKey]queue.Row{}, records: map[string][]queue.Record{}}
	var err error
	if l.commits, err = w.kafka.committed(ctx, w.names.Group, w.names.Consumed()); err != nil {
		return l, err
	}
	rows, err := w.db.QueryContext(ctx, `SELECT msg_id, fingerprint, state, coalesce(outcome, ''), hop, coalesce(at_topic, ''),
		coalesce(at_partition, 0), coalesce(at_offset, -1), coalesce(order_id, ''), src_topic, src_partition, src_offset,
		coalesce(replay_id, '') FROM orderctl_messages WHERE consumer_group = $1`, w.names.Group)
	if err != nil {
		return l, err
	}
	defer rows.Close()
	for rows.Next() {
		var r queue.Row
		if err := rows.Scan(&r.MsgID, &r.Fingerprint, &r.State, &r.Outcome, &r.Hop, &r.At.Topic, &r.At.Partition, &r.At.Offset,
			&r.OrderID, &r.Src.Topic, &r.Src.Partition, &r.Src.Offset, &r.ReplayID); err != nil {
			return l, err
		}
		l.rows[r.RowKey] = r
	}
	if err := rows.Err(); err != nil {
		return l, err
	}
	journal, err := w.db.QueryContext(ctx, "SELECT message_id FROM journal ORDER BY n")
	if err != nil {
		return l, err
	}
	defer journal.Close()
	for journal.Next() {
		var id string
		if err := journal.Scan(&id); err != nil {
			return l, err
		}
		l.journal = append(l.journal, id)
	}
	if err := journal.Err(); err != nil {
		return l, err
	}
	for _, topic := range append(w.names.Consumed(), w.names.DLQ()) {
		if l.records[topic], err = w.kafka.read(ctx, topic); err != nil {
			return l, err
		}
	}
	return l, nil
}

func (l look) row(r queue.Record) (queue.Row, bool) {
	row, found := l.rows[queue.Identify(r, l.names.Source, order.KeepUnknown)]
	return row, found
}

// letters are the copies of each letter: by message and hop number.
func (l look) letters() map[queue.RowKey]map[int][]queue.Record {
	all := map[queue.RowKey]map[int][]queue.Record{}
	for _, r := range l.records[l.names.DLQ()] {
		key := queue.Identify(r, l.names.Source, order.KeepUnknown)
		if all[key] == nil {
			all[key] = map[int][]queue.Record{}
		}
		hop := queue.ReadTrail(r.Headers).Hop
		all[key][hop] = append(all[key][hop], r)
	}
	return all
}

// commitAhead is I6: nothing below a commit is unfinished. It holds at any moment.
func (l look) commitAhead() []string {
	var broken []string
	for _, topic := range l.names.Consumed() {
		for _, r := range l.records[topic] {
			if r.Offset >= l.commits[queue.Position{Topic: topic, Partition: r.Partition}] {
				continue
			}
			if _, discard := queue.First(r.Headers, queue.HeaderDiscard); discard {
				continue
			}
			row, found := l.row(r)
			switch {
			case !found:
				broken = append(broken, fmt.Sprintf("I6: %s is committed and has no row", r.Position()))
			case row.State.Waiting() && row.At == r.Position():
				broken = append(broken, fmt.Sprintf("I6: %s is committed and is the live copy of %s, which waits", r.Position(), row.MsgID))
			}
		}
	}
	return broken
}

// settled is what must hold once the group is drained.
func (w *world) settled(l look) []string {
	broken := l.commitAhead()
	bad := func(format string, args ...any) { broken = append(broken, fmt.Sprintf(format, args...)) }
	source := map[queue.RowKey]queue.Record{}
	known := map[string]bool{}
	for _, r := range l.records[l.names.Source] {
		key := queue.Identify(r, l.names.Source, order.KeepUnknown)
		if _, again := source[key]; !again {
			source[key] = r
		}
		if row, found := l.rows[key]; !found {
			bad("I1: %s (%s) has no row", r.Position(), key.MsgID)
		} else if row.State.Waiting() {
			bad("I1: %s (%s) is drained, yet %s at %s", r.Position(), key.MsgID, row.State, row.At)
		}
		known[key.MsgID] = true
	}
	for id := range w.acked {
		if !known[id] {
			bad("L1: %s was answered with 202 and is not in the log", id)
		}
	}
	letters := l.letters()
	for key, row := range l.rows {
		r, found := source[key]
		if !found {
			bad("P1: row of %s, which nobody sent", key.MsgID)
			continue
		}
		if row.State == queue.StateDead && len(letters[key][row.Hop]) == 0 {
			bad("I3: %s is dead at hop %d and has no such letter", key.MsgID, row.Hop)
		}
		for _, copies := range letters[key] {
			for _, c := range copies {
				broken = append(broken, faithful(r, c, row)...)
			}
		}
	}
	for _, b := range [][]string{l.effects(), l.order(source), w.delivered(l, source)} {
		broken = append(broken, b...)
	}
	slices.Sort(broken)
	return broken
}

// faithful is I10: key, value and the user's headers of a letter are those of the source record.
func faithful(r, letter queue.Record, row queue.Row) []string {
	var broken []string
	if !bytes.Equal(r.Key, letter.Key) || !bytes.Equal(r.Value, letter.Value) {
		broken = append(broken, fmt.Sprintf("I10: letter %s of %s has another key or value", letter.Position(), row.MsgID))
	}
	if origin := queue.ReadTrail(letter.Headers).Origin; origin != row.Src {
		broken = append(broken, fmt.Sprintf("I10: letter %s of %s comes from %s, its row from %s", letter.Position(), row.MsgID, origin, row.Src))
	}
	for i, h := range r.Headers {
		if i >= len(letter.Headers) || letter.Headers[i].Name != h.Name || !bytes.Equal(letter.Headers[i].Value, h.Value) {
			broken = append(broken, fmt.Sprintf("I10: letter %s of %s lost header %s", letter.Position(), row.MsgID, h.Name))
		}
	}
	return broken
}

// effects is I2 and I4: journal and rows are one to one, and no message is both applied and dead.
func (l look) effects() []string {
	var broken []string
	times := map[string]int{}
	for _, id := range l.journal {
		if times[id]++; times[id] == 2 {
			broken = append(broken, "I2: "+id+" took effect more than once")
		}
	}
	for _, row := range l.rows {
		switch {
		case row.Outcome == queue.Applied && times[row.MsgID] == 0:
			broken = append(broken, "I2: "+row.MsgID+" is applied and had no effect")
		case row.State == queue.StateDead && times[row.MsgID] > 0:
			broken = append(broken, "I4: "+row.MsgID+" took effect and is dead")
		case row.Outcome == queue.Stale && times[row.MsgID] > 0:
			broken = append(broken, "I2: "+row.MsgID+" took effect and is stale")
		}
	}
	return broken
}

// order is I5: of each order what took effect first lies first in the log. A replay comes when its operator sends it.
func (l look) order(source map[queue.RowKey]queue.Record) []string {
	var broken []string
	replayed, seq := map[string]bool{}, map[string]int64{}
	for key, row := range l.rows {
		replayed[row.MsgID] = replayed[row.MsgID] || row.ReplayID != ""
		seq[row.MsgID] = source[key].Offset
	}
	last := map[string]string{}
	for _, id := range l.journal {
		name, _, _ := strings.Cut(id, ":")
		if replayed[id] {
			continue
		}
		if before := last[name]; before != "" && seq[before] > seq[id] {
			broken = append(broken, fmt.Sprintf("I5: %s took effect behind %s", id, before))
		}
		last[name] = id
	}
	return broken
}

// delivered is D3: what the service took is delivered, and what is delivered it took.
func (w *world) delivered(l look, source map[queue.RowKey]queue.Record) []string {
	if w.hook == nil {
		return nil
	}
	w.hook.mu.Lock()
	defer w.hook.mu.Unlock()
	broken := slices.Clone(w.hook.strange)
	state := map[string]queue.Row{}
	for _, row := range l.rows {
		state[row.MsgID] = row
		if _, took := w.hook.bodies[row.MsgID]; row.Outcome == queue.Delivered && !took {
			broken = append(broken, "D3: "+row.MsgID+" is delivered and the service has not taken it")
		}
	}
	for _, id := range w.hook.took {
		if state[id].Outcome != queue.Delivered {
			broken = append(broken, fmt.Sprintf("D3: the service took %s, which is %s %s", id, state[id].State, state[id].Outcome))
		}
	}
	l.journal = w.hook.took
	return append(broken, l.order(source)...)
}
