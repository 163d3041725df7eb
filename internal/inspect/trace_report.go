package inspect

import (
	"encoding/hex"
	"strings"
	"time"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

// TraceSchema is the schema of a TraceReport in JSON.
const TraceSchema = "orderctl.trace/v1"

// OrderState is where a message of an order is, and, of the message that needs most attention, where the order is.
type OrderState string

// The states, those that need most attention first.
const (
	StateMissing   OrderState = "MISSING"   // passed by the commit, nowhere
	StateLost      OrderState = "LOST"      // below the log start, no row
	StateDead      OrderState = "DEAD"      // a letter that nobody has decided about
	StateBlocked   OrderState = "BLOCKED"   // dead behind another one that is
	StateReplaying OrderState = "REPLAYING" // a dead one that was sent again
	StateParked    OrderState = "PARKED"    // waits behind another one
	StateRetrying  OrderState = "RETRYING"  // waits for its next attempt
	StateWaiting   OrderState = "WAITING"   // not read yet
	StateApplied   OrderState = "APPLIED"
	StateDiscarded OrderState = "DISCARDED"
	StateNotFound  OrderState = "NOT FOUND"
)

// urgency orders the states.
func urgency() []OrderState {
	return []OrderState{
		StateMissing, StateLost, StateDead, StateBlocked, StateReplaying, StateParked, StateRetrying, StateWaiting, StateApplied, StateDiscarded,
	}
}

// TraceReport is what is known of an order.
type TraceReport struct {
	Schema          string          `json:"schema"`
	OrderID         string          `json:"order_id"`
	State           OrderState      `json:"state"`
	Complete        bool            `json:"complete"` // everything that was to be searched was
	AsOf            time.Time       `json:"as_of"`
	Database        bool            `json:"database"` // was asked; without it the log decides
	DatabaseProblem string          `json:"database_problem,omitempty"`
	Order           *TracedOrder    `json:"order"` // null: nobody knows
	Since           time.Time       `json:"since"`
	Partition       int32           `json:"partition"`          // of the order's key
	Elsewhere       bool            `json:"searched_elsewhere"` // there it was not: all partitions were searched
	Searched        []Searched      `json:"searched"`
	Messages        []TracedMessage `json:"messages"`
	Events          []Event         `json:"events"`
}

// TracedOrder is the order as the database has it, or its newest record.
type TracedOrder struct {
	Status      order.Status `json:"status"`
	Currency    string       `json:"currency"`
	TotalAmount int64        `json:"total_amount"`
}

// Searched is a place that was searched.
type Searched struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	From      int64  `json:"from"`
	End       int64  `json:"end"`
	Records   int64  `json:"records"`
	Bytes     int64  `json:"bytes"`
	Complete  bool   `json:"complete"`
	Problem   string `json:"problem,omitempty"`
	held      int64  // the end that an open transaction keeps us from
}

// TracedMessage is one message of the order.
type TracedMessage struct {
	MsgID      string       `json:"msg_id"`
	Status     order.Status `json:"status,omitempty"`
	State      OrderState   `json:"state"`
	Presumed   bool         `json:"presumed"` // the log says so; the database was not there to ask
	Topic      string       `json:"topic,omitempty"`
	Partition  int32        `json:"partition"`
	Offset     int64        `json:"offset"` // in the source
	Outcome    string       `json:"outcome,omitempty"`
	Class      string       `json:"class,omitempty"`
	Code       string       `json:"code,omitempty"`
	Attempts   int          `json:"attempts"`
	DueAt      *time.Time   `json:"due_at,omitempty"`
	BlockedBy  string       `json:"blocked_by,omitempty"`
	Before     *int64       `json:"before,omitempty"`      // records in front of a waiting one
	ETASeconds *float64     `json:"eta_seconds,omitempty"` // absent: unknown
}

// EventKind says what happened.
type EventKind string

// The kinds of events.
const (
	EventAccepted  EventKind = "accepted"
	EventRetry     EventKind = "retry"
	EventParked    EventKind = "parked"
	EventDead      EventKind = "dead"
	EventReplay    EventKind = "replay"    // a record of the replay topic
	EventDiscard   EventKind = "discard"   // the same
	EventUndo      EventKind = "undo"      // the same
	EventReplayed  EventKind = "replayed"  // an entry of the ledger
	EventDiscarded EventKind = "discarded" // the same, or a row
	EventReopened  EventKind = "reopened"  // an entry of the ledger
	EventDone      EventKind = "done"      // a row; Outcome says how
	EventMoving    EventKind = "moving"    // a row: a hop is on its way, or its record was not found
)

// Event is one thing that happened to an order. Members that an event does not have are empty.
type Event struct {
	Time      time.Time    `json:"time"`
	Topic     string       `json:"topic"` // "": the database
	Partition *int32       `json:"partition"`
	Offset    *int64       `json:"offset"`
	Kind      EventKind    `json:"event"`
	MsgID     string       `json:"msg_id,omitempty"`
	Status    order.Status `json:"status,omitempty"`
	Hop       int          `json:"hop"`
	Attempts  int          `json:"attempts"`
	Class     string       `json:"class,omitempty"`
	Code      string       `json:"code,omitempty"`
	Message   string       `json:"message,omitempty"`
	Due       *time.Time   `json:"due_at,omitempty"`
	BlockedBy string       `json:"blocked_by,omitempty"`
	Outcome   string       `json:"outcome,omitempty"`
	Job       string       `json:"job,omitempty"`
	Operator  string       `json:"operator,omitempty"`
	Reason    string       `json:"reason,omitempty"`
	RequestID string       `json:"request_id,omitempty"`
	Client    string       `json:"client,omitempty"`
	TraceID   string       `json:"trace_id,omitempty"`
	Value     []byte       `json:"value_base64,omitempty"`

	Order *order.Order `json:"-"` // nil: undecodable, or no record
	rank  int
}

// At is where the event lies; the zero value is the database.
func (e Event) At() queue.Position {
	if e.Topic == "" {
		return queue.Position{}
	}
	return queue.Position{Topic: e.Topic, Partition: *e.Partition, Offset: *e.Offset}
}

// timeOfID is the time in a UUID of version 7.
func timeOfID(id string) (time.Time, bool) {
	const version = 14
	if len(id) != 36 || id[8] != '-' || id[13] != '-' || id[18] != '-' || id[23] != '-' || id[version] != '7' {
		return time.Time{}, false
	}
	raw, err := hex.DecodeString(strings.ReplaceAll(id, "-", ""))
	if err != nil || len(raw) != 16 {
		return time.Time{}, false
	}
	ms := int64(0)
	for _, b := range raw[:6] {
		ms = ms<<8 | int64(b)
	}
	return time.UnixMilli(ms).UTC(), true
}
