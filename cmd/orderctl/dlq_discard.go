package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"commerce.internal/orderctl/internal/dlq"
	"commerce.internal/orderctl/internal/out"
)

// discardFlags say how letters are discarded.
type discardFlags struct {
	deskFlags
	undo, dry bool
	yes       *bool
}

func newDLQDiscardCmd(a *app) *cobra.Command {
	var sel selectFlags
	var f discardFlags
	cmd := &cobra.Command{
		Use: "discard SELECT", Short: "Takes dead letters out of those that wait for a decision, with a reason.", Args: takes(0, -1, "dead letters"),
		Long: `Takes dead letters out of those that wait for a decision, with a reason.

Nothing is deleted: the ledger says who, when and why, and --undo takes it back. The message of a letter of the group becomes discarded in order, by a record that the worker reads; what is blocked behind it goes on when it is replayed. A discarded letter can still be replayed when it is named.`,
		Example: `# never to be replayed
orderctl dlq discard --class invalid --until 24h --reason load-test
# after all
orderctl dlq discard 7/31 --undo --reason INC-215`,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.load(cmd)
			if err != nil {
				return err
			}
			return s.discard(cmd, args, &sel, &f)
		},
	}
	sel.add(a, cmd)
	f.add(cmd)
	cmd.Flags().BoolVar(&f.undo, "undo", false, "the letters are undecided again")
	cmd.Flags().BoolVarP(&f.dry, "dry-run", "n", false, "show the letters, change nothing")
	f.yes = addYes(cmd)
	exits(cmd, exitOK, "discarded, or nothing was to do", exitFailed, "another job is running", exitUsage, "", exitUnreachable, "unreachable, or it is not known whether all was written: run it again",
		exitDenied, "", exitNotFound, "no such letter, dead-letter topic or ledger", exitNeedsYes, "", exitInterrupted, "")
	seeAlso(cmd, "orderctl dlq list", "orderctl dlq replay", "orderctl dlq show")
	return cmd
}

func (s *session) discard(cmd *cobra.Command, args []string, sel *selectFlags, f *discardFlags) (err error) {
	if err := chosen(cmd, args); err != nil {
		return err
	}
	if !f.dry {
		if err := f.wantsReason(cmd); err != nil {
			return err
		}
	}
	if err := f.check(cmd); err != nil {
		return err
	}
	choice, err := sel.selection(cmd, args, s.env)
	if err != nil {
		return err
	}
	if f.undo && !cmd.Flags().Changed("state") && choice.IDs == nil {
		choice.States = []dlq.State{dlq.Discarded}
	}
	f.foreign = sel.topic
	ctx := cmd.Context()
	d, closeDesk, err := s.openDesk(ctx, f.deskFlags)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeDesk()) }()
	d.rest = func(done int) { sel.rest(cmd, done) }
	var letters []dlq.Letter
	err = d.reader.Select(ctx, choice, func(l dlq.Letter) error {
		letters = append(letters, l.Light())
		return nil
	})
	s.failedQuery(choice)
	if err != nil {
		return err
	}
	return d.discard(ctx, cmd, f, letters)
}

// discard shows, asks and decides.
func (d *desk) discard(ctx context.Context, cmd *cobra.Command, f *discardFlags, letters []dlq.Letter) (err error) {
	s := d.s
	job := &dlq.Discard{Job: randomID("d-", 6), Names: s.names(), Own: !d.foreign, Undo: f.undo, Reason: f.reason, Stop: ctx.Done()}
	n := 0
	for _, l := range letters {
		if job.Fits(l) {
			n++
		}
	}
	if f.dry || n > 0 && !*f.yes && wordsFor(s) {
		if err := s.print(lettersTable(letters, s.env.now()), nil); err != nil {
			return err
		}
	}
	if f.dry {
		return nil
	}
	if n == 0 && !d.ledger.Unsettled() {
		return s.printDiscard(dlq.Discarding{Handled: len(letters)}, f.undo)
	}
	if err := d.withLedger(); err != nil {
		return err
	}
	verb := map[bool]string{false: "discard", true: "reopen"}[f.undo]
	if err := s.consent(ctx, cmd, d.toDiscard(verb, n), *f.yes); err != nil {
		return err
	}
	var topics []string
	if job.Own {
		topics = []string{s.names().Replay()}
	}
	producer, closeProducer, err := d.producer(ctx, topics...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeProducer()) }()
	job.Desk = d.desk(producer, false)
	progress := out.NewProgress(s.env.stderr, out.ProgressOptions{
		Verb: verb, Total: int64(n), Quiet: s.global.quiet, Width: s.env.width(), Now: s.env.now,
		Redraw: out.CanRedraw(s.env.lookup, s.env.stderrTerminal),
	})
	job.Progress = func(done, _ int) { progress.Set(int64(done), 0) }
	// As in a replay: the first Ctrl-C lets the batch in hand end.
	sum, err := job.Run(context.WithoutCancel(ctx), letters)
	progress.Finish()
	if err == nil || sum.Done > 0 {
		err = errors.Join(s.printDiscard(sum, f.undo), err)
	}
	d.rest(sum.Done + sum.Handled)
	if err == nil && sum.Stopped {
		s.note("to go on: %s", again(cmd))
		return context.Canceled
	}
	return d.undecided(err, again(cmd))
}

// toDiscard says what there is to agree to.
func (d *desk) toDiscard(verb string, n int) string {
	if n == 0 {
		return fmt.Sprintf("finish an earlier %s of %s", verb, d.reader.Topic())
	}
	return fmt.Sprintf("%s %d dead letters of %s", verb, n, d.reader.Topic())
}

// undecided gives the errors of a discard their exit codes and hints. It cannot go on in the place of another job.
func (d *desk) undecided(err error, again string) error {
	var running *dlq.RunningError
	if errors.As(err, &running) {
		return &exitError{code: exitFailed, text: running.Error(), hint: "run it again when that has ended: orderctl dlq stats --jobs", err: err}
	}
	return d.decided(err, again)
}

// discardDoc is the outcome as JSON, orderctl.dlq.discard/v1.
type discardDoc struct {
	Schema  string `json:"schema"`
	Job     string `json:"job"`
	Undo    bool   `json:"undo"`
	Done    int    `json:"done"`
	Handled int    `json:"handled"`
	Settled int    `json:"settled"`
	Stopped bool   `json:"stopped"`
}

func (s *session) printDiscard(sum dlq.Discarding, undo bool) error {
	if f := out.Format(s.global.format); f == out.FormatJSON || f == out.FormatJSONL {
		return out.WriteLine(s.stdout, discardDoc{
			Schema: "orderctl.dlq.discard/v1", Job: sum.Job, Undo: undo, Done: sum.Done, Handled: sum.Handled, Settled: sum.Settled, Stopped: sum.Stopped,
		})
	}
	line := "nothing to do"
	switch {
	case sum.Done > 0 && undo:
		line = fmt.Sprintf("%d undecided again, job %s", sum.Done, sum.Job)
	case sum.Done > 0:
		line = fmt.Sprintf("%d discarded, job %s; --undo takes it back", sum.Done, sum.Job)
	}
	if sum.Settled > 0 {
		line += fmt.Sprintf("; %d of an earlier job are settled", sum.Settled)
	}
	if sum.Handled > 0 {
		line += fmt.Sprintf("; %d left alone: past already", sum.Handled)
		if undo {
			line = line[:len(line)-len("past already")] + "not discarded"
		}
	}
	s.line(line)
	return nil
}
