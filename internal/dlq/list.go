package dlq

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"commerce.internal/orderctl/internal/queue"
)

// Chunks of the read from the tails: small first, since a list mostly wants the newest, then larger.
const (
	firstChunk = 256
	lastChunk  = 16_384
)

// Reader reads the dead letters of one group.
type Reader struct {
	log   Log
	rows  Rows // nil: no store, the log alone speaks
	topic string
	group string
}

// NewReader makes a reader of a dead-letter topic. rows may be nil.
func NewReader(log Log, rows Rows, topic, group string) *Reader {
	return &Reader{log: log, rows: rows, topic: topic, group: group}
}

// List returns the chosen letters, newest first, without their bodies. It reads each partition backwards from its tail and
// stops when no older letter can belong to the answer.
func (r *Reader) List(ctx context.Context, sel Selection) ([]Letter, error) {
	if len(sel.IDs) > 0 {
		return r.listed(ctx, sel)
	}
	bounds, err := r.log.Bounds(ctx, r.topic)
	if err != nil {
		return nil, fmt.Errorf("find ends of %s: %w", r.topic, err)
	}
	tails := make([]*tail, 0, len(bounds))
	for p, span := range bounds {
		tails = append(tails, &tail{partition: p, start: span.Start, at: span.End, chunk: firstChunk, newest: time.Unix(1<<40, 0), seen: map[copyID]struct{}{}})
	}
	var found []Letter
	for {
		next := newest(tails)
		if next == nil || sel.full(found, next.newest) {
			break
		}
		fresh, err := r.back(ctx, next, sel, found)
		if err != nil {
			return nil, err
		}
		found = append(found, fresh...)
		slices.SortStableFunc(found, newestFirst)
	}
	if sel.Limit > 0 && len(found) > sel.Limit {
		found = found[:sel.Limit]
	}
	return found, nil
}

// full reports whether no letter older than newest can belong to the answer. Clocks of workers differ: a minute of slack.
func (s Selection) full(found []Letter, newest time.Time) bool {
	const slack = time.Minute
	if !s.Since.IsZero() && newest.Before(s.Since.Add(-slack)) {
		return true
	}
	return s.Limit > 0 && len(found) >= s.Limit && newest.Before(found[s.Limit-1].Time.Add(-slack))
}

// tail is how far a partition has been read backwards.
type tail struct {
	partition int32
	start, at int64 // [at, end) is read; at == start: all
	chunk     int64
	newest    time.Time           // nothing unread is taken to be newer; far in the future before the first read
	seen      map[copyID]struct{} // letters that were met: 16 bytes each, however many are read to find the few
}

// newest returns the partition whose unread part may hold the newest letter; nil: all is read. Record times of a partition
// are the times of the hops, so they ascend but for clock skew between workers.
func newest(tails []*tail) *tail {
	var best *tail
	for _, t := range tails {
		if t.at > t.start && (best == nil || t.newest.After(best.newest)) {
			best = t
		}
	}
	return best
}

// back reads one chunk before what is read and returns its chosen letters. A copy of one that is found already lends it
// its lower id.
func (r *Reader) back(ctx context.Context, t *tail, sel Selection, found []Letter) ([]Letter, error) {
	from := max(t.start, t.at-t.chunk)
	var chunk []Letter
	first := time.Time{}
	err := r.log.Scan(ctx, r.topic, t.partition, from, t.at, func(rec queue.Record) error {
		if first.IsZero() {
			first = rec.Time
		}
		l := letterOf(rec)
		l.Value, l.Headers = nil, nil // a list holds no bodies: its memory is bounded
		if id, ok := l.copyOf(); ok {
			if _, again := t.seen[id]; again {
				merge(found, l)
				merge(chunk, l)
				return nil
			}
			t.seen[id] = struct{}{}
		}
		if sel.matches(l) {
			chunk = append(chunk, l)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read dead letters %s/%d from %d: %w", r.topic, t.partition, from, err)
	}
	if !first.IsZero() {
		t.newest = first
	}
	t.at, t.chunk = from, min(2*t.chunk, lastChunk)
	return r.choose(ctx, chunk, sel)
}

// merge counts a copy with its letter, which has the name and the time of the first copy.
func merge(letters []Letter, l Letter) bool {
	id, ok := l.copyOf()
	if !ok {
		return false
	}
	for i := range letters {
		other, ok := letters[i].copyOf()
		if !ok || other != id || letters[i].ID.Partition != l.ID.Partition {
			continue
		}
		if letters[i].ID == l.ID {
			return true
		}
		letters[i].Copies++
		if l.ID.Offset < letters[i].ID.Offset {
			letters[i].ID, letters[i].Time = l.ID, l.Time
		}
		return true
	}
	return false
}

// choose asks the store for the states and keeps those that are wanted.
func (r *Reader) choose(ctx context.Context, letters []Letter, sel Selection) ([]Letter, error) {
	if r.rows != nil {
		if err := decide(ctx, r.rows, r.group, letters); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(letters, func(l Letter) bool { return !sel.wants(l.State) }), nil
}

// listed returns the named letters; one that is not there is an error.
func (r *Reader) listed(ctx context.Context, sel Selection) ([]Letter, error) {
	var found []Letter
	for _, id := range sel.ids() {
		l, err := r.At(ctx, id)
		if err != nil {
			return nil, err
		}
		l.Value, l.Headers = nil, nil
		if sel.matches(l) && !merge(found, l) {
			found = append(found, l)
		}
	}
	found, err := r.choose(ctx, found, sel)
	slices.SortStableFunc(found, newestFirst)
	return found, err
}

// At returns one letter whole. One that is not in the topic is queue.ErrNotFound.
func (r *Reader) At(ctx context.Context, id ID) (Letter, error) {
	bounds, err := r.log.Bounds(ctx, r.topic)
	if err != nil {
		return Letter{}, fmt.Errorf("find ends of %s: %w", r.topic, err)
	}
	span, ok := bounds[id.Partition]
	if !ok || id.Offset < span.Start || id.Offset >= span.End {
		return Letter{}, fmt.Errorf("dead letter %s of %s: %w", id, r.topic, queue.ErrNotFound)
	}
	var found *Letter
	err = r.log.Scan(ctx, r.topic, id.Partition, id.Offset, id.Offset+1, func(rec queue.Record) error {
		if rec.Offset == id.Offset {
			l := letterOf(rec)
			found = &l
		}
		return nil
	})
	if err != nil {
		return Letter{}, fmt.Errorf("read dead letter %s of %s: %w", id, r.topic, err)
	}
	if found == nil {
		return Letter{}, fmt.Errorf("dead letter %s of %s: %w", id, r.topic, queue.ErrNotFound)
	}
	one := []Letter{*found}
	if r.rows != nil {
		if err := decide(ctx, r.rows, r.group, one); err != nil {
			return Letter{}, err
		}
	}
	return one[0], nil
}

func newestFirst(a, b Letter) int {
	return cmp.Or(b.Time.Compare(a.Time), cmp.Compare(a.ID.Partition, b.ID.Partition), cmp.Compare(b.ID.Offset, a.ID.Offset))
}
