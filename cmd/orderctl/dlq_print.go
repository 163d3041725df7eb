package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"commerce.internal/orderctl/internal/dlq"
	"commerce.internal/orderctl/internal/out"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/text"
)

// runDLQList prints the chosen letters, newest first.
func runDLQList(ctx context.Context, s *session, r *dlq.Reader, sel dlq.Selection) error {
	letters, err := r.List(ctx, sel)
	if err != nil {
		return err
	}
	now := s.env.now()
	if len(letters) == 0 && wordsFor(s) {
		s.note("no dead letters in %s match", s.names().DLQ())
	}
	if err := s.print(lettersTable(letters, now), nil); err != nil {
		return err
	}
	if len(letters) > 0 && wordsFor(s) {
		more := ""
		if sel.Limit > 0 && len(letters) == sel.Limit {
			more = fmt.Sprintf("the newest %d; --all shows all     ", sel.Limit)
		}
		s.note("%snext: orderctl dlq show %s", more, letters[0].ID)
	}
	return nil
}

// wordsFor reports whether the answer is for eyes, so that a word beside it helps.
func wordsFor(s *session) bool {
	f := out.Format(s.global.format)
	return f == out.FormatTable || f == out.FormatWide
}

func lettersTable(letters []dlq.Letter, now time.Time) out.Table {
	t := out.Table{Schema: "orderctl.dlq.list/v1", List: "letters", Columns: []out.Column{
		{Name: "ID", JSON: "id"},
		{Name: "AGE", JSON: "age_seconds", Kind: out.KindDuration},
		{Name: "CLASS", JSON: "class"},
		{Name: "CODE", JSON: "code", Drop: 2},
		{Name: "TRIES", JSON: "attempts", Kind: out.KindInt, Drop: 1},
		{Name: "ORDER", JSON: "order_id"},
		{Name: "ORIGIN", JSON: "origin", Wide: true},
		{Name: "TIME", JSON: "time", Kind: out.KindTime, Wide: true},
		{Name: "STATE", JSON: "state", Wide: true},
		{Name: "HOP", JSON: "hop", Kind: out.KindInt, Wide: true},
		{Name: "COPIES", JSON: "copies", Kind: out.KindInt, Wide: true},
		{Name: "REPLAYS", JSON: "replays", Kind: out.KindInt, Wide: true},
		{Name: "MSG-ID", JSON: "msg_id", Wide: true},
		{Name: "REASON", JSON: "message", Flex: true},
	}}
	for _, l := range letters {
		id := l.ID.String()
		if l.Copies > 1 {
			id += fmt.Sprintf(" x%d", l.Copies)
		}
		t.Rows = append(t.Rows, []out.Cell{
			out.Text(id), out.Duration(max(time.Second, now.Sub(l.Time)).Truncate(time.Second)), orUnknown(string(l.Trail.Class)), orNA(l.Trail.Code), out.Int(int64(l.Trail.Attempts)),
			orNA(l.OrderID()), origin(l), out.Time(l.Time), orUnknown(string(l.State)), out.Int(int64(l.Trail.Hop)), out.Int(int64(l.Copies)),
			out.Int(int64(l.Trail.ReplayCount)), orUnknown(l.Trail.MsgID), orNA(l.Trail.Message),
		})
	}
	return t
}

func orUnknown(s string) out.Cell {
	if s == "" {
		return out.Unknown()
	}
	return out.Text(s)
}

func orNA(s string) out.Cell {
	if s == "" {
		return out.NA()
	}
	return out.Text(s)
}

func origin(l dlq.Letter) out.Cell {
	o := l.Trail.Origin
	if o.Topic == "" || o.Partition < 0 || o.Offset < 0 {
		return out.Unknown()
	}
	return out.Text(o.String())
}

// runDLQExport writes the chosen letters as JSON lines, one at a time.
func runDLQExport(ctx context.Context, s *session, r *dlq.Reader, sel dlq.Selection) error {
	n, err := r.Export(ctx, sel, func(l dlq.Letter) error { return out.WriteLine(s.stdout, l.Exported()) })
	if err != nil {
		return err
	}
	if n == 0 {
		s.note("no dead letters in %s match", s.names().DLQ())
	}
	return nil
}

func newDLQShowCmd(a *app) *cobra.Command {
	var headers, raw bool
	cmd := &cobra.Command{
		Use: "show P/O...", Short: "Shows dead letters: why they died, what they carry, what became of them.", Args: takes(1, -1, "dead letters, such as 7/31"),
		Example: `# why did this one die?
orderctl dlq show 7/31
# with every header
orderctl dlq show 7/31 --headers
# its bytes, as they were sent
orderctl dlq show 7/31 --raw > order.json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withLetters(cmd, args, selectFlags{}, func(ctx context.Context, s *session, r *dlq.Reader, sel dlq.Selection) error {
				if raw && len(sel.IDs) > 1 {
					return badUsage(cmd, "", "--raw shows one letter, not %d", len(sel.IDs))
				}
				return runDLQShow(ctx, s, r, sel.IDs, headers, raw)
			})
		},
	}
	groupFlags(cmd)
	cmd.Flags().BoolVar(&headers, "headers", false, "every header, too")
	cmd.Flags().BoolVar(&raw, "raw", false, "the value alone, byte for byte; escaped on a terminal")
	exits(cmd, exitOK, "shown", exitUsage, "", exitUnreachable, "", exitDenied, "", exitNotFound, "no such letter or topic")
	seeAlso(cmd, "orderctl dlq list", "orderctl dlq export")
	return cmd
}

func runDLQShow(ctx context.Context, s *session, r *dlq.Reader, ids []dlq.ID, headers, raw bool) error {
	for i, id := range ids {
		d, err := r.Show(ctx, id)
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
			s.printLetter(d, headers)
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

func (s *session) printLetter(d dlq.Detail, headers bool) {
	l := d.Letter
	field := func(name, value string) {
		if value != "" {
			s.line(fmt.Sprintf("%-10s %s", name, value))
		}
	}
	s.line(fmt.Sprintf("%s  %s  %s", l.ID, strings.ToUpper(stateWord(l.State)), s.names().DLQ()))
	field("reason", strings.TrimSpace(fmt.Sprintf("%s %s: %s", l.Trail.Class, l.Trail.Code, l.Trail.Message)))
	field("order", string(l.Key))
	field("message", l.Trail.MsgID)
	field("origin", originText(l))
	field("tries", fmt.Sprintf("%d, hop %d, replayed %d times", l.Trail.Attempts, l.Trail.Hop, l.Trail.ReplayCount))
	field("blocked by", l.Trail.BlockedBy)
	field("failed", span(l.Trail.FirstFailure, l.Trail.LastFailure))
	field("written", stamp(l.Time)+" by "+l.Trail.Worker)
	field("database", rowText(d))
	for _, o := range d.Related {
		field("also dead", fmt.Sprintf("%s %s %s, %s", o.ID, o.Trail.Class, o.Trail.MsgID, stateWord(o.State)))
	}
	if d.Partial {
		field("", "there are more letters of this order: orderctl dlq list --order-id "+string(l.Key)+" --state any")
	}
	if headers {
		for _, h := range l.Headers {
			field("header", h.Name+": "+string(h.Value))
		}
	}
	s.line("")
	s.printBody(d)
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

// stateWord is the state of a letter.
func stateWord(s dlq.State) string {
	if s == "" {
		return "?"
	}
	return string(s)
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
