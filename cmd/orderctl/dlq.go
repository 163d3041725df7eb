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
	cmd.AddCommand(newDLQListCmd(a), newDLQStatsCmd(a), newDLQShowCmd(a), newDLQExportCmd(a))
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
		if n, first := sel.Query.Failed(); n > 0 {
			s.note("--jq could not be evaluated for %d of the letters, which are not chosen; the first: %v", n, first)
		}
		return err
	})
}

// withReader opens the log of dead letters and, where it is there, the store.
func (s *session) withReader(ctx context.Context, topic string, do func(context.Context, *dlq.Reader) error) (err error) {
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
		s.note("no database at hand (%v): the ledger alone tells what became of the letters", storeErr)
	}
	return do(ctx, s.letters(letterLog{s: s, r: log}, rows, topic))
}

// letters reads a dead-letter topic: that of the group where no other is named. Of another one each letter says for itself
// whose it is.
func (s *session) letters(log dlq.Log, rows dlq.Rows, topic string) *dlq.Reader {
	if own := s.names().DLQ(); topic == "" || topic == own {
		return dlq.NewReader(log, rows, own, s.cfg.Consume.Group)
	}
	return dlq.NewReader(log, rows, topic, "")
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
