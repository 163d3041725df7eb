package dlq

import (
	"slices"
	"time"
)

// Selection chooses letters. Members are ANDed, the values of one are ORed; an empty member chooses all.
type Selection struct {
	IDs      []ID
	Classes  []string
	Codes    []string
	OrderIDs []string
	Since    time.Time // letter time, inclusive
	Until    time.Time // exclusive
	States   []State
	Limit    int // newest first; 0: no limit
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

// wants reports whether letters of a state are chosen. What is not known may well be undecided.
func (s Selection) wants(state State) bool {
	if state == Unknown {
		state = Undecided
	}
	return oneOf(s.States, state)
}

func oneOf[T comparable](wanted []T, v T) bool { return len(wanted) == 0 || slices.Contains(wanted, v) }
