package read

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/IBM/sarama"

	"commerce.internal/orderctl/internal/kafka"
	"commerce.internal/orderctl/internal/queue"
)

const (
	fetchBytes = 1 << 20
	aloneBytes = 1                    // a broker sends one whole batch, however small the limit
	maxBytes   = 100<<20 - fetchBytes // with what surrounds them the records must stay below sarama's 100 MiB
	maxWait    = 250                  // ms; there is something to read, or the read ends
	maxEmpty   = 3                    // answers without anything, though there should be something
)

// BatchError is a batch that cannot be read: corrupt, or larger than may be unpacked.
type BatchError struct {
	At  queue.Position // where it was met; the first offset that decodes again lies somewhere behind
	Err error
}

// Error implements error.
func (e *BatchError) Error() string {
	return fmt.Sprintf("read %s: batch is unreadable: %v", e.At, e.Err)
}

// Unwrap returns the cause.
func (e *BatchError) Unwrap() error { return e.Err }

// Code tells in a word why the batch cannot be read.
func (e *BatchError) Code() string {
	if errors.Is(e.Err, sarama.ErrDecompressedBatchTooLarge) {
		return "batch-too-large"
	}
	return "batch-corrupt"
}

// Scan calls fn for each record of a partition with from <= offset < end, in order, without aborted transactions. It ends
// with the first error of fn. Records that are gone are queue.ErrNotFound; an end behind an open transaction is
// queue.ErrPartial, after all that lies before it. A record keeps its whole batch in memory: clone what is to stay.
func (r *Reader) Scan(ctx context.Context, topic string, partition int32, from, end int64, fn func(queue.Record) error) error {
	s := &scan{topic: topic, partition: partition, pos: from, end: end, size: fetchBytes, fn: fn}
	return r.scan(ctx, s)
}

// At returns one record, or queue.ErrNotFound if there is none at exactly that offset.
func (r *Reader) At(ctx context.Context, at queue.Position) (queue.Record, error) {
	var found *queue.Record
	s := &scan{
		topic: at.Topic, partition: at.Partition, pos: at.Offset, end: at.Offset + 1, size: aloneBytes,
		fn: func(rec queue.Record) error { found = &rec; return nil },
	}
	if at.Offset < 0 {
		return queue.Record{}, fmt.Errorf("read %s: %w", at, queue.ErrNotFound)
	}
	if err := r.scan(ctx, s); err != nil {
		return queue.Record{}, err
	}
	if found == nil {
		return queue.Record{}, fmt.Errorf("read %s: no record there: %w", at, queue.ErrNotFound)
	}
	return *found, nil
}

