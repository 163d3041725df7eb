package queue

import (
	"errors"
	"time"

	"commerce.internal/orderctl/internal/order"
)

// State is what has become of a message. A message without a row has not been seen, or is in work for the first time.
type State string

// The states of a message.
const (
	StateDone      State = "done"
	StateRetry     State = "retry"
	StateParked    State = "parked"
	StateDead      State = "dead"
	StateDiscarded State = "discarded"
)

// Waiting reports whether the message is unfinished and on its way to another attempt.
func (s State) Waiting() bool { return s == StateRetry || s == StateParked }

// Outcome says how a message came to its end.
type Outcome string

// The outcomes: of done the first four, of discarded the last two.
const (
	Applied    Outcome = "applied"
	Stale      Outcome = "stale"     // late or repeated: the order was already there, or further
	Delivered  Outcome = "delivered" // a webhook took it
	Skipped    Outcome = "skipped"   // a sink without effect
	ByOperator Outcome = "operator"
	Superseded Outcome = "superseded" // another content of the same message id took effect
)

// RowKey names one message of a group. Two contents under one message id are two messages.
type RowKey struct {
	MsgID       string
	Fingerprint string // hex SHA-256
}

// Row is what the database remembers about one message (worker.md section 2). Zero times and empty strings are NULL.
type Row struct {
	RowKey
	State        State
	Outcome      Outcome
	Hop          int      // number of the newest hop; 0 in the source
	At           Position // where the live copy is; Offset -1: the hop is on its way
	OrderID      string   // "": undecodable
	Src          Position // where it lies in the source topic; the offset is its seq
	Attempts     int
	Failure      Failure // of the last failed attempt; zero: none
	DueAt        time.Time
	BlockedBy    string // message id in front of it
	ReplayID     string
	Control      int64 // offset of the last discard or undo in the replay topic; -1: none
	Starts       int   // times found about to run, on probation
	TraceID      string
	FirstFailure time.Time
	LastFailure  time.Time
	UpdatedAt    time.Time
}

// Follow returns the trail of the copy that a row speaks of: what the record carried, and what the row says. entered is when
// the original was written. A hop that is repeated after a crash gives the same one.
func (t Trail) Follow(row Row, names Names, worker string, entered time.Time) Trail {
	t.Hop, t.Origin, t.Group, t.OrigTime = row.Hop, row.Src, names.Group, entered
	if row.Src.Topic != names.Source {
		t.Origin = Position{Partition: -1, Offset: -1}
	}
	t.MsgID, t.Fingerprint = row.MsgID, row.Fingerprint
	t.Class, t.Code, t.Message = row.Failure.Class, row.Failure.Code, row.Failure.Message
	t.Attempts, t.NotBefore = row.Attempts, row.DueAt
	t.FirstFailure, t.LastFailure = row.FirstFailure, row.LastFailure
	t.Worker, t.ReplayID, t.BlockedBy, t.Discard = worker, row.ReplayID, row.BlockedBy, ""
	return t
}

// StoredOrder is the order row as it was read, under lock.
type StoredOrder struct {
	Status order.Status
}

// Lookup asks for what is known about one record.
type Lookup struct {
	MsgID   string
	OrderID string // "": no order
}

// Seen is what the transaction read for one record.
type Seen struct {
	Message []Row        // every content of this message id
	Order   []Row        // unfinished messages of the same order, other message ids
	Stored  *StoredOrder // nil: no such order yet
}

// WriteKind says what a Write compares and sets.
type WriteKind int

// The kinds of writes. Every one compares and sets: it must change exactly one row or the transaction is void.
const (
	Insert  WriteKind = iota + 1 // must find no row
	Update                       // must find state, hop and position as in Was; sets all but identity, src and control
	Control                      // as Update, and control must be -1 or below Row.Control; sets state, outcome and control only
)

// Write is one change of one message row. Row.RowKey names it.
type Write struct {
	Kind WriteKind
	Was  Row // what was read; unused by Insert
	Row  Row // what it shall be. State done also claims the message id: one content of it takes effect, ever
}

// Effect is the change of the orders table that goes with a Write, and the input of the operator's own statements.
type Effect struct {
	Order     order.Order
	Value     []byte // the order as JSON, for :order; nil: its canonical encoding
	MessageID string
	Src       Position
	TraceID   string
	Insert    bool // no order row was read: it must find none; else the locked row is updated
}

// Change is what one record does to the database. Nothing in it: nothing is written.
type Change struct {
	Writes []Write
	Effect *Effect
}

// ErrRaced says that a write met a row that another process had changed meanwhile. Nothing was written for that record
// and nothing is counted: read and decide again.
var ErrRaced = errors.New("row was changed meanwhile")

// OrderView is what the database knows of one order of one group.
type OrderView struct {
	OrderID     string
	Found       bool // an orders row is there; the next four come from it
	Status      order.Status
	Currency    string
	TotalAmount int64
	AppliedAt   time.Time
	Rows        []Row // all message rows of the order, by source offset
}

// PendingSum is how many messages that are not done have a state, a class of failure and a topic in common.
type PendingSum struct {
	State    State
	Class    Class
	Topic    string // of the live copy; "": the hop is on its way
	Count    int64
	Newest   time.Time // the last failure; zero: none
	NextDue  time.Time // of what is waiting; zero: nothing is
	OrderID  string    // of the newest dead message of the class; "": not known
	Attempts int
}
