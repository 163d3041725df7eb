package inspect_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

const (
	source = "orders"
	group  = "g"
)

func names() queue.Names {
	return queue.Names{Source: source, Group: group, Tiers: []time.Duration{time.Minute}}
}

// world is a log, a group and a database that a small worker keeps consistent. It is what an audit looks at. Every look
// may move it: step runs before each answer and between two records of a scan.
type world struct {
	now        time.Time
	partitions int32
	logs       map[lag.TopicPartition]*partition
	rows       map[queue.RowKey]queue.Row
	orders     map[string]queue.OrderView
	commits    map[lag.TopicPartition]int64
	problems   map[lag.TopicPartition]lag.Problem
	step       func()
	reads      []string // what was asked of the log
	down       error    // of the database
	broken     map[string]error
	bytes      int64
}

type partition struct {
	start, end int64
	held       int64 // end - held is the last stable offset
	records    []queue.Record
}

func newWorld(partitions int32) *world {
	w := &world{
		now: time.Date(2026, 11, 22, 3, 12, 7, 0, time.UTC), partitions: partitions, logs: map[lag.TopicPartition]*partition{},
		rows: map[queue.RowKey]queue.Row{}, orders: map[string]queue.OrderView{}, commits: map[lag.TopicPartition]int64{},
		problems: map[lag.TopicPartition]lag.Problem{}, step: func() {}, broken: map[string]error{},
	}
	for _, topic := range names().All() {
		for p := range partitions {
			w.logs[lag.TopicPartition{Topic: topic, Partition: p}] = &partition{}
		}
	}
	return w
}

func (w *world) log(topic string, p int32) *partition {
	return w.logs[lag.TopicPartition{Topic: topic, Partition: p}]
}

// put writes a record and returns where it lies.
func (w *world) put(r queue.Record) queue.Position {
	l := w.log(r.Topic, r.Partition)
	r.Offset = l.end
	if r.Time.IsZero() {
		w.now = w.now.Add(time.Second)
		r.Time = w.now
	}
	l.records = append(l.records, r)
	l.end++
	return r.Position()
}

// forget is retention: records below an offset are deleted.
func (w *world) forget(topic string, p int32, below int64) {
	l := w.log(topic, p)
	l.start = max(l.start, min(below, l.end))
	l.records = slices.DeleteFunc(l.records, func(r queue.Record) bool { return r.Offset < l.start })
}

// remove deletes one record, as compaction would.
func (w *world) remove(at queue.Position) {
	l := w.log(at.Topic, at.Partition)
	l.records = slices.DeleteFunc(l.records, func(r queue.Record) bool { return r.Offset == at.Offset })
}

func header(name, value string) queue.Header { return queue.Header{Name: name, Value: []byte(value)} }

// message is a record of the source: an order that the worker takes as fate says.
func message(p int32, id, content, fate string) queue.Record {
	return queue.Record{
		Topic: source, Partition: p, Key: []byte(id), Value: []byte(content),
		Headers: []queue.Header{header(queue.HeaderID, id+":CREATED"), header("fate", fate)},
	}
}

// work lets the worker do one piece of work: the next record of a topic. It may die after any step of a hop; what it left
// behind is what worker.md 13 says, and the record comes again.
func (w *world) work(topic string, p int32, die int) {
	tp := lag.TopicPartition{Topic: topic, Partition: p}
	l, next := w.logs[tp], w.commits[tp]
	next = max(next, l.start)
	i := slices.IndexFunc(l.records, func(r queue.Record) bool { return r.Offset >= next })
	if i < 0 {
		return
	}
	if r := l.records[i]; w.handle(r, die) {
		w.commits[tp] = r.Offset + 1
	}
}