// scan goes on where it was when another call has cut the connections.
func (r *Reader) scan(ctx context.Context, s *scan) error {
	return r.with(ctx, func(c *kafka.Client) error {
		for s.pos < s.end {
			if err := context.Cause(ctx); err != nil {
				return fmt.Errorf("read %s: %w", s.at(), err)
			}
			err := s.step(func() (block *sarama.FetchResponseBlock, err error) {
				err = withLeader(ctx, c, s.topic, s.partition, func(leader *sarama.Broker) error {
					block, err = s.fetch(leader)
					return err
				})
				return block, err
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// scan is one bounded read: where it is, and how much it asks for.
type scan struct {
	topic     string
	partition int32
	pos, end  int64
	size      int32
	alone     bool // asking for single batches, for one of many could not be read
	empty     int  // answers without anything, in a row
	fn        func(queue.Record) error
}

func (s *scan) at() queue.Position {
	return queue.Position{Topic: s.topic, Partition: s.partition, Offset: s.pos}
}

// step fetches once and hands out what came.
func (s *scan) step(fetch func() (*sarama.FetchResponseBlock, error)) error {
	block, err := fetch()
	var code sarama.KError
	switch {
	case err == nil:
	case errors.As(err, &code) && code == sarama.ErrOffsetOutOfRange:
		return fmt.Errorf("read %s: outside of the log: %w", s.at(), queue.ErrNotFound)
	case broken(err) || errors.As(err, &code) || errors.Is(err, sarama.ErrIncompleteResponse):
		return fmt.Errorf("read %s: %w", s.at(), err)
	case s.alone:
		return &BatchError{At: s.at(), Err: err}
	default: // some batch among many: take them one by one up to the bad one
		s.alone, s.size = true, aloneBytes
		return nil
	}
	was := s.pos
	partial, err := s.take(block)
	if err != nil {
		return err
	}
	if s.pos > was {
		s.empty = 0
		return nil
	}
	return s.stuck(block, partial)
}

func (s *scan) fetch(leader *sarama.Broker) (*sarama.FetchResponseBlock, error) {
	// Only the partition is limited: the embedded broker forgets to list the aborted transactions of an answer that hits
	// the limit of the whole.
	req := &sarama.FetchRequest{
		Version: 11, MaxWaitTime: maxWait, MinBytes: 1, MaxBytes: maxBytes, Isolation: sarama.ReadCommitted, SessionEpoch: -1,
	}
	req.AddBlock(s.topic, s.partition, s.pos, s.size, -1)
	res, err := leader.Fetch(req)
	if err != nil {
		return nil, err
	}
	if code := sarama.KError(res.ErrorCode); code != sarama.ErrNoError {
		return nil, code
	}
	block := res.GetBlock(s.topic, s.partition)
	if block == nil {
		return nil, sarama.ErrIncompleteResponse
	}
	if block.Err != sarama.ErrNoError {
		return nil, block.Err
	}
	return block, nil
}

// stuck decides what to do when an answer did not get us any further.
func (s *scan) stuck(b *sarama.FetchResponseBlock, partial bool) error {
	switch {
	case partial && s.size < maxBytes:
		s.size = max(fetchBytes, 2*min(s.size, maxBytes/2))
		return nil
	case partial:
		return &BatchError{At: s.at(), Err: fmt.Errorf("more than %d MiB", maxBytes>>20)}
	case s.pos >= b.HighWaterMarkOffset:
		return fmt.Errorf("read %s: the log ends at %d: %w", s.at(), b.HighWaterMarkOffset, queue.ErrNotFound)
	case s.pos >= b.LastStableOffset:
		return fmt.Errorf("read %s: an open transaction begins there: %w", s.at(), queue.ErrPartial)
	}
	if s.empty++; s.empty < maxEmpty {
		return nil
	}
	return fmt.Errorf("read %s: the broker sends nothing before %d: %w", s.at(), s.end, queue.ErrPartial)
}

// take hands out the batches of an answer and moves behind each. partial says that the first batch did not fit.
func (s *scan) take(b *sarama.FetchResponseBlock) (partial bool, err error) {
	aborted := slices.Clone(b.AbortedTransactions)
	slices.SortFunc(aborted, func(a, b *sarama.AbortedTransaction) int { return int(min(1, max(-1, a.FirstOffset-b.FirstOffset))) })
	marked := map[int64]bool{} // producers with an aborted transaction in progress
	for _, records := range b.RecordsSet {
		batch := records.RecordBatch
		if batch == nil {
			return false, &BatchError{At: s.at(), Err: errors.New("message format older than Kafka 0.11")}
		}
		if batch.PartialTrailingRecord {
			return true, nil
		}
		last := batch.LastOffset()
		for len(aborted) > 0 && aborted[0].FirstOffset <= last {
			marked[aborted[0].ProducerID] = true
			aborted = aborted[1:]
		}
		switch {
		case batch.Control:
			delete(marked, batch.ProducerID)
		case batch.IsTransactional && marked[batch.ProducerID]:
		default:
			if err := s.hand(batch); err != nil {
				return false, err
			}
		}
		s.pos = max(s.pos, last+1)
	}
	if len(b.RecordsSet) == 0 && !b.Partial {
		s.pos = max(s.pos, emptyUntil(b))
	}
	return b.Partial, nil
}

func (s *scan) hand(batch *sarama.RecordBatch) error {
	for _, rec := range batch.Records {
		offset := batch.FirstOffset + rec.OffsetDelta
		if offset < s.pos {
			continue
		}
		if offset >= s.end {
			return nil
		}
		if err := s.fn(s.record(batch, rec)); err != nil {
			return err
		}
		s.pos = offset + 1 // a scan that has to go on does not hand it out again
	}
	return nil
}

func (s *scan) record(batch *sarama.RecordBatch, rec *sarama.Record) queue.Record {
	r := queue.Record{
		Topic: s.topic, Partition: s.partition, Offset: batch.FirstOffset + rec.OffsetDelta,
		Key: rec.Key, Value: rec.Value, Time: batch.FirstTimestamp.Add(rec.TimestampDelta),
	}
	if batch.LogAppendTime {
		r.Time = batch.MaxTimestamp
	}
	if len(rec.Headers) > 0 {
		r.Headers = make([]queue.Header, len(rec.Headers))
	}
	for i, h := range rec.Headers {
		r.Headers[i] = queue.Header{Name: string(h.Key), Value: h.Value}
	}
	return r
}
