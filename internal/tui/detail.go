package tui

import (
	"fmt"
	"strings"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/queue"
)

// detail tells more about the row of the cursor.
func (v *view) detail() {
	if v.lay.Detail == 0 {
		return
	}
	sample := v.s.shown()
	name := "nothing chosen"
	var lines []line
	if sample != nil {
		if r, ok := sample.row(v.s.Cursor); ok {
			name = v.g.foreign(r.Topic)
			if r.Partition >= 0 {
				name = fmt.Sprintf("%s/%d", name, r.Partition)
			}
			lines = v.about(*sample, r)
		}
	}
	v.put(v.rule(v.g.middle(name, v.lay.W-4)), false)
	if v.lay.Detail < len(lines) { // few lines: the last ones are the ones to act on
		lines = append(lines[:1:1], lines[len(lines)-v.lay.Detail+1:]...)
	}
	v.lines(lines)
	for range v.lay.Detail - len(lines) {
		v.add(nil)
	}
}

func (v *view) about(sample Sample, r Row) []line {
	switch r.Role {
	case queue.RoleSource:
		return v.aboutPartition(sample, r)
	case queue.RoleDLQ:
		return []line{
			say("  " + v.deadWords(sample)), nil,
			say(faint, "  why    ", plain, "a letter stays until it is replayed or discarded"),
			say(faint, "  shell  ", plain, v.shell("dlq", "list", "-g", sample.Group.Name)),
		}
	default:
		return v.aboutTier(sample, r)
	}
}

func (v *view) aboutPartition(sample Sample, r Row) []line {
	reasons := make([]string, 0, len(r.Reasons))
	for _, s := range r.Reasons {
		reasons = append(reasons, string(s))
	}
	if len(reasons) == 0 {
		reasons = []string{string(r.Status)}
	}
	p := statusPiece(r)
	p.text = "  " + strings.Join(reasons, ", ")
	firstLine := append(line{p}, say(fmt.Sprintf("   in %s, out %s   unread %s", perSecond(r.In), perSecond(r.Out), count(r.Unread)))...)
	if median, ok := medianUnread(sample, r.Topic); ok && median > 0 && r.Unread.Known {
		firstLine = append(firstLine, plainPiece(fmt.Sprintf(", %sx the topic's median", rate(float64(r.Unread.V)/float64(median)))))
	}
	firstLine = append(firstLine, plainPiece("   leader "+v.leader(r)))
	owner := "nobody"
	switch {
	case !r.Owner.Known:
		owner = unknown
	case r.Owner.V != "":
		owner = v.g.foreign(r.Owner.V)
		if r.Host != "" {
			owner += " at " + v.g.foreign(strings.TrimPrefix(r.Host, "/"))
		}
	}
	still := ""
	switch {
	case !r.Still.Known:
	case r.Still.V > 0:
		still = "   no commit moved for " + age(wholeSeconds(r.Still.V))
	default:
		still = "   commits move"
	}
	return []line{
		firstLine,
		say(faint, "  owner  ", plain, owner+still+fmt.Sprintf("   lost %s, ahead %s", count(r.Lost), count(r.Ahead))),
		say(faint, "  why    ", plain, why(r)),
		say(faint, "  shell  ", plain, v.shell("lag", sample.Group.Name, "-t", r.Topic, "-p", fmt.Sprint(r.Partition), "--watch")),
	}
}

func (v *view) leader(r Row) string {
	word := "none"
	switch {
	case r.Leader.Known:
		word = fmt.Sprintf("b%d", r.Leader.V)
	case r.Problem != string(lag.NoLeader):
		word = unknown
	}
	if r.ISR.Known && r.Replicas.Known {
		word += fmt.Sprintf(", in sync %d of %d", r.ISR.V, r.Replicas.V)
	}
	return word
}

func (v *view) aboutTier(sample Sample, r Row) []line {
	p := statusPiece(r)
	p.text = "  " + p.text
	return []line{
		append(line{p}, say(fmt.Sprintf("   waiting %s, due now %s   in %s, out %s", count(r.Unread), count(r.Overdue), perSecond(r.In), perSecond(r.Out)))...),
		say(faint, "  next   ", plain, dueCell(r).text),
		say(faint, "  why    ", plain, why(r)),
		say(faint, "  shell  ", plain, v.shell("lag", sample.Group.Name, "-t", r.Topic, "--watch")),
	}
}

// medianUnread is the middle backlog of a topic's partitions.
func medianUnread(sample Sample, topic string) (int64, bool) {
	var list []int64
	for _, r := range sample.Rows {
		if r.Topic == topic && r.Unread.Known {
			list = append(list, r.Unread.V)
		}
	}
	if len(list) < 3 {
		return 0, false
	}
	return middle(list), true
}

// why puts a status into words: what it means, and what it does not.
func why(r Row) string {
	words := map[lag.Status]string{
		lag.Lost:           "records were deleted before the group read them: retention is shorter than the backlog, or offsets went wrong",
		lag.Ahead:          "committed beyond the end of the log: the topic was made anew, or the cluster lost records",
		lag.Leaderless:     "no broker serves this partition: look at the brokers, not at the workers",
		lag.HungTxn:        "an open transaction of another program hides what is behind it",
		lag.NoMembers:      "nobody reads: start a worker",
		lag.Unassigned:     "the group has members, but none was given this partition",
		lag.Stalled:        "owned, unread, and no commit moves: a poison order, a hung worker, or an open breaker",
		lag.Unknown:        "no broker told: what is not known is not 0",
		lag.Refused:        "this user may not look at it: an ACL is missing",
		lag.Stale:          "orders wait for longer than the SLO",
		lag.NeverCommitted: "the group has never committed here: it will start where its reset policy says",
		lag.Overdue:        "retries are due and nobody takes them",
		lag.Rewind:         "a committed offset went back: somebody reset it, or an old owner committed late",
		lag.Rebalancing:    "the group has been rebalancing for long",
		lag.Gone:           "the topic does not exist any more",
		lag.Growing:        "more comes in than goes out",
		lag.Draining:       "the backlog gets smaller",
		lag.Parked:         "they wait for their time; nothing to do",
		lag.Unsubscribed:   "no member subscribes to the topic",
		"HOT":              "one partition is behind and its owner works: a hot order id or a slow worker, not an outage",
	}
	if w, ok := words[r.Status]; ok {
		return w
	}
	if grade(r.Severity) == 0 {
		return "nothing to do"
	}
	return "see the reasons above"
}
