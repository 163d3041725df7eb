package lag

import (
	"time"

	"commerce.internal/orderctl/internal/queue"
)

// Status says what is noteworthy about a partition or a group.
type Status string

// The statuses, in the order in which they are looked for: the first that holds is shown.
const (
	Lost           Status = "LOST"      // records were deleted before the group read them
	Ahead          Status = "AHEAD"     // committed beyond the end of the log
	Leaderless     Status = "NO-LEADER" // nobody serves the partition
	HungTxn        Status = "HUNG-TXN"  // an open transaction older than the SLO hides records
	NoMembers      Status = "NO-MEMBERS"
	Unassigned     Status = "UNASSIGNED"
	Stalled        Status = "STALLED"
	Unknown        Status = "UNKNOWN"
	Refused        Status = "NO-ACCESS"
	NotSupported   Status = "UNSUPPORTED"
	Stale          Status = "STALE" // orders older than the SLO
	NeverCommitted Status = "NEVER-COMMITTED"
	Overdue        Status = "OVERDUE" // due retries that nobody took
	Rewind         Status = "REWIND"  // a committed offset went back
	Rebalancing    Status = "REBALANCING"
	Gone           Status = "NO-TOPIC"
	Behind         Status = "BEHIND"
	Draining       Status = "DRAINING"
	Growing        Status = "GROWING"
	Parked         Status = "PARKED"
	OpenTxn        Status = "OPEN-TXN"
	Unsubscribed   Status = "UNSUBSCRIBED"
	OK             Status = "OK"
)

// Severity orders verdicts: a group is as bad as its worst partition.
type Severity int

// The severities, ascending.
const (
	SevOK Severity = iota
	SevWarning
	SevUnknown
	SevCritical
)

// String returns the verdict as it is printed.
func (s Severity) String() string {
	switch s {
	case SevCritical:
		return "CRITICAL"
	case SevUnknown:
		return "UNKNOWN"
	case SevWarning:
		return "WARNING"
	default:
		return "OK"
	}
}

// MarshalText implements encoding.TextMarshaler.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// late is how long something may be due before it is worth a warning.
const late = 30 * time.Second

// severity returns how bad a status of a row is.
func (r Row) severity(s Status, slo time.Duration) Severity {
	if s == Overdue {
		switch {
		case slo > 0 && r.dueFor > slo:
			return SevCritical
		case r.dueFor > late:
			return SevWarning
		}
	}
	return severityOf(s, r.Role)
}

// severityOf returns how bad a status is in a topic of that role.
func severityOf(s Status, role queue.Role) Severity {
	switch s {
	case HungTxn:
		if tier(role) {
			return SevWarning
		}
		return SevCritical
	case Lost, Ahead, Leaderless, NoMembers, Unassigned, Stalled:
		return SevCritical
	case Unknown, Refused, NotSupported:
		return SevUnknown
	case Stale, NeverCommitted, Rewind, Rebalancing, Gone:
		return SevWarning
	default:
		return SevOK
	}
}

// rank is the place of a status in the order of looking.
func rank(s Status) int {
	for i, other := range [...]Status{
		Lost, Ahead, Leaderless, HungTxn, NoMembers, Unassigned, Stalled, Unknown, Refused, NotSupported, Stale,
		NeverCommitted, Overdue, Rewind, Rebalancing, Gone, Behind, Draining, Growing, Parked, OpenTxn, Unsubscribed,
	} {
		if s == other {
			return i
		}
	}
	return -1
}
