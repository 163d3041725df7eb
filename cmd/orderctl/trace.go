package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"commerce.internal/orderctl/internal/config"
	"commerce.internal/orderctl/internal/inspect"
	"commerce.internal/orderctl/internal/kafka"
	"commerce.internal/orderctl/internal/order"
)

// What trace reads at most where nothing else is said.
const (
	traceBytes = 256 << 20
	traceTime  = 30 * time.Second
)

// traceOptions are the flags of trace.
type traceOptions struct {
	id                  string
	at, since, maxBytes string
	body                bool

	begin    time.Time     // --at
	back     time.Duration // --since
	bytes    int64
	duration time.Duration // --timeout, where it was given
}

func newTraceCmd(a *app) *cobra.Command {
	o := traceOptions{bytes: traceBytes, duration: traceTime}
	cmd := &cobra.Command{
		Use: "trace ORDER_ID", Short: "Shows where an order is, and every step that it took.",
		Long: `Shows where an order is, and every step that it took.

It reads one partition of each topic of the queue, from about when the order came in, and the database. An order id that holds a time, or an order that the database knows, tells it where to begin; else it looks 24 hours back. --timeout bounds the search (30s where it is not given): what was found by then is printed. Bodies are only shown with --show-body.`,
		GroupID: groupOnCall, Args: takes(1, 1, "one order id"),
		Example: `# where is this order?
orderctl trace A-1024
# it came in three days ago, and its id does not say so
orderctl trace A-1024 --since 72h
# with the order itself, as it was sent
orderctl trace A-1024 --show-body
# for a program
orderctl trace A-1024 -o json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.load(cmd)
			if err != nil {
				return err
			}
			if o.id = args[0]; o.id == "" {
				return badUsage(cmd, "", "the order id is empty")
			}
			if err := o.read(cmd, s); err != nil {
				return err
			}
			return s.withQueue(cmd.Context(), "trace", func(ctx context.Context, i inspected) error { return runTrace(ctx, s, i, o) })
		},
	}
	fs := cmd.Flags()
	groupFlags(cmd)
	fs.StringVar(&o.at, "at", "", "the order came in at about this `TIME`, RFC 3339, or a duration back: 3h")
	fs.StringVar(&o.since, "since", "", "look back to this `TIME`, or so far: 72h")
	fs.StringVar(&o.maxBytes, "max-bytes", "256MiB", "read at most so many bytes, `SIZE`")
	fs.BoolVar(&o.body, "show-body", false, "the orders too, as they were sent")
	exits(cmd, exitOK, "found", exitUsage, "", exitUnreachable, "Kafka unreachable", exitDenied, "",
		exitPartial, "cut short, or a place could not be read", exitNotFound, "not found, and everything was searched; or no such topic")
	seeAlso(cmd, "orderctl audit", "orderctl dlq show", "orderctl lag")
	return cmd
}

// read turns the flags into what they mean.
func (o *traceOptions) read(cmd *cobra.Command, s *session) error {
	if o.at != "" && o.since != "" {
		return badUsage(cmd, "", "--at and --since exclude each other")
	}
	now := s.env.now()
	var err error
	if o.begin, err = when(o.at, now); err != nil {
		return badUsage(cmd, "", "--at: %v", err)
	}
	since, err := when(o.since, now)
	switch {
	case err != nil:
		return badUsage(cmd, "", "--since: %v", err)
	case since.After(now):
		return badUsage(cmd, "", "--since: %s lies in the future", o.since)
	case !since.IsZero():
		o.back = max(now.Sub(since), time.Second)
	}
	size, err := config.ParseSize(o.maxBytes)
	if err != nil || size <= 0 {
		return badUsage(cmd, "", "--max-bytes: %q is no size; write 64MiB", o.maxBytes)
	}
	o.bytes = int64(size)
	if cmd.Flags().Changed("timeout") {
		o.duration = s.timeout()
	}
	return nil
}

// runTrace looks for the order and prints what was found.
func runTrace(ctx context.Context, s *session, i inspected, o traceOptions) error {
	t := inspect.TraceOptions{
		Names: i.names, Log: i.log, Source: i.watch, Partition: kafka.Partitioner(), Unknown: s.unknown(order.KeepUnknown),
		Now: s.env.now, At: o.begin, Back: o.back, MaxBytes: o.bytes, Timeout: o.duration,
	}
	if i.rows != nil {
		t.Orders = i.rows
	}
	r, err := inspect.Trace(ctx, o.id, t)
	if err != nil {
		return i.named(ctx, err)
	}
	if i.err != nil {
		r.DatabaseProblem = i.err.Error()
	}
	if err := s.printTrace(r, o.body); err != nil {
		return err
	}
	switch {
	case !r.Complete:
		return exitWith(exitPartial, "incomplete: "+unsearched(r), "")
	case r.State == inspect.StateNotFound:
		return exitWith(exitNotFound, fmt.Sprintf("order %q not found", o.id), "")
	}
	return nil
}

// unsearched says what of the search is missing.
func unsearched(r *inspect.TraceReport) string {
	var holes []string
	for _, p := range r.Searched {
		if !p.Complete {
			holes = append(holes, fmt.Sprintf("%s/%d: %s", p.Topic, p.Partition, p.Problem))
		}
	}
	if len(holes) == 0 {
		holes = append(holes, "not in the log, and the database was not there to ask")
	}
	return strings.Join(holes, "; ")
}
