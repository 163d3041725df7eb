package dlq

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

// PlanSchema names the form of a plan file.
const PlanSchema = "orderctl.dlq.plan/v1"

// Action is what a plan does with a letter.
type Action string

// The actions.
const (
	ActReplay Action = "replay"
	ActSkip   Action = "skip"
)

// Plan says exactly which letters are replayed and where to. Offsets are immutable, so what arrives later is not in it.
type Plan struct {
	Schema    string      `json:"schema"`
	ID        string      `json:"plan_id"` // also the id of its job
	CreatedAt time.Time   `json:"created_at"`
	Operator  string      `json:"operator"`
	Reason    string      `json:"reason"`
	ClusterID string      `json:"cluster_id"`
	Group     string      `json:"group"`
	DLQ       PlanDLQ     `json:"dlq"`
	To        string      `json:"to"`    // group, origin, topic=X
	Where     string      `json:"where"` // the selection, for the reader
	Entries   []PlanEntry `json:"entries"`
}

// PlanDLQ is the dead-letter topic of a plan, as it was. A topic made anew has another id.
type PlanDLQ struct {
	Topic   string  `json:"topic"`
	TopicID string  `json:"topic_id"` // empty: the broker does not tell (before Kafka 2.8)
	Ends    []int64 `json:"ends"`
}

// PlanEntry is one letter of a plan, whatever its copies.
type PlanEntry struct {
	ID       string    `json:"id"`
	SHA256   string    `json:"sha256"` // of key length (int32, -1: null), key and value
	MsgID    string    `json:"msg_id"`
	Key      string    `json:"key"` // as text; for the reader
	Seq      *int64    `json:"seq"` // offset in the source topic; null: not known
	Class    string    `json:"class"`
	Code     string    `json:"code"`
	Target   string    `json:"target"` // topic/partition
	Replays  int       `json:"replays"`
	Action   Action    `json:"action"`
	Warnings []Warning `json:"warnings"`
	Edit     *Edit     `json:"edit"`
}

// Store is what planning asks the database.
type Store interface {
	Rows
	// Messages returns the rows of every content of these message ids.
	Messages(ctx context.Context, group string, ids []string) ([]queue.Row, error)
	// Order returns all that is known of one order.
	Order(ctx context.Context, group, orderID string) (queue.OrderView, error)
}

// Topic is what a plan needs to know of a topic.
type Topic struct {
	ID         string
	Partitions int32
}

// Cluster tells the id of a cluster, and of these topics those that exist.
type Cluster interface {
	Topics(ctx context.Context, names ...string) (clusterID string, found map[string]Topic, err error)
}

// Planner makes plans of the letters of a Reader.
type Planner struct {
	Reader    *Reader
	Ledger    *Ledger
	Store     Store // nil: none at hand
	Cluster   Cluster
	Partition queue.PartitionFunc
	Names     queue.Names
	Own       bool // the letters are those of the group itself, not of a foreign dead-letter topic
	Now       func() time.Time
	Check     func(contentType string, value []byte) error // nil: the worker would take it

	To         Target
	Edits      []Editor  // each on the result of the one before; empty: letters go as they are
	Include    []Warning // skips that are lifted
	MaxReplays int
	Origins    []string // topics that replays may go to beside the group's own; empty: the group's source alone
	Followers  bool     // letters that are blocked behind a chosen one come along
	Operator   string
	Reason     string
	Where      string
	ID         string
}

// Plan chooses letters and decides what happens to each.
func (p *Planner) Plan(ctx context.Context, sel Selection) (Plan, error) {
	names := append(p.To.topics(p.Names), p.Reader.topic)
	letters, err := p.letters(ctx, sel)
	if err != nil {
		return Plan{}, err
	}
	if p.To.kind == toOrigin {
		for _, l := range letters {
			if t := l.Trail.Origin.Topic; t != "" && !slices.Contains(names, t) {
				names = append(names, t)
			}
		}
	}
	cluster, topics, err := p.Cluster.Topics(ctx, names...)
	if err != nil {
		return Plan{}, err
	}
	plan := Plan{
		Schema: PlanSchema, ID: p.ID, CreatedAt: p.Now().UTC(), Operator: p.Operator, Reason: p.Reason, ClusterID: cluster, Group: p.Names.Group,
		To: p.To.String(), Where: p.Where, DLQ: PlanDLQ{Topic: p.Reader.topic, TopicID: topics[p.Reader.topic].ID}, Entries: []PlanEntry{},
	}
	if plan.DLQ.Ends, err = p.ends(ctx); err != nil {
		return Plan{}, err
	}
	if letters, err = p.edit(ctx, letters); err != nil {
		return Plan{}, err
	}
	w := warner{Planner: p, topics: topics}
	if err := w.prepare(ctx, letters); err != nil {
		return Plan{}, err
	}
	for _, l := range letters {
		entry, err := w.entry(ctx, l)
		if err != nil {
			return Plan{}, err
		}
		if entry.Action == ActSkip && !slices.Contains(entry.Warnings, Handled) {
			delete(w.planned, l.rowKey()) // what is blocked behind it would only die again
		}
		plan.Entries = append(plan.Entries, entry)
	}
	return plan, nil
}

