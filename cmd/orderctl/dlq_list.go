package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"commerce.internal/orderctl/internal/config"
	"commerce.internal/orderctl/internal/dlq"
	"commerce.internal/orderctl/internal/out"
)

// listed is how many letters `dlq list` shows where nothing else is said.
const listed = 50

func newDLQListCmd(a *app) *cobra.Command {
	var f selectFlags
	cmd := &cobra.Command{
		Use: "list [P/O...]", Short: "Lists dead letters, newest first.", Args: takes(0, -1, "dead letters"),
		Example: `# what died, newest first?
orderctl dlq list
# only orders that broke a rule, since yesterday
orderctl dlq list --class invalid --since 24h
# what became of those of one order?
orderctl dlq list --order-id A-1024 --state any
# all of them, for a program
orderctl dlq list --all -o json
# what is dear and waits for more than ten minutes?
orderctl dlq list --jq '.age_seconds > 600 and .body.total_amount >= 100000'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withLetters(cmd, args, f, func(ctx context.Context, s *session, r *dlq.Reader, sel dlq.Selection) error {
				if sel.Limit == 0 && !f.all && sel.IDs == nil {
					sel.Limit = listed
				}
				return runDLQList(ctx, s, r, sel)
			})
		},
	}
	f.add(a, cmd)
	exits(cmd, exitOK, "listed; also when there are none", exitUsage, "", exitUnreachable, "", exitDenied, "", exitNotFound, "no such letter or topic")
	seeAlso(cmd, "orderctl dlq stats", "orderctl dlq show", "orderctl dlq export", "orderctl lag")
	return cmd
}

func newDLQExportCmd(a *app) *cobra.Command {
	var f selectFlags
	cmd := &cobra.Command{
		Use: "export [P/O...]", Short: "Writes dead letters whole, as JSON lines.", Args: takes(0, -1, "dead letters"),
		Example: `# all undecided letters, with their bytes
orderctl dlq export > letters.jsonl
# the bytes of one
orderctl dlq export 7/31 | jq -r .value_base64 | base64 -d`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withLetters(cmd, args, f, runDLQExport)
		},
	}
	f.add(a, cmd)
	exits(cmd, exitOK, "written; also when there are none", exitUsage, "", exitUnreachable, "", exitDenied, "", exitNotFound, "no such letter or topic")
	seeAlso(cmd, "orderctl dlq list")
	return cmd
}

// runDLQList prints the chosen letters, newest first.
func runDLQList(ctx context.Context, s *session, r *dlq.Reader, sel dlq.Selection) error {
	letters, err := r.List(ctx, sel)
	if err != nil {
		return err
	}
	if len(letters) == 0 && wordsFor(s) {
		s.note("no dead letters in %s match", r.Topic())
	}
	if err := s.print(lettersTable(letters, s.env.now()), nil); err != nil || !wordsFor(s) || s.global.quiet {
		return err
	}
	if err := s.noLedger(ctx, r); err != nil {
		return err
	}
	totals, err := r.Totals(ctx)
	if err != nil {
		return err
	}
	foot := listFoot(len(letters), sel, totals)
	if len(letters) > 0 {
		foot += "     next: orderctl dlq show " + s.dlqFlags(r) + letters[0].ID.String()
	}
	s.note("%s", foot)
	return nil
}

// listFoot is how what is shown stands to what there is.
func listFoot(shown int, sel dlq.Selection, t dlq.Totals) string {
	about := ""
	if t.About {
		about = "about "
	}
	letters := "letters"
	if shown == 1 {
		letters = "letter"
	}
	foot := fmt.Sprintf("%d %s; %s%s undecided", shown, letters, about, digits(t.Undecided))
	if len(sel.States) == 1 && sel.States[0] == dlq.Undecided {
		foot = fmt.Sprintf("%d of %s%s undecided", shown, about, digits(t.Undecided))
	}
	return foot + fmt.Sprintf("; %s replayed, %s discarded", digits(t.Replayed), digits(t.Discarded))
}

// noLedger says that there is no ledger, so that nothing can be decided.
func (s *session) noLedger(ctx context.Context, r *dlq.Reader) error {
	ledger, err := r.Ledger(ctx)
	if err == nil && ledger.Missing {
		s.note("there is no ledger %s: nothing was decided, and nothing can be; see orderctl topics apply", ledger.Topic)
	}
	return err
}

// dlqFlags are the flags that a next command needs to find the same letters, and a blank behind them.
func (s *session) dlqFlags(r *dlq.Reader) string {
	if own := s.names().DLQ(); r.Topic() != own {
		return "--dlq " + r.Topic() + " "
	}
	flags := ""
	for _, f := range []struct{ key, flag, value string }{
		{"consume.group", "-g", s.cfg.Consume.Group}, {"consume.topic", "-t", s.cfg.Consume.Topic},
	} {
		if s.loaded.Origin(f.key).Kind == config.FromFlag {
			flags += f.flag + " " + f.value + " "
		}
	}
	return flags
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
		{Name: "JOB", JSON: "job", Wide: true},
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
			orNA(l.OrderID()), origin(l), out.Time(l.Time), out.Text(string(l.State)), out.Int(int64(l.Trail.Hop)), out.Int(int64(l.Copies)),
			out.Int(int64(l.Trail.ReplayCount)), orNA(l.Job()), orUnknown(l.Trail.MsgID), orNA(l.Trail.Message),
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
		s.note("no dead letters in %s match", r.Topic())
	}
	return nil
}
