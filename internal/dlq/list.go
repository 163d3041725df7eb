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

// Bounds of what waits for one question to the store.
const (
	batchLetters = 200
	batchBytes   = 8 << 20
)

// Reader reads the dead letters of one topic. It reads the ledger once, when it first needs it. It is for one goroutine.
type Reader struct {
	log   Log
	rows  Rows // nil: no store, the log alone speaks
	topic string
	group string // "": of each letter the group that its headers name

	ledger *Ledger // nil: not read yet
}

// NewReader makes a reader of a dead-letter topic. rows may be nil; so may be the name of the group, where the topic is
// not one of a known group.
func NewReader(log Log, rows Rows, topic, group string) *Reader {
	return &Reader{log: log, rows: rows, topic: topic, group: group}
}

// Topic returns the topic whose letters are read.
func (r *Reader) Topic() string { return r.topic }

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
// its lower id. Bodies are held only until the letter is chosen.
func (r *Reader) back(ctx context.Context, t *tail, sel Selection, found []Letter) ([]Letter, error) {
	from := max(t.start, t.at-t.chunk)
	b := batch{reader: r, sel: sel}
	first := time.Time{}
	err := r.log.Scan(ctx, r.topic, t.partition, from, t.at, func(rec queue.Record) error {
		if first.IsZero() {
			first = rec.Time
		}
		l := letterOf(rec)
		if id, ok := l.copyOf(); ok {
			if _, again := t.seen[id]; again {
				_ = merge(found, l) || merge(b.chosen, l) || merge(b.waiting, l)
				return nil
			}
			t.seen[id] = struct{}{}
		}
		return b.add(ctx, l)
	})
	if err == nil {
		err = b.flush(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("read dead letters %s/%d from %d: %w", r.topic, t.partition, from, err)
	}
	if !first.IsZero() {
		t.newest = first
	}
	t.at, t.chunk = from, min(2*t.chunk, lastChunk)
	return b.chosen, nil
}

// batch decides letters some at a time, so that few bodies are in memory, and keeps those that are chosen without theirs.
type batch struct {
	reader  *Reader
	sel     Selection
	waiting []Letter
	bytes   int
	chosen  []Letter
}

func (b *batch) add(ctx context.Context, l Letter) error {
	if !b.sel.matches(l) {
		return nil
	}
	if b.sel.Query == nil {
		l = bare(l)
	}
	b.waiting = append(b.waiting, l)
	b.bytes += len(l.Value)
	if len(b.waiting) < batchLetters && b.bytes < batchBytes {
		return nil
	}
	return b.flush(ctx)
}

func (b *batch) flush(ctx context.Context) error {
	letters, err := b.reader.choose(ctx, b.waiting, b.sel)
	if err != nil {
		return err
	}
	for _, l := range letters {
		b.chosen = append(b.chosen, bare(l))
	}
	b.waiting, b.bytes = b.waiting[:0], 0
	return nil
}

// bare is a letter without its body: a list of many has to fit into memory.
func bare(l Letter) Letter {
	l.Value, l.Headers = nil, nil
	return l
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
		letters[i].CopyIDs = append(letters[i].CopyIDs, l.ID)
		if l.ID.Offset < letters[i].ID.Offset {
			letters[i].ID, letters[i].Time = l.ID, l.Time
		}
		return true
	}
	return false
}

// listed returns the named letters; one that is not there is an error.
func (r *Reader) listed(ctx context.Context, sel Selection) ([]Letter, error) {
	var found []Letter
	for _, id := range sel.ids() {
		l, err := r.raw(ctx, id)
		if err != nil {
			return nil, err
		}
		if !sel.matches(l) || merge(found, l) {
			continue
		}
		one, err := r.choose(ctx, []Letter{l}, sel)
		if err != nil {
			return nil, err
		}
		for _, l := range one {
			found = append(found, bare(l))
		}
	}
	slices.SortStableFunc(found, newestFirst)
	if sel.Limit > 0 && len(found) > sel.Limit {
		found = found[:sel.Limit]
	}
	return found, nil
}

// At returns one letter whole, with its state. One that is not in the topic is queue.ErrNotFound.
func (r *Reader) At(ctx context.Context, id ID) (Letter, error) {
	l, err := r.raw(ctx, id)
	if err != nil {
		return Letter{}, err
	}
	one := []Letter{l}
	if err := r.judge(ctx, one); err != nil {
		return Letter{}, err
	}
	return one[0], nil
}

// raw returns a letter as its record has it.
func (r *Reader) raw(ctx context.Context, id ID) (Letter, error) {
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
	return *found, nil
}

func newestFirst(a, b Letter) int {
	return cmp.Or(b.Time.Compare(a.Time), cmp.Compare(a.ID.Partition, b.ID.Partition), cmp.Compare(b.ID.Offset, a.ID.Offset))
}
