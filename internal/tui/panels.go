package tui

import (
	"fmt"
	"strings"

	"commerce.internal/orderctl/internal/queue"
)

// retry are the lines about tiers and dead letters, where they are no rows of the table.
func (v *view) retry() {
	if v.lay.Retry == 0 {
		return
	}
	v.put(v.rule("Retry and dead letters"), false)
	sample := v.s.shown()
	if sample == nil {
		v.add(say("  " + unknown))
		v.add(nil)
		return
	}
	var tiers []string
	for _, r := range sample.Pinned {
		if r.Role == queue.RoleDLQ || r.Role == queue.RoleReplay && r.Unread.Known && r.Unread.V == 0 {
			continue
		}
		word := v.g.foreign(r.Name) + " " + count(r.Unread)
		if due := dueCell(r).text; due != "-" && due != unknown {
			if len(tiers) == 0 {
				due = "next " + due
			} else {
				due = strings.TrimPrefix(due, "in ")
			}
			word += ", " + due
		}
		if r.Overdue.Known && r.Overdue.V > 0 {
			word += ", " + digits(r.Overdue.V) + " due"
		}
		tiers = append(tiers, word)
	}
	if len(tiers) == 0 {
		tiers = []string{"no retry topics"}
	}
	v.add(say("  " + strings.Join(tiers, "   ")))
	v.add(say("  " + v.deadWords(*sample)))
}

// deadWords are the dead letters in one line.
func (v *view) deadWords(sample Sample) string {
	if !sample.Pending.Known {
		_, _, dead := v.pendingWords(sample)
		why := "the store does not answer"
		if sample.NoStore {
			why = "no store to ask"
		}
		return "dead " + dead + ", classes ? (" + why + ")"
	}
	p := sample.Pending.V
	if p.Dead == 0 {
		return "no dead letters"
	}
	var classes []string
	newest := ""
	for _, c := range p.Classes {
		classes = append(classes, v.g.foreign(c.Class)+" "+digits(c.Count))
	}
	if at, ok := newestOf(p); ok {
		newest = ", newest " + age(max(wholeSeconds(v.s.edge().Sub(at.Newest).Seconds()), 0)) + " ago"
	}
	return "dead " + digits(p.Dead) + newest + ": " + strings.Join(classes, ", ")
}

func newestOf(p Pending) (ClassCount, bool) {
	var found ClassCount
	for _, c := range p.Classes {
		if c.Newest.After(found.Newest) {
			found = c
		}
	}
	return found, !found.Newest.IsZero()
}

// events shows what is pending and what happened, side by side.
func (v *view) events() {
	if v.lay.Events == 0 {
		return
	}
	half := v.lay.W/2 + 2
	head := "Pending"
	sample := v.s.shown()
	if sample != nil {
		retry, parked, dead := v.pendingWords(*sample)
		head = fmt.Sprintf("Pending: retry %s, parked %s, dead %s", retry, parked, dead)
	}
	l := v.ruled(say(faint, v.g.Rule+" ", title, head+" "), half)
	l = append(l.fit(half, v.g), v.ruled(say(faint, v.g.Rule+" ", title, "Events "), v.lay.W-half)...)
	v.put(l, false)
	left, right := v.classes(v.lay.Events, half), v.notes(v.lay.Events)
	for i := range v.lay.Events {
		var a, b line
		if i < len(left) {
			a = left[i]
		}
		if i < len(right) {
			b = right[i]
		}
		v.add(append(a.fit(half-1, v.g), append(line{{" ", plain}}, b...)...))
	}
}

// classes are the dead letters by class.
func (v *view) classes(most, width int) []line {
	sample := v.s.shown()
	if sample == nil {
		return nil
	}
	if !sample.Pending.Known {
		return []line{say("  " + v.deadWords(*sample))}
	}
	if len(sample.Pending.V.Classes) == 0 {
		return []line{say(faint, "  no dead letters")}
	}
	var list []line
	for _, c := range sample.Pending.V.Classes {
		ago := ""
		if !c.Newest.IsZero() {
			ago = coarse(v.s.edge().Sub(c.Newest)) + " ago"
		}
		example := ""
		if c.OrderID != "" {
			example = "order " + v.g.middle(v.g.foreign(c.OrderID), max(width-48, 12))
			if c.Attempts > 1 {
				example += fmt.Sprintf(", attempts %d", c.Attempts)
			}
		}
		list = append(list, say("  "+left(v.g.foreign(c.Class), 18, v.g), strong, right(digits(c.Count), 5, v.g), plain,
			"  "+left(ago, 8, v.g)+"  "+example))
	}
	return list[:min(len(list), most)]
}

// notes are the newest events first.
func (v *view) notes(most int) []line {
	all := v.s.shownNotes()
	var list []line
	for i := len(all) - 1; i >= 0 && len(list) < most; i-- {
		list = append(list, say(faint, v.clockText(all[i].At, false)+"  ", plain, v.g.foreign(all[i].Text)))
	}
	if len(list) == 0 {
		list = append(list, say(faint, "none since the start"))
	}
	return list
}

// deadLetters is the view of what died and how to bring it back.
func (v *view) deadLetters() {
	v.put(v.rule("Dead letters"), false)
	sample := v.s.shown()
	if sample == nil {
		return
	}
	lines := v.classes(max(v.lay.Dead-8, 1), v.lay.W)
	v.lines(lines)
	if !sample.Pending.Known {
		v.lines([]line{nil, say("  " + v.shell("dlq", "list"))})
		return
	}
	v.lines([]line{nil, say(faint, "  to look at them, and to replay the newest class once its cause is gone")})
	v.lines([]line{say("  " + v.shell("dlq", "list", "-g", sample.Group.Name))})
	if c, ok := newestOf(sample.Pending.V); ok {
		v.lines([]line{say("  " + v.shell("dlq", "replay", "-g", sample.Group.Name, "--class", c.Class, "--dry-run"))})
	}
	v.put(v.rule("Events"), false)
	for _, l := range v.notes(max(v.lay.H-1-len(v.out), 0)) {
		v.add(append(line{{"  ", plain}}, l...))
	}
}

func (v *view) lines(list []line) {
	for _, l := range list {
		v.add(l)
	}
}

// shell is a command to be typed, with its words quoted where they need it.
func (v *view) shell(words ...string) string {
	command := v.s.Setup.Shell
	if command == "" {
		command = "orderctl"
	}
	for _, w := range words {
		command += " " + quote(v.g.foreign(w))
	}
	return command
}

func quote(w string) string {
	const harmless = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/:=,@%+"
	if w != "" && strings.Trim(w, harmless) == "" {
		return w
	}
	return "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
}
