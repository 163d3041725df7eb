package lag

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Advice says in words why a group is not well, and what to look at next.
type Advice struct {
	Why  []string // worst first, one for each reason
	Next []string // commands, without "orderctl"
}

const mostAdvice = 3

// Advise explains the reasons of a group. A group that is well needs no advice. The commands need not name the group that
// is configured.
func (g Group) Advise(configured string) Advice {
	var a Advice
	if g.Status == SevOK {
		return a
	}
	for _, s := range g.Reasons {
		why, next := g.explain(s, configured)
		if why == "" || len(a.Why) == mostAdvice {
			continue
		}
		a.Why = append(a.Why, why)
		a.next(next)
	}
	for _, d := range g.DeadLetters {
		if d.LastHourMax.V > 0 {
			a.next("dlq list --since 1h" + g.flag(configured))
		}
	}
	return a
}

func (a *Advice) next(command string) {
	if command != "" && len(a.Next) < mostAdvice && !slices.Contains(a.Next, command) {
		a.Next = append(a.Next, command)
	}
}

// flag names the group for commands that ask for one by -g.
func (g Group) flag(configured string) string {
	if g.Group == configured {
		return ""
	}
	return " -g " + quote(g.Group)
}

// slo is the age that orders should not have, as people say it: 5m, not 5m00s.
func (g Group) slo() string {
	s := Age(Seconds(g.SLOSeconds))
	for _, rest := range []string{"00s", "00m", "00h"} {
		s = strings.TrimSuffix(s, rest)
	}
	return s
}

// quote protects a name from a shell.
func quote(name string) string {
	plain := strings.IndexFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._-/", r)
	}) < 0
	if plain && name != "" && name[0] != '-' {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}

// explain is one reason in words, at the worst row that it holds of.
func (g Group) explain(s Status, configured string) (why, next string) {
	i := slices.IndexFunc(g.Partitions, func(r Row) bool { return slices.Contains(r.Reasons, s) })
	if i < 0 {
		return g.explainGroup(s, configured)
	}
	r := g.Partitions[i]
	at := r.TopicPartition().String()
	others := len(only(g.Partitions, func(r *Row) bool { return slices.Contains(r.Reasons, s) })) - 1
	words, next := r.explain(s, g, configured)
	if words == "" {
		return "", ""
	}
	if others > 0 {
		at = fmt.Sprintf("%s and %d more", at, others)
	}
	return at + ": " + words, next
}

func (r Row) explain(s Status, g Group, configured string) (why, next string) {
	name := quote(g.Group)
	if strings.HasPrefix(g.Group, "-") { // as an argument it would be a flag
		name = "-g " + name
	}
	peek := fmt.Sprintf("lag %s --peek %s", name, quote(r.TopicPartition().String()))
	topic := fmt.Sprintf("lag %s -t %s", name, quote(r.Topic))
	switch s {
	case Lost:
		return fmt.Sprintf("%d records were deleted before the group read them", r.Lost.V), "audit" + g.flag(configured)
	case Ahead:
		return fmt.Sprintf("committed %d beyond the end: topic made anew or cut, or offsets set too far", r.Ahead.V), "offsets show" + g.flag(configured)
	case HungTxn:
		return fmt.Sprintf("%d records behind an open transaction that is older than %s", r.Held.V, g.slo()), "doctor"
	case Unassigned:
		return "records wait and no member has it", topic + " --all -o wide"
	case Stalled:
		return g.stalled(r), peek
	case TooOld, Stale:
		return g.slow(r), peek
	case Suspect:
		return "a timestamp lies in the future: how old its orders are cannot be told", peek
	case AtRisk:
		return r.risk(), ""
	case Overdue:
		return fmt.Sprintf("%d retries are due and nobody takes them, the first for %s", r.Overdue.V, Age(Seconds(r.OldestOverdue.V))), topic
	case Growing:
		return fmt.Sprintf("more comes in than goes out: older than %s in about %s", g.slo(), Age(Seconds(r.Seconds.V))), "consume" + g.flag(configured)
	case Hot:
		return fmt.Sprintf("%d unread, far more than its neighbours: one key with very many orders?", r.Unread.V), ""
	default:
		return explainPlainly(s, g.flag(configured))
	}
}

// explainPlainly is a reason of a row that needs no figures.
func explainPlainly(s Status, flag string) (why, next string) {
	switch s {
	case Leaderless:
		return "no broker leads it: all that have it are down", "doctor"
	case NoMembers:
		return "records wait and nobody is in the group", "consume" + flag
	case NeverCommitted:
		return "records wait and the group has never committed here", ""
	case Rewind:
		return "its offset was set back: orders are read again", "offsets show" + flag
	case Refused:
		return "may not be described by this login", "doctor"
	case Unknown:
		return "no broker told: values are missing, not 0", "doctor"
	case Gone:
		return "the group reads here, and the topic is gone", "topics plan"
	default:
		return "", ""
	}
}

// explainGroup is a reason that no row has.
func (g Group) explainGroup(s Status, configured string) (why, next string) {
	switch s {
	case NoMembers:
		return "nobody is in the group", "consume" + g.flag(configured)
	case Rebalancing:
		return "the group rebalances for more than a minute: a member joins and leaves, or does not answer", ""
	case OverUnread:
		return "more unread than was allowed", ""
	case OverDLQ:
		return "more dead letters within an hour than was allowed", "dlq stats" + g.flag(configured)
	case Refused:
		return "the group may not be described by this login", "doctor"
	case NotSupported:
		return "groups of this type keep no offsets that could be told", ""
	case Unknown:
		if g.Problem.V == "" && g.Members.Known {
			return "nothing tells what it reads: it never committed, or this login may not describe its topics", "doctor"
		}
		return "the coordinator of the group did not tell all", "doctor"
	default:
		return "", ""
	}
}

func (g Group) stalled(r Row) string {
	who := "its member"
	if r.Owner != nil {
		who = r.Owner.ClientID
	}
	moving := slices.ContainsFunc(g.Partitions, func(o Row) bool { return o.Topic == r.Topic && o.Out.Known && o.Out.V > 0 })
	words := fmt.Sprintf("owned, unread, no commit for %s, ", Age(r.still))
	if moving {
		return words + "neighbours move: poison order, hung " + who + ", open breaker"
	}
	return words + "nor do its neighbours move: database or target away, or " + who + " hangs"
}

func (g Group) slow(r Row) string {
	age := "older than " + g.slo()
	if r.Oldest.Known {
		age = Age(Seconds(r.Oldest.V)) + " old"
	}
	switch {
	case r.Drain.V == DrainDraining && r.ETA.Known:
		return fmt.Sprintf("the next order is %s, done in about %s", age, Age(Seconds(r.ETA.V)))
	case r.Drain.V == DrainGrowing:
		return fmt.Sprintf("the next order is %s, and more comes in than goes out", age)
	case r.still > 0:
		return fmt.Sprintf("the next order is %s, no progress yet for %s", age, Age(r.still))
	default:
		return fmt.Sprintf("the next order is %s", age)
	}
}

func (r Row) risk() string {
	if r.LossEarliest.Known && (!r.RetentionUsed.Known || r.RetentionUsed.V < riskBytes) {
		return fmt.Sprintf("retention may delete unread orders in %s", Age(Seconds(r.LossEarliest.V)))
	}
	return fmt.Sprintf("%.0f%% of the log is unread and its size is limited: orders may be deleted unread", 100*r.RetentionUsed.V)
}

// Age writes the age of a record in at most two units: 6s, 18m32s, 3h12m, 2d04h.
func Age(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%02dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}
