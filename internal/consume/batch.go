package consume

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"commerce.internal/orderctl/internal/obs"
	"commerce.internal/orderctl/internal/queue"
)

// muteAfter is how long a partition may hand out nothing, though there is something, before its log is looked at.
const muteAfter = 5 * time.Second

// peekTimeout bounds one look into a log.
const peekTimeout = 10 * time.Second

// What to do with records that nobody can read.
const (
	BadBatchHalt    = "halt"    // the partition waits for an operator
	BadBatchPointer = "pointer" // a letter without value says where they lie, and the partition goes on behind them
)

// Peeker looks into a log beside the group, one partition alone. A batch that cannot be unpacked stalls every partition
// of its broker, and the client's error names them all alike.
type Peeker interface {
	// End returns the offset behind the last record that may be read now.
	End(ctx context.Context, topic string, partition int32) (int64, error)
	// Unreadable returns why the batch at an offset cannot be read, nil where it can. The error says that this is not known.
	Unreadable(ctx context.Context, at queue.Position) (*queue.Failure, error)
}

// lookInto finds out why a partition hands out nothing; false: there is nothing to hand out, or it is known now why.
func (w *Worker) lookInto(ctx context.Context, c *claim, next int64) (mute bool) {
	if w.o.Peek == nil || next < 0 {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, peekTimeout)
	defer cancel()
	end, err := w.o.Peek.End(ctx, c.Topic(), c.Partition())
	if err != nil {
		return true
	}
	if next >= end {
		return false
	}
	at := queue.Position{Topic: c.Topic(), Partition: c.Partition(), Offset: next}
	why, err := w.o.Peek.Unreadable(ctx, at)
	if err != nil || why == nil {
		return true
	}
	c.pauseFor(pausedBatch, true) // the others of that broker flow again
	if end, err = w.behind(ctx, at, end); err != nil {
		w.o.Log.WarnContext(ctx, "the end of an unreadable batch is not known yet", slog.Any(obs.KeyError, err))
		c.pauseFor(pausedBatch, false) // it is looked at again
		return true
	}
	w.o.Log.ErrorContext(ctx, "records cannot be read: this partition waits", slog.String(obs.KeyTopic, at.Topic),
		slog.Int(obs.KeyPartition, int(at.Partition)), slog.Int64(obs.KeyOffset, at.Offset), slog.Int64("end", end),
		slog.String(obs.KeyCode, why.Code), slog.String(obs.KeyError, why.Message), slog.String(obs.KeyReason, w.o.OnBadBatch))
	if w.o.OnBadBatch == BadBatchPointer {
		w.skip(c, at, end, *why)
	}
	return false
}

// behind finds the first offset from which on the log can be read again, by doubling and bisection.
func (w *Worker) behind(ctx context.Context, at queue.Position, end int64) (int64, error) {
	bad := at.Offset
	unreadable := func(offset int64) (bool, error) {
		why, err := w.o.Peek.Unreadable(ctx, queue.Position{Topic: at.Topic, Partition: at.Partition, Offset: offset})
		return why != nil, err
	}
	good := end
	for step := int64(1); bad+step < end; step *= 2 {
		is, err := unreadable(bad + step)
		if err != nil {
			return 0, err
		}
		if !is {
			good = bad + step
			break
		}
		bad += step
	}
	for good-bad > 1 {
		middle := bad + (good-bad)/2
		is, err := unreadable(middle)
		if err != nil {
			return 0, err
		}
		if is {
			bad = middle
		} else {
			good = middle
		}
	}
	return good, nil
}

// skip makes one letter without value for the records from at to end. When it is written the partition may be committed
// behind them, and the session begins anew there.
func (w *Worker) skip(c *claim, at queue.Position, end int64, why queue.Failure) {
	rec := queue.Record{Topic: at.Topic, Partition: at.Partition, Offset: at.Offset, Time: w.o.Now()}
	if !c.skip(rec, end) {
		return
	}
	m := w.reader.unreadable(rec)
	why.Message = fmt.Sprintf("records %d to %d cannot be read: %s", at.Offset, end-1, why.Message)
	m.bad, m.label, m.trail.Pointer = &why, why.Code, fmt.Sprintf("%d-%d", at.Offset, end-1)
	w.lanes.push("", &item{claim: c, rec: rec, msg: m, skipsTo: end})
}

// skip receives a record that stands for all up to end.
func (c *claim) skip(rec queue.Record, end int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.tracker.add(rec.Offset) {
		return false
	}
	c.queued++
	c.tracker.next = end
	return true
}

// skipped begins the session anew behind records that cannot be read.
func (w *Worker) skipped(ctx context.Context, it *item) {
	if it.skipsTo > 0 && w.o.Rejoin != nil {
		w.o.Rejoin(ctx, fmt.Sprintf("%s/%d goes on at %d, behind records that cannot be read", it.rec.Topic, it.rec.Partition, it.skipsTo))
	}
}
