package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"commerce.internal/orderctl/internal/config"
	"commerce.internal/orderctl/internal/dlq"
	"commerce.internal/orderctl/internal/kafka/read"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/store"
)

// listed is how many letters `dlq list` shows where nothing else is said.
const listed = 50

// selectFlags are the flags that choose letters.
type selectFlags struct {
	classes, codes, orders, states []string
	since, until                   string
	limit                          int
	all                            bool
}

func newDLQCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "dlq", Short: "Finds, shows and exports dead letters.", GroupID: groupOnCall, Args: groupArgs,
		Example: `# what died, newest first?
orderctl dlq list
# why did this one die?
orderctl dlq show 7/31
# all of them, with their bytes
orderctl dlq export > letters.jsonl`,
	}
	exits(cmd, exitOK, "", exitUsage, "")
	cmd.AddCommand(newDLQListCmd(a), newDLQShowCmd(a), newDLQExportCmd(a))
	return cmd
}

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
orderctl dlq list --all -o json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withLetters(cmd, args, f, func(ctx context.Context, s *session, r *dlq.Reader, sel dlq.Selection) error {
				if sel.Limit == 0 && !f.all && len(sel.IDs) == 0 {
					sel.Limit = listed
				}
				return runDLQList(ctx, s, r, sel)
			})
		},
	}
	f.add(cmd)
	exits(cmd, exitOK, "listed; also when there are none", exitUsage, "", exitUnreachable, "", exitDenied, "", exitNotFound, "no such letter or topic")
	seeAlso(cmd, "orderctl dlq show", "orderctl dlq export", "orderctl lag")
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
	f.add(cmd)
	exits(cmd, exitOK, "written; also when there are none", exitUsage, "", exitUnreachable, "", exitDenied, "", exitNotFound, "no such letter or topic")
	seeAlso(cmd, "orderctl dlq list")
	return cmd
}

// add adds the flags that choose letters.
func (f *selectFlags) add(cmd *cobra.Command) {
	fs := cmd.Flags()
	groupFlags(cmd)
	fs.StringSliceVar(&f.classes, "class", nil, "only this `CLASS` of failure; again for more")
	fs.StringSliceVar(&f.codes, "code", nil, "only this `CODE`; again for more")
	fs.StringSliceVar(&f.orders, "order-id", nil, "only letters of this order `ID`; again for more")
	fs.StringVar(&f.since, "since", "", "only letters from this `TIME` on, RFC 3339, or a duration back: 24h")
	fs.StringVar(&f.until, "until", "", "only letters before this `TIME`")
	fs.StringSliceVar(&f.states, "state", []string{string(dlq.Undecided)}, "only letters of this `STATE`: undecided, resolved, dead-again, in-work, discarded, any")
	fs.IntVar(&f.limit, "limit", 0, "the newest `N`")
	fs.BoolVar(&f.all, "all", false, "no limit")
}

func groupFlags(cmd *cobra.Command) {
	keyFlag(cmd, cmd.Flags(), "consume.group", "group", "g", "consumer `GROUP`")
	keyFlag(cmd, cmd.Flags(), "consume.topic", "topic", "t", "source `TOPIC`")
}

// selection turns arguments and flags into what dlq understands.
func (f *selectFlags) selection(cmd *cobra.Command, args []string, now time.Time) (dlq.Selection, error) {
	s := dlq.Selection{Classes: f.classes, Codes: f.codes, OrderIDs: f.orders, Limit: f.limit}
	if f.limit < 0 {
		return s, badUsage(cmd, "", "--limit: %d is below 0", f.limit)
	}
	if f.all && f.limit > 0 {
		return s, badUsage(cmd, "", "--all and --limit exclude each other")
	}
	for _, a := range args {
		id, err := dlq.ParseID(a)
		if err != nil {
			return s, badUsage(cmd, "", "%v", err)
		}
		s.IDs = append(s.IDs, id)
	}
	for _, t := range []struct {
		flag, value string
		into        *time.Time
	}{{"since", f.since, &s.Since}, {"until", f.until, &s.Until}} {
		at, err := when(t.value, now)
		if err != nil {
			return s, badUsage(cmd, "", "--%s: %v", t.flag, err)
		}
		*t.into = at
	}
	if s.Since.After(now) {
		return s, badUsage(cmd, "", "--since: %s lies in the future", f.since)
	}
	known := []string{string(dlq.Undecided), string(dlq.Resolved), string(dlq.DeadAgain), string(dlq.InWork), string(dlq.Discarded), "any"}
	named := cmd.Flags().Changed("state") || len(s.IDs) == 0 // a letter that is named is shown, whatever its state
	for _, state := range f.states {
		if state == "any" {
			s.States, named = nil, false
		}
		if !contains(known, state) {
			fix := ""
			if near := config.Suggest(state, known); near != "" {
				fix = fmt.Sprintf("did you mean %q?", near)
			}
			return s, badUsage(cmd, fix, "--state: %q is none of undecided, resolved, dead-again, in-work, discarded, any", state)
		}
		if named {
			s.States = append(s.States, dlq.State(state))
		}
	}
	return s, nil
}

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}

