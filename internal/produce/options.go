package produce

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"commerce.internal/orderctl/internal/queue"
)

// Publisher writes records. An error of Publish: certainly not written. Else done is called exactly once.
type Publisher interface {
	Publish(m queue.Message, done func(queue.Ack, error)) error
}

// The formats of generated orders.
const (
	FormatJSON     = "json"
	FormatProtobuf = "protobuf"
)

// OnLag says what becomes of records that are later than MaxLag.
type OnLag string

// The ways with late records.
const (
	QueueLate OnLag = "queue" // they are sent nevertheless, and their latency shows it
	DropLate  OnLag = "drop"  // they are skipped and counted
)

// What a run uses where its Options say nothing, and what the command documents.
const (
	DefaultConnections  = 64
	DefaultMaxLag       = time.Second
	DefaultMinRate      = 0.99
	DefaultMinItems     = 1
	DefaultMaxItems     = 8
	DefaultMaxGap       = 5 * time.Minute
	DefaultReportEvery  = 10 * time.Second
	DefaultDrainTimeout = 30 * time.Second
	maxSpeed            = 1e6
	MaxRunID            = 40 // characters of a run id: it begins the id of every order
)

// Options are what a run sends, where to, and how fast.
type Options struct {
	Kafka *Kafka // exactly one of Kafka and HTTP
	HTTP  *HTTP

	Rate     Rate          // of a file it may be zero: then File.Speed rules
	Duration time.Duration // 0: no end
	Count    int64         // 0: no end
	OnLag    OnLag         // "": queue
	MaxLag   time.Duration // 0: DefaultMaxLag; a run with a Duration also ends when it is so late

	RunID    string    // "": from the time of the start
	BaseTime time.Time // of the orders' timestamps; zero: the start
	Seed     uint64
	Keys     int    // 0: every record is an order of its own; else as many chains of orders, each from CREATED to COMPLETED
	Format   string // "": json
	MinItems int    // 0: DefaultMinItems
	MaxItems int    // 0: DefaultMaxItems
	File     *File  // recorded orders instead of generated ones

	MinRate     float64        // the least achieved share of the rate, 0 to 1
	Progress    func(Progress) // nil: none
	ReportEvery time.Duration  // between two calls of Progress; 0: DefaultReportEvery
	Acked       io.Writer      // nil: none; else gets the message id of each acknowledged record, one a line, in one Write
	Drain       time.Duration  // for the answers that are missing at the end; 0: DefaultDrainTimeout
	Log         *slog.Logger   // nil: none; gets the first failure of each code

	demo bool // records carry no mark of a load test
}

// Kafka is a topic as target.
type Kafka struct {
	Publisher  Publisher
	Room       func(ctx context.Context, topic string, partition int32) error // waits until Publish will take a record; nil: it always does
	Topic      string
	Partition  queue.PartitionFunc
	Partitions int32
}

// HTTP is the order API as target.
type HTTP struct {
	URL         string        // of the API, such as http://127.0.0.1:8080
	Connections int           // 0: DefaultConnections
	Headers     []string      // "Name: value"
	Token       string        // bearer token; it is never shown
	CACert      []byte        // PEM; empty: the system's
	Timeout     time.Duration // of one request; 0: DefaultDrainTimeout
}

// File is a recording, an order a line. A gzipped one is known by its content.
type File struct {
	Name    string // for messages
	Open    func() (io.ReadCloser, error)
	Speed   float64       // without a Rate: the recorded gaps are so many times shorter; 0: no gaps at all
	MaxGap  time.Duration // the longest wait between two orders; 0: DefaultMaxGap
	Restamp bool          // time now, and from the second round on fresh order ids: "A-1-r2"
	Repeat  int           // rounds; 0: one; below 0: for ever
}

// Error is why a run did not start or ended early.
type Error struct {
	Err  error
	Code int    // exit code
	Help string // what to do; may be empty
}

// Error implements error.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ExitCode returns the exit code of the process.
func (e *Error) ExitCode() int { return e.Code }