func (p *Planner) ends(ctx context.Context) ([]int64, error) {
	bounds, err := p.Reader.log.Bounds(ctx, p.Reader.topic)
	if err != nil {
		return nil, fmt.Errorf("find ends of %s: %w", p.Reader.topic, err)
	}
	ends := make([]int64, len(bounds))
	for n, span := range bounds {
		if int(n) < len(ends) {
			ends[n] = span.End
		}
	}
	return ends, nil
}

// letters returns the chosen letters in the order of their replay: by partition, then by seq. A head that died twice lies
// behind its followers in the log.
func (p *Planner) letters(ctx context.Context, sel Selection) ([]slim, error) {
	var chosen []slim
	names := map[ID]bool{}
	add := func(l Letter) error {
		if !names[l.ID] {
			names[l.ID] = true
			chosen = append(chosen, slimOf(l, p.Check))
		}
		return nil
	}
	if err := p.Reader.Select(ctx, sel, add); err != nil {
		return nil, err
	}
	if p.Followers && p.Own {
		if err := p.follow(ctx, chosen, add); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(chosen, func(a, b slim) int {
		return cmp.Or(cmp.Compare(a.ID.Partition, b.ID.Partition), cmp.Compare(a.Trail.Origin.Offset, b.Trail.Origin.Offset), a.ID.compare(b.ID))
	})
	return chosen, nil
}

// follow adds the letters that are blocked behind a chosen one of their order.
func (p *Planner) follow(ctx context.Context, chosen []slim, add func(Letter) error) error {
	heads := map[string]int64{}
	for _, l := range chosen {
		id, seq := l.OrderID(), l.Trail.Origin.Offset
		if first, ok := heads[id]; id != "" && seq >= 0 && (!ok || seq < first) {
			heads[id] = seq
		}
	}
	if len(heads) == 0 {
		return nil
	}
	blocked := Selection{Classes: []string{string(queue.ClassBlocked)}, States: []State{Undecided}}
	return p.Reader.Select(ctx, blocked, func(l Letter) error {
		if first, ok := heads[l.OrderID()]; ok && l.Trail.Origin.Offset > first {
			return add(l)
		}
		return nil
	})
}

// slim is a letter without its body: a plan of a million letters has to fit.
type slim struct {
	Letter
	sum   string
	wrong bool  // it does not decode or validate
	edit  *Edit // nil: as it is
	drop  bool  // an empty edit: leave it out

	unhelped bool // what an edit made of it is no good order: it goes neither with the edit nor without
}

func slimOf(l Letter, check func(string, []byte) error) slim {
	kind, _ := queue.First(l.Headers, queue.HeaderContentType)
	s := slim{Letter: l, sum: digest(l.Key, l.Value), wrong: check != nil && check(kind, l.Value) != nil}
	s.Value, s.Headers = nil, nil
	return s
}

// digest is the SHA-256 of the length of the key (int32, -1: null), the key and the value.
func digest(key, value []byte) string {
	n := int32(-1)
	if key != nil {
		n = int32(len(key)) //nolint:gosec // a record has less than 2 GiB
	}
	h := sha256.New()
	_ = binary.Write(h, binary.BigEndian, n) // a hash takes all
	h.Write(key)
	h.Write(value)
	return hex.EncodeToString(h.Sum(nil))
}

// Checker returns what the worker would say of a value: nil, or why it refuses it.
func Checker(unknown order.Unknown, currency string, now func() time.Time) func(string, []byte) error {
	return func(contentType string, value []byte) error {
		o, err := order.Parse(contentType, value, unknown)
		if err != nil {
			return err
		}
		at := now()
		o.Fill(order.Defaults{Currency: currency, Now: at})
		return o.Validate(at)
	}
}