// handle takes one record through the rules that matter here, and reports whether it may be committed.
func (w *world) handle(r queue.Record, die int) bool {
	key := queue.Identify(r, source, order.KeepUnknown)
	trail := queue.ReadTrail(r.Headers)
	row, found := w.rows[key]
	onItsWay := found && row.At.Offset < 0
	dead := row.State == queue.StateDead || row.State == queue.StateDiscarded
	switch {
	case found && row.State == queue.StateDone:
		return true
	case found && row.At == r.Position():
	case onItsWay && trail.Hop == row.Hop && trail.ReplayID == row.ReplayID:
		row.At = r.Position()
	case found && dead && trail.Hop == row.Hop+1 && trail.ReplayID != "":
		row.State, row.Hop, row.At, row.ReplayID = queue.StateRetry, trail.Hop, r.Position(), trail.ReplayID
	case onItsWay && trail.Hop == row.Hop-1 && trail.ReplayID == row.ReplayID:
		return w.hop(r, row, die)
	case found:
		return true
	default:
		row = queue.Row{RowKey: key, At: r.Position(), Src: r.Position(), OrderID: string(r.Key), Control: -1}
	}
	fate, _ := queue.First(r.Headers, "fate")
	for other := range w.rows {
		if other.MsgID == key.MsgID && other != key && w.rows[other].State == queue.StateDone {
			fate = "dead" // conflict
		}
	}
	replayed := trail.ReplayID != ""
	switch {
	case fate == "retry" && trail.Hop == 0, fate == "worse" && trail.Hop == 0:
		row.State, row.At.Topic = queue.StateRetry, names().Retry(time.Minute)
	case !replayed && (fate == "dead" || fate == "worse"):
		row.State, row.At.Topic = queue.StateDead, names().DLQ()
	default:
		row.State, row.Outcome = queue.StateDone, queue.Applied
		if fate == "stale" {
			row.Outcome = queue.Stale
		}
		w.rows[key] = row
		return true
	}
	row.Hop, row.At.Offset = row.Hop+1, -1
	w.rows[key] = row // step 1
	return w.hop(r, row, die)
}

// hop is steps 2 to 4 of a hop; die is the step after which the worker dies, 0: none.
func (w *world) hop(r queue.Record, row queue.Row, die int) bool {
	if die == 1 {
		return false
	}
	t := queue.Trail{
		Hop: row.Hop, Origin: row.Src, Group: group, MsgID: row.MsgID, Fingerprint: row.Fingerprint, ReplayID: row.ReplayID,
		Class: queue.ClassExhausted, Code: "payment-timeout", Message: "504 from downstream", Attempts: 3,
	}
	at := w.put(queue.Record{Topic: row.At.Topic, Partition: r.Partition, Key: r.Key, Value: r.Value, Headers: t.Append(r.Headers)})
	if die == 2 {
		return false
	}
	if now := w.rows[row.RowKey]; now.Hop == row.Hop && now.At.Offset < 0 {
		now.At = at
		w.rows[row.RowKey] = now
	}
	return die != 3
}

// replay sends a letter again, as an operator would.
func (w *world) replay(r queue.Record, id string) {
	t := queue.ReadTrail(r.Headers)
	t.Hop, t.ReplayID = t.Hop+1, id
	w.put(queue.Record{Topic: names().Replay(), Partition: r.Partition, Key: r.Key, Value: r.Value, Headers: t.Append(r.Headers)})
}

// Scan implements inspect.Log.
func (w *world) Scan(ctx context.Context, topic string, p int32, from, end int64, fn func(queue.Record) error) error {
	w.step()
	w.reads = append(w.reads, fmt.Sprintf("%s/%d[%d,%d)", topic, p, from, end))
	if err := w.broken[topic+"/"+strconv.Itoa(int(p))]; err != nil {
		return err
	}
	l := w.log(topic, p)
	for pos := from; pos < end; {
		if err := ctx.Err(); err != nil {
			return err
		}
		w.step()
		if l == nil || pos < l.start || pos >= l.end {
			return fmt.Errorf("read %s/%d@%d: %w", topic, p, pos, queue.ErrNotFound)
		}
		i := slices.IndexFunc(l.records, func(r queue.Record) bool { return r.Offset >= pos })
		if i < 0 || l.records[i].Offset >= end {
			return nil
		}
		pos = l.records[i].Offset + 1
		w.bytes += int64(len(l.records[i].Value))
		if err := fn(l.records[i]); err != nil {
			return err
		}
	}
	return nil
}

// At implements inspect.Log.
func (w *world) At(_ context.Context, at queue.Position) (queue.Record, error) {
	w.step()
	w.reads = append(w.reads, at.String())
	if l := w.log(at.Topic, at.Partition); l != nil {
		for _, r := range l.records {
			if r.Offset == at.Offset {
				return r, nil
			}
		}
	}
	return queue.Record{}, fmt.Errorf("read %s: %w", at, queue.ErrNotFound)
}