// Hint returns what to do about it.
func (e *Error) Hint() string { return e.Help }

func usage(format string, args ...any) error {
	return &Error{Err: fmt.Errorf(format, args...), Code: 2}
}

// withDefaults returns the options with their defaults, or every problem of them.
func (o Options) withDefaults() (Options, error) {
	fill(&o.OnLag, QueueLate)
	fill(&o.MaxLag, DefaultMaxLag)
	fill(&o.Format, FormatJSON)
	fill(&o.MinItems, DefaultMinItems)
	fill(&o.MaxItems, max(o.MinItems, DefaultMaxItems))
	fill(&o.ReportEvery, DefaultReportEvery)
	fill(&o.Drain, DefaultDrainTimeout)
	fill(&o.Log, slog.New(slog.DiscardHandler))
	if problems := append(o.targetProblems(), o.recordProblems()...); len(problems) > 0 {
		return o, errors.Join(problems...)
	}
	return o, nil
}

func (o Options) targetProblems() (all []error) {
	add := func(wrong bool, format string, args ...any) {
		if wrong {
			all = append(all, usage(format, args...))
		}
	}
	add((o.Kafka == nil) == (o.HTTP == nil), "produce: exactly one of Options.Kafka and Options.HTTP is required")
	if k := o.Kafka; k != nil {
		add(k.Publisher == nil, "produce: Kafka.Publisher is required")
		add(k.Partition == nil, "produce: Kafka.Partition is required")
		add(k.Topic == "", "produce: Kafka.Topic is required")
		add(k.Partitions < 1, "produce: Kafka.Partitions is required")
	}
	add(o.Rate.IsZero() && o.File == nil, "a rate is required, such as 100/s")
	add(o.Duration < 0, "duration %s: must not be negative", o.Duration)
	add(o.Count < 0, "count %d: must not be negative", o.Count)
	add(o.MaxLag < 0, "max-lag %s: must not be negative", o.MaxLag)
	add(o.OnLag != QueueLate && o.OnLag != DropLate, "on-lag %q: must be queue or drop", string(o.OnLag))
	add(!(o.MinRate >= 0 && o.MinRate <= 1), "min-rate: must be 0%% to 100%%")
	add(o.ReportEvery < 0, "report-every %s: must not be negative", o.ReportEvery)
	return all
}

func (o Options) recordProblems() (all []error) {
	add := func(wrong bool, format string, args ...any) {
		if wrong {
			all = append(all, usage(format, args...))
		}
	}
	add(o.RunID != "" && !validRunID(o.RunID), "run-id %q: must be 1 to %d letters, digits and . _ - and begin with a letter or digit", o.RunID, MaxRunID)
	add(o.Format != FormatJSON && o.Format != FormatProtobuf, "format %q: must be json or protobuf", o.Format)
	add(o.Keys < 0 || o.Keys > 10_000_000, "keys %d: must be 0 to 10000000", o.Keys)
	add(o.MinItems < 1 || o.MaxItems < o.MinItems || o.MaxItems > 2_000, "items %d-%d: must be a range of 1 to 2000", o.MinItems, o.MaxItems)
	f := o.File
	if f == nil {
		return all
	}
	add(f.Open == nil, "produce: File.Open is required")
	add(!(f.Speed >= 0 && f.Speed <= maxSpeed), "speed %v: must be 1x to 1000000x, or max", f.Speed)
	add(f.MaxGap < 0, "max-gap %s: must not be negative", f.MaxGap)
	add(o.Keys > 0, "keys and file exclude each other: a file has its own order ids")
	add(o.Format != FormatJSON, "format %s and file exclude each other: the bytes of a file are sent as they are", o.Format)
	return all
}

func fill[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

func validRunID(s string) bool {
	for i := range len(s) {
		c := s[i]
		alnum := c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
		if !alnum && (i == 0 || c != '.' && c != '_' && c != '-') {
			return false
		}
	}
	return s != "" && len(s) <= MaxRunID
}
