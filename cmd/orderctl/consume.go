package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/spf13/cobra"

	"commerce.internal/orderctl/internal/consume"
	"commerce.internal/orderctl/internal/inspect/lag"
)

// consumeOptions are the flags of consume that no key stands for.
type consumeOptions struct {
	maxMessages int
	untilEmpty  bool
}

func newConsumeCmd(a *app) *cobra.Command {
	var o consumeOptions
	cmd := &cobra.Command{
		Use: "consume", Short: "Applies orders: each takes effect once, in order, or becomes a dead letter.", GroupID: groupRun, Args: noArgs,
		Example: `# apply orders until stopped
orderctl consume
# apply all that is there, then end
orderctl consume --until-empty
# try the shop's own SQL on ten orders
ORDERCTL_CONSUME_EFFECT_FILE=effect.sql orderctl consume --max-messages 10
# see what would be consumed, change nothing
orderctl consume -g look --handler log --until-empty`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.maxMessages < 0 {
				return badUsage(cmd, "", "--max-messages: %d is below 0", o.maxMessages)
			}
			s, err := a.load(cmd)
			if err != nil {
				return err
			}
			a.tuneMemory()
			return runConsume(cmd.Context(), s, o)
		},
	}
	fs := cmd.Flags()
	keyFlag(cmd, fs, "consume.group", "group", "g", "consumer `GROUP`")
	keyFlag(cmd, fs, "consume.topic", "topic", "t", "source `TOPIC`")
	keyFlag(cmd, fs, "consume.handler", "handler", "", "what an order does, `WORD`: sql, webhook, log, discard")
	keyFlag(cmd, fs, "consume.order", "order", "", "what keeps its order, `WORD`: key, partition, none")
	keyFlag(cmd, fs, "consume.on_dead", "on-dead", "", "later messages of a dead order, `WORD`: continue, hold")
	keyFlag(cmd, fs, "consume.concurrency", "concurrency", "", "transactions at a time, `N`")
	keyFlag(cmd, fs, "consume.retry", "retry", "", "`DELAYS` of the retry topics, or none")
	keyFlag(cmd, fs, "consume.rate", "rate", "", "records a second at most, `RATE`; 0: no limit")
	keyFlag(cmd, fs, "consume.drain_timeout", "drain-timeout", "", "for orders in hand at a stop, `DURATION`")
	keyFlag(cmd, fs, "consume.instance_id", "instance-id", "", "client `ID`; static membership")
	keyFlag(cmd, fs, "consume.from", "from", "", "where a new group starts, `WORD`: earliest, latest")
	keyFlag(cmd, fs, "consume.admin.addr", "admin-addr", "", "`HOST:PORT` of probes, metrics, pause and resume")
	fs.IntVar(&o.maxMessages, "max-messages", 0, "end after `N` records of the source; 0: go on")
	fs.BoolVar(&o.untilEmpty, "until-empty", false, "end when nothing is left to consume")
	exits(cmd, exitOK, "stopped, or done; what was in hand is finished", exitFailed, "", exitUsage, "", exitUnreachable, "",
		exitDenied, "", exitPartial, "--until-empty: done, but it wrote dead letters", exitNotFound, "a topic is missing: orderctl topics apply")
	seeAlso(cmd, "orderctl lag", "orderctl dlq list", "orderctl help retries")
	return cmd
}

// runConsume runs the worker. It stops in this order: nothing new starts, what is in hand is finished and committed, the
// group is left, then producer and database are closed, then probes and metrics end, then the log is closed.
func runConsume(ctx context.Context, s *session, o consumeOptions) (err error) {
	c := s.cfg.Consume
	b, err := s.base(ctx, "orderctl-consume", c.Admin, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close(context.WithoutCancel(ctx))) }()
	admin, err := listen(ctx, c.Admin.Addr, "admin-addr")
	if err != nil {
		return err
	}
	return b.around(ctx, admin, func(ctx context.Context) (err error) {
		var p *plant
		p, err = s.openPlant(ctx, b, "consume", plantOptions{worker: true, tune: func(w *consume.Options) {
			w.MaxMessages, w.UntilEmpty = o.maxMessages, o.untilEmpty
			w.Empty = func(ctx context.Context) (bool, error) { return s.empty(ctx, p) }
		}})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, p.close(context.WithoutCancel(ctx))) }()
		s.runsUntilStopped(p.inHand)
		b.ops.Add(drainCheck(ctx))
		b.logs.Log.InfoContext(ctx, "consuming", slog.String("group", c.Group), slog.String("admin", admin.Addr().String()))
		b.ops.Started()
		return p.run(ctx)
	})
}

// empty reports whether the commits of the group have reached the ends of all that it consumes. What is unknown is not
// empty.
func (s *session) empty(ctx context.Context, p *plant) (bool, error) {
	q := lag.Query{Groups: []string{s.cfg.Consume.Group}, Topics: s.names().Consumed()}
	snapshot, err := ask(ctx, s, func(ctx context.Context) (lag.Snapshot, error) { return p.observer.Snapshot(ctx, q) })
	if err != nil {
		return false, err
	}
	report := lag.Evaluate([]lag.Snapshot{snapshot}, lag.Policy{Configured: s.cfg.Consume.Group, FromLatest: s.cfg.Consume.From == "latest"})
	rows := 0
	for _, g := range report.Groups {
		for _, r := range g.Partitions {
			if !r.Unread.Known || r.Unread.V > 0 {
				return false, nil
			}
			rows++
		}
	}
	return rows > 0, nil
}
