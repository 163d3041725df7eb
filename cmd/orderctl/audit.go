package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"commerce.internal/orderctl/internal/inspect"
	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/out"
)

// settleTime is how long what looks wrong is given to come right.
const settleTime = 5 * time.Second

// auditFlags are the flags of audit.
type auditFlags struct {
	since, sample, ids string
	settle             time.Duration
}

func newAuditCmd(a *app) *cobra.Command {
	var f auditFlags
	cmd := &cobra.Command{
		Use: "audit", Short: "Proves that no order is lost: accepted = applied + dead + in work.",
		Long: `Proves that no order is lost: accepted = applied + dead + in work.

It goes through every record of the source topic and looks for the row of its message, and for the letter of every dead one. The queue may run meanwhile. What looks wrong is looked at again after --settle; what still looks wrong is named. It needs the database.`,
		GroupID: groupOnCall, Args: noArgs,
		Example: `# is anything lost?
orderctl audit
# only what came in since midnight
orderctl audit --since 2026-11-22T00:00:00Z
# did all that the shop sent arrive? (one order id or message id a line)
orderctl audit --ids sent.txt
# every message that is not where it should be, for a program
orderctl audit -o jsonl`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.load(cmd)
			if err != nil {
				return err
			}
			o, err := f.options(cmd, s)
			if err != nil {
				return err
			}
			ids := idFile{path: f.ids}
			if f.ids != "" {
				o.IDs = ids.each
			}
			err = s.withQueue(cmd.Context(), "audit", func(ctx context.Context, i inspected) error { return runAudit(ctx, s, i, o) })
			return errors.Join(err, ids.remove())
		},
	}
	fs := cmd.Flags()
	groupFlags(cmd)
	fs.StringVar(&f.since, "since", "", "only what came in from this `TIME` on, RFC 3339, or a duration back: 24h")
	durationFlag(fs, &f.settle, "settle", "", settleTime, 0, "look again after this `DURATION` before anything is called wrong")
	fs.StringVar(&f.ids, "ids", "", "`FILE` with an order id or message id a line: name those that are not on the topic")
	fs.StringVar(&f.sample, "sample", "", "look at one order in so many, `1/N`; never says BALANCED")
	exits(cmd, exitOK, "balanced; with --sample: nothing wrong in it", exitUsage, "also: no database yet", exitUnreachable, "Kafka or the database unreachable",
		exitDenied, "", exitThreshold, "not balanced: missing, no letter, lost, or not on the topic",
		exitPartial, "nothing wrong in what could be read, and not all could", exitNotFound, "no such group or topic")
	seeAlso(cmd, "orderctl trace", "orderctl dlq list", "orderctl lag")
	return cmd
}

// options turns the flags into what inspect understands.
func (f auditFlags) options(cmd *cobra.Command, s *session) (inspect.AuditOptions, error) {
	o := inspect.AuditOptions{Settle: f.settle, Unknown: s.unknown(order.KeepUnknown)}
	now := s.env.now()
	since, err := when(f.since, now)
	if err != nil {
		return o, badUsage(cmd, "", "--since: %v", err)
	}
	if since.After(now) {
		return o, badUsage(cmd, "", "--since: %s lies in the future", f.since)
	}
	o.Since = since
	if f.sample != "" {
		part, of, found := strings.Cut(f.sample, "/")
		n, err := strconv.ParseUint(of, 10, 31)
		if !found || part != "1" || err != nil || n == 0 {
			return o, badUsage(cmd, "", "--sample: %q is no share; write 1/100", f.sample)
		}
		o.Sample = int(n)
	}
	return o, nil
}

// runAudit compares log and database and prints the balance.
func runAudit(ctx context.Context, s *session, i inspected, o inspect.AuditOptions) error {
	if i.rows == nil {
		return i.err
	}
	o.Names, o.Log, o.Source, o.Rows, o.Dead = i.names, i.log, i.watch, i.rows, i.rows
	progress, finish := s.auditProgress()
	o.Progress = progress
	r, err := inspect.Audit(ctx, o)
	finish()
	if err != nil {
		return i.named(ctx, err)
	}
	if err := s.printAudit(r); err != nil {
		return err
	}
	switch r.Verdict {
	case inspect.NotBalanced:
		return exitWith(exitThreshold, "", "")
	case inspect.Incomplete:
		return exitWith(exitPartial, "incomplete: "+auditHoles(r), "")
	case inspect.Balanced, inspect.Sampled:
	}
	return nil
}

// auditProgress tells on stderr how far the audit is.
func (s *session) auditProgress() (tell func(done, total int64, doubts int), finish func()) {
	var p *out.Progress
	tell = func(done, total int64, _ int) {
		if p == nil {
			p = out.NewProgress(s.env.stderr, out.ProgressOptions{
				Verb: "audit", Total: total, Quiet: s.global.quiet, Width: s.env.width(), Now: s.env.now,
				Redraw: out.CanRedraw(s.env.lookup, s.env.stderrTerminal),
			})
		}
		p.Set(done, 0)
	}
	return tell, func() {
		if p != nil {
			p.Finish()
		}
	}
}

// auditHoles says what of the balance is missing.
func auditHoles(r *inspect.AuditReport) string {
	var holes []string
	for _, u := range r.Unread {
		holes = append(holes, fmt.Sprintf("%s/%d: %s", r.Topic, u.Partition, u.Problem))
	}
	if r.Unresolved > 0 {
		holes = append(holes, digits(r.Unresolved)+" unresolved")
	}
	return strings.Join(holes, "; ")
}
