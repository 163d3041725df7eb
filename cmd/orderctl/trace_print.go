package main

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/bojanz/currency"

	"commerce.internal/orderctl/internal/inspect"
	"commerce.internal/orderctl/internal/out"
	"commerce.internal/orderctl/internal/text"
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
	head := fmt.Sprintf("order %s  %s", r.OrderID, r.State)
	if len(r.Messages) == 1 {
		head += detail(r.Messages[0], r.AsOf)
	}
	if r.Order != nil {
		head += fmt.Sprintf("  %s %s %s", r.Order.Status, money(r.Order.TotalAmount, r.Order.Currency), r.Order.Currency)
	}
	s.line(strings.TrimRight(head, " ") + "; " + searchedWhere(r))
	if len(r.Messages) < 2 {
		return
	}
	for _, m := range r.Messages {
		s.line(fmt.Sprintf("  %s  %s%s", m.MsgID, m.State, detail(m, r.AsOf)))
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
			eta = "ETA " + out.Age(time.Duration(*m.ETASeconds*float64(time.Second)))
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

// timeline prints the events in columns: when, how much later, where, what.
func (s *session) timeline(r *inspect.TraceReport, body bool) {
	layout, places := "15:04:05.000Z", 0
	for _, e := range r.Events {
		places = max(places, text.Width(text.Safe(placeText(e))))
		if moment(e.Time, r.AsOf) != e.Time.UTC().Format("15:04:05Z") {
			layout = "2006-01-02T15:04:05.000Z"
		}
	}
	for i, e := range r.Events {
		later := ""
		if i > 0 {
			later = "+" + gap(e.Time.Sub(r.Events[i-1].Time))
		}
		at := text.Safe(placeText(e))
		pad := strings.Repeat(" ", places-text.Width(at))
		line := text.Safe(fmt.Sprintf("%s  %7s  %s%s  %s", e.Time.UTC().Format(layout), later, at, pad, eventText(e, len(r.Messages) > 1, r.AsOf)))
		if s.env.stdoutTerminal {
			line = text.Truncate(line, max(s.env.width(), 20))
		}
		s.line(line)
		if body && e.Topic != "" {
			s.line("    " + bodyText(e))
		}
	}
}

// gap is the time between two events.
func gap(d time.Duration) string {
	whole := d.Round(time.Second)
	switch {
	case d.Round(100*time.Millisecond) < time.Minute:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + "s"
	case whole < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(whole.Minutes()), int(whole.Seconds())%60)
	}
	return out.Age(d)
}

func placeText(e inspect.Event) string {
	if e.Topic == "" {
		return "database"
	}
	return e.At().String()
}

// eventText says what happened. Where the order has several messages, it says of which.
func eventText(e inspect.Event, several bool, now time.Time) string {
	said := []string{eventName(e, several)}
	add := func(format, value string) {
		if value != "" {
			said = append(said, fmt.Sprintf(format, value))
		}
	}
	switch e.Kind {
	case inspect.EventAccepted:
		add("request %s", e.RequestID)
		add("client %s", e.Client)
		add("trace %s", e.TraceID[:min(8, len(e.TraceID))])
	case inspect.EventRetry, inspect.EventParked:
		add("behind %s", e.BlockedBy)
		said = append(said, fmt.Sprintf("attempts %d", e.Attempts))
		add("%s", e.Message)
		if e.Due != nil {
			add("due %s", momentMillis(*e.Due, now))
		}
	case inspect.EventDead:
		add("%s", strings.TrimSuffix(e.Class+"/"+e.Code, "/"))
		add("behind %s", e.BlockedBy)
		said = append(said, fmt.Sprintf("attempts %d", e.Attempts))
	case inspect.EventMoving:
		if strings.HasSuffix(e.Message, "@?") {
			add("on its way to %s", strings.TrimSuffix(e.Message, "@?"))
		} else {
			add("at %s, which could not be read", e.Message)
		}
	default:
		add("job %s", e.Job)
		add("by %s", e.Operator)
		add("%s", e.Reason)
	}
	return strings.Join(said, ", ")
}

func eventName(e inspect.Event, several bool) string {
	name := string(e.Kind)
	switch e.Kind {
	case inspect.EventDone, inspect.EventMoving:
		name = orQuestion(e.Outcome)
	case inspect.EventDiscarded:
		if e.Outcome == "superseded" {
			name = "discarded (superseded)"
		}
	}
	switch {
	case e.Kind == inspect.EventAccepted && e.Order == nil:
		return name + ", undecodable"
	case e.Status != "" && (several || e.Kind == inspect.EventAccepted || e.Kind == inspect.EventDone):
		return name + " " + string(e.Status)
	}
	return name
}

func momentMillis(t, now time.Time) string {
	return strings.TrimSuffix(moment(t, now), "Z") + t.UTC().Format(".000Z")
}

// bodyText is the value of a record in one line: an order as JSON, what is none as it is, and bytes in hex.
func bodyText(e inspect.Event) string {
	const most = 256
	switch {
	case len(e.Value) == 0:
		return "no value"
	case utf8.Valid(e.Value):
		return string(e.Value)
	case e.Order != nil:
		return string(e.Order.AppendJSON(nil))
	case len(e.Value) > most:
		return fmt.Sprintf("%s... (%d bytes)", hex.EncodeToString(e.Value[:most]), len(e.Value))
	}
	return hex.EncodeToString(e.Value)
}

// traceTable is the events, a row each.
func traceTable(r *inspect.TraceReport) out.Table {
	t := out.Table{Schema: inspect.TraceSchema, List: "events", Columns: []out.Column{
		{Name: "TIME", JSON: "time"},
		{Name: "PLACE", JSON: "place"},
		{Name: "EVENT", JSON: "event"},
		{Name: "MSG-ID", JSON: "msg_id"},
		{Name: "STATUS", JSON: "status"},
		{Name: "HOP", JSON: "hop", Kind: out.KindInt},
		{Name: "TRIES", JSON: "attempts", Kind: out.KindInt},
		{Name: "CLASS", JSON: "class"},
		{Name: "CODE", JSON: "code"},
		{Name: "DUE", JSON: "due_at"},
		{Name: "BEHIND", JSON: "blocked_by"},
		{Name: "OUTCOME", JSON: "outcome"},
		{Name: "JOB", JSON: "job"},
		{Name: "OPERATOR", JSON: "operator"},
		{Name: "REQUEST", JSON: "request_id"},
		{Name: "CLIENT", JSON: "client"},
		{Name: "TRACE", JSON: "trace_id"},
		{Name: "MESSAGE", JSON: "message", Flex: true},
	}}
	const layout = "2006-01-02T15:04:05.000Z"
	for _, e := range r.Events {
		due := out.NA()
		if e.Due != nil {
			due = out.Text(e.Due.UTC().Format(layout))
		}
		t.Rows = append(t.Rows, []out.Cell{
			out.Text(e.Time.UTC().Format(layout)), out.Text(placeText(e)), out.Text(string(e.Kind)), orNA(e.MsgID), orNA(string(e.Status)),
			out.Int(int64(e.Hop)), out.Int(int64(e.Attempts)), orNA(e.Class), orNA(e.Code), due, orNA(e.BlockedBy), orNA(e.Outcome),
			orNA(e.Job), orNA(e.Operator), orNA(e.RequestID), orNA(e.Client), orNA(e.TraceID), orNA(e.Message),
		})
	}
	return t
}
