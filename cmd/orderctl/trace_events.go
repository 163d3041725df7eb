package main

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"commerce.internal/orderctl/internal/inspect"
	"commerce.internal/orderctl/internal/out"
	"commerce.internal/orderctl/internal/text"
)

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
		{Name: "MSG-ID", JSON: "msg_id", Drop: 15},
		{Name: "STATUS", JSON: "status", Drop: 14},
		{Name: "HOP", JSON: "hop", Kind: out.KindInt, Drop: 5},
		{Name: "TRIES", JSON: "attempts", Kind: out.KindInt, Drop: 10},
		{Name: "CLASS", JSON: "class", Drop: 13},
		{Name: "CODE", JSON: "code", Drop: 12},
		{Name: "DUE", JSON: "due_at", Drop: 8},
		{Name: "BEHIND", JSON: "blocked_by", Drop: 9},
		{Name: "OUTCOME", JSON: "outcome", Drop: 11},
		{Name: "JOB", JSON: "job", Drop: 7},
		{Name: "OPERATOR", JSON: "operator", Drop: 6},
		{Name: "REQUEST", JSON: "request_id", Drop: 2},
		{Name: "CLIENT", JSON: "client", Drop: 3},
		{Name: "TRACE", JSON: "trace_id", Drop: 1},
		{Name: "MESSAGE", JSON: "message", Drop: 4, Flex: true},
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
