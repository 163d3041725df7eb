package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/bojanz/currency"

	"commerce.internal/orderctl/internal/inspect"
	"commerce.internal/orderctl/internal/out"
)

// traceLines is a report whose jsonl form is one line.
type traceLines struct{ *inspect.TraceReport }

// Lines implements out.Liner.
func (t traceLines) Lines() []any { return []any{t.TraceReport} }

// printTrace prints what is known of an order: for eyes a head and a timeline, for programs one document or one table.
func (s *session) printTrace(r *inspect.TraceReport, body bool) error {
	if !body {
		for i := range r.Events {
			r.Events[i].Value = nil
		}
	}
	switch out.Format(s.global.format) {
	case out.FormatTable:
		s.traceHead(r)
		s.timeline(r, body)
		return nil
	case out.FormatWide:
		s.traceHead(r)
	}
	return s.print(traceTable(r), traceLines{r})
}

// traceHead says where the order is, and where it was looked for.
func (s *session) traceHead(r *inspect.TraceReport) {
	head := ""
	if len(r.Messages) == 1 {
		head += detail(r.Messages[0], r.AsOf)
	}
	if r.Order != nil {
		head += fmt.Sprintf("  %s %s %s", r.Order.Status, money(r.Order.TotalAmount, r.Order.Currency), r.Order.Currency)
	}
	s.pageLine("order "+r.OrderID+"  ", string(r.State), traceStyle(r.State), strings.TrimRight(head, " ")+"; "+searchedWhere(r), "  ")
	if len(r.Messages) < 2 {
		return
	}
	for _, m := range r.Messages {
		s.pageLine("  "+m.MsgID+"  ", string(m.State), traceStyle(m.State), detail(m, r.AsOf), "    ")
	}
}

// traceStyle is how urgent a state is.
func traceStyle(state inspect.OrderState) out.Style {
	switch state {
	case inspect.StateApplied:
		return out.Good
	case inspect.StateDead, inspect.StateLost, inspect.StateMissing:
		return out.Bad
	case inspect.StateBlocked, inspect.StateRetrying, inspect.StateParked, inspect.StateReplaying:
		return out.Warn
	default: // waiting, discarded, not found
		return out.Plain
	}
}

// searchedWhere is "searched partition 7 since 02:00:00Z: 18,204 records, 9.1 MiB, database".
func searchedWhere(r *inspect.TraceReport) string {
	where := fmt.Sprintf("searched partition %d", r.Partition)
	if r.Elsewhere {
		where = fmt.Sprintf("searched all partitions, for it is not in its own, %d (a foreign partitioner? partitions added?),", r.Partition)
		if r.State == inspect.StateNotFound {
			where = "searched all partitions"
		}
	}
	records, size := int64(0), int64(0)
	for _, p := range r.Searched {
		records, size = records+p.Records, size+p.Bytes
	}
	where += fmt.Sprintf(" since %s: %s records, %s", moment(r.Since, r.AsOf), digits(records), out.Size(size))
	switch {
	case r.Database:
		return where + ", database"
	case r.DatabaseProblem != "":
		return where + "; no database, the log decides (" + r.DatabaseProblem + ")"
	}
	return where + "; no database, the log decides"
}

// moment is a time of day where it is of the same day, else the date too.
func moment(t, now time.Time) string {
	t, now = t.UTC(), now.UTC()
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format("15:04:05Z")
	}
	return t.Format("2006-01-02T15:04:05Z")
}

// detail says what a state is waiting for.
func detail(m inspect.TracedMessage, now time.Time) string {
	var said []string
	switch m.State {
	case inspect.StateRetrying:
		if m.DueAt != nil {
			said = append(said, "due "+dueIn(*m.DueAt, now))
		}
	case inspect.StateParked, inspect.StateBlocked:
		said = append(said, "behind "+orQuestion(m.BlockedBy))
	case inspect.StateWaiting:
		if m.Before == nil {
			break
		}
		said = append(said, digits(*m.Before)+" before it")
		eta := "ETA ?"
		if m.ETASeconds != nil {
			eta = "ETA " + out.Age(secondsOf(*m.ETASeconds))
		}
		said = append(said, eta)
	case inspect.StateApplied:
		if m.Outcome != "" && m.Outcome != "applied" {
			said = append(said, m.Outcome)
		}
	}
	if m.Presumed {
		said = append(said, "as the log has it")
	}
	if len(said) == 0 {
		return ""
	}
	return " (" + strings.Join(said, ", ") + ")"
}

func dueIn(due, now time.Time) string {
	if d := due.Sub(now); d > 0 {
		return "in " + out.Age(d)
	}
	return out.Age(now.Sub(due)) + " ago"
}

func orQuestion(s string) string {
	if s == "" {
		return "?"
	}
	return s
}

// money writes an amount in minor units as the currency writes it.
func money(minor int64, code string) string {
	n, ok := currency.GetDigits(code)
	if !ok || n == 0 {
		return strconv.FormatInt(minor, 10)
	}
	s := fmt.Sprintf("%0*d", int(n)+1, minor)
	at := len(s) - int(n)
	return s[:at] + "." + s[at:]
}
