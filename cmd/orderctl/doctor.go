package main

import (
	"context"

	"github.com/spf13/cobra"

	"commerce.internal/orderctl/internal/setup"
)

func newDoctorCmd(a *app) *cobra.Command {
	var strict bool
	cmd := &cobra.Command{
		Use: "doctor", Short: "Checks config, brokers, topics, group and database; one line each, with the fix.",
		Long: `Checks config, brokers, topics, group and database; one line each, with the fix.

It only reads. ok is good, warn works but is not safe, FAIL does not work, skip was not checked: something that it needs has failed, or is not there. Checks run side by side, 5 s each and 30 s together at most.`,
		GroupID: groupSetUp, Args: noArgs,
		Example: `# does everything work together?
orderctl doctor
# before a sale: warnings count, too
orderctl doctor --strict
# the same for a program
orderctl doctor -o json
# is the other cluster well?
orderctl doctor --context prod`,
		RunE: func(cmd *cobra.Command, _ []string) error { return runDoctor(cmd.Context(), a, cmd, strict) },
	}
	cmd.Flags().BoolVar(&strict, "strict", false, "a warning ends with 5")
	groupFlags(cmd)
	exits(cmd, exitOK, "nothing fails", exitFailed, "a check fails; that of the first FAIL: 2, 3, 4, else 1", exitUsage, "the configuration or the schema of the database is wrong",
		exitUnreachable, "", exitDenied, "", exitThreshold, "a warning, with --strict")
	seeAlso(cmd, "orderctl lag", "orderctl topics plan", "orderctl config check")
	return cmd
}

// runDoctor asks all questions and prints what was found. A configuration that does not load is a finding like any other.
func runDoctor(ctx context.Context, a *app, cmd *cobra.Command, strict bool) error {
	s, err := a.read(cmd)
	if err != nil {
		return a.printDoctor(setup.SickConfig(parts(err)), "", strict)
	}
	logs, err := s.logs("orderctl-doctor", false)
	if err != nil {
		return err
	}
	defer logs.Close()
	o, closeAll := s.doctorOptions(logs.Log)
	defer closeAll()
	d, err := setup.NewDoctor(o)
	if err != nil {
		return err
	}
	found := d.Run(ctx)
	if ctx.Err() != nil { // Ctrl-C: what was not asked is no finding
		return context.Cause(ctx)
	}
	return a.printDoctor(found, s.cfg.Cluster(), strict)
}
