package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"commerce.internal/orderctl/internal/config"
	"commerce.internal/orderctl/internal/kafka/observe"
	"commerce.internal/orderctl/internal/out"
	"commerce.internal/orderctl/internal/setup"
)

// resetFlags are the flags of offsets reset.
type resetFlags struct {
	offsetsFlags
	to, file string
	skip     int64
	dry, yes *bool
}

func newOffsetsResetCmd(a *app) *cobra.Command {
	var f resetFlags
	cmd := &cobra.Command{
		Use: "reset", Short: "Moves the offsets of a stopped group, with a plan first.",
		Long: `Moves the offsets of a stopped group, with a plan first.

--to is earliest, latest, an offset (884120), a time (2026-11-22T03:12:07Z), a duration back (-2h), or so many orders further or back (+5, -5). The group must be Empty. It prints what would be skipped and what would be read again, asks, saves the old offsets to a file, commits, and reads back.

To read again is harmless: what is done stays done. To skip is not: orders that no message row knows are named and need --yes-skip with their exact number.`,
		Args: noArgs,
		Example: `# what would be read again of the last two hours?
orderctl offsets reset --to -2h --dry-run
# read a whole topic again
orderctl offsets reset -t orders --to earliest --yes
# pass over a record that stops one partition
orderctl offsets reset -t orders -p 3 --to +1 --yes-skip 1
# back to where it was
orderctl offsets reset --from-file before.json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.load(cmd)
			if err != nil {
				return err
			}
			r, err := s.resetOf(cmd, f)
			if err != nil {
				return err
			}
			return runOffsetsReset(cmd.Context(), s, cmd, f, r)
		},
	}
	f.add(cmd, "`TOPIC` to move; again for more; default consume.topic")
	fs := cmd.Flags()
	fs.StringVar(&f.to, "to", "", "where to: earliest, latest, `OFFSET`, TIME, -DURATION, +N, -N")
	fs.StringVar(&f.file, "from-file", "", "back to what this `FILE` holds")
	fs.Int64Var(&f.skip, "yes-skip", -1, "skip exactly `N` orders that no message row knows")
	fs.Lookup("yes-skip").DefValue = ""
	f.dry = fs.BoolP("dry-run", "n", false, "show the plan, change nothing")
	f.yes = addYes(cmd)
	_ = cmd.MarkFlagFilename("from-file", "json")
	exits(cmd, exitOK, "moved, or nothing to move", exitFailed, "the group has members; or nothing was done", exitUsage, "", exitUnreachable, "", exitDenied, "",
		exitNotFound, "no such group, topic or partition", exitNeedsYes, "needs --yes, or --yes-skip with the right number")
	seeAlso(cmd, "orderctl offsets show", "orderctl lag")
	return cmd
}

// resetOf turns the flags into what setup understands. A file names its own group.
func (s *session) resetOf(cmd *cobra.Command, f resetFlags) (setup.Reset, error) {
	r := setup.Reset{Topics: f.topics, Partitions: f.partitions}
	if err := f.check(cmd, s); err != nil {
		return r, err
	}
	switch {
	case (f.to == "") == (f.file == ""):
		return r, badUsage(cmd, "", "say where to, with either --to or --from-file")
	case cmd.Flags().Changed("yes-skip") && f.skip < 0:
		return r, badUsage(cmd, "", "--yes-skip: %d is below 0", f.skip)
	case f.to != "":
		if len(r.Topics) == 0 {
			r.Topics = []string{s.cfg.Consume.Topic}
		}
		t, err := parseTarget(f.to, s.env.now())
		if err != nil {
			return r, badUsage(cmd, "", "--to: %v", err)
		}
		r.Target = t
		return r, nil
	}
	raw, err := config.ReadFile(f.file)
	if err != nil {
		return r, badUsage(cmd, "", "--from-file: %v", err)
	}
	file, err := setup.ReadOffsets(raw)
	if err != nil {
		return r, badUsage(cmd, "", "--from-file: %s: %v", f.file, err)
	}
	if cmd.Flags().Changed("group") && file.Group != s.cfg.Consume.Group {
		return r, badUsage(cmd, "", "--from-file: %s holds offsets of %s, not of %s", f.file, file.Group, s.cfg.Consume.Group)
	}
	if file.Cluster != s.cfg.Cluster() {
		s.note("note: %s was saved on %s, this is %s", f.file, file.Cluster, s.cfg.Cluster())
	}
	s.cfg.Consume.Group = file.Group
	r.Target = file.Target(f.topics)
	if len(r.Target.Saved) == 0 {
		return r, badUsage(cmd, "", "--from-file: %s holds no offsets of %s", f.file, strings.Join(f.topics, ", "))
	}
	return r, nil
}

// runOffsetsReset plans, shows, asks, saves, moves and reads back.
func runOffsetsReset(ctx context.Context, s *session, cmd *cobra.Command, f resetFlags, r setup.Reset) (err error) {
	logs, err := s.logs("orderctl-offsets", false)
	if err != nil {
		return err
	}
	defer logs.Close()
	m, err := s.openMover(ctx, logs.Log)
	if err != nil {
		return err
	}
	defer m.close()
	plan, err := m.offsets.Plan(ctx, r)
	if err != nil {
		return s.named(ctx, m.observer, err, r.Topics)
	}
	doc := s.planDoc(plan)
	_, changed := plan.Totals()
	if *f.dry || changed == 0 {
		if changed == 0 {
			s.note("nothing to move: the group stands there already")
		}
		return s.print(planTable(plan), doc)
	}
	if wordsFor(s) {
		if err := s.print(planTable(plan), nil); err != nil {
			return err
		}
	}
	if err := s.maySkip(plan, f.skip); err != nil {
		return err
	}
	if err := s.consent(ctx, cmd, plan.Describe(s.cfg.Consume.Group), *f.yes); err != nil {
		return err
	}
	path, err := s.saveOffsets(plan)
	if err != nil {
		return err
	}
	if err := m.offsets.Apply(ctx, plan); err != nil {
		return err
	}
	doc.Applied, doc.Saved = true, &path
	s.note("moved %d partitions, read back; back again: orderctl offsets reset --from-file %s", changed, path)
	if wordsFor(s) {
		return nil
	}
	return s.print(planTable(plan), doc)
}

// maySkip demands the exact number of the orders that nobody would finish.
func (s *session) maySkip(p setup.OffsetsPlan, said int64) error {
	t, _ := p.Totals()
	switch {
	case said == t.Unseen || said < 0 && t.Unseen == 0:
		return nil
	case t.Unseen == 0:
		return exitWith(exitNeedsYes, fmt.Sprintf("--yes-skip %d: no order would be skipped that no message row knows", said), "leave it out")
	}
	some := t.Examples[:min(3, len(t.Examples))]
	text := fmt.Sprintf("this would skip %d orders that no message row knows: %s", t.Unseen, strings.Join(some, ", "))
	if int64(len(some)) < t.Unseen {
		text += ", ..."
	}
	return exitWith(exitNeedsYes, text, fmt.Sprintf("they would never take effect; add --yes-skip %d to skip exactly these", t.Unseen))
}

// saveOffsets writes the old offsets to a file of the state directory.
func (s *session) saveOffsets(p setup.OffsetsPlan) (string, error) {
	now := s.env.now().UTC()
	dir := filepath.Join(stateDir(s.env), "offsets")
	path := filepath.Join(dir, url.PathEscape(s.cfg.Consume.Group)+"-"+now.Format("20060102T150405.000000000Z")+".json")
	var b strings.Builder
	if err := out.WriteJSON(&b, p.Before(s.cfg.Cluster(), s.cfg.Consume.Group, now)); err != nil {
		return "", fmt.Errorf("save old offsets: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("save old offsets: %w", err)
	}
	if err := writeFile(path, []byte(b.String())); err != nil {
		return "", fmt.Errorf("save old offsets: %w", err)
	}
	return path, nil
}

// mover is what moves offsets, and what must be closed then.
type mover struct {
	offsets  *setup.Offsets
	observer *observe.Observer
	close    func()
}

func (s *session) openMover(ctx context.Context, log *slog.Logger) (*mover, error) {
	parts, err := s.moverParts(ctx, log)
	if err != nil {
		return nil, err
	}
	m := &mover{observer: parts.observer, close: parts.close}
	if m.offsets, err = setup.NewOffsets(parts.options); err != nil {
		m.close()
		return nil, err
	}
	return m, nil
}