// when reads a point in time: RFC 3339, or a duration back from now. Empty is no time.
func when(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	d, err := config.ParseDuration(s)
	if err != nil || d < 0 {
		return time.Time{}, fmt.Errorf("%q is neither a time (2026-11-22T03:12:07Z) nor a duration back (24h)", s)
	}
	return now.Add(-d), nil
}

// withLetters loads the configuration, connects, and runs do under --timeout but for the scan itself, which goes on as
// long as the log has something to read.
func (a *app) withLetters(cmd *cobra.Command, args []string, f selectFlags, do func(context.Context, *session, *dlq.Reader, dlq.Selection) error) error {
	s, err := a.load(cmd)
	if err != nil {
		return err
	}
	sel, err := f.selection(cmd, args, a.env.now())
	if err != nil {
		return err
	}
	return s.withReader(cmd.Context(), func(ctx context.Context, r *dlq.Reader) error { return do(ctx, s, r, sel) })
}

// withReader opens the log of dead letters and, where it is there, the store.
func (s *session) withReader(ctx context.Context, do func(context.Context, *dlq.Reader) error) (err error) {
	logs, err := s.logs("orderctl-dlq", false)
	if err != nil {
		return err
	}
	defer logs.Close()
	log, err := ask(ctx, s, func(ctx context.Context) (*read.Reader, error) { return read.New(ctx, s.kafka("dlq", logs.Log)) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	var rows dlq.Rows
	o := s.storeOptions(logs.Log)
	o.Migrate = false // a command that looks makes no database
	st, storeErr := store.Open(ctx, o)
	if storeErr == nil {
		rows = st
		defer func() { err = errors.Join(err, st.Close()) }()
	} else {
		s.note("no database at hand (%v): what became of the letters is not known", storeErr)
	}
	return do(ctx, dlq.NewReader(letterLog{s: s, r: log}, rows, s.names().DLQ(), s.cfg.Consume.Group))
}

// letterLog is the reader of a log as dlq sees it. Each answer has to come within --timeout; a scan may take longer as a
// whole, but never stands still for that long.
type letterLog struct {
	s *session
	r *read.Reader
}

// Bounds implements dlq.Log.
func (l letterLog) Bounds(ctx context.Context, topic string) (map[int32]dlq.Span, error) {
	found, err := ask(ctx, l.s, func(ctx context.Context) (map[int32]read.Span, error) { return l.r.Bounds(ctx, topic) })
	if err != nil {
		return nil, err
	}
	spans := make(map[int32]dlq.Span, len(found))
	for p, s := range found {
		spans[p] = dlq.Span(s)
	}
	return spans, nil
}

// Scan implements dlq.Log.
func (l letterLog) Scan(ctx context.Context, topic string, partition int32, from, end int64, fn func(queue.Record) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	limit := l.s.timeout()
	idle := time.AfterFunc(limit, func() { cancel(context.DeadlineExceeded) })
	defer idle.Stop()
	err := l.r.Scan(ctx, topic, partition, from, end, func(r queue.Record) error {
		idle.Reset(limit)
		return fn(r)
	})
	if err != nil && errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		return exitWith(exitUnreachable, fmt.Sprintf("Kafka at %s did not answer within %s", l.s.brokers(), config.FormatDuration(limit)), "--timeout waits longer")
	}
	return err
}
