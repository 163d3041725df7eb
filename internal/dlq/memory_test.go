package dlq_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/dlq"
	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

// errDied is what everything answers once the process is dead.
var errDied = errors.New("the process is dead")

// memory is a cluster and a database whose every answer can be the last: no other broker lets a test die between two
// records of one batch.
type memory struct {
	mu     sync.Mutex
	topics map[string][][]queue.Record
	ids    map[string]string
	rows   map[queue.RowKey]queue.Row
	now    time.Time
	dead   bool
	writes int
	fate   func(n int, m queue.Message) (written bool, err error) // nil: all is written
	gone   int64                                                  // retention has taken all below it
	took   []string                                               // letters that the group accepted, in order
	taken  map[string]int64                                       // how far the replay topic was consumed
}

func newMemory() *memory {
	return &memory{topics: map[string][][]queue.Record{}, ids: map[string]string{}, rows: map[queue.RowKey]queue.Row{}, now: base(), taken: map[string]int64{}}
}

func (m *memory) topic(name string, partitions int) {
	m.topics[name], m.ids[name] = make([][]queue.Record, partitions), "id-"+name
}

func (m *memory) Bounds(_ context.Context, topic string) (map[int32]dlq.Span, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	logs, ok := m.topics[topic]
	switch {
	case m.dead:
		return nil, errDied
	case !ok:
		return nil, fmt.Errorf("topic %s: %w", topic, queue.ErrNotFound)
	}
	b := map[int32]dlq.Span{}
	for p, log := range logs {
		b[int32(p)] = dlq.Span{Start: min(m.gone, int64(len(log))), End: int64(len(log))}
	}
	return b, nil
}

func (m *memory) Scan(_ context.Context, topic string, p int32, from, end int64, fn func(queue.Record) error) error {
	m.mu.Lock()
	records := slices.Clone(m.topics[topic][p][from:end])
	dead := m.dead
	m.mu.Unlock()
	if dead {
		return errDied
	}
	for _, r := range records {
		if err := fn(r); err != nil {
			return err
		}
	}
	return nil
}

func (m *memory) Topics(_ context.Context, names ...string) (string, map[string]dlq.Topic, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := map[string]dlq.Topic{}
	for _, n := range names {
		if logs, ok := m.topics[n]; ok {
			found[n] = dlq.Topic{ID: m.ids[n], Partitions: int32(len(logs))}
		}
	}
	return "cluster", found, nil
}

func (m *memory) Publish(msg queue.Message, done func(queue.Ack, error)) error {
	m.mu.Lock()
	if m.dead {
		m.mu.Unlock()
		return errDied
	}
	written, err := true, error(nil)
	if m.fate != nil {
		written, err = m.fate(m.writes, msg)
	}
	m.writes++
	at := queue.Position{Topic: msg.Topic, Partition: msg.Partition, Offset: -1}
	if written {
		at = m.append(msg)
	}
	if errors.Is(err, errDied) {
		m.dead = true
	}
	m.mu.Unlock()
	done(queue.Ack{Position: at}, err)
	return nil
}

func (m *memory) append(msg queue.Message) queue.Position {
	log := m.topics[msg.Topic][msg.Partition]
	r := queue.Record{Topic: msg.Topic, Partition: msg.Partition, Offset: int64(len(log)), Key: msg.Key, Value: msg.Value, Headers: msg.Headers, Time: msg.Time}
	m.topics[msg.Topic][msg.Partition] = append(log, r)
	return r.Position()
}

func (m *memory) Rows(_ context.Context, _ string, keys []queue.RowKey) (map[queue.RowKey]queue.Row, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := map[queue.RowKey]queue.Row{}
	for _, k := range keys {
		if row, ok := m.rows[k]; ok {
			found[k] = row
		}
	}
	return found, nil
}

func (m *memory) Messages(_ context.Context, _ string, ids []string) ([]queue.Row, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var rows []queue.Row
	for k, r := range m.rows {
		if slices.Contains(ids, k.MsgID) {
			rows = append(rows, r)
		}
	}
	return rows, nil
}

func (m *memory) Order(_ context.Context, _, id string) (queue.OrderView, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v := queue.OrderView{OrderID: id}
	for _, r := range m.rows {
		if r.OrderID == id {
			v.Rows = append(v.Rows, r)
		}
	}
	return v, nil
}

func (m *memory) Apply(_ context.Context, _ string, look []queue.Lookup, decide func(int, queue.Seen) queue.Change) ([]error, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	errs := make([]error, len(look))
	for i := range look {
		for _, w := range decide(i, queue.Seen{}).Writes {
			was, found := m.rows[w.Row.RowKey]
			if found != (w.Kind == queue.Update) || found && (was.State != w.Was.State || was.Hop != w.Was.Hop || was.At != w.Was.At) {
				errs[i] = queue.ErrRaced
				continue
			}
			m.rows[w.Row.RowKey] = w.Row
		}
	}
	return errs, nil
}

func (m *memory) Place(_ context.Context, _ string, key queue.RowKey, _ int, at queue.Position) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	row := m.rows[key]
	row.At = at
	m.rows[key] = row
	return nil
}

