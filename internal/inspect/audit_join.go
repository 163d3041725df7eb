package inspect

import (
	"context"
	"fmt"
	"hash/fnv"

	"commerce.internal/orderctl/internal/queue"
)

// join goes through the records of a partition and the rows that come from it side by side, both in the order of offsets.
type join struct {
	a      *auditor
	s      *stretch
	rows   cursor
	odd    []doubt // below the commit and without a row at their offset: to be asked for by message id
	dead   []doubt // dead rows whose letters are to be looked for
	failed error   // of the store: there is no audit without it
	unread error   // of the log: the partition is not read to its end
}

func newJoin(a *auditor, s *stretch) *join {
	return &join{a: a, s: s, rows: cursor{
		rows: a.o.Rows, group: a.o.Names.Group, end: s.end,
		after: queue.Row{Src: queue.Position{Topic: a.o.Names.Source, Partition: s.partition, Offset: s.from}},
	}}
}

// run reads the partition. What retention takes away meanwhile is skipped.
func (j *join) run(ctx context.Context) error {
	base := j.a.done
	for pos := j.s.from; pos < j.s.end && j.unread == nil; {
		err := j.a.o.Log.Scan(ctx, j.a.o.Names.Source, j.s.partition, pos, j.s.end, func(r queue.Record) error {
			pos = r.Offset + 1
			if done := base + pos - j.s.from; done/progressPeriod != j.a.done/progressPeriod {
				j.a.done = done
				j.a.tell()
			}
			j.failed = j.record(ctx, r)
			return j.failed
		})
		switch {
		case j.failed != nil:
			return j.failed
		case ctx.Err() != nil:
			return fmt.Errorf("read %s/%d: %w", j.a.o.Names.Source, j.s.partition, context.Cause(ctx))
		case err == nil:
			pos = j.s.end
		default:
			pos, err = j.skip(ctx, pos, err)
			j.unread = err
		}
	}
	j.a.done = base + j.s.end - j.s.from
	j.a.tell()
	if err := j.ask(ctx); err != nil {
		return err
	}
	return j.look(ctx)
}

// skip goes on behind what retention deleted while we read. Of that the group has lost what it had not read.
func (j *join) skip(ctx context.Context, pos int64, err error) (int64, error) {
	if !gone(err) {
		return pos, err
	}
	if err := j.a.observe(ctx); err != nil {
		return pos, err
	}
	now := placeOf(j.a.snap, j.a.o.Names.Source, j.s.partition)
	if now.problem != "" || now.start <= pos {
		return pos, err
	}
	if commit, known := commitOf(j.a.snap, j.a.o.Names.Group, j.a.o.Names.Source, j.s.partition); known && commit >= 0 {
		if from := max(pos, commit); from < now.start {
			j.a.r.lost(j.s.partition, from, now.start-from)
		}
	}
	return now.start, nil
}

// record puts one record into the balance.
func (j *join) record(ctx context.Context, r queue.Record) error {
	source := j.a.o.Names.Source
	id := queue.MessageIDOf(r, source)
	j.a.ids.mark(string(r.Key), id)
	if !sampled(r.Key, j.a.o.Sample) {
		return nil
	}
	j.a.r.Records++
	rows, err := j.rows.at(ctx, r.Offset)
	if err != nil {
		return fmt.Errorf("read message rows of %s/%d: %w", source, j.s.partition, err)
	}
	if row, ok := j.own(rows, r, id); ok {
		return j.count(ctx, row)
	}
	if r.Offset >= j.s.commit { // also where there is no commit: -1
		j.a.r.Waiting++
		return nil
	}
	j.odd = append(j.odd, doubt{
		kind: Missing, key: queue.Identify(r, source, j.a.o.Unknown), orderID: string(r.Key),
		partition: r.Partition, offset: r.Offset, counted: true,
	})
	if len(j.odd) < idsPage {
		return nil
	}
	return j.ask(ctx)
}

// own picks the row of the message in a record among those that name its offset. A topic that was made anew has other
// messages at the offsets of old rows.
func (j *join) own(rows []queue.Row, r queue.Record, id string) (queue.Row, bool) {
	first, n := -1, 0
	for i := range rows {
		if rows[i].MsgID == id {
			if n++; first < 0 {
				first = i
			}
		}
	}
	switch n {
	case 0:
		return queue.Row{}, false
	case 1:
		return rows[first], true
	}
	key := queue.Identify(r, j.a.o.Names.Source, j.a.o.Unknown)
	for i := range rows {
		if rows[i].RowKey == key {
			return rows[i], true
		}
	}
	return queue.Row{}, false
}

func (j *join) count(ctx context.Context, row queue.Row) error {
	j.a.rows++
	j.a.r.count(row, 1)
	if row.State != queue.StateDead {
		return nil
	}
	j.dead = append(j.dead, letterOf(row, true))
	if len(j.dead) < lettersPage {
		return nil
	}
	return j.look(ctx)
}

// ask looks for the rows of odd records by their message ids: the row of a duplicate stands at the first offset.
func (j *join) ask(ctx context.Context) error {
	found, err := j.a.byIDs(ctx, idsOf(j.odd))
	if err != nil {
		return err
	}
	for _, d := range j.odd {
		if _, ok := found[d.key]; !ok {
			j.a.doubt(d)
			continue
		}
		j.a.rows++
		j.a.r.Duplicates++
	}
	j.odd = j.odd[:0]
	return nil
}

func (j *join) look(ctx context.Context) error {
	dead := j.dead
	j.dead = j.dead[:0]
	return j.a.letters(ctx, dead)
}

// sampled reports whether an order is in a sample of one in n.
func sampled(key []byte, n int) bool {
	if n <= 1 {
		return true
	}
	h := fnv.New32a()
	_, _ = h.Write(key)             // never fails
	return h.Sum32()%uint32(n) == 0 //nolint:gosec // n is positive
}

// cursor goes through the rows of a source partition, a page at a time.
type cursor struct {
	rows  Rows
	group string
	after queue.Row
	end   int64
	page  []queue.Row
	ended bool
	here  []queue.Row
}

// at returns the rows that name an offset. Offsets must ascend from call to call.
func (c *cursor) at(ctx context.Context, offset int64) ([]queue.Row, error) {
	c.here = c.here[:0]
	for {
		for len(c.page) > 0 && c.page[0].Src.Offset <= offset {
			if c.page[0].Src.Offset == offset {
				c.here = append(c.here, c.page[0])
			}
			c.page = c.page[1:]
		}
		if len(c.page) > 0 || c.ended {
			return c.here, nil
		}
		if c.after.Src.Offset < offset { // nothing in between is of interest
			c.after = queue.Row{Src: queue.Position{Topic: c.after.Src.Topic, Partition: c.after.Src.Partition, Offset: offset}}
		}
		page, err := c.rows.Sourced(ctx, c.group, c.after, c.end, rowsPage)
		if err != nil {
			return nil, err
		}
		c.page, c.ended = page, len(page) < rowsPage
		if len(page) > 0 {
			c.after = page[len(page)-1]
		}
	}
}
