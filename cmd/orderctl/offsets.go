package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/kafka/observe"
	"commerce.internal/orderctl/internal/out"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/setup"
)

func newOffsetsCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "offsets", Short: "Shows the offsets of a group, and moves those of a stopped one.", GroupID: groupOnCall, Args: groupArgs,
		Example: `# where does the group stand?
orderctl offsets show
# read everything again: what is done stays done
orderctl offsets reset --to earliest --dry-run`,
	}
	exits(cmd, exitOK, "", exitUsage, "")
	cmd.AddCommand(newOffsetsShowCmd(a), newOffsetsResetCmd(a))
	return cmd
}

// offsetsFlags choose a group, which need not be one of ours, and partitions.
type offsetsFlags struct {
	group      string
	topics     []string
	partitions []int32
}

func (f *offsetsFlags) add(cmd *cobra.Command, topics string) {
	cmd.Flags().StringVarP(&f.group, "group", "g", "", "consumer `GROUP`; default consume.group")
	cmd.Flags().StringSliceVarP(&f.topics, "topic", "t", nil, topics)
	cmd.Flags().Int32SliceVarP(&f.partitions, "partition", "p", nil, "only this partition `N`; again for more")
}

// check refuses what cannot be, and lets the session be about the group.
func (f *offsetsFlags) check(cmd *cobra.Command, s *session) error {
	if cmd.Flags().Changed("group") {
		if f.group == "" {
			return badUsage(cmd, "", "--group is empty")
		}
		s.cfg.Consume.Group = f.group
	}
	for _, p := range f.partitions {
		if p < 0 {
			return badUsage(cmd, "", "--partition: %d is below 0", p)
		}
	}
	return nil
}

func newOffsetsShowCmd(a *app) *cobra.Command {
	var f offsetsFlags
	cmd := &cobra.Command{
		Use: "show", Short: "Shows per partition what a group has committed, and what its log holds.", Args: noArgs,
		Example: `# where does the group stand?
orderctl offsets show
# keep it, to go back to later
orderctl offsets show -o json > before.json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.load(cmd)
			if err != nil {
				return err
			}
			if err := f.check(cmd, s); err != nil {
				return err
			}
			return runOffsetsShow(cmd.Context(), s, f)
		},
	}
	f.add(cmd, "only rows of this `TOPIC`; again for more")
	exits(cmd, exitOK, "printed, and complete", exitUsage, "", exitUnreachable, "", exitDenied, "", exitPartial, "printed, but some values are unknown",
		exitNotFound, "no such group or topic")
	seeAlso(cmd, "orderctl lag", "orderctl offsets reset")
	return cmd
}

// runOffsetsShow prints what is committed.
func runOffsetsShow(ctx context.Context, s *session, f offsetsFlags) error {
	logs, err := s.logs("orderctl-offsets", false)
	if err != nil {
		return err
	}
	defer logs.Close()
	observer := observe.New(s.kafka("offsets", logs.Log))
	defer observer.Close()
	group := s.cfg.Consume.Group
	q := lag.Query{Groups: []string{group}, Topics: f.topics}
	snapshot, err := ask(ctx, s, func(ctx context.Context) (lag.Snapshot, error) { return observer.Snapshot(ctx, q) })
	if err != nil && len(snapshot.Groups) == 0 {
		return err
	}
	if snapshot.Groups[group].Problem == lag.NoAccess {
		return fmt.Errorf("describe group %s: %w", group, queue.ErrDenied)
	}
	policy := s.lagPolicy()
	policy.Topics, policy.Partitions = f.topics, f.partitions
	report := lag.Evaluate([]lag.Snapshot{snapshot}, policy)
	if err := s.absent(ctx, observer, report.MissingGroups, report.MissingTopics); err != nil {
		return err
	}
	file := setup.ShowOffsets(s.cfg.Cluster(), report, report.Groups[0])
	file.Complete = file.Complete && report.Groups[0].Problem == lag.Maybe[string]{}
	if err := s.print(offsetsTable(file), file); err != nil {
		return err
	}
	if !file.Complete {
		return &exitError{code: exitPartial, text: "incomplete: ? is not known", err: queue.ErrPartial}
	}
	return nil
}

func offsetsTable(f setup.OffsetsFile) out.Table {
	t := out.Table{Schema: f.Schema, List: "partitions", Columns: []out.Column{
		{Name: "TOPIC", JSON: "topic"},
		{Name: "PART", JSON: "partition", Kind: out.KindInt},
		{Name: "COMMITTED", JSON: "committed", Kind: out.KindInt},
		{Name: "START", JSON: "start", Kind: out.KindInt},
		{Name: "END", JSON: "end", Kind: out.KindInt},
	}}
	number := func(m lag.Maybe[int64]) out.Cell {
		if !m.Known {
			return out.Unknown()
		}
		return out.Int(m.V)
	}
	for _, p := range f.Partitions {
		committed := number(p.Committed)
		if p.Commit == lag.CommitNone {
			committed = out.NA()
		}
		t.Rows = append(t.Rows, []out.Cell{out.Text(p.Topic), out.Int(int64(p.Partition)), committed, number(p.Start), number(p.End)})
	}
	return t
}

// absent is the error of a group or topic that does not exist, with the name that was probably meant.
func (s *session) absent(ctx context.Context, o *observe.Observer, groups, topics []string) error {
	switch {
	case len(groups) > 0:
		var names []string
		listed, _ := ask(ctx, s, o.Groups) // only for the hint
		for _, g := range listed {
			names = append(names, g.Name)
		}
		return notFound("consumer group", groups[0], "groups", names)
	case len(topics) > 0:
		names, _ := ask(ctx, s, o.Topics) // only for the hint
		return notFound("topic", topics[0], "topics", names)
	}
	return nil
}

// named gives the errors of a plan that lack a name the one that was probably meant.
func (s *session) named(ctx context.Context, o *observe.Observer, err error, topics []string) error {
	switch {
	case errors.Is(err, setup.ErrNoGroup):
		return s.absent(ctx, o, []string{s.cfg.Consume.Group}, nil)
	case errors.Is(err, setup.ErrNoTopic):
		for _, t := range topics {
			if strings.HasSuffix(err.Error(), ": "+t) {
				return s.absent(ctx, o, nil, []string{t})
			}
		}
	}
	return err
}
