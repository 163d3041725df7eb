package lag

import (
	"cmp"
	"slices"

	"commerce.internal/orderctl/internal/queue"
)

// finding is one thing that holds of a partition or a group, and how bad it is there.
type finding struct {
	status   Status
	severity Severity
}

// has reports whether a status holds of the row.
func (r *Row) has(s Status) bool {
	return slices.ContainsFunc(r.findings, func(f finding) bool { return f.status == s })
}

// findings lists what holds of a row by itself.
func (v *view) findings(r *Row, o offsets, problem Problem) []finding {
	if problem == NoTopic {
		return []finding{{Gone, SevWarning}}
	}
	if r.Role == queue.RoleSource && !v.obs.subscribed(r.Topic) {
		return []finding{{Unsubscribed, SevOK}}
	}
	var found []finding
	add := func(holds bool, s Status, sev Severity) {
		if holds {
			found = append(found, finding{s, sev})
		}
	}
	waiting, deserted := v.waiting(r), v.obs.deserted()
	add(r.Lost.Known && r.Lost.V > 0, Lost, SevCritical)
	add(r.Ahead.Known && r.Ahead.V > 0, Ahead, SevCritical)
	add(problem == NoLeader, Leaderless, SevCritical)
	add(o.hung() && !tier(r.Role), HungTxn, SevCritical)
	add(o.hung() && tier(r.Role), HungTxn, SevWarning)
	add(waiting && deserted, NoMembers, SevCritical)
	add(waiting && !tier(r.Role) && v.obs.State == StateStable && v.obs.Members.Known && !deserted && r.Owner == nil, Unassigned, SevCritical)
	add(r.Drain.V == DrainStalled, Stalled, SevCritical)
	add(unanswered(problem, r), Unknown, SevUnknown)
	add(problem == NoAccess, Refused, SevUnknown)
	add(r.suspect, Suspect, SevUnknown)
	add(problem == Unsupported, NotSupported, SevUnknown)
	if tier(r.Role) {
		return append(found, v.overdue(r)...)
	}
	found = append(found, v.stale(r)...)
	add(waiting && r.Commit == CommitNone, NeverCommitted, SevWarning)
	add(waiting && r.atRisk() > SevOK, AtRisk, r.atRisk())
	add(waiting && r.Drain.V == DrainGrowing && r.Seconds.Known && r.State.V == BreachForecast && Seconds(r.Seconds.V) < soon, Growing, SevWarning)
	add(v.rewound(), Rewind, SevWarning)
	return found
}

func (v *view) waiting(r *Row) bool { return r.Unread.Known && r.Unread.V > v.policy.Tolerance }

// stale judges the age of the oldest order. Where no age is known, the orders older than the SLO tell.
func (v *view) stale(r *Row) []finding {
	switch p := v.policy; {
	case !v.waiting(r):
	case r.Oldest.Known && p.CritAge > 0 && r.atLeast() >= p.CritAge:
		return []finding{{TooOld, SevCritical}}
	case r.Oldest.Known && p.WarnAge > 0 && r.atLeast() >= p.WarnAge,
		!r.Oldest.Known && r.Stale.Known && r.Stale.V > p.Tolerance:
		return []finding{{Stale, SevWarning}}
	}
	return nil
}

// overdue judges due records of a tier that nobody took. Where no age is known, it is for how long the next one has been
// due by the window.
func (v *view) overdue(r *Row) []finding {
	if !r.Overdue.Known || r.Overdue.V <= v.policy.Tolerance {
		return nil
	}
	due := Seconds(r.OldestOverdue.V - r.Precision.V)
	if !r.OldestOverdue.Known {
		due = v.dueFor(r.TopicPartition())
	}
	switch {
	case v.now.SLO > 0 && due > v.now.SLO:
		return []finding{{Overdue, SevCritical}}
	case due > late:
		return []finding{{Overdue, SevWarning}}
	}
	return nil
}

// unanswered reports whether a number is missing for no other reason than that nobody told it.
func unanswered(problem Problem, r *Row) bool {
	return problem == NoAnswer || problem == "" && !r.Unread.Known
}

// hot marks the partitions of a topic that have far more to do than the others.
func (v *view) hot(rows []Row) {
	byTopic := map[string][]float64{}
	for i := range rows {
		if r := &rows[i]; r.Counted && r.Unread.Known {
			byTopic[r.Topic] = append(byTopic[r.Topic], float64(r.Unread.V))
		}
	}
	medians := map[string]float64{}
	for topic, unread := range byTopic {
		medians[topic] = median(unread)
	}
	for i := range rows {
		r := &rows[i]
		if r.Counted && r.Unread.Known && r.Unread.V > hotLeast && float64(r.Unread.V) > hotTimes*medians[r.Topic] {
			r.findings = append(r.findings, finding{Hot, SevWarning})
		}
	}
}

const (
	hotLeast = 100
	hotTimes = 4
)

// settle sorts the findings of a row and says what is shown. What is merely information is only said where nothing else
// is.
func (v *view) settle(r *Row) {
	if len(r.findings) == 0 {
		r.findings = v.info(r)
	}
	slices.SortStableFunc(r.findings, func(a, b finding) int { return cmp.Compare(rank(a.status), rank(b.status)) })
	r.Status, r.Reasons = OK, []Status{}
	for i, f := range r.findings {
		if i == 0 {
			r.Status = f.status
		}
		r.Severity = max(r.Severity, f.severity)
		r.Reasons = append(r.Reasons, f.status)
	}
}

func (v *view) info(r *Row) []finding {
	var found []finding
	switch {
	case !v.waiting(r):
	case tier(r.Role) && r.Parked.Known && r.Parked.V > 0:
		found = append(found, finding{Parked, SevOK})
	case tier(r.Role):
	case r.Drain.V == DrainDraining:
		found = append(found, finding{Draining, SevOK})
	case r.Drain.V == DrainGrowing:
		found = append(found, finding{Growing, SevOK})
	default:
		found = append(found, finding{Behind, SevOK})
	}
	if r.Held.Known && r.Held.V > 0 {
		found = append(found, finding{OpenTxn, SevOK})
	}
	return found
}
