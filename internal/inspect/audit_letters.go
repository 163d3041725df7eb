package inspect

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"commerce.internal/orderctl/internal/queue"
)

// doubt is a message that is not where it should be, as far as one look can tell.
type doubt struct {
	kind      ExceptionKind
	key       queue.RowKey
	orderID   string
	partition int32 // of its record in the source
	offset    int64
	at        queue.Position // of its letter; only NoLetter
	hop       int            // the same
	counted   bool           // it is in the balance
}

func (d doubt) position(source string) queue.Position {
	return queue.Position{Topic: source, Partition: d.partition, Offset: d.offset}
}

func letterOf(r queue.Row, counted bool) doubt {
	return doubt{
		kind: NoLetter, key: r.RowKey, orderID: r.OrderID, partition: r.Src.Partition, offset: r.Src.Offset,
		at: r.At, hop: r.Hop, counted: counted,
	}
}

func idsOf(list []doubt) []string {
	ids := make([]string, 0, len(list))
	for _, d := range list {
		ids = append(ids, d.key.MsgID)
	}
	return ids
}

// near is how far apart two letters may lie to be read in one go.
const near = 1_000

// letters looks whether dead messages have their letters where their rows say. Those that have none there are in doubt.
func (a *auditor) letters(ctx context.Context, dead []doubt) error {
	missing, err := a.withoutLetter(ctx, dead)
	for _, d := range missing {
		a.doubt(d)
	}
	return err
}

// withoutLetter returns those whose letters are not where their rows say.
func (a *auditor) withoutLetter(ctx context.Context, dead []doubt) ([]doubt, error) {
	dead = slices.Clone(dead)
	slices.SortFunc(dead, func(x, y doubt) int {
		return cmp.Or(cmp.Compare(x.at.Topic, y.at.Topic), cmp.Compare(x.at.Partition, y.at.Partition), cmp.Compare(x.at.Offset, y.at.Offset))
	})
	var missing []doubt
	for len(dead) > 0 {
		n := 1
		for n < len(dead) && dead[n].at.Topic == dead[0].at.Topic && dead[n].at.Partition == dead[0].at.Partition &&
			dead[n].at.Offset-dead[n-1].at.Offset <= near {
			n++
		}
		left, err := a.readLetters(ctx, dead[:n])
		if err != nil {
			return nil, err
		}
		missing, dead = append(missing, left...), dead[n:]
	}
	return missing, nil
}

// readLetters reads one run of letters and returns the messages that have none in it. A log that cannot be read leaves all
// of them in doubt: the second look decides.
func (a *auditor) readLetters(ctx context.Context, run []doubt) ([]doubt, error) {
	first, last := run[0].at, run[len(run)-1].at
	at := make(map[int64][]int, len(run))
	for i, d := range run {
		at[d.at.Offset] = append(at[d.at.Offset], i)
	}
	dlq := placeOf(a.snap, first.Topic, first.Partition)
	from := max(first.Offset, 0)
	if dlq.problem == "" {
		from = max(from, dlq.start)
	}
	found := make([]bool, len(run))
	if from <= last.Offset {
		_ = a.o.Log.Scan(ctx, first.Topic, first.Partition, from, last.Offset+1, func(r queue.Record) error {
			for _, i := range at[r.Offset] {
				found[i] = a.isLetter(r, run[i])
			}
			return nil
		})
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("read letters of %s/%d: %w", first.Topic, first.Partition, context.Cause(ctx))
	}
	var missing []doubt
	for i, d := range run {
		if !found[i] {
			missing = append(missing, d)
		}
	}
	return missing, nil
}

// isLetter reports whether a record of the dead-letter topic is the letter of a message: it has its origin, or its id.
func (a *auditor) isLetter(r queue.Record, d doubt) bool {
	source := a.o.Names.Source
	origin, ok := queue.OriginOf(r, source)
	return ok && origin == d.position(source) || queue.MessageIDOf(r, source) == d.key.MsgID
}

// byOrigin looks for letters by their origin, through whole partitions: a copy counts as well. It returns the messages that
// have none, and apart from them those of partitions that could not be read.
func (a *auditor) byOrigin(ctx context.Context, list []doubt) (missing, unread []doubt, err error) {
	topic := a.o.Names.DLQ()
	for partition, mine := range byPartition(list) {
		left, err := a.scanFor(ctx, topic, partition, false, mine)
		switch {
		case ctx.Err() != nil:
			return nil, nil, fmt.Errorf("read letters of %s/%d: %w", topic, partition, context.Cause(ctx))
		case err != nil:
			unread = append(unread, left...)
		default:
			missing = append(missing, left...)
		}
	}
	return missing, unread, nil
}

func byPartition(list []doubt) map[int32][]doubt {
	parts := map[int32][]doubt{}
	for _, d := range list {
		parts[d.partition] = append(parts[d.partition], d) // a hop keeps the partition
	}
	return parts
}

// scanFor goes through a partition, or only through what the group has not read of it, for copies of messages, and returns
// those that have none there. A partition that does not exist has no copies.
func (a *auditor) scanFor(ctx context.Context, topic string, partition int32, unreadOnly bool, list []doubt) ([]doubt, error) {
	if there, known := exists(a.snap, topic); known && !there {
		return list, nil
	}
	p := placeOf(a.snap, topic, partition)
	if p.problem != "" {
		return list, fmt.Errorf("read %s/%d: %s: %w", topic, partition, p.problem, queue.ErrPartial)
	}
	from := p.start
	if unreadOnly {
		commit, known := commitOf(a.snap, a.o.Names.Group, topic, partition)
		if !known {
			return list, fmt.Errorf("read %s/%d: its commit is unknown: %w", topic, partition, queue.ErrPartial)
		}
		from = max(from, commit)
	}
	want := make(map[int64][]int, len(list)) // by the offset in the source
	for i, d := range list {
		want[d.offset] = append(want[d.offset], i)
	}
	found := make([]bool, len(list))
	err := a.o.Log.Scan(ctx, topic, partition, from, max(from, p.stable), func(r queue.Record) error {
		origin, ok := queue.OriginOf(r, a.o.Names.Source)
		if !ok {
			return nil
		}
		for _, i := range want[origin.Offset] {
			hop := queue.ReadTrail(r.Headers).Hop
			found[i] = found[i] || !unreadOnly || hop == list[i].hop-1
		}
		return nil
	})
	var left []doubt
	for i, d := range list {
		if !found[i] {
			left = append(left, d)
		}
	}
	return left, err
}
