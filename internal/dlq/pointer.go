package dlq

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"commerce.internal/orderctl/internal/queue"
)

// farApart is how many records are read over rather than asked for anew, between two that pointers lead to.
const farApart = 200

// unreadable is a range of offsets.
var unreadable = regexp.MustCompile(`^[0-9]+-[0-9]+$`)

// pointerOf reports whether a letter has no body of its own, but says where one is, and the SHA-256 of it that a pointer of
// ours names.
func pointerOf(r queue.Record, dialect string) (is, ours bool, digest string) {
	if r.Value != nil {
		return false, false, ""
	}
	if digest, ours = queue.Last(r.Headers, queue.HeaderPointer); ours {
		// Of records that nobody can read it names a range, "12-19": there is nothing to fetch.
		return !unreadable.MatchString(digest), true, digest
	}
	return dialect == DialectKIP1191 && r.Key == nil, false, ""
}

// follow fetches the source records of pointers and lends the letters their keys and values. A record that is gone, or that
// has another key or other bytes than the letter says, leaves the letter lost.
func (r *Reader) follow(ctx context.Context, letters []Letter) error {
	pointers := make([]*Letter, 0, 4)
	for i := range letters {
		if l := &letters[i]; l.Pointer && l.Value == nil {
			l.Lost = true // until its record is found
			if _, whole := l.copyOf(); whole {
				pointers = append(pointers, l)
			}
		}
	}
	slices.SortStableFunc(pointers, func(a, b *Letter) int {
		x, y := a.Trail.Origin, b.Trail.Origin
		return cmp.Or(strings.Compare(x.Topic, y.Topic), cmp.Compare(x.Partition, y.Partition), cmp.Compare(x.Offset, y.Offset))
	})
	bounds := map[string]map[int32]Span{}
	for len(pointers) > 0 {
		run := together(pointers)
		topic := run[0].Trail.Origin.Topic
		if _, known := bounds[topic]; !known {
			spans, err := r.log.Bounds(ctx, topic)
			if err != nil && !errors.Is(err, queue.ErrNotFound) {
				return fmt.Errorf("find ends of %s: %w", topic, err)
			}
			bounds[topic] = spans
		}
		if err := r.fetch(ctx, bounds[topic], run); err != nil {
			return err
		}
		pointers = pointers[len(run):]
	}
	return nil
}

// together returns the first pointers, which are sorted, that one scan may serve.
func together(pointers []*Letter) []*Letter {
	n := 1
	for n < len(pointers) {
		was, next := pointers[n-1].Trail.Origin, pointers[n].Trail.Origin
		if next.Topic != was.Topic || next.Partition != was.Partition || next.Offset-was.Offset > farApart {
			break
		}
		n++
	}
	return pointers[:n]
}

// fetch reads the source records of pointers into one partition.
func (r *Reader) fetch(ctx context.Context, bounds map[int32]Span, run []*Letter) error {
	at := run[0].Trail.Origin
	span := bounds[at.Partition]
	from, end := max(at.Offset, span.Start), min(run[len(run)-1].Trail.Origin.Offset, span.End-1)+1
	if from >= end {
		return nil
	}
	err := r.log.Scan(ctx, at.Topic, at.Partition, from, end, func(rec queue.Record) error {
		for len(run) > 0 && run[0].Trail.Origin.Offset < rec.Offset {
			run = run[1:]
		}
		for _, l := range run {
			if l.Trail.Origin.Offset != rec.Offset {
				break
			}
			l.lend(rec)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read source records %s/%d from %d: %w", at.Topic, at.Partition, from, err)
	}
	return nil
}

// lend gives a pointer its source record, if it is the one.
func (l *Letter) lend(source queue.Record) {
	if l.ours {
		sum := sha256.Sum256(source.Value)
		if !bytes.Equal(l.Key, source.Key) || !strings.EqualFold(l.digest, hex.EncodeToString(sum[:])) {
			return
		}
	}
	l.Key, l.Value, l.Size, l.Lost = source.Key, source.Value, len(source.Value), false
}
