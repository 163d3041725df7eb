package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"commerce.internal/orderctl/internal/config"
	"commerce.internal/orderctl/internal/dlq"
	"commerce.internal/orderctl/internal/out"
	"commerce.internal/orderctl/internal/produce"
	"commerce.internal/orderctl/internal/queue"
)

// replayFlags say how a plan is carried out.
type replayFlags struct {
	planFlags
	plan, rate    string
	wait          string
	takeover, dry bool
	batch         int
	yes           *bool
}

func newDLQReplayCmd(a *app) *cobra.Command {
	var sel selectFlags
	var f replayFlags
	cmd := &cobra.Command{
		Use: "replay SELECT | --plan FILE", Short: "Replays dead letters: each takes effect once, in order.", Args: takes(0, -1, "dead letters"),
		Long: `Replays dead letters: each takes effect once, in order.

A selection is planned, shown and asked about; a plan file asks nothing. Everything sent stands in the ledger, <dlq>.audit, with operator and reason. A replay that ended early goes on where it stopped when it is run again. Ctrl-C ends it after the batch in hand.`,
		Example: `# all that ran out of attempts, and wait for the outcome
orderctl dlq replay --class exhausted --wait
# exactly what was planned
orderctl dlq replay --plan plan.json --wait=5m
# repair and replay one
orderctl dlq replay 7/31 --set '/currency="EUR"' --yes
# letters of another tool, into the queue
orderctl dlq replay --dlq payments.DLT --all --to topic=orders --yes`,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.load(cmd)
			if err != nil {
				return err
			}
			pace, wait, err := f.numbers(cmd)
			if err != nil {
				return err
			}
			if f.plan != "" {
				return s.replayFile(cmd, args, &sel, &f, pace, wait)
			}
			return s.withPlan(cmd, args, &sel, &f.planFlags, func(ctx context.Context, d *desk, pl *dlq.Planner, p dlq.Plan) error {
				return d.replaySelected(ctx, cmd, &f, pl, p, pace, wait)
			})
		},
	}
	sel.add(a, cmd)
	f.add(cmd)
	fs := cmd.Flags()
	fs.StringVar(&f.plan, "plan", "", "carry out this plan `FILE`, - for stdin; asks nothing")
	fs.StringVar(&f.rate, "rate", "50/s", "letters `N/s`, or max")
	fs.StringVar(&f.wait, "wait", "", "wait so long `DURATION` for the outcome; alone: 15m")
	fs.Lookup("wait").NoOptDefVal = "15m"
	fs.BoolVar(&f.takeover, "takeover", false, "go on in the place of a replay that runs elsewhere, with its plan")
	fs.IntVar(&f.batch, "batch", 100, "letters in one batch `N`, 1 to 100")
	fs.BoolVarP(&f.dry, "dry-run", "n", false, "show the plan, change nothing")
	f.yes = addYes(cmd)
	_ = cmd.MarkFlagFilename("plan", "json")
	exits(cmd, exitOK, "all that was selected is replayed, or nothing was to do", exitFailed, "one is running elsewhere, or the topic was made anew", exitUsage, "",
		exitUnreachable, "unreachable, or it is not known whether a batch was written: run it again", exitDenied, "",
		exitPartial, "some were skipped; with --wait: some died again or are in work", exitNotFound, "no such letter, dead-letter topic or ledger", exitNeedsYes, "", exitInterrupted, "")
	seeAlso(cmd, "orderctl dlq plan", "orderctl dlq list", "orderctl trace")
	return cmd
}

// numbers reads the rate, 0 for no limit, and the wait, 0 for none.
func (f *replayFlags) numbers(cmd *cobra.Command) (perSecond float64, wait time.Duration, err error) {
	r, err := produce.ParseRate(f.rate)
	if err != nil {
		return 0, 0, badUsage(cmd, "", "--rate: %v", err)
	}
	if f.wait != "" {
		if wait, err = config.ParseDuration(f.wait); err != nil || wait <= 0 {
			return 0, 0, badUsage(cmd, "", "--wait: %q is no duration above 0, such as 15m", f.wait)
		}
	}
	if f.batch < 1 || f.batch > 100 {
		return 0, 0, badUsage(cmd, "", "--batch: %d is not within 1 and 100", f.batch)
	}
	return r.PerSecond(), wait, nil
}

// replayFile carries out a plan as it stands.
func (s *session) replayFile(cmd *cobra.Command, args []string, sel *selectFlags, f *replayFlags, pace float64, wait time.Duration) (err error) {
	for _, name := range append(selecting(), "to", "set", "transform", "edit", "include", "reason", "no-followers") {
		if fl := cmd.Flags().Lookup(name); len(args) > 0 || fl != nil && fl.Changed {
			return badUsage(cmd, "what is replayed, and how, stands in the plan.", "--plan and a selection exclude each other")
		}
	}
	if err := f.check(cmd); err != nil {
		return err
	}
	plan, err := s.readPlan(cmd, f.plan)
	if err != nil {
		return err
	}
	if f.dry {
		return s.printPlan(plan, f.plan)
	}
	if err := f.insists(); err != nil {
		return err
	}
	if f.foreign = sel.topic; f.foreign == "" && plan.DLQ.Topic != s.names().DLQ() {
		f.foreign = plan.DLQ.Topic
	}
	ctx := cmd.Context()
	d, closeDesk, err := s.openDesk(ctx, f.deskFlags)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeDesk()) }()
	if plan.DLQ.Topic != d.reader.Topic() || plan.Group != s.cfg.Consume.Group {
		return badUsage(cmd, "", "--plan: it is about %s of group %s, not about %s of %s", plan.DLQ.Topic, plan.Group, d.reader.Topic(), s.cfg.Consume.Group)
	}
	d.reason = plan.Reason
	s.acts()
	return d.replay(ctx, cmd, f, nil, plan, pace, wait)
}

