package main

import (
	"context"
	"log/slog"
	"time"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/kafka/admin"
	"commerce.internal/orderctl/internal/kafka/observe"
	"commerce.internal/orderctl/internal/kafka/read"
	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/out"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/setup"
	"commerce.internal/orderctl/internal/store"
)

type moverParts struct {
	options  setup.OffsetsOptions
	observer *observe.Observer
	close    func()
}

// moverParts connects what a reset needs. Each question to Kafka has --timeout; the reading of what would be skipped goes
// on as long as the log has something to read.
func (s *session) moverParts(ctx context.Context, log *slog.Logger) (moverParts, error) {
	k := s.kafka("offsets", log)
	adm, observer := admin.New(k), observe.New(k)
	reader, err := ask(ctx, s, func(ctx context.Context) (*read.Reader, error) { return read.New(ctx, k) })
	if err != nil {
		_ = observer.Close()
		return moverParts{}, err
	}
	memory := &memory{s: s, log: log}
	return moverParts{
		observer: observer,
		options: setup.OffsetsOptions{
			Group: s.cfg.Consume.Group, Source: timely{s, observer}, Records: reader, Rows: memory, Controls: memory, Logs: memory,
			Tiers: s.cfg.Consume.Retry, Unknown: s.unknown(order.KeepUnknown), Latest: s.cfg.Consume.From == "latest",
			Commit: func(ctx context.Context, group string, set map[lag.TopicPartition]int64) error {
				offsets := admin.Offsets{}
				for tp, offset := range set {
					if offsets[tp.Topic] == nil {
						offsets[tp.Topic] = map[int32]int64{}
					}
					offsets[tp.Topic][tp.Partition] = offset
				}
				_, err := ask(ctx, s, func(ctx context.Context) (bool, error) { return true, adm.Commit(ctx, group, offsets) })
				return err
			},
		},
		close: func() {
			_ = reader.Close()
			_ = observer.Close()
			memory.close()
		},
	}, nil
}

// timely is a source whose answers come within --timeout.
type timely struct {
	s *session
	o *observe.Observer
}

// Snapshot implements lag.Source.
func (t timely) Snapshot(ctx context.Context, q lag.Query) (lag.Snapshot, error) {
	return ask(ctx, t.s, func(ctx context.Context) (lag.Snapshot, error) { return t.o.Snapshot(ctx, q) })
}

// OffsetsAt implements lag.Source.
func (t timely) OffsetsAt(ctx context.Context, at map[lag.TopicPartition]time.Time) (map[lag.TopicPartition]lag.Maybe[lag.OffsetAt], error) {
	return ask(ctx, t.s, func(ctx context.Context) (map[lag.TopicPartition]lag.Maybe[lag.OffsetAt], error) {
		return t.o.OffsetsAt(ctx, at)
	})
}

// memory is the store, opened when it is first asked. A group that is not ours has none: then no row knows anything.
type memory struct {
	s    *session
	log  *slog.Logger
	st   *store.Store
	said bool
}

func (m *memory) open(ctx context.Context) (*store.Store, error) {
	if m.st != nil {
		return m.st, nil
	}
	o := m.s.storeOptions(m.log)
	o.Migrate = false // a question makes no database
	st, err := store.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	m.st = st
	return st, nil
}

// Messages implements setup.Rows.
func (m *memory) Messages(ctx context.Context, group string, ids []string) ([]queue.Row, error) {
	st, err := m.open(ctx)
	if err != nil {
		if !m.said {
			m.s.note("the database cannot be asked, so no row knows what would be skipped: %v", err)
			m.said = true
		}
		return nil, ctx.Err()
	}
	return st.Messages(ctx, group, ids)
}

// ForgetControls implements setup.Controls.
func (m *memory) ForgetControls(ctx context.Context, group string, topics []string, partition int32) (int64, error) {
	st, err := m.open(ctx)
	if err != nil {
		return 0, err
	}
	return st.ForgetControls(ctx, group, topics, partition)
}

// ForgetLog implements setup.Logs. Without a database nothing is remembered.
func (m *memory) ForgetLog(ctx context.Context, group, topic string, partition int32) error {
	st, err := m.open(ctx)
	if err != nil {
		if schema, e := store.Status(ctx, m.s.storeOptions(m.log)); e == nil && schema.Have == 0 {
			return nil
		}
		return err
	}
	return st.ForgetLog(ctx, group, topic, partition)
}

func (m *memory) close() {
	if m.st != nil {
		_ = m.st.Close()
	}
}

// planDoc is the JSON of a reset, orderctl.offsets.plan/v1.
type planDoc struct {
	Schema     string     `json:"schema"`
	Cluster    string     `json:"cluster"`
	Group      string     `json:"group"`
	Applied    bool       `json:"applied"`
	Saved      *string    `json:"saved"` // the file with the old offsets; null: nothing was moved
	Skips      int64      `json:"skips"`
	Repeats    int64      `json:"repeats"`
	WithoutRow int64      `json:"without_row"`
	Partitions []planMove `json:"partitions"`
}

type planMove struct {
	Topic      string `json:"topic"`
	Partition  int32  `json:"partition"`
	From       *int64 `json:"from"` // null: no commit
	To         *int64 `json:"to"`
	Skips      int64  `json:"skips"`
	Repeats    int64  `json:"repeats"`
	WithoutRow int64  `json:"without_row"`
}

func (s *session) planDoc(p setup.OffsetsPlan) *planDoc {
	t, _ := p.Totals()
	d := &planDoc{
		Schema: "orderctl.offsets.plan/v1", Cluster: s.cfg.Cluster(), Group: s.cfg.Consume.Group,
		Skips: t.Skips, Repeats: t.Repeats, WithoutRow: t.Unseen, Partitions: []planMove{},
	}
	offset := func(n int64) *int64 {
		if n < 0 {
			return nil
		}
		return &n
	}
	for _, m := range p.Moves {
		d.Partitions = append(d.Partitions, planMove{
			Topic: m.Topic, Partition: m.Partition, From: offset(m.From), To: offset(m.To), Skips: m.Skips, Repeats: m.Repeats, WithoutRow: m.Unseen,
		})
	}
	return d
}

func planTable(p setup.OffsetsPlan) out.Table {
	t := out.Table{Schema: "orderctl.offsets.plan/v1", List: "partitions", Columns: []out.Column{
		{Name: "TOPIC", JSON: "topic"},
		{Name: "PART", JSON: "partition", Kind: out.KindInt},
		{Name: "FROM", JSON: "from", Kind: out.KindInt},
		{Name: "TO", JSON: "to", Kind: out.KindInt},
		{Name: "SKIPS", JSON: "skips", Kind: out.KindInt},
		{Name: "REPEATS", JSON: "repeats", Kind: out.KindInt},
		{Name: "NO ROW", JSON: "without_row", Kind: out.KindInt},
	}}
	offset := func(n int64) out.Cell {
		if n < 0 {
			return out.NA()
		}
		return out.Int(n)
	}
	for _, m := range p.Moves {
		noRow := out.Int(m.Unseen)
		if m.Unseen > 0 {
			noRow = noRow.With(out.Bad)
		}
		t.Rows = append(t.Rows, []out.Cell{
			out.Text(m.Topic), out.Int(int64(m.Partition)), offset(m.From), offset(m.To), out.Int(m.Skips), out.Int(m.Repeats), noRow,
		})
	}
	return t
}