// kill adds a dead letter and its row.
func (m *memory) kill(p int32, seq int64, orderID, msgID string, class queue.Class, more ...func(*queue.Trail)) dlq.ID {
	o := order.Sample(newRand(uint64(seq)), orderID, m.now)
	t := queue.Trail{
		MsgID: msgID, Fingerprint: fmt.Sprintf("%064x", seq), Hop: 1, Class: class, Code: "c", Message: "m", Group: "g", Attempts: 6,
		Origin: queue.Position{Topic: "orders", Partition: p, Offset: seq},
	}
	for _, f := range more {
		f(&t)
	}
	at := m.append(queue.Message{
		Topic: topic, Partition: p, Key: []byte(orderID), Value: o.AppendJSON(nil), Time: m.now, Headers: t.Append([]queue.Header{{Name: "x", Value: []byte("y")}}),
	})
	key := queue.RowKey{MsgID: msgID, Fingerprint: t.Fingerprint}
	m.rows[key] = queue.Row{RowKey: key, State: queue.StateDead, Hop: t.Hop, At: at, OrderID: orderID, Src: t.Origin, Control: -1}
	return dlq.ID{Partition: p, Offset: at.Offset}
}

// work is the worker's rule 4, of a letter it accepts one replay, whoever sent it, and what it does with discards.
func (m *memory) work(names queue.Names) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for p := range m.topics[names.Replay()] {
		place := fmt.Sprint(p)
		for _, r := range m.topics[names.Replay()][p][m.taken[place]:] {
			m.taken[place]++
			t := queue.ReadTrail(r.Headers)
			key := queue.RowKey{MsgID: t.MsgID, Fingerprint: t.Fingerprint}
			row, ok := m.rows[key]
			if t.Discard != "" {
				if ok && row.Hop == t.Hop && row.Control < r.Offset {
					row.State, row.Control = map[string]queue.State{"true": queue.StateDiscarded, "undo": queue.StateDead}[t.Discard], r.Offset
					m.rows[key] = row
				}
				continue
			}
			if ok && row.State == queue.StateDead && t.Hop == row.Hop+1 && t.ReplayID != "" {
				row.State, row.Outcome, row.Hop, row.At = queue.StateDone, queue.Applied, t.Hop, r.Position()
				m.rows[key] = row
				m.took = append(m.took, fmt.Sprintf("%d@%d", p, row.Src.Offset))
			}
		}
	}
}

// bench is a group with letters, and what a replay of them needs.
type bench struct {
	*memory
	t     *testing.T
	names queue.Names
	runs  int
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{memory: newMemory(), t: t, names: queue.Names{Source: "orders", Group: "g"}}
	for _, name := range []string{"orders", b.names.Replay(), topic, b.names.Audit(), "other"} {
		b.topic(name, 3)
	}
	return b
}

func (b *bench) reader() (*dlq.Reader, *dlq.Ledger) {
	b.dead = false
	b.t.Helper()
	r := dlq.NewReader(b.memory, b.memory, topic, "g")
	l, err := r.Ledger(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return r, l
}

func (b *bench) plan(to string, sel dlq.Selection, more ...func(*dlq.Planner)) dlq.Plan {
	b.t.Helper()
	r, l := b.reader()
	target, err := dlq.ParseTarget(to, topic)
	if err != nil {
		b.t.Fatal(err)
	}
	b.runs++
	p := &dlq.Planner{
		Reader: r, Ledger: l, Store: b.memory, Cluster: b.memory, Names: b.names, Own: true, Now: b.clock, To: target, MaxReplays: 3, Followers: true,
		Partition: func([]byte, int32) int32 { return 0 }, ID: fmt.Sprintf("r-%d", b.runs), Operator: "me@here",
		Check: dlq.Checker(order.KeepUnknown, "EUR", b.clock),
	}
	for _, f := range more {
		f(p)
	}
	plan, err := p.Plan(b.t.Context(), sel)
	if err != nil {
		b.t.Fatal(err)
	}
	return plan
}

// clock goes on by a millisecond whenever somebody looks.
func (b *bench) clock() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(time.Millisecond)
	return b.now
}

func (b *bench) later(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

// replay is one process that carries out a plan.
func (b *bench) replay(p dlq.Plan, more ...func(*dlq.Replay)) (dlq.Summary, error) {
	b.t.Helper()
	b.dead = false
	r, l := b.reader()
	b.runs++
	x := &dlq.Replay{
		Desk: &dlq.Desk{Reader: r, Log: b.memory, Producer: b.memory, Ledger: l, Operator: "me@here", Run: fmt.Sprint("run", b.runs), Now: b.clock},
		Plan: p, Cluster: b.memory, Rows: b.memory,
	}
	for _, f := range more {
		f(x)
	}
	return x.Run(b.t.Context())
}

// sent are the letters in a topic by partition and offset.
func (b *bench) sent(name string) []string {
	var all []string
	for _, log := range b.topics[name] {
		for _, r := range log {
			of, _ := queue.Last(r.Headers, queue.HeaderReplayOf)
			all = append(all, of)
		}
	}
	return all
}

// once reports whether each is there exactly once.
func once(names []string, want int) bool {
	seen := map[string]bool{}
	for _, n := range names {
		seen[n] = true
	}
	return len(names) == want && len(slices.Collect(maps.Keys(seen))) == want
}

// enter writes an entry to the ledger as another operator would.
func (b *bench) enter(letter string, e dlq.Entry) {
	b.t.Helper()
	id, err := dlq.ParseID(letter)
	if err != nil {
		b.t.Fatal(err)
	}
	e.Schema = dlq.LedgerSchema
	value, err := json.Marshal(e)
	if err != nil {
		b.t.Fatal(err)
	}
	b.append(queue.Message{Topic: b.names.Audit(), Partition: id.Partition, Key: []byte(letter), Value: value, Time: b.now})
}
