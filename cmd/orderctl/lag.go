package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"commerce.internal/orderctl/internal/config"
	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/kafka/observe"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/store"
)

// lagOptions are the flags of lag that no key stands for.
type lagOptions struct {
	groups     []string
	topics     []string
	partitions []int32
	allGroups  bool
	all        bool
}

func newLagCmd(a *app) *cobra.Command {
	var o lagOptions
	cmd := &cobra.Command{
		Use: "lag [GROUP...]", Short: "Shows per partition how far a group is, what it lost, and who owns it.",
		Long: `Shows per partition how far a group is, what it lost, and who owns it.

UNREAD is what waits. LOST was deleted before the group read it. AHEAD says that the group has committed offsets that the log does not have. ? is unknown, never 0; - does not apply. Where a partition is unknown, totals are lower bounds (>=).`,
		GroupID: groupOnCall, Args: takes(0, -1, "groups"),
		Example: `# which partition is stuck, and who owns it?
orderctl lag
# every partition, with leader, replicas and log start
orderctl lag --all -o wide
# all groups of the cluster, for a program
orderctl lag -A -o json
# one topic of another group
orderctl lag audit -t orders`,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.load(cmd)
			if err != nil {
				return err
			}
			o.groups = append(o.groups, args...)
			if o.allGroups && len(o.groups) > 0 {
				return badUsage(cmd, "", "--all-groups and group %q exclude each other", o.groups[0])
			}
			for _, p := range o.partitions {
				if p < 0 {
					return badUsage(cmd, "", "--partition: %d is below 0", p)
				}
			}
			return runLag(cmd.Context(), s, o)
		},
	}
	fs := cmd.Flags()
	fs.StringSliceVarP(&o.groups, "group", "g", nil, "consumer `GROUP`; again for more; default consume.group")
	fs.BoolVarP(&o.allGroups, "all-groups", "A", false, "all groups of the cluster")
	fs.StringSliceVarP(&o.topics, "topic", "t", nil, "only rows of this `TOPIC`; again for more")
	fs.Int32SliceVarP(&o.partitions, "partition", "p", nil, "only rows of this partition `N`; again for more")
	fs.BoolVar(&o.all, "all", false, "rows that are OK, too")
	keyFlag(cmd, fs, "lag.slo", "slo", "", "age at which an unread order is STALE, `DURATION`")
	keyFlag(cmd, fs, "lag.tolerance", "tolerance", "", "so many unread records are none, `N`")
	exits(cmd, exitOK, "printed, and complete", exitUsage, "", exitUnreachable, "Kafka unreachable", exitDenied, "",
		exitPartial, "printed, but some values are unknown", exitNotFound, "no such group or topic")
	seeAlso(cmd, "orderctl dlq list", "orderctl consume")
	return cmd
}

// runLag observes once, judges, and prints.
func runLag(ctx context.Context, s *session, o lagOptions) error {
	logs, err := s.logs("orderctl-lag", false)
	if err != nil {
		return err
	}
	defer logs.Close()
	if len(o.groups) == 0 && !o.allGroups {
		o.groups = []string{s.cfg.Consume.Group}
	}
	observer := observe.New(s.kafka("lag", logs.Log))
	defer observer.Close()
	q := lag.Query{Groups: o.groups, Topics: o.topics, All: o.allGroups, SLO: s.cfg.Lag.SLO}
	snapshot, err := ask(ctx, s, func(ctx context.Context) (lag.Snapshot, error) { return observer.Snapshot(ctx, q) })
	if err != nil && len(snapshot.Groups) == 0 {
		return err
	}
	policy := s.lagPolicy()
	policy.Topics, policy.Partitions = o.topics, o.partitions
	report := lag.Evaluate([]lag.Snapshot{snapshot}, policy)
	if err := missing(ctx, s, observer, report); err != nil {
		return err
	}
	s.countUndecided(ctx, logs.Log, &report)
	if err := s.printLag(report, o.all); err != nil {
		return err
	}
	if !report.Complete {
		return &exitError{code: exitPartial, text: unknownParts(report), err: queue.ErrPartial}
	}
	return nil
}

// missing returns the error of a group or topic that was asked for and does not exist, with the name that was probably
// meant.
func missing(ctx context.Context, s *session, o *observe.Observer, r lag.Report) error {
	if len(r.MissingGroups) > 0 {
		var names []string
		groups, _ := ask(ctx, s, o.Groups) // only for the hint
		for _, g := range groups {
			names = append(names, g.Name)
		}
		return notFound("consumer group", r.MissingGroups[0], "groups", names)
	}
	if len(r.MissingTopics) > 0 {
		names, _ := ask(ctx, s, o.Topics) // only for the hint
		return notFound("topic", r.MissingTopics[0], "topics", names)
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
		if !g.Complete {
			said = append(said, fmt.Sprintf("%s: %d of %d partitions known", g.Group, g.Known, g.Total))
		}
	}
	return "incomplete: " + strings.Join(said, "; ")
}
