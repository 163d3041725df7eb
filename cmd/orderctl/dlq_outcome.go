package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"commerce.internal/orderctl/internal/dlq"
	"commerce.internal/orderctl/internal/out"
)

// replayDoc is the outcome of a replay as JSON, orderctl.dlq.replay/v1.
type replayDoc struct {
	Schema   string              `json:"schema"`
	Job      string              `json:"job"`
	Planned  int                 `json:"planned"`
	Replayed int                 `json:"replayed"` // by this job, in all its runs
	Sent     int                 `json:"sent"`     // by this run
	Late     int                 `json:"late"`
	Handled  int                 `json:"handled"`
	Skipped  map[dlq.Warning]int `json:"skipped"`
	Changed  []string            `json:"changed"`
	Stopped  bool                `json:"stopped"`
	Outcome  *outcomeDoc         `json:"outcome"` // null: not waited for
}

type outcomeDoc struct {
	Resolved  int      `json:"resolved"`
	DeadAgain []string `json:"dead_again"`
	InWork    int      `json:"in_work"`
}

// judge tells how a replay ended, and turns that into an exit code.
func (d *desk) judge(sum dlq.Summary, err error, again string) error {
	s := d.s
	if begun := sum.Sent+sum.Replayed > 0; err == nil || begun || !wordsFor(s) { // else there is no outcome, only the error
		if printErr := s.printOutcome(sum); printErr != nil {
			return errors.Join(printErr, err)
		}
	}
	if err != nil {
		return d.decided(err, again)
	}
	skipped := len(sum.Changed)
	for _, n := range sum.Skipped {
		skipped += n
	}
	switch {
	case sum.Stopped:
		s.note("to go on: %s", again)
		return context.Canceled // 130: the operator's own wish
	case skipped > 0, sum.Waited && (len(sum.DeadAgain) > 0 || sum.InWork > 0):
		return exitWith(exitPartial, "", "")
	}
	return nil
}

func (s *session) printOutcome(sum dlq.Summary) error {
	if f := out.Format(s.global.format); f == out.FormatJSON || f == out.FormatJSONL {
		doc := replayDoc{
			Schema: "orderctl.dlq.replay/v1", Job: sum.Job, Planned: sum.Planned, Replayed: sum.Replayed, Sent: sum.Sent, Late: sum.Late, Handled: sum.Handled,
			Skipped: sum.Skipped, Changed: idTexts(sum.Changed), Stopped: sum.Stopped,
		}
		if sum.Waited {
			doc.Outcome = &outcomeDoc{Resolved: sum.Resolved, DeadAgain: idTexts(sum.DeadAgain), InWork: sum.InWork}
		}
		return out.WriteLine(s.stdout, doc)
	}
	s.line(sentence(sum))
	return nil
}

// sentence is the outcome in one line: "312 replayed: 309 resolved, 2 dead again (7/40 7/41), 1 in work".
func sentence(sum dlq.Summary) string {
	if sum.Sent == 0 && !sum.Waited && len(sum.Skipped) == 0 && len(sum.Changed) == 0 && !sum.Stopped {
		if sum.Replayed > 0 {
			line := fmt.Sprintf("nothing to do: %d replayed before", sum.Replayed)
			return line + more(line, sum)
		}
		return "nothing to do" + more("", sum)
	}
	line := fmt.Sprintf("%d replayed", sum.Replayed)
	if sum.Sent == 0 && sum.Replayed > 0 {
		line = fmt.Sprintf("nothing to do: %d replayed before", sum.Replayed)
	}
	if sum.Waited {
		line += fmt.Sprintf(": %d resolved", sum.Resolved)
		if n := len(sum.DeadAgain); n > 0 {
			line += fmt.Sprintf(", %d dead again (%s)", n, few(sum.DeadAgain))
		}
		if sum.InWork > 0 {
			line += fmt.Sprintf(", %d in work", sum.InWork)
		}
	}
	return line + more(line, sum)
}

// more is what else there is to say.
func more(line string, sum dlq.Summary) string {
	var parts []string
	if sum.Late > 0 {
		parts = append(parts, fmt.Sprintf("%d of them late", sum.Late))
	}
	if sum.Handled > 0 {
		parts = append(parts, fmt.Sprintf("%d handled already", sum.Handled))
	}
	n := 0
	for _, k := range sum.Skipped {
		n += k
	}
	if n > 0 {
		parts = append(parts, fmt.Sprintf("%d skipped (%s)", n, strings.TrimPrefix(warned(sum.Skipped), ": ")))
	}
	if len(sum.Changed) > 0 {
		parts = append(parts, fmt.Sprintf("%d are not what was planned (%s)", len(sum.Changed), few(sum.Changed)))
	}
	if sum.Sent > 0 {
		parts = append(parts, "job "+sum.Job)
	}
	if len(parts) == 0 {
		return ""
	}
	if line == "" {
		return ": " + strings.Join(parts, ", ")
	}
	return "; " + strings.Join(parts, ", ")
}

// few names the first letters of many.
func few(ids []dlq.ID) string {
	const shown = 5
	names := idTexts(ids[:min(shown, len(ids))])
	if len(ids) > shown {
		names = append(names, "...")
	}
	return strings.Join(names, " ")
}

func idTexts(ids []dlq.ID) []string {
	names := make([]string, 0, len(ids))
	for _, id := range ids {
		names = append(names, id.String())
	}
	return names
}
