package consume

import "sort"

// maxSpan is how many records may have been received from the lowest unfinished one on.
const maxSpan = 16_384

// tracker knows the lowest unfinished offset of one claim. Offsets that were never received (compaction, markers, aborted
// records) count as done.
type tracker struct {
	open []tracked // ascending; the first is unfinished
	next int64     // behind the last one received
}

type tracked struct {
	offset int64
	done   bool
}

// newTracker begins at an offset; below 0: at the first record received.
func newTracker(start int64) tracker { return tracker{next: start} }

// add takes a record that was received. One that was received before is refused.
func (t *tracker) add(offset int64) bool {
	if offset < t.next {
		return false
	}
	t.open = append(t.open, tracked{offset: offset})
	t.next = offset + 1
	return true
}

// finish takes a record that is done.
func (t *tracker) finish(offset int64) {
	i := sort.Search(len(t.open), func(i int) bool { return t.open[i].offset >= offset })
	if i == len(t.open) || t.open[i].offset != offset {
		return
	}
	t.open[i].done = true
	n := 0
	for n < len(t.open) && t.open[n].done {
		n++
	}
	t.open = t.open[n:]
}

// lowest is the lowest unfinished offset: what may be committed. Below 0: nothing is known yet.
func (t *tracker) lowest() int64 {
	if len(t.open) > 0 {
		return t.open[0].offset
	}
	return t.next
}

// span is how many records were received from the lowest unfinished one on.
func (t *tracker) span() int { return len(t.open) }
