package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"commerce.internal/orderctl/internal/config"
	"commerce.internal/orderctl/internal/dlq"
)

// planFlags say what a plan does with the chosen letters.
type planFlags struct {
	deskFlags
	to, transform            string
	sets, include            []string
	edit, again, noFollowers bool
}

func (f *planFlags) add(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&f.to, "to", "group", "where `TO`: group (this group alone, in order), origin (the source topic, all groups), topic=NAME")
	fs.StringArrayVar(&f.sets, "set", nil, `change the order: '/status="PAID"', a JSON `+"`POINTER=JSON`; again for more")
	fs.StringVar(&f.transform, "transform", "", "change the order with a shell `COMMAND`: value on stdin, new one on stdout, 10 s")
	fs.BoolVar(&f.edit, "edit", false, "change each order in $VISUAL; an empty file leaves the letter out")
	fs.StringSliceVar(&f.include, "include", nil, "replay in spite of this `WARNING`: "+strings.Join(liftable(), ", "))
	keyFlag(cmd, fs, "dlq.max_replays", "max-replays", "", "skip what was replayed so often `N`")
	fs.BoolVar(&f.again, "again", false, "also what is handled already; needs --yes")
	fs.BoolVar(&f.noFollowers, "no-followers", false, "leave out what is blocked behind a chosen letter")
	f.deskFlags.add(cmd)
}

func liftable() []string {
	var names []string
	for _, w := range dlq.Liftable() {
		names = append(names, string(w))
	}
	return names
}

// read checks the flags.
func (f *planFlags) read(cmd *cobra.Command, s *session, topic string) (to dlq.Target, edits []dlq.Editor, include []dlq.Warning, err error) {
	if to, err = dlq.ParseTarget(f.to, topic); err != nil {
		return to, nil, nil, badUsage(cmd, "", "--to: %v", err)
	}
	for _, set := range f.sets {
		e, err := dlq.ParseSet(set)
		if err != nil {
			return to, nil, nil, badUsage(cmd, "", "--set: %v", err)
		}
		edits = append(edits, e)
	}
	if f.transform != "" {
		edits = append(edits, dlq.Transform(f.transform))
	}
	if f.edit {
		e, err := s.editor(cmd)
		if err != nil {
			return to, nil, nil, err
		}
		edits = append(edits, e)
	}
	for _, name := range f.include {
		if !slices.Contains(liftable(), name) {
			fix := ""
			if near := config.Suggest(name, liftable()); near != "" {
				fix = fmt.Sprintf("did you mean %q?", near)
			}
			return to, nil, nil, badUsage(cmd, fix, "--include: %q is none of %s", name, strings.Join(liftable(), ", "))
		}
		include = append(include, dlq.Warning(name))
	}
	if f.again {
		include = append(include, dlq.Handled)
	}
	return to, edits, include, nil
}

// editor is the operator's, on their terminal.
func (s *session) editor(cmd *cobra.Command) (dlq.Editor, error) {
	if !s.env.stdinTerminal || !s.env.stdoutTerminal {
		return nil, badUsage(cmd, "--set and --transform work without one", "--edit needs a terminal")
	}
	command := s.env.lookup("VISUAL")
	if command == "" {
		command = s.env.lookup("EDITOR")
	}
	if command == "" {
		command = "vi"
	}
	return dlq.Visual(command, s.env.stdin, s.env.stdout, s.env.stderr), nil
}

func newDLQPlanCmd(a *app) *cobra.Command {
	var sel selectFlags
	var f planFlags
	var file string
	cmd := &cobra.Command{
		Use: "plan SELECT", Short: "Plans a replay: which letters, where to, what speaks against it.", Args: takes(0, -1, "dead letters"),
		Long: `Plans a replay: which letters, where to, what speaks against it. It changes nothing.

With --file the plan is kept, one letter a line: lines may be deleted by hand, and 'dlq replay --plan FILE' does exactly what is left. What dies later is not in it.`,
		Example: `# what would a replay of these do?
orderctl dlq plan --class exhausted
# keep the plan, look it over, carry it out
orderctl dlq plan --class exhausted --file plan.json
orderctl dlq replay --plan plan.json --wait
# repair a member on the way
orderctl dlq plan 7/31 --set '/currency="EUR"'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.load(cmd)
			if err != nil {
				return err
			}
			return s.withPlan(cmd, args, &sel, &f, func(ctx context.Context, _ *desk, _ *dlq.Planner, p dlq.Plan) error {
				if file != "" {
					if err := savePlan(file, p); err != nil {
						return err
					}
				}
				return s.printPlan(p, file)
			})
		},
	}
	sel.add(a, cmd)
	f.add(cmd)
	cmd.Flags().StringVar(&file, "file", "", "write the plan to this `FILE`")
	_ = cmd.MarkFlagFilename("file", "json")
	exits(cmd, exitOK, "planned; also when nothing is to do", exitFailed, "an edit failed, or the file cannot be written", exitUsage, "", exitUnreachable, "", exitDenied, "", exitNotFound, "no such letter or topic")
	seeAlso(cmd, "orderctl dlq replay", "orderctl dlq list")
	return cmd
}

// withPlan makes a plan of the chosen letters.
func (s *session) withPlan(cmd *cobra.Command, args []string, sel *selectFlags, f *planFlags, do func(context.Context, *desk, *dlq.Planner, dlq.Plan) error) (err error) {
	if err := chosen(cmd, args); err != nil {
		return err
	}
	if err := f.check(cmd); err != nil {
		return err
	}
	choice, err := sel.selection(cmd, args, s.env)
	if err != nil {
		return err
	}
	f.foreign = sel.topic
	if f.foreign != "" && f.foreign != s.names().DLQ() && !cmd.Flags().Changed("to") {
		return badUsage(cmd, "--to topic=NAME, or --to origin", "letters of a foreign topic need --to")
	}
	ctx := cmd.Context()
	d, closeDesk, err := s.openDesk(ctx, f.deskFlags)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeDesk()) }()
	d.rest = func(done int) { sel.rest(cmd, done) }
	planner, err := d.planner(cmd, f)
	if err != nil {
		return err
	}
	plan, err := planner.Plan(ctx, choice)
	s.failedQuery(choice)
	var bad *dlq.EditError
	if errors.As(err, &bad) {
		return &exitError{code: exitFailed, text: err.Error(), hint: "nothing was planned", err: err}
	}
	if err != nil {
		return err
	}
	return do(ctx, d, planner, plan)
}

// savePlan writes a plan so that a reader sees the old file or the whole new one.
func savePlan(path string, p dlq.Plan) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".orderctl-plan-*")
	if err != nil {
		return fmt.Errorf("write plan %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
	}()
	if err := p.Write(f); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("write plan %s: %w", path, err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("write plan %s: %w", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("write plan %s: %w", path, err)
	}
	return nil
}

// readPlan reads a plan from a file, or from stdin for "-".
func (s *session) readPlan(cmd *cobra.Command, path string) (dlq.Plan, error) {
	r := s.env.stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return dlq.Plan{}, badUsage(cmd, "", "--plan: %v", err)
		}
		defer f.Close()
		r = f
	}
	p, err := dlq.ReadPlan(r)
	if err != nil {
		return p, badUsage(cmd, "", "--plan: %s: %v", path, err)
	}
	return p, nil
}
