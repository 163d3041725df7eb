package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"commerce.internal/orderctl/internal/dlq"
	"commerce.internal/orderctl/internal/out"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/text"
)

func newDLQShowCmd(a *app) *cobra.Command {
	var headers, raw bool
	var f selectFlags
	cmd := &cobra.Command{
		Use: "show P/O...", Short: "Shows dead letters: why they died, what they carry, what became of them.", Args: takes(1, -1, "dead letters, such as 7/31"),
		Example: `# why did this one die?
orderctl dlq show 7/31
# with every header
orderctl dlq show 7/31 --headers
# its bytes, as they were sent
orderctl dlq show 7/31 --raw > order.json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.load(cmd)
			if err != nil {
				return err
			}
			sel, err := f.selection(cmd, args, a.env)
			if err != nil {
				return err
			}
			if raw && len(sel.IDs) > 1 {
				return badUsage(cmd, "", "--raw shows one letter, not %d", len(sel.IDs))
			}
			if out.Format(s.global.format) == out.FormatJSON && len(sel.IDs) > 1 {
				return badUsage(cmd, "use -o jsonl", "-o json is one document, and these are %d letters", len(sel.IDs))
			}
			return s.showLetters(cmd.Context(), f.topic, sel.IDs, headers, raw)
		},
	}
	f.addTopic(a, cmd)
	cmd.Flags().BoolVar(&headers, "headers", false, "every header, too")
	cmd.Flags().BoolVar(&raw, "raw", false, "the value alone, byte for byte; escaped on a terminal")
	exits(cmd, exitOK, "shown", exitUsage, "", exitUnreachable, "", exitDenied, "", exitNotFound, "no such letter or topic")
	seeAlso(cmd, "orderctl dlq list", "orderctl dlq export")
	return cmd
}

func (s *session) showLetters(ctx context.Context, topic string, ids []dlq.ID, headers, raw bool) (err error) {
	room, err := s.openLetters(ctx, topic)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, room.close()) }()
	for i, id := range ids {
		d, err := room.reader.Show(ctx, id)
		if err != nil {
			return err
		}
		switch {
		case raw:
			err = s.printRaw(d.Letter.Value)
		case !wordsFor(s):
			err = out.WriteLine(s.stdout, d.Letter.Exported())
		default:
			if i > 0 {
				s.line("")
			}
			err = s.printLetter(ctx, room, d, headers)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// printRaw gives the bytes as they are to a file or pipe. A terminal would obey what is in them.
func (s *session) printRaw(value []byte) error {
	if s.env.stdoutTerminal {
		s.note("escaped for the terminal; into a file or pipe the bytes go as they are")
		value = []byte(text.Safe(string(value)) + "\n")
	}
	_, err := s.stdout.Write(value)
	return err
}

// field is one line of a letter: its name, and its value, which a terminal gets folded.
func (s *session) field(name, value string) {
	if value == "" {
		return
	}
	lines := []string{value}
	if s.env.stdoutTerminal { // elsewhere a line is a line
		lines = fold(text.Safe(value), max(20, s.env.width()-11))
	}
	for _, line := range lines {
		s.line(fmt.Sprintf("%-10s %s", name, line))
		name = ""
	}
}

// printRelated tells the other letters of the order.
func (s *session) printRelated(r *dlq.Reader, d dlq.Detail) {
	for _, o := range d.Related {
		s.field("also dead", fmt.Sprintf("%s %s %s, %s", o.ID, o.Trail.Class, o.Trail.MsgID, o.State))
	}
	if d.Partial {
		s.field("", "there are more letters of this order: orderctl dlq list "+s.dlqFlags(r)+"--order-id "+d.Letter.OrderID()+" --state any")
	}
}

func (s *session) printLetter(ctx context.Context, room *letterRoom, d dlq.Detail, headers bool) error {
	r, l := room.reader, d.Letter
	known, err := s.against(ctx, room, d)
	if err != nil {
		return err
	}
	field := s.field
	name := l.ID.String()
	if l.Copies > 1 {
		name += fmt.Sprintf(" x%d", l.Copies)
	}
	s.line(fmt.Sprintf("%s  %s  %s", name, strings.ToUpper(string(l.State)), r.Topic()))
	field("reason", reasonText(l))
	field("order", l.OrderID())
	field("message", orMark(l.Trail.MsgID))
	field("origin", originText(l))
	field("source", sourceText(d))
	field("tries", fmt.Sprintf("%d, hop %d, replayed %d times", l.Trail.Attempts, l.Trail.Hop, l.Trail.ReplayCount))
	field("replay of", l.Trail.ReplayOf)
	field("blocked by", l.Trail.BlockedBy)
	field("failed", span(l.Trail.FirstFailure, l.Trail.LastFailure))
	field("written", strings.TrimSuffix(stamp(l.Time)+" by "+l.Trail.Worker, " by "))
	field("headers of", l.Dialect)
	field("database", rowText(d))
	field("ledger", ledgerText(l))
	field("order row", known.order)
	for _, w := range append(warningsOf(d, s.cfg.DLQ.MaxReplays), known.warnings...) {
		field("warning", w)
	}
	s.printRelated(r, d)
	if headers {
		for _, h := range l.Headers {
			field("header", h.Name+": "+string(h.Value))
		}
	}
	s.line("")
	s.printBody(d)
	if next := nextOf(l); next != "" {
		s.note("next: orderctl %s", fmt.Sprintf(next, s.dlqFlags(r)))
	}
	return nil
}

// nextOf is the command that a letter asks for; %s stands for the flags that name its topic.
func nextOf(l dlq.Letter) string {
	id := l.ID.String()
	switch l.State {
	case dlq.Undecided:
		return "dlq replay %s" + id + " -n"
	case dlq.Lost:
		return "dlq discard %s" + id + " --reason TEXT"
	case dlq.DeadAgain:
		return "dlq list %s--order-id " + l.OrderID()
	case dlq.Replayed, dlq.Resolved, dlq.InWork, dlq.Discarded:
	}
	return ""
}

// reasonText is why the letter died, as far as its headers tell.
func reasonText(l dlq.Letter) string {
	text := strings.TrimSpace(orMark(string(l.Trail.Class)) + " " + l.Trail.Code)
	if l.Trail.Message != "" {
		text += ": " + l.Trail.Message
	}
	return text
}

func orMark(s string) string {
	if s == "" {
		return "?"
	}
	return s
}

// sourceText is how the record that the letter came from stands to it.
func sourceText(d dlq.Detail) string {
	switch {
	case d.Letter.Pointer && d.Letter.Lost:
		return string(d.Source) + ": the letter points to it, its order is lost"
	case d.Letter.Pointer:
		return "the letter points to it; the order below is read from there"
	}
	return string(d.Source)
}

// ledgerText is who decided about the letter, when and why.
func ledgerText(l dlq.Letter) string {
	e := l.Ledger
	if e == nil {
		return ""
	}
	text := fmt.Sprintf("%s by %s at %s, job %s", e.State, orMark(e.Operator), stamp(e.At), e.Job)
	if e.Target != "" {
		text += ", to " + e.Target
	}
	if e.Edited {
		text += ", edited"
	}
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	return text
}

func (s *session) printBody(d dlq.Detail) {
	switch v := d.Letter.Value; {
	case v == nil:
		s.line("no value")
	case len(d.Lines) == 0:
		const most = 4 << 10
		for line := range strings.Lines(hex.Dump(v[:min(len(v), most)])) {
			s.line(strings.TrimRight(line, "\n"))
		}
		if len(v) > most {
			s.line(fmt.Sprintf("%d of %d bytes; --raw gives all", most, len(v)))
		}
	default:
		for _, l := range d.Lines {
			mark := "  "
			if l.Failing {
				mark = "> "
			}
			s.line(mark + l.Text)
		}
	}
}

func originText(l dlq.Letter) string {
	o := l.Trail.Origin
	if o.Topic == "" || o.Partition < 0 || o.Offset < 0 {
		return "?"
	}
	return o.String() + ", written " + stamp(l.Trail.OrigTime)
}

// rowText is what the database says of the letter's message.
func rowText(d dlq.Detail) string {
	switch {
	case !d.Store:
		return "? (not at hand)"
	case d.Row == nil:
		return "no row of this message"
	}
	r := *d.Row
	at := r.At.String()
	if r.At.Offset < 0 {
		at = "on its way to " + r.At.Topic
	}
	out := fmt.Sprintf("%s, hop %d, at %s", r.State, r.Hop, at)
	if r.State == queue.StateDone {
		out = fmt.Sprintf("%s %s", r.State, r.Outcome)
	}
	return out
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "?"
	}
	return t.UTC().Format(time.RFC3339)
}

func span(first, last time.Time) string {
	switch {
	case first.IsZero() && last.IsZero():
		return ""
	case first.Equal(last):
		return stamp(last)
	}
	return stamp(first) + " to " + stamp(last)
}