// insists refuses --again without --yes.
func (f *replayFlags) insists() error {
	if f.again && !*f.yes {
		return exitWith(exitNeedsYes, "--again replays what is handled already; add --yes to do it", "")
	}
	return nil
}

// replaySelected shows a plan, asks, and carries it out.
func (d *desk) replaySelected(ctx context.Context, cmd *cobra.Command, f *replayFlags, pl *dlq.Planner, p dlq.Plan, pace float64, wait time.Duration) error {
	s := d.s
	n, _, _ := p.Count()
	if f.dry {
		return s.printPlan(p, "")
	}
	if n == 0 {
		if wordsFor(s) && len(p.Entries) > 0 && !*f.yes {
			if err := s.printPlan(p, ""); err != nil {
				return err
			}
		}
		return d.judge(dlq.Unstarted(p), nil, "")
	}
	if err := f.insists(); err != nil {
		return err
	}
	if wordsFor(s) && !*f.yes {
		if err := s.printPlan(p, ""); err != nil {
			return err
		}
	}
	if err := d.withLedger(); err != nil {
		return err
	}
	what := fmt.Sprintf("replay %d dead letters of %s", n, s.cfg.Consume.Group)
	if d.foreign {
		what = fmt.Sprintf("replay %d dead letters of %s to %s", n, d.reader.Topic(), strings.TrimPrefix(p.To, "topic="))
	}
	if err := s.consent(ctx, cmd, what, *f.yes); err != nil {
		return err
	}
	return d.replay(ctx, cmd, f, pl, p, pace, wait)
}

// replay carries out a plan.
func (d *desk) replay(ctx context.Context, cmd *cobra.Command, f *replayFlags, pl *dlq.Planner, p dlq.Plan, pace float64, wait time.Duration) (err error) {
	s := d.s
	if err := d.withLedger(); err != nil {
		return err
	}
	if wait > 0 && d.store == nil {
		return badUsage(cmd, "leave --wait out, or set store.dsn.", "--wait asks the database, and none is at hand")
	}
	producer, closeProducer, err := d.producer(ctx, targetsOf(p)...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeProducer()) }()
	planned, _, _ := p.Count()
	progress := out.NewProgress(s.env.stderr, out.ProgressOptions{
		Verb: "replay", Total: int64(planned), Quiet: s.global.quiet, Width: s.env.width(), Now: s.env.now,
		Redraw: out.CanRedraw(s.env.lookup, s.env.stderrTerminal),
	})
	r := &dlq.Replay{
		Desk: d.desk(producer, f.takeover), Plan: p, Cluster: d, Again: f.again, Batch: f.batch, Rate: pace, Wait: wait, Stop: ctx.Done(),
		Progress: func(done, _ int) { progress.Set(int64(done), 0) },
	}
	if d.store != nil && !d.foreign {
		r.Rows = d.store
	}
	if pl != nil && pl.Followers {
		r.Late = d.late(pl, p)
	}
	// The first Ctrl-C lets the batch in hand end; the second leaves at once.
	sum, err := r.Run(context.WithoutCancel(ctx))
	progress.Finish()
	d.rest(sum.Sent + sum.Handled)
	return d.judge(sum, err, again(cmd))
}

// late plans what died blocked behind the letters of a plan since.
func (d *desk) late(pl *dlq.Planner, p dlq.Plan) dlq.Late {
	orders := map[string]bool{}
	for _, e := range p.Entries {
		if e.Action == dlq.ActReplay && e.Key != "" {
			orders[e.Key] = true
		}
	}
	return func(ctx context.Context) ([]dlq.PlanEntry, error) {
		sel := dlq.Selection{Classes: []string{string(queue.ClassBlocked)}, States: []dlq.State{dlq.Undecided}}
		for id := range orders {
			sel.OrderIDs = append(sel.OrderIDs, id)
		}
		slices.Sort(sel.OrderIDs)
		if len(sel.OrderIDs) == 0 {
			return nil, nil
		}
		again := *pl
		again.Edits = nil
		later, err := again.Plan(ctx, sel)
		if err != nil {
			return nil, err
		}
		return slices.DeleteFunc(later.Entries, func(e dlq.PlanEntry) bool {
			return e.Action != dlq.ActReplay || slices.ContainsFunc(p.Entries, func(x dlq.PlanEntry) bool { return x.ID == e.ID })
		}), nil
	}
}

// targetsOf are the topics that a plan writes to.
func targetsOf(p dlq.Plan) []string {
	var topics []string
	for _, e := range p.Entries {
		if i := strings.LastIndexByte(e.Target, '/'); i > 0 && !slices.Contains(topics, e.Target[:i]) {
			topics = append(topics, e.Target[:i])
		}
	}
	return topics
}
