package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/text"
)

// The exit codes of Nagios.
const (
	nagiosOK       = 0
	nagiosWarning  = 1
	nagiosCritical = 2
	nagiosUnknown  = 3
)

// nagios turns the error of a check into its line: a group or topic that is missing is critical, all else is unknown.
func (a *app) nagios(err error) error {
	var done *checkResult
	if err == nil || errors.As(err, &done) {
		return err
	}
	code, word := nagiosUnknown, "UNKNOWN"
	if errors.Is(err, queue.ErrNotFound) {
		code, word = nagiosCritical, "CRITICAL"
	}
	var told []string
	for _, e := range parts(err) {
		told = append(told, strings.ReplaceAll(e.Error(), "\n", "; "))
	}
	_, _ = fmt.Fprintf(a.stdout, "LAG %s - %s\n", word, checkSafe(strings.Join(told, "; ")))
	return &checkResult{code: code}
}

// checkResult ends a check. Its line stands on stdout already.
type checkResult struct{ code int }

// Error implements error. There is nothing more to say.
func (*checkResult) Error() string { return "" }

// ExitCode speaks Nagios.
func (c *checkResult) ExitCode() int { return c.code }

// checkSafe keeps foreign text from ending the line, or from being taken for figures.
func checkSafe(s string) string { return strings.ReplaceAll(text.Safe(s), "|", "/") }

// printCheck prints the one line of a check. What is incomplete is never OK.
func (l *lagRun) printCheck(r lag.Report) error {
	worst := lag.SevOK
	var told, figures []string
	for _, b := range r.SilentBrokers {
		told = append(told, fmt.Sprintf("broker %d did not answer", b))
	}
	for _, g := range r.Groups {
		worst = max(worst, g.Status)
		name := ""
		if len(r.Groups) > 1 {
			name = g.Group + ": "
		}
		if bad := badRows(g); len(bad) > 0 {
			told = append(told, name+strings.Join(bad, "; "))
		}
		figures = append(figures, l.figures(g, len(r.Groups) > 1)...)
	}
	if !r.Complete || len(r.Groups) == 0 { // who sees no group may not be allowed to
		worst = max(worst, lag.SevUnknown)
	}
	if len(told) == 0 {
		told = allWell(r)
	}
	line := fmt.Sprintf("LAG %s - %s | %s\n", worst, checkSafe(strings.Join(told, "; ")), strings.Join(figures, " "))
	if _, err := l.stdout.Write([]byte(line)); err != nil {
		return err
	}
	code := map[lag.Severity]int{
		lag.SevOK: nagiosOK, lag.SevWarning: nagiosWarning, lag.SevCritical: nagiosCritical, lag.SevUnknown: nagiosUnknown,
	}[worst]
	if code == nagiosOK {
		return nil
	}
	return &checkResult{code: code}
}

const mostChecked = 3 // a pager shows one line

// badRows says what is wrong with a group: its worst partitions, else what holds of the group itself.
func badRows(g lag.Group) []string {
	var bad []string
	for _, r := range g.Partitions {
		if r.Severity > lag.SevOK && len(bad) < mostChecked {
			bad = append(bad, r.TopicPartition().String()+" "+checkWords(r))
		}
	}
	if rest := len(slices.DeleteFunc(slices.Clone(g.Partitions), func(r lag.Row) bool { return r.Severity == lag.SevOK })) - len(bad); rest > 0 {
		bad = append(bad, fmt.Sprintf("%d more", rest))
	}
	if len(bad) == 0 && g.Status > lag.SevOK {
		for _, s := range g.Reasons {
			bad = append(bad, string(s))
		}
	}
	return bad
}

func checkWords(r lag.Row) string {
	switch {
	case r.Status == lag.Lost:
		return fmt.Sprintf("lost %d", r.Lost.V)
	case r.Status == lag.Ahead:
		return fmt.Sprintf("ahead %d", r.Ahead.V)
	case r.Oldest.Known && r.Oldest.V > 0:
		return fmt.Sprintf("%s %s", r.Status, lag.Age(secondsOf(r.Oldest.V)))
	}
	return string(r.Status)
}

func allWell(r lag.Report) []string {
	told := make([]string, 0, len(r.Groups))
	for _, g := range r.Groups {
		told = append(told, fmt.Sprintf("%s %s", g.Group, amount(g.Unread, g.LowerBound, "unread")))
	}
	if len(told) == 0 {
		told = append(told, "no groups")
	}
	return told
}

// figures is what Nagios draws. U is unknown; a lower bound has a name of its own.
func (l *lagRun) figures(g lag.Group, named bool) []string {
	prefix := ""
	if named {
		prefix = g.Group + "."
	}
	label := func(name string) string {
		name = prefix + name
		if strings.ContainsAny(name, " ='") {
			return "'" + strings.ReplaceAll(checkSafe(name), "'", "''") + "'"
		}
		return checkSafe(name)
	}
	limit := func(n int) string {
		if n == 0 {
			return ""
		}
		return fmt.Sprint(n)
	}
	c := l.cfg.Lag
	warn, crit := c.WarnAge, c.CritAge
	if warn == 0 {
		warn = c.SLO
	}
	if crit == 0 {
		crit = 3 * c.SLO
	}
	unread, limits := "U", limit(c.WarnUnread)+";"+limit(c.CritUnread)+";0"
	if g.Unread.Known && !g.LowerBound {
		unread = fmt.Sprint(g.Unread.V) + ";" + limits
	}
	list := []string{label("unread") + "=" + unread}
	if g.LowerBound && g.Unread.Known {
		list = append(list, fmt.Sprintf("%s=%d;%s", label("unread_min"), g.Unread.V, limits))
	}
	oldest := "U"
	if g.Oldest.Known {
		oldest = fmt.Sprintf("%.0fs;%.0f;%.0f;0", g.Oldest.V, warn.Seconds(), crit.Seconds())
	}
	lost := "U"
	if g.Lost.Known {
		lost = fmt.Sprintf("%d;;1;0", g.Lost.V)
	}
	holes := "U"
	if h := g.Holes(); h.Known {
		holes = fmt.Sprintf("%d;;;0", h.V)
	}
	return append(list, label("oldest")+"="+oldest, label("lost")+"="+lost, label("unknown")+"="+holes)
}

// summary is one group in one line.
func summary(g lag.Group) string {
	of := func(m lag.Maybe[int64], eq string) string {
		if !m.Known {
			return "=?"
		}
		return eq + fmt.Sprint(m.V)
	}
	unread := "="
	if g.LowerBound {
		unread = ">="
	}
	oldest := "?"
	if g.Oldest.Known {
		oldest = lag.Age(secondsOf(g.Oldest.V))
	}
	line := fmt.Sprintf("%s %s unread%s stale%s oldest=%s lost%s unknown%s", g.Group, g.Status, of(g.Unread, unread), of(g.Stale, "="), oldest,
		of(g.Lost, "="), of(g.Holes(), "="))
	if len(g.Partitions) > 0 && g.Partitions[0].Severity > lag.SevOK {
		line += fmt.Sprintf(" worst=%s:%s", g.Partitions[0].TopicPartition(), g.Partitions[0].Status)
	}
	return line
}
