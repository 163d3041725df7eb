package dlq

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"commerce.internal/orderctl/internal/queue"
)

// Select calls fn for each chosen letter once, whole and with its state, by partition and offset: what Export does, without
// the number.
func (r *Reader) Select(ctx context.Context, sel Selection, fn func(Letter) error) error {
	_, err := r.Export(ctx, sel, fn)
	return err
}

// Export calls fn for each chosen letter whole, by partition and offset, and returns how many that were. With a limit it
// is the newest that are chosen. A letter with copies is given once, as its first copy; copies that follow much later are not
// counted in it, but an entry of the ledger on any of them decides it. Memory stays flat but for 16 bytes a letter of the
// partition in hand.
func (r *Reader) Export(ctx context.Context, sel Selection, fn func(Letter) error) (int, error) {
	return r.export(ctx, sel, nil, fn)
}

func (r *Reader) export(ctx context.Context, sel Selection, tell func(done, total int64), fn func(Letter) error) (int, error) {
	e := exporter{reader: r, sel: sel, fn: fn, tell: tell}
	if sel.IDs != nil || sel.Limit > 0 {
		letters, err := r.List(ctx, sel)
		if err != nil {
			return 0, err
		}
		return e.named(ctx, letters)
	}
	bounds, err := r.log.Bounds(ctx, r.topic)
	if err != nil {
		return 0, fmt.Errorf("find ends of %s: %w", r.topic, err)
	}
	for _, span := range bounds {
		e.total += span.End - span.Start
	}
	for _, p := range slices.Sorted(maps.Keys(bounds)) {
		if err := e.partition(ctx, p, bounds[p]); err != nil {
			return e.given, err
		}
	}
	return e.given, nil
}

// named gives letters that are known by name, whole and with what the list knows of them.
func (e *exporter) named(ctx context.Context, letters []Letter) (int, error) {
	slices.SortFunc(letters, func(a, b Letter) int { return a.ID.compare(b.ID) })
	for len(letters) > 0 {
		n := 1
		for n < len(letters) && letters[n].ID.Partition == letters[0].ID.Partition {
			n++
		}
		if err := e.each(ctx, letters[:n]); err != nil {
			return e.given, err
		}
		letters = letters[n:]
	}
	return e.given, nil
}

// each reads the letters of one partition, which are sorted, in one scan.
func (e *exporter) each(ctx context.Context, letters []Letter) error {
	p, from, end := letters[0].ID.Partition, letters[0].ID.Offset, letters[len(letters)-1].ID.Offset+1
	err := e.reader.log.Scan(ctx, e.reader.topic, p, from, end, func(rec queue.Record) error {
		if len(letters) == 0 || rec.Offset != letters[0].ID.Offset {
			return nil
		}
		l := letterOf(rec)
		l.Copies, l.CopyIDs, l.State, l.Ledger = letters[0].Copies, letters[0].CopyIDs, letters[0].State, letters[0].Ledger
		letters = letters[1:]
		one := []Letter{l}
		if err := e.reader.follow(ctx, one); err != nil {
			return err
		}
		e.given++
		return e.fn(one[0])
	})
	if err != nil {
		return fmt.Errorf("export %s/%d: %w", e.reader.topic, p, err)
	}
	return nil
}

// partition gives the chosen letters of one partition.
func (e *exporter) partition(ctx context.Context, p int32, span Span) error {
	e.seen = map[copyID]struct{}{}
	err := e.reader.log.Scan(ctx, e.reader.topic, p, span.Start, span.End, func(rec queue.Record) error { return e.add(ctx, rec) })
	if err != nil {
		return fmt.Errorf("export %s/%d: %w", e.reader.topic, p, err)
	}
	return e.flush(ctx)
}

type exporter struct {
	reader *Reader
	sel    Selection
	fn     func(Letter) error
	seen   map[copyID]struct{}
	batch  []Letter
	bytes  int
	given  int
	tell   func(done, total int64) // nil: nobody
	done   int64
	total  int64
}

// tellEvery is after how many records the progress is told.
const tellEvery = 1_000

func (e *exporter) add(ctx context.Context, rec queue.Record) error {
	if e.done++; e.tell != nil && e.done%tellEvery == 0 {
		e.tell(e.done, e.total)
	}
	l := letterOf(rec)
	if id, ok := l.copyOf(); ok {
		if _, again := e.seen[id]; again {
			merge(e.batch, l)
			return nil
		}
		e.seen[id] = struct{}{}
	}
	if !e.sel.matches(l) {
		return nil
	}
	e.batch = append(e.batch, l)
	e.bytes += len(l.Value)
	if len(e.batch) < batchLetters && e.bytes < batchBytes {
		return nil
	}
	return e.flush(ctx)
}

func (e *exporter) flush(ctx context.Context) error {
	chosen, err := e.reader.choose(ctx, e.batch, e.sel)
	e.batch, e.bytes = e.batch[:0], 0
	if err != nil {
		return err
	}
	for _, l := range chosen {
		if err := e.fn(l); err != nil {
			return err
		}
		e.given++
	}
	return nil
}
