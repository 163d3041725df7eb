package consume

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

// Claim is one partition while this process owns it. Records is closed when the partition is lost or the process stops;
// nothing else says so.
type Claim interface {
	Topic() string
	Partition() int32
	Start() int64 // offset of the first record; below 0: not known
	High() int64  // end of the partition as last heard; below 0: not known
	Records() <-chan queue.Record
	Pause()
	Resume()
	Mark(next int64) // everything below next is finished and may be committed
	Commit()
}

// Store remembers what became of each message and makes the effect of an order, in one transaction.
type Store interface {
	// Apply runs decide over what it reads for each record and does what it answers. The last call for a record counts.
	// The slice has one error a record: nil when it is committed, queue.ErrRaced, or its own *queue.Failure. The second
	// error says that nothing at all was committed.
	Apply(ctx context.Context, group string, look []queue.Lookup, decide func(i int, seen queue.Seen) queue.Change) ([]error, error)
	// Place writes where the copy of a hop lies, if the row still waits for the position of that hop.
	Place(ctx context.Context, group string, key queue.RowKey, hop int, at queue.Position) error
}

// Publisher writes a message and calls done once, when it is on all in-sync replicas or known not to be. When it returns
// an error, done is not called.
type Publisher interface {
	Publish(m queue.Message, done func(queue.Ack, error)) error
}

// Ordering says which records wait for each other.
type Ordering string

// The orderings.
const (
	ByKey       Ordering = "key"       // messages of one order
	ByPartition Ordering = "partition" // all of a partition; retries wait in place
	Unordered   Ordering = "none"
)

// OnDead says what a dead letter does to later messages of the same order.
type OnDead string

// What a dead letter does.
const (
	Continue OnDead = "continue" // they go on
	Hold     OnDead = "hold"     // they follow it
)

// Handler says what an order does.
type Handler string

// The handlers.
const (
	SQL     Handler = "sql"     // the effect in the store
	Webhook Handler = "webhook" // a POST to another service
	Log     Handler = "log"     // a JSON line
	Discard Handler = "discard" // nothing
)

// What to do with orders of a load test, and with letters that their topic refuses as too large.
const (
	LoadTestApply   = "apply"
	LoadTestDiscard = "discard"
	TooLargePause   = "pause"
	TooLargePointer = "pointer" // a letter without value that names the source record
)

// Local is how often a record is tried in place, and how long it waits between.
type Local struct {
	Attempts  int
	Base, Cap time.Duration
}

// BreakerOptions says when the worker pauses because its database is away, and when it asks again.
type BreakerOptions struct {
	Failures           int     // in a row
	Ratio              float64 // of the last Window
	Window             int
	ProbeMin, ProbeMax time.Duration
}

// Options is what a worker needs.
type Options struct {
	// Source calls handle in a goroutine of its own for each claim, until ctx ends; it returns after every handle has.
	Source    func(ctx context.Context, handle func(Claim)) error
	Store     Store
	Publisher Publisher
	Names     queue.Names // without tiers, local attempts are all there is
	Order     Ordering
	OnDead    OnDead
	Handler   Handler

	Sink         Sink // of the handler webhook
	Deliveries   int  // to it at once
	Concurrency  int  // transactions at once
	Batch        int  // records in one
	Local        Local
	Breaker      BreakerOptions
	DrainTimeout time.Duration
	Unknown      order.Unknown
	Log          *slog.Logger
	Reg          prometheus.Registerer
	Now          func() time.Time

	Currency    string        // of an order that names none; "": it is invalid then
	MaxAge      time.Duration // older orders become letters; 0: off
	Rate        float64       // records a second; 0: no limit
	LoadTest    string        // LoadTestApply ("") or LoadTestDiscard
	OnTooLarge  string        // TooLargePause ("") or TooLargePointer
	Instance    string        // this worker, in the headers of its hops
	MaxMessages int           // ends after that many records of the source; 0: off
	UntilEmpty  bool          // ends when Empty has said so twice
	Empty       func(ctx context.Context) (bool, error)
	Out         io.Writer // lines of the log handler
	Guards
}

// validate turns what would be a panic later into a sentence.
func (o Options) validate() error {
	for _, f := range []struct {
		name   string
		absent bool
	}{
		{"Source", o.Source == nil},
		{"Store", o.Store == nil},
		{"Publisher", o.Publisher == nil},
		{"Names.Source", o.Names.Source == ""},
		{"Names.Group", o.Names.Group == ""},
		{"Concurrency", o.Concurrency < 1},
		{"Batch", o.Batch < 1},
		{"Local.Attempts", o.Local.Attempts < 1},
		{"Local.Base", o.Local.Base <= 0},
		{"Local.Cap", o.Local.Cap <= 0},
		{"Breaker.Failures", o.Breaker.Failures < 1},
		{"Breaker.Window", o.Breaker.Window < 1},
		{"Breaker.Ratio", o.Breaker.Ratio <= 0},
		{"Breaker.ProbeMin", o.Breaker.ProbeMin <= 0},
		{"Breaker.ProbeMax", o.Breaker.ProbeMax < o.Breaker.ProbeMin},
		{"DrainTimeout", o.DrainTimeout <= 0},
		{"Unknown", o.Unknown == ""},
		{"Log", o.Log == nil},
		{"Reg", o.Reg == nil},
		{"Now", o.Now == nil},
		{"Empty", o.UntilEmpty && o.Empty == nil},
		{"Out", o.Handler == Log && o.Out == nil},
		{"Sink", o.Handler == Webhook && o.Sink == nil},
		{"Deliveries", o.Handler == Webhook && o.Deliveries < 1},
	} {
		if f.absent {
			return fmt.Errorf("consume: Options.%s is required", f.name)
		}
	}
	return o.validateChoices()
}

func (o Options) validateChoices() error {
	for _, c := range []struct {
		name, value string
		allowed     []string
	}{
		{"Order", string(o.Order), []string{string(ByKey), string(ByPartition), string(Unordered)}},
		{"OnDead", string(o.OnDead), []string{string(Continue), string(Hold)}},
		{"Handler", string(o.Handler), []string{string(SQL), string(Webhook), string(Log), string(Discard)}},
		{"LoadTest", o.LoadTest, []string{"", LoadTestApply, LoadTestDiscard}},
		{"OnTooLarge", o.OnTooLarge, []string{"", TooLargePause, TooLargePointer}},
		{"OnBadBatch", o.OnBadBatch, []string{"", BadBatchHalt, BadBatchPointer}},
	} {
		if !slices.Contains(c.allowed, c.value) {
			return fmt.Errorf("consume: Options.%s is %q, not one of %q", c.name, c.value, c.allowed)
		}
	}
	if o.OnDead == Hold && o.Order != ByKey {
		return errors.New("consume: Options.OnDead hold needs Options.Order key: nothing else knows which messages follow a dead one")
	}
	return o.Guards.validate()
}
