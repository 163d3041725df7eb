package dlq

import (
	"slices"
	"time"
)

// Selection chooses letters. Members are ANDed, the values of one are ORed; an empty member chooses all.
type Selection struct {
	IDs      []ID // nil: all; empty: none
	Classes  []string
	Codes    []string
	OrderIDs []string
	Since    time.Time // letter time, inclusive
	Until    time.Time // exclusive
	States   []State
	Jobs     []string // the ledger names one of them
	Query    *Query   // nil: all
	Limit    int      // newest first; 0: no limit
}

// Empty reports whether nothing narrows the choice but states and the limit.
func (s Selection) Empty() bool {
	return s.IDs == nil && len(s.Classes)+len(s.Codes)+len(s.OrderIDs)+len(s.Jobs) == 0 && s.Since.IsZero() && s.Until.IsZero() && s.Query == nil
}

// matches reports whether the letter is chosen by all that its record says. Its state is not looked at.
func (s Selection) matches(l Letter) bool {
	return oneOf(s.Classes, string(l.Trail.Class)) && oneOf(s.Codes, l.Trail.Code) &&
		(oneOf(s.OrderIDs, l.OrderID()) || oneOf(s.OrderIDs, l.named())) &&
		(s.Since.IsZero() || !l.Time.Before(s.Since)) && (s.Until.IsZero() || l.Time.Before(s.Until))
}

// ids returns the named letters by partition and offset, each once.
func (s Selection) ids() []ID {
	ids := slices.Clone(s.IDs)
	slices.SortFunc(ids, ID.compare)
	return slices.Compact(ids)
}

// wants reports whether a letter whose state is known is chosen by it, and by the job that decided it.
func (s Selection) wants(l Letter) bool { return oneOf(s.States, l.State) && oneOf(s.Jobs, l.Job()) }

func oneOf[T comparable](wanted []T, v T) bool { return len(wanted) == 0 || slices.Contains(wanted, v) }
