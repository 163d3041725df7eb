package tui

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"commerce.internal/orderctl/internal/inspect/lag"
)

// Sort is a column that rows are sorted by.
type Sort int

// The columns.
const (
	ByStatus Sort = iota
	ByUnread
	ByDelta
	ByOldest
	ByPartition
	ByOwner
	sortCount
)

// SortNames are the columns as --sort names them.
func SortNames() []string {
	return []string{"status", "unread", "delta", "oldest", "partition", "owner"}
}

// SortOf returns the column of a name.
func SortOf(name string) Sort { return Sort(max(slices.Index(SortNames(), name), 0)) }

// NewFilter reads a filter: a regular expression over topic/partition, status and owner; a leading ! inverts it.
func NewFilter(t string) (Filter, error) {
	f := Filter{Text: t}
	rest, invert := strings.CutPrefix(t, "!")
	f.Invert = invert
	if rest == "" {
		return Filter{}, nil
	}
	var err error
	if f.expr, err = regexp.Compile("(?i)" + rest); err != nil {
		return Filter{}, fmt.Errorf("read filter %q: %w", t, err)
	}
	return f, nil
}

func (f Filter) passes(r Row) bool {
	if f.expr == nil {
		return true
	}
	words := fmt.Sprintf("%s/%d %s %s %s", r.Topic, r.Partition, r.Name, r.Status, r.Owner.V)
	return f.expr.MatchString(words) != f.Invert
}

// compare puts the worst first; what is unknown is worst.
func (s Sort) compare(a, b Row) int {
	worst := func(x, y float64) int { return cmp.Compare(y, x) }
	byAge := func() int { return worst(orWorst(a.Oldest), orWorst(b.Oldest)) }
	byUnread := func() int { return worst(orWorst(float(a.Unread)), orWorst(float(b.Unread))) }
	byName := func() int { return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition)) }
	switch s {
	case ByUnread:
		return cmp.Or(byUnread(), byName())
	case ByDelta:
		return cmp.Or(worst(orWorst(delta(a.In, a.Out)), orWorst(delta(b.In, b.Out))), byName())
	case ByOldest:
		return cmp.Or(byAge(), byName())
	case ByPartition:
		return byName()
	case ByOwner:
		return cmp.Or(cmp.Compare(a.Owner.V, b.Owner.V), byName())
	default:
		return cmp.Or(cmp.Compare(grade(b.Severity), grade(a.Severity)), byUnread(), byAge(), byName())
	}
}

func float(m lag.Maybe[int64]) lag.Maybe[float64] {
	return lag.Maybe[float64]{V: float64(m.V), Known: m.Known}
}

func orWorst(m lag.Maybe[float64]) float64 {
	if !m.Known {
		return math.Inf(1)
	}
	return m.V
}

// sorted are the keys of the rows that pass, in order.
func (s State) sorted(rows []Row) []Key {
	list := make([]Row, 0, len(rows))
	for _, r := range rows {
		if s.Filter.passes(r) {
			list = append(list, r)
		}
	}
	slices.SortStableFunc(list, func(a, b Row) int {
		if s.Reverse {
			a, b = b, a
		}
		return s.Sort.compare(a, b)
	})
	keys := make([]Key, len(list))
	for i, r := range list {
		keys[i] = r.Key
	}
	return keys
}

// rearranged keeps the order of rows that are still there, and puts new ones at the end, until it is sorted again.
func (s State) rearranged(rows []Row) []Key {
	there := make(map[Key]bool, len(rows))
	for _, r := range rows {
		there[r.Key] = s.Filter.passes(r)
	}
	keys := make([]Key, 0, len(rows))
	for _, k := range s.Order {
		if there[k] {
			keys = append(keys, k)
			delete(there, k)
		}
	}
	for _, r := range rows {
		if there[r.Key] {
			keys = append(keys, r.Key)
		}
	}
	return keys
}

// middle is the median of a list.
func middle(list []int64) int64 {
	slices.Sort(list)
	return list[len(list)/2]
}
