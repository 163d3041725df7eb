// Package inspect answers two questions from the log and the database together: where is this order (Trace), and is
// nothing lost (Audit). It looks while the system moves, changes nothing, and returns values, never text for a screen.
// What it could not see it says; it never takes that for something that is not there.
package inspect

import (
	"context"
	"errors"
	"fmt"
	"time"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/queue"
)

// Log reads bounded pieces of a log.
type Log interface {
	// Scan calls fn for each record with from <= offset < end, in order. It ends with the first error of fn. Offsets that
	// are gone are queue.ErrNotFound. A record is only valid during the call.
	Scan(ctx context.Context, topic string, partition int32, from, end int64, fn func(queue.Record) error) error
	// At returns one record; queue.ErrNotFound says that there is none at that offset.
	At(ctx context.Context, at queue.Position) (queue.Record, error)
}

// NotFoundError says that something named does not exist.
type NotFoundError struct {
	Kind string // "topic", "consumer group"
	Name string
}

// Error implements error.
func (e *NotFoundError) Error() string { return fmt.Sprintf("%s %q not found", e.Kind, e.Name) }

// Unwrap returns queue.ErrNotFound.
func (e *NotFoundError) Unwrap() error { return queue.ErrNotFound }

// DeniedError says that something may not be described by this login.
type DeniedError struct {
	Kind string // "topic", "consumer group"
	Name string
}

// Error implements error.
func (e *DeniedError) Error() string {
	return fmt.Sprintf("%s %q may not be described by this login", e.Kind, e.Name)
}

// Unwrap returns queue.ErrDenied.
func (e *DeniedError) Unwrap() error { return queue.ErrDenied }

// untold is why the partitions of a topic are not known.
func untold(s lag.Snapshot, topic string) error {
	if s.Partitions[lag.TopicPartition{Topic: topic, Partition: -1}].Problem == lag.NoAccess {
		return &DeniedError{Kind: "topic", Name: topic}
	}
	return fmt.Errorf("observe %s: nobody tells its partitions: %w", topic, queue.ErrPartial)
}

// place is what was seen of one partition.
type place struct {
	start, stable, high int64
	problem             string // why it is not known; empty: it is
}

// placeOf reads a partition out of a snapshot.
func placeOf(s lag.Snapshot, topic string, partition int32) place {
	p, found := s.Partitions[lag.TopicPartition{Topic: topic, Partition: partition}]
	switch {
	case !found:
		return place{problem: string(lag.NoAnswer)}
	case !p.Start.Known || !p.Stable.Known || !p.High.Known:
		problem := p.Problem
		if problem == "" {
			problem = lag.NoAnswer
		}
		return place{problem: string(problem)}
	}
	return place{start: p.Start.V, stable: p.Stable.V, high: p.High.V}
}

// commitOf is what a group has committed of a partition: -1 for nothing. ok is false where that is not known.
func commitOf(s lag.Snapshot, group, topic string, partition int32) (offset int64, ok bool) {
	g, found := s.Groups[group]
	if !found || !g.Commits.Known {
		return -1, false
	}
	c, committed := g.Commits.V[lag.TopicPartition{Topic: topic, Partition: partition}]
	if !committed {
		return -1, true
	}
	return c.Offset, c.Problem == ""
}

// exists reports whether a topic is there; ok is false where that is not known.
func exists(s lag.Snapshot, topic string) (there, ok bool) {
	t, found := s.Topics[topic]
	return t.Exists.V, found && t.Exists.Known
}

// wait waits, or returns why ctx ended.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// why is an error as it stands in a report.
func why(err error) string {
	switch {
	case errors.Is(err, queue.ErrNotFound):
		return "gone: " + err.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	}
	return err.Error()
}
