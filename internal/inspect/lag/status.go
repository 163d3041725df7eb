package lag

import (
	"fmt"
	"time"
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
	TooOld         Status = "TOO-OLD"     // the oldest order is far older than it may be
	OverUnread     Status = "OVER-UNREAD" // of a group: more unread than was allowed
	OverDLQ        Status = "OVER-DLQ"    // of a group: more dead letters within an hour than was allowed
	Unknown        Status = "UNKNOWN"
	Refused        Status = "NO-ACCESS"
	Suspect        Status = "TS-SUSPECT" // a timestamp in the future: ages tell nothing
	NotSupported   Status = "UNSUPPORTED"
	Stale          Status = "STALE" // the oldest order is older than it should be
	NeverCommitted Status = "NEVER-COMMITTED"
	AtRisk         Status = "AT-RISK" // the topic will soon delete what is unread
	Overdue        Status = "OVERDUE" // due retries that nobody took
	Rewind         Status = "REWIND"  // a committed offset went back
	Rebalancing    Status = "REBALANCING"
	Hot            Status = "HOT" // far more to do than the other partitions of the topic
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

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Severity) UnmarshalText(b []byte) error {
	for _, known := range [...]Severity{SevOK, SevWarning, SevUnknown, SevCritical} {
		if known.String() == string(b) {
			*s = known
			return nil
		}
	}
	return fmt.Errorf("%q is no verdict", b)
}

// late is how long something may be due before it is worth a warning.
const late = 30 * time.Second

// rank is the place of a status in the order of looking.
func rank(s Status) int {
	for i, other := range [...]Status{
		Lost, Ahead, Leaderless, HungTxn, NoMembers, Unassigned, Stalled, TooOld, OverUnread, OverDLQ, Unknown, Refused,
		Suspect, NotSupported, Stale, NeverCommitted, AtRisk, Overdue, Growing, Rewind, Rebalancing, Hot, Gone, Behind,
		Draining, Parked, OpenTxn, Unsubscribed,
	} {
		if s == other {
			return i
		}
	}
	return -1
}
