package order

// Step says what a message means for an order that already has a status.
type Step string

// The steps.
const (
	Advance   Step = "apply"   // the message takes the order on
	Late      Step = "stale"   // the order is there already, or further: nothing to do, and no error
	Forbidden Step = "illegal" // the status machine has no such transition
)

// Valid reports whether s is a status of an order.
func (s Status) Valid() bool {
	switch s {
	case Created, Paid, Shipped, Completed, Cancelled, Refunded:
		return true
	}
	return false
}

// next returns the statuses that may directly follow s.
func (s Status) next() []Status {
	switch s {
	case Created:
		return []Status{Paid, Cancelled}
	case Paid:
		return []Status{Shipped, Cancelled, Refunded}
	case Shipped:
		return []Status{Completed, Refunded}
	case Completed:
		return []Status{Refunded}
	}
	return nil // Cancelled and Refunded are final
}

// reaches reports whether a chain of one or more transitions leads from s to target.
func (s Status) reaches(target Status) bool {
	for _, n := range s.next() {
		if n == target || n.reaches(target) {
			return true
		}
	}
	return false
}

// Transition decides what a message with status next means for an order of status stored. The queue's order decides,
// never a timestamp. The first message of an order may have any status: stored is "" then.
func Transition(stored, next Status) Step {
	if stored == "" {
		return Advance
	}
	if stored == next || next.reaches(stored) {
		return Late
	}
	for _, n := range stored.next() {
		if n == next {
			return Advance
		}
	}
	return Forbidden
}
