package inspect_test

import (
	"context"
	"runtime"
	"strconv"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/inspect"
	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/queue"
)

// millions is a topic of five million records, none of which is kept anywhere: they are made as they are read. One in a
// hundred is dead, and one in a thousand has no row.
type millions struct {
	n    int64
	peak uint64
}

func (m *millions) measure() {
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	m.peak = max(m.peak, s.HeapInuse)
}

func (m *millions) row(i int64) queue.Row {
	id := "order-" + strconv.FormatInt(i, 10) + ":CREATED"
	r := queue.Row{
		RowKey: queue.RowKey{MsgID: id, Fingerprint: "f"}, State: queue.StateDone, Outcome: queue.Applied,
		OrderID: id[:len(id)-len(":CREATED")], Src: queue.Position{Topic: source, Offset: i},
	}
	if i%100 == 0 {
		r.State, r.At = queue.StateDead, queue.Position{Topic: dlq, Offset: i / 100}
	}
	return r
}

// Scan implements inspect.Log. A letter i is that of the message 100*i.
func (m *millions) Scan(_ context.Context, topic string, _ int32, from, end int64, fn func(queue.Record) error) error {
	r := queue.Record{Topic: topic, Value: make([]byte, 600), Headers: []queue.Header{{Name: queue.HeaderID}}}
	var id []byte // a record is only valid during the call, so its bytes may be written over
	for i := from; i < end; i++ {
		message := i
		if topic == dlq {
			message = 100 * i
		}
		id = strconv.AppendInt(append(id[:0], "order-"...), message, 10)
		n := len(id)
		id = append(id, ":CREATED"...)
		r.Offset, r.Key, r.Headers[0].Value = i, id[:n], id
		if err := fn(r); err != nil {
			return err
		}
		if i%250_000 == 0 {
			m.measure()
		}
	}
	return nil
}

// At implements inspect.Log.
func (*millions) At(context.Context, queue.Position) (queue.Record, error) {
	return queue.Record{}, queue.ErrNotFound
}

// Snapshot implements lag.Source.
func (m *millions) Snapshot(context.Context, lag.Query) (lag.Snapshot, error) {
	m.measure()
	s := lag.Snapshot{Topics: map[string]lag.TopicObs{}, Partitions: map[lag.TopicPartition]lag.PartitionObs{}, Groups: map[string]lag.GroupObs{
		group: {Commits: lag.Know(map[lag.TopicPartition]lag.CommitObs{{Topic: source}: {Offset: m.n}})},
	}}
	for topic, end := range map[string]int64{source: m.n, dlq: m.n / 100, tier1m: 0, names().Replay(): 0} {
		s.Topics[topic] = lag.TopicObs{Exists: lag.Know(true), Partitions: 1}
		s.Partitions[lag.TopicPartition{Topic: topic}] = lag.PartitionObs{Start: lag.Know(int64(0)), Stable: lag.Know(end), High: lag.Know(end)}
	}
	return s, nil
}

// OffsetsAt implements lag.Source.
func (*millions) OffsetsAt(context.Context, map[lag.TopicPartition]time.Time) (map[lag.TopicPartition]lag.Maybe[lag.OffsetAt], error) {
	return nil, nil
}

// Sourced implements inspect.Rows.
func (m *millions) Sourced(_ context.Context, _ string, after queue.Row, end int64, limit int) ([]queue.Row, error) {
	from := after.Src.Offset
	if after.MsgID != "" {
		from++
	}
	var page []queue.Row
	for i := from; i < end && len(page) < limit; i++ {
		if page == nil {
			page = make([]queue.Row, 0, limit)
		}
		if i%1_000 != 999 {
			page = append(page, m.row(i))
		}
	}
	return page, nil
}

// Dead implements inspect.DeadRows.
func (*millions) Dead(context.Context, string, queue.Row, int64, int) ([]queue.Row, error) {
	return nil, nil
}

// Messages implements inspect.Rows.
func (*millions) Messages(context.Context, string, []string) ([]queue.Row, error) { return nil, nil }

// Memory stays flat, however long the log is: 64 MiB hold five million records, with a doubt in every thousand.
func TestAnAuditOfMillionsStaysSmall(t *testing.T) { // alone: it measures the memory of the whole process
	m := &millions{n: 5_000_000}
	if raced || testing.Short() {
		m.n = 300_000
	}
	runtime.GC()
	m.measure()
	before := m.peak
	o := inspect.AuditOptions{Names: names(), Log: m, Source: m, Rows: m, Dead: m}
	r := audit(t, o)
	if want := m.n / 1_000; r.Missing != want || r.Dead != m.n/100 || r.NoLetter != 0 || r.Records != m.n {
		t.Errorf("%d missing of %d records, want %d; %d dead, %d without letter", r.Missing, r.Records, want, r.Dead, r.NoLetter)
	}
	if used := (m.peak - before) >> 20; used > 64 && !raced {
		t.Errorf("%d MiB in use at the peak, want at most 64", used)
	}
	t.Logf("%d MiB in use at the peak, %d MiB before", m.peak>>20, before>>20)
}
