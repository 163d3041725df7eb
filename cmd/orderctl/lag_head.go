package main

import (
	"fmt"
	"strings"
	"time"

	"commerce.internal/orderctl/internal/config"
	"commerce.internal/orderctl/internal/inspect/lag"
)

// headline says how a group is, in one line.
func (p *lagPrinter) headline(g lag.Group) string {
	number := func(n int64) string { return fmt.Sprint(n) }
	if p.out.Terminal {
		number = digits
	}
	unread := "? unread"
	switch {
	case g.Unread.Known && g.LowerBound:
		unread = ">= " + number(g.Unread.V) + " unread"
	case g.Unread.Known:
		unread = number(g.Unread.V) + " unread"
	}
	said := []string{unread}
	if g.Stale.Known && g.Stale.V > 0 {
		said = append(said, fmt.Sprintf("%s older than %s", number(g.Stale.V), config.FormatDuration(secondsOf(g.SLOSeconds))))
	}
	if g.Oldest.Known && g.Oldest.V > 0 {
		said = append(said, "oldest "+lag.Age(secondsOf(g.Oldest.V)))
	}
	for _, n := range []struct {
		m    lag.Maybe[int64]
		what string
	}{{g.Lost, "LOST"}, {g.Ahead, "AHEAD"}} {
		if n.m.Known && n.m.V > 0 {
			said = append(said, number(n.m.V)+" "+n.what)
		}
	}
	switch {
	case g.Drain.V == lag.DrainIdle:
	case g.ETA.Known:
		said = append(said, "drains in "+lag.Age(secondsOf(g.ETA.V)))
	case g.Drain.Known:
		said = append(said, "drains: never")
	}
	return fmt.Sprintf("%s  %s  %s", g.Group, g.Status, strings.Join(said, ", "))
}

// amount writes a total: unknown is ?, a lower bound is >=.
func amount(m lag.Maybe[int64], atLeast bool, what string) string {
	switch {
	case !m.Known:
		return "? " + what
	case atLeast:
		return ">= " + digits(m.V) + " " + what
	}
	return digits(m.V) + " " + what
}

// digits groups the digits of a number by three.
func digits(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func secondsOf(s float64) time.Duration { return lag.Seconds(s) }

func subline(r lag.Report, g lag.Group) string {
	known := func(m lag.Maybe[string]) string {
		if !m.Known {
			return "?"
		}
		return m.V
	}
	members := "? members"
	if g.Members.Known {
		members = fmt.Sprintf("%d members", g.Members.V)
		if g.Members.V == 1 {
			members = "1 member"
		}
	}
	said := []string{known(g.State)}
	kind := known(g.Type)
	if g.Protocol.Known && g.Protocol.V != "" {
		kind += "/" + g.Protocol.V
	}
	said = append(said, kind, members)
	if g.Coordinator.Known {
		said = append(said, fmt.Sprintf("coordinator %d", g.Coordinator.V))
	}
	line := fmt.Sprintf("%s; %d of %d partitions known; %s, snapshot %dms", strings.Join(said, ", "), g.Known, g.Total,
		r.AsOf.UTC().Format("15:04:05Z"), r.SnapshotMS)
	if r.SampleSeconds.Known {
		line += fmt.Sprintf(", rates %.0fs", r.SampleSeconds.V)
	}
	return line
}
