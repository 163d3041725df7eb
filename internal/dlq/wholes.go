package dlq

import (
	"context"
	"fmt"
	"slices"

	"commerce.internal/orderctl/internal/queue"
)

// maxGap is how many unwanted records a scan reads over rather than ask anew.
const maxGap = 64

// Wholes returns the letters of these names with their bodies and states. Those that are not there are absent.
func (r *Reader) Wholes(ctx context.Context, ids []ID) (map[ID]Letter, error) {
	bounds, err := r.log.Bounds(ctx, r.topic)
	if err != nil {
		return nil, fmt.Errorf("find ends of %s: %w", r.topic, err)
	}
	sorted := slices.Clone(ids)
	slices.SortFunc(sorted, ID.compare)
	sorted = slices.DeleteFunc(slices.Compact(sorted), func(id ID) bool {
		s, ok := bounds[id.Partition]
		return !ok || id.Offset < s.Start || id.Offset >= s.End
	})
	var letters []Letter
	for len(sorted) > 0 {
		n := 1
		for n < len(sorted) && sorted[n].Partition == sorted[0].Partition && sorted[n].Offset-sorted[n-1].Offset <= maxGap {
			n++
		}
		first, last := sorted[0], sorted[n-1]
		err := r.log.Scan(ctx, r.topic, first.Partition, first.Offset, last.Offset+1, func(rec queue.Record) error {
			if _, ok := slices.BinarySearchFunc(sorted[:n], rec.Offset, func(id ID, o int64) int { return int(id.Offset - o) }); ok {
				letters = append(letters, letterOf(rec))
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("read dead letters %s to %s of %s: %w", first, last, r.topic, err)
		}
		sorted = sorted[n:]
	}
	if err := r.judge(ctx, letters); err != nil {
		return nil, err
	}
	found := make(map[ID]Letter, len(letters))
	for _, l := range letters {
		found[l.ID] = l
	}
	return found, nil
}
