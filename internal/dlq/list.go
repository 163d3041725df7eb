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
	if sel.IDs != nil {
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

// listed returns the named letters; one that is not there is an error. Those that lie close together are read at once.
func (r *Reader) listed(ctx context.Context, sel Selection) ([]Letter, error) {
	bounds, err := r.log.Bounds(ctx, r.topic)
	if err != nil {
		return nil, fmt.Errorf("find ends of %s: %w", r.topic, err)
	}
	b, seen := batch{reader: r, sel: sel}, map[copyID]bool{}
	for ids := sel.ids(); len(ids) > 0; {
		n := 1
		for n < len(ids) && ids[n].Partition == ids[0].Partition && ids[n].Offset-ids[n-1].Offset <= farApart {
			n++
		}
		err := r.named(ctx, bounds, ids[:n], func(l Letter) error {
			if id, ok := l.copyOf(); ok {
				if seen[id] {
					_ = merge(b.chosen, l) || merge(b.waiting, l)
					return nil
				}
				seen[id] = true
			}
			return b.add(ctx, l)
		})
		if err != nil {
			return nil, err
		}
		ids = ids[n:]
	}
	if err := b.flush(ctx); err != nil {
		return nil, err
	}
	slices.SortStableFunc(b.chosen, newestFirst)
	if sel.Limit > 0 && len(b.chosen) > sel.Limit {
		b.chosen = b.chosen[:sel.Limit]
	}
	return b.chosen, nil
}

// named calls fn for each of the letters, which are sorted and of one partition.
func (r *Reader) named(ctx context.Context, bounds map[int32]Span, ids []ID, fn func(Letter) error) error {
	first, last := ids[0], ids[len(ids)-1]
	span, ok := bounds[first.Partition]
	for _, id := range ids {
		if !ok || id.Offset < span.Start || id.Offset >= span.End {
			return r.noSuch(id)
		}
	}
	err := r.log.Scan(ctx, r.topic, first.Partition, first.Offset, last.Offset+1, func(rec queue.Record) error {
		if len(ids) == 0 || rec.Offset < ids[0].Offset {
			return nil
		}
		if rec.Offset > ids[0].Offset {
			return r.noSuch(ids[0])
		}
		ids = ids[1:]
		return fn(letterOf(rec))
	})
	if err == nil && len(ids) > 0 {
		err = r.noSuch(ids[0])
	}
	if err != nil {
		return fmt.Errorf("read dead letters %s/%d from %d: %w", r.topic, first.Partition, first.Offset, err)
	}
	return nil
}

func (r *Reader) noSuch(id ID) error {
	return fmt.Errorf("dead letter %s of %s: %w", id, r.topic, queue.ErrNotFound)
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
func (r *Reader) raw(ctx context.Context, id ID) (l Letter, err error) {
	bounds, err := r.log.Bounds(ctx, r.topic)
	if err != nil {
		return Letter{}, fmt.Errorf("find ends of %s: %w", r.topic, err)
	}
	err = r.named(ctx, bounds, []ID{id}, func(found Letter) error {
		l = found
		return nil
	})
	return l, err
}

func newestFirst(a, b Letter) int {
	return cmp.Or(b.Time.Compare(a.Time), cmp.Compare(a.ID.Partition, b.ID.Partition), cmp.Compare(b.ID.Offset, a.ID.Offset))
}
