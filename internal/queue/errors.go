package queue

import (
	"errors"
	"time"
)

// Kinds of failure of a dependency. Adapters wrap them, so that callers tell kinds apart with errors.Is.
var (
	// ErrUnreachable: no broker answered, or not in time.
	ErrUnreachable = errors.New("unreachable")
	// ErrDenied: authentication or authorisation refused.
	ErrDenied = errors.New("access denied")
	// ErrNotFound: no such topic, group, partition or record.
	ErrNotFound = errors.New("not found")
	// ErrPartial: a part of the answer is missing.
	ErrPartial = errors.New("incomplete answer")
)

// PublishKind says what is known about a message whose publication failed.
type PublishKind int

// The kinds of a failed publication.
const (
	NotSent  PublishKind = iota + 1 // certainly not written
	Rejected                        // refused by the broker for what it is; never will be written
	Unknown                         // perhaps written
)

// String returns the kind as it stands in logs and metrics.
func (k PublishKind) String() string {
	switch k {
	case NotSent:
		return "not_sent"
	case Rejected:
		return "rejected"
	default:
		return "unknown"
	}
}

// PublishError is the outcome of a publication that failed.
type PublishError struct {
	Kind   PublishKind
	Reason string // bounded slug: "no-leader", "busy", "closed", "too-large", ...
	Err    error
}

// Error implements error.
func (e *PublishError) Error() string {
	if e.Err == nil {
		return e.Kind.String() + ": " + e.Reason
	}
	return e.Kind.String() + ": " + e.Reason + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *PublishError) Unwrap() error { return e.Err }

// KindOf returns the kind of a failed publication; an error of another origin is Unknown, the kind that promises
// nothing.
func KindOf(err error) PublishKind {
	var p *PublishError
	if errors.As(err, &p) {
		return p.Kind
	}
	return Unknown
}

// Class is the class of a failure, as it stands in the class header of a dead letter (worker.md section 5).
type Class string

// The classes of failure.
const (
	ClassDecode    Class = "decode"             // the bytes are not an order; null and empty too
	ClassInvalid   Class = "invalid"            // a rule of package order is broken; the code is a JSON pointer
	ClassIllegal   Class = "illegal-transition" // the status machine forbids it
	ClassConflict  Class = "conflict"           // the message id is done with another content
	ClassFatal     Class = "fatal"              // the sink refuses this order for ever
	ClassRetryable Class = "retryable"          // may succeed later
	ClassTimeout   Class = "timeout"            // no answer in time
	ClassOutage    Class = "outage"             // the target is away or misconfigured: nobody's order is to blame
	ClassExhausted Class = "exhausted"          // retryable, and all attempts are used
	ClassExpired   Class = "expired"            // older than max_age
	ClassCrash     Class = "crash"              // killed the process, or panicked, three times
	ClassBlocked   Class = "blocked"            // behind a dead one, under on-dead hold
	ClassOperator  Class = "operator"           // buried by an operator
)

// Failure is why an attempt did not succeed.
type Failure struct {
	Class   Class
	Code    string // SQLSTATE, status, JSON pointer or slug; bounded, never an id
	Message string // at most 1 KiB on a record

	RetryAfter time.Duration // what the target asks for, at most an hour; no row keeps it
}

// Error implements error.
func (f *Failure) Error() string {
	s := string(f.Class)
	if f.Code != "" {
		s += " " + f.Code
	}
	if f.Message != "" {
		s += ": " + f.Message
	}
	return s
}