// Snapshot implements lag.Source: commits first, then ends.
func (w *world) Snapshot(_ context.Context, q lag.Query) (lag.Snapshot, error) {
	w.step()
	commits := map[lag.TopicPartition]lag.CommitObs{}
	for tp, offset := range w.commits {
		commits[tp] = lag.CommitObs{Offset: offset}
	}
	g := lag.GroupObs{Commits: lag.Know(commits), Members: lag.Know([]lag.MemberObs{}), State: lag.StateEmpty}
	if len(commits) == 0 {
		g.State = lag.StateDead
	}
	w.step()
	s := lag.Snapshot{
		AsOf: w.now, Groups: map[string]lag.GroupObs{group: g}, Topics: map[string]lag.TopicObs{},
		Partitions: map[lag.TopicPartition]lag.PartitionObs{},
	}
	for _, topic := range q.Topics {
		s.Topics[topic] = lag.TopicObs{Exists: lag.Know(false)}
	}
	for tp, l := range w.logs {
		if !slices.Contains(q.Topics, tp.Topic) {
			continue
		}
		s.Topics[tp.Topic] = lag.TopicObs{Exists: lag.Know(true), Partitions: int(w.partitions)}
		obs := lag.PartitionObs{Problem: w.problems[tp]}
		if obs.Problem == "" {
			obs.Start, obs.Stable, obs.High = lag.Know(l.start), lag.Know(l.end-l.held), lag.Know(l.end)
		}
		s.Partitions[tp] = obs
	}
	return s, nil
}

// OffsetsAt implements lag.Source.
func (w *world) OffsetsAt(_ context.Context, at map[lag.TopicPartition]time.Time) (map[lag.TopicPartition]lag.Maybe[lag.OffsetAt], error) {
	w.step()
	found := map[lag.TopicPartition]lag.Maybe[lag.OffsetAt]{}
	for tp, when := range at {
		found[tp] = lag.Know(lag.OffsetAt{Offset: -1})
		for _, r := range w.logs[tp].records {
			if !r.Time.Before(when) {
				found[tp] = lag.Know(lag.OffsetAt{Offset: r.Offset, Time: r.Time})
				break
			}
		}
	}
	return found, nil
}

func byPlace(a, b queue.Row) int {
	return cmp.Or(cmp.Compare(a.Src.Offset, b.Src.Offset), cmp.Compare(a.MsgID, b.MsgID), cmp.Compare(a.Fingerprint, b.Fingerprint))
}

// Sourced implements inspect.Rows.
func (w *world) Sourced(_ context.Context, _ string, after queue.Row, end int64, limit int) ([]queue.Row, error) {
	w.step()
	var page []queue.Row
	for _, r := range w.rows {
		if r.Src.Topic == after.Src.Topic && r.Src.Partition == after.Src.Partition && byPlace(r, after) > 0 && r.Src.Offset < end {
			page = append(page, r)
		}
	}
	slices.SortFunc(page, byPlace)
	return page[:min(limit, len(page))], w.down
}

// Dead implements inspect.DeadRows.
func (w *world) Dead(ctx context.Context, g string, after queue.Row, end int64, limit int) ([]queue.Row, error) {
	page, err := w.Sourced(ctx, g, after, end, 1<<30)
	page = slices.DeleteFunc(page, func(r queue.Row) bool { return r.State != queue.StateDead })
	return page[:min(limit, len(page))], err
}

// Messages implements inspect.Rows.
func (w *world) Messages(_ context.Context, _ string, ids []string) ([]queue.Row, error) {
	w.step()
	var found []queue.Row
	for _, k := range slices.SortedFunc(maps.Keys(w.rows), func(a, b queue.RowKey) int { return cmp.Compare(a.MsgID+a.Fingerprint, b.MsgID+b.Fingerprint) }) {
		if slices.Contains(ids, k.MsgID) {
			found = append(found, w.rows[k])
		}
	}
	return found, w.down
}

// Order implements inspect.Orders.
func (w *world) Order(_ context.Context, _, id string) (queue.OrderView, error) {
	w.step()
	v := w.orders[id]
	v.OrderID = id
	for _, r := range w.rows {
		if r.OrderID == id {
			v.Rows = append(v.Rows, r)
		}
	}
	slices.SortFunc(v.Rows, byPlace)
	return v, w.down
}
