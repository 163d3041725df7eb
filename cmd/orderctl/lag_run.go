package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"commerce.internal/orderctl/internal/config"
	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/store"
)

// once looks, twice where rates are wanted, and prints.
func (l *lagRun) once(ctx context.Context) error {
	report, err := l.look(ctx)
	if err != nil {
		return err
	}
	if err := l.missing(ctx, report); err != nil {
		return err
	}
	if l.o.sample > 0 {
		if err := sleep(ctx, l.o.sample); err != nil {
			return err
		}
		if second, err := l.look(ctx); err == nil {
			report = second
		} else {
			l.note("no rates: %v", err)
		}
	}
	l.countUndecided(ctx, l.log, &report)
	if l.o.check {
		return l.printCheck(report)
	}
	if err := l.printLag(report); err != nil {
		return err
	}
	if len(report.Groups) == 0 && report.Complete {
		l.note("no consumer groups at %s that this login may describe", l.cfg.Cluster())
	}
	return l.verdict(report)
}

// look observes the cluster once more, under --timeout.
func (l *lagRun) look(ctx context.Context) (lag.Report, error) {
	seen, err := ask(ctx, l.session, l.window.Observe)
	if err != nil && len(seen.Groups) == 0 {
		return lag.Report{}, err
	}
	l.window.Add(seen)
	return l.window.Report(), nil
}

// sleep waits, or returns why it need not.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// verdict is the exit code of what was printed. A lower bound is enough to be over a limit.
func (l *lagRun) verdict(r lag.Report) error {
	if l.o.failOver >= 0 {
		for _, g := range r.Groups {
			if g.Unread.Known && g.Unread.V > l.o.failOver {
				return exitWith(exitThreshold, overText(g, l.o.failOver), "")
			}
		}
	}
	refused := func(g lag.Group) bool { return g.Problem.V == string(lag.NoAccess) }
	switch {
	case len(r.Groups) > 0 && !slices.ContainsFunc(r.Groups, func(g lag.Group) bool { return !refused(g) }):
		return &exitError{
			code: exitDenied, text: "access refused: " + r.Groups[0].Group, hint: "the group needs the right DESCRIBE", err: queue.ErrDenied,
		}
	case !r.Complete:
		return &exitError{code: exitPartial, text: unknownParts(r), err: queue.ErrPartial}
	}
	return nil
}

func overText(g lag.Group, limit int64) string {
	most := lag.Row{Partition: -1}
	for _, row := range g.Partitions {
		if row.Counted && row.Unread.V >= most.Unread.V {
			most = row
		}
	}
	return fmt.Sprintf("unread %s is over %s (%s, worst %s: %s)", digits(g.Unread.V), digits(limit), g.Group, most.TopicPartition(), digits(most.Unread.V))
}

// missing returns the error of a group or topic that was asked for and does not exist, with the name that was probably
// meant.
func (l *lagRun) missing(ctx context.Context, r lag.Report) error {
	if len(r.MissingGroups) > 0 {
		var names []string
		groups, _ := ask(ctx, l.session, l.observer.Groups) // only for the hint
		for _, g := range groups {
			names = append(names, g.Name)
		}
		return notFound("consumer group", r.MissingGroups[0], "groups", names)
	}
	if len(r.MissingTopics) > 0 {
		names, _ := ask(ctx, l.session, l.observer.Topics) // only for the hint
		return notFound("topic", r.MissingTopics[0], "topics", names)
	}
	if len(r.IdleTopics) > 0 {
		return &exitError{
			code: exitNotFound, text: fmt.Sprintf("no group that was asked for reads topic %q", r.IdleTopics[0]),
			hint: "orderctl lag --by topic shows what a group reads", err: queue.ErrNotFound,
		}
	}
	if len(r.MissingPartitions) > 0 {
		return &exitError{code: exitNotFound, text: fmt.Sprintf("no partition %d", r.MissingPartitions[0]), hint: "--all shows those that there are", err: queue.ErrNotFound}
	}
	return nil
}

// notFound says that something named does not exist, what was probably meant, and what there is.
func notFound(kind, name, plural string, there []string) error {
	const most = 10
	var hint []string
	if near := config.Suggest(name, there); near != "" {
		hint = append(hint, fmt.Sprintf("did you mean %q?", near))
	}
	slices.Sort(there)
	switch {
	case len(there) == 0:
		hint = append(hint, "there are no "+plural+" here")
	case len(there) > most:
		hint = append(hint, fmt.Sprintf("%s here: %s and %d more", plural, strings.Join(there[:most], ", "), len(there)-most))
	default:
		hint = append(hint, fmt.Sprintf("%s here: %s", plural, strings.Join(there, ", ")))
	}
	return &exitError{code: exitNotFound, text: fmt.Sprintf("%s %q not found", kind, name), hint: strings.Join(hint, " "), err: queue.ErrNotFound}
}

// countUndecided fills in how many dead messages wait for a decision, where the store is there to ask. A store that is not
// there leaves it unknown, and is not made.
func (s *session) countUndecided(ctx context.Context, log *slog.Logger, r *lag.Report) {
	if !slices.ContainsFunc(r.Groups, func(g lag.Group) bool { return len(g.DeadLetters) > 0 }) {
		return
	}
	const patience = time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	o := s.storeOptions(log)
	o.Migrate = false
	st, err := store.Open(ctx, o)
	if err != nil {
		log.DebugContext(ctx, "store not asked", slog.String("error", err.Error()))
		return
	}
	defer st.Close()
	for i := range r.Groups {
		counts, err := st.Counts(ctx, r.Groups[i].Group)
		if err != nil || len(counts) == 0 { // no row of that group: it is another store's
			continue
		}
		for j := range r.Groups[i].DeadLetters {
			r.Groups[i].DeadLetters[j].Undecided = lag.Know(counts[queue.StateDead])
		}
	}
}

func unknownParts(r lag.Report) string {
	var said []string
	for _, b := range r.SilentBrokers {
		said = append(said, fmt.Sprintf("broker %d did not answer, its groups are missing", b))
	}
	for _, g := range r.Groups {
		switch {
		case g.Complete:
		case g.Known < g.Total || g.Total == 0:
			said = append(said, fmt.Sprintf("%s: %d of %d partitions known", g.Group, g.Known, g.Total))
		default:
			said = append(said, g.Group+": some values are unknown")
		}
	}
	return "incomplete: " + strings.Join(said, "; ")
}

// reachable reports whether an error is no lasting one: a broker may come back.
func reachable(err error) bool {
	return !errors.Is(err, queue.ErrDenied) && codeOf(err) != exitUsage
}
