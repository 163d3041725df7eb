package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"commerce.internal/orderctl/internal/config"
	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/queue"
)

const waitEvery = time.Second

// wait looks until nothing waits any more, twice running, so that a gap between two orders is no end. Orders that are lost,
// or an offset beyond the end, will not go away by waiting.
func (l *lagRun) wait(ctx context.Context) error {
	// Under --timeout as a whole; each look has at most the time that any command has.
	whole, cancel := context.WithTimeout(ctx, l.o.patience)
	defer cancel()
	var report lag.Report
	for looks, quiet := 0, 0; ; looks++ {
		seen, err := l.look(whole)
		if err == nil {
			report = seen // also what came in part until the deadline
		}
		switch {
		case whole.Err() != nil:
			return l.waitedTooLong(ctx, report)
		case err != nil && (looks == 0 || !reachable(err)):
			return err
		case err != nil:
			quiet = 0
		default:
			if err := l.missing(ctx, report); err != nil {
				return err
			}
			if err := hopeless(report); err != nil {
				return errors.Join(err, l.printLag(report))
			}
			quiet = l.quiet(report, quiet)
		}
		if quiet == 2 {
			return l.printLag(report)
		}
		if err := sleep(whole, waitEvery); err != nil {
			return l.waitedTooLong(ctx, report)
		}
	}
}

func (l *lagRun) waitedTooLong(ctx context.Context, r lag.Report) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	text := fmt.Sprintf("not done within %s", config.FormatDuration(l.o.patience))
	for _, g := range r.Groups {
		text += fmt.Sprintf("; %s: %s", g.Group, amount(g.Unread, g.LowerBound, "unread"))
	}
	var err error
	if len(r.Groups) > 0 {
		l.countUndecided(ctx, l.log, &r)
		err = l.printLag(r)
	}
	return errors.Join(exitWith(exitThreshold, text, "--timeout waits longer"), err)
}

// hopeless says what waiting does not mend: what is lost, committed too far, or not for this login to see.
func hopeless(r lag.Report) error {
	for _, g := range r.Groups {
		for _, row := range g.Partitions {
			switch {
			case row.Lost.V > 0:
				return exitWith(exitFailed, fmt.Sprintf("%s: %s lost %s records", g.Group, row.TopicPartition(), digits(row.Lost.V)), "orderctl audit names them")
			case row.Ahead.V > 0:
				return exitWith(exitFailed, fmt.Sprintf("%s: %s is %s ahead of its log", g.Group, row.TopicPartition(), digits(row.Ahead.V)), "orderctl offsets show")
			}
		}
	}
	return refusedIn(r)
}

// refusedIn names the first group or partition that the login may not describe.
func refusedIn(r lag.Report) error {
	for _, g := range r.Groups {
		what := ""
		if g.Problem.V == string(lag.NoAccess) {
			what = g.Group
		}
		for _, row := range g.Partitions {
			if what == "" && row.Status == lag.Refused {
				what = row.TopicPartition().String()
			}
		}
		if what != "" {
			return &exitError{code: exitDenied, text: "access refused: " + what, hint: "group and topics need the right DESCRIBE", err: queue.ErrDenied}
		}
	}
	return nil
}

// quiet counts the looks in a row in which nothing waited. What is unknown may wait.
func (l *lagRun) quiet(r lag.Report, before int) int {
	tolerance := int64(l.cfg.Lag.Tolerance)
	if !r.Complete {
		return 0
	}
	for _, g := range r.Groups {
		if g.LowerBound || !g.Unread.Known || g.Unread.V > tolerance {
			return 0
		}
		for _, d := range g.Delayed {
			if l.o.wait == "all" && (!d.Depth.Known || d.Depth.V > tolerance) {
				return 0
			}
		}
	}
	return before + 1
}
