package inspect

import (
	"time"

	"commerce.internal/orderctl/internal/queue"
)

// AuditSchema is the schema of an AuditReport in JSON.
const AuditSchema = "orderctl.audit/v1"

// Verdict is what an audit comes to.
type Verdict string

// The verdicts.
const (
	Balanced    Verdict = "BALANCED"
	NotBalanced Verdict = "NOT BALANCED"
	Incomplete  Verdict = "INCOMPLETE" // nothing is wrong with what could be seen, and not all could
	Sampled     Verdict = "SAMPLED"    // nothing is wrong with a sample, which says nothing of the rest
)

// ExceptionKind is a way in which the balance fails.
type ExceptionKind string

// The kinds of exceptions.
const (
	Missing    ExceptionKind = "missing"      // read by the group, and in no row
	NoLetter   ExceptionKind = "no-letter"    // dead in the database, not in the dead-letter topic
	Lost       ExceptionKind = "lost"         // deleted by retention before the group read it
	NotOnTopic ExceptionKind = "not-on-topic" // named by the shop, and nowhere
)

// Exception is one message that is not where it should be; of Lost, a run of offsets.
type Exception struct {
	Kind      ExceptionKind `json:"kind"`
	Topic     string        `json:"topic"`
	Partition *int32        `json:"partition"` // null: not known
	Offset    *int64        `json:"offset"`    // the same
	Count     int64         `json:"count"`     // of offsets, from Offset on
	OrderID   string        `json:"order_id"`
	MsgID     string        `json:"msg_id"`
}

// Unread is a partition that could not be read, or not to its end.
type Unread struct {
	Partition int32  `json:"partition"`
	Problem   string `json:"problem"`
}

// AuditReport is what an audit found. Accepted = Applied + Dead + InWork + Missing.
type AuditReport struct {
	Schema          string      `json:"schema"`
	Topic           string      `json:"topic"`
	Group           string      `json:"group"`
	Verdict         Verdict     `json:"verdict"`
	Complete        bool        `json:"complete"`
	Since           *time.Time  `json:"since"` // null: all that the log has
	AsOf            time.Time   `json:"as_of"`
	Sample          int         `json:"sample"` // one order of so many
	PartitionsRead  int         `json:"partitions_read"`
	PartitionsTotal int         `json:"partitions_total"`
	Records         int64       `json:"records"`
	Duplicates      int64       `json:"duplicates"`
	Accepted        int64       `json:"accepted"`
	Applied         int64       `json:"applied"`
	Stale           int64       `json:"stale"`   // of Applied: the order was already there, or further
	Skipped         int64       `json:"skipped"` // of Applied: to a handler without effect
	Dead            int64       `json:"dead"`
	Undecided       int64       `json:"undecided"`
	Discarded       int64       `json:"discarded"`
	InWork          int64       `json:"in_work"`
	Waiting         int64       `json:"waiting"`
	Retrying        int64       `json:"retrying"` // or parked
	Missing         int64       `json:"missing"`
	NoLetter        int64       `json:"no_letter"`
	Lost            int64       `json:"lost"`
	NotOnTopic      *int64      `json:"not_on_topic"` // null: nobody asked
	Unresolved      int64       `json:"unresolved"`
	Unread          []Unread    `json:"unread"`
	Exceptions      []Exception `json:"exceptions"`
}

func newAuditReport(o AuditOptions) *AuditReport {
	r := &AuditReport{
		Schema: AuditSchema, Topic: o.Names.Source, Group: o.Names.Group, Sample: max(o.Sample, 1),
		Unread: []Unread{}, Exceptions: []Exception{},
	}
	if !o.Since.IsZero() {
		since := o.Since.UTC()
		r.Since = &since
	}
	if o.IDs != nil {
		r.NotOnTopic = new(int64)
	}
	return r
}

// count puts a message where its row says that it is.
func (r *AuditReport) count(row queue.Row, by int64) {
	switch row.State {
	case queue.StateDone:
		r.Applied += by
		switch row.Outcome {
		case queue.Stale:
			r.Stale += by
		case queue.Skipped:
			r.Skipped += by
		}
	case queue.StateDiscarded:
		r.Discarded += by
	case queue.StateDead:
		r.Undecided += by
	default:
		r.Retrying += by
	}
}

func (r *AuditReport) unread(partition int32, problem string) {
	r.Unread = append(r.Unread, Unread{Partition: partition, Problem: problem})
}

func (r *AuditReport) lost(partition int32, offset, n int64) {
	r.Lost += n
	r.Exceptions = append(r.Exceptions, Exception{Kind: Lost, Topic: r.Topic, Partition: &partition, Offset: &offset, Count: n})
}

// except notes that a doubt was well founded.
func (r *AuditReport) except(d doubt) {
	switch d.kind {
	case Missing:
		r.Missing++
	case NoLetter:
		r.NoLetter++
	}
	r.Exceptions = append(r.Exceptions, Exception{
		Kind: d.kind, Topic: r.Topic, Partition: &d.partition, Offset: &d.offset, Count: 1, OrderID: d.orderID, MsgID: d.key.MsgID,
	})
}

func (r *AuditReport) notOnTopic(id string) {
	*r.NotOnTopic++
	r.Exceptions = append(r.Exceptions, Exception{Kind: NotOnTopic, Topic: r.Topic, Count: 1, OrderID: id})
}

// finish adds up and judges. What is wrong is wrong also where not all was seen.
func (r *AuditReport) finish() {
	r.Dead = r.Undecided + r.Discarded
	r.InWork = r.Waiting + r.Retrying
	r.Accepted = r.Records - r.Duplicates
	r.Complete = len(r.Unread) == 0 && r.Unresolved == 0
	switch {
	case len(r.Exceptions) > 0:
		r.Verdict = NotBalanced
	case !r.Complete:
		r.Verdict = Incomplete
	case r.Sample > 1:
		r.Verdict = Sampled
	default:
		r.Verdict = Balanced
	}
}
