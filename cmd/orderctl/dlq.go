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
)

func newDLQCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "dlq", Short: "Finds, shows, replays and discards dead letters.", GroupID: groupOnCall, Args: groupArgs,
		Example: `# what died, newest first?
orderctl dlq list
# why did this one die?
orderctl dlq show 7/31
# replay all that ran out of attempts, and wait for the outcome
orderctl dlq replay --class exhausted --wait`,
	}
	exits(cmd, exitOK, "", exitUsage, "")
	cmd.AddCommand(newDLQListCmd(a), newDLQStatsCmd(a), newDLQShowCmd(a), newDLQExportCmd(a), newDLQPlanCmd(a), newDLQReplayCmd(a), newDLQDiscardCmd(a), newDLQBuryCmd(a))
	return cmd
}

// withLetters loads the configuration, connects, and runs do under --timeout but for the scan itself, which goes on as
// long as the log has something to read.
func (a *app) withLetters(cmd *cobra.Command, args []string, f selectFlags, do func(context.Context, *session, *dlq.Reader, dlq.Selection) error) error {
	s, err := a.load(cmd)
	if err != nil {
		return err
	}
	sel, err := f.selection(cmd, args, a.env)
	if err != nil {
		return err
	}
	return s.withReader(cmd.Context(), f.topic, func(ctx context.Context, r *dlq.Reader) error {
		err := do(ctx, s, r, sel)
		s.failedQuery(sel)
		return err
	})
}

// failedQuery tells how often a query could not be evaluated.
func (s *session) failedQuery(sel dlq.Selection) {
	if n, first := sel.Query.Failed(); n > 0 {
		s.note("--jq could not be evaluated for %d of the letters, which are not chosen; the first: %v", n, first)
	}
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
