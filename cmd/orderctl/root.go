package main

import (
	"github.com/spf13/cobra"
)

// The groups of commands, as help lists them.
const (
	groupRun    = "run"
	groupOnCall = "on-call"
	groupSetUp  = "set-up"
)

// newRoot builds the tree of commands. A new command is one line here.
func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:           "orderctl",
		Short:         "Runs and looks after an order queue on Apache Kafka.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          groupArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if a.global.version {
				return runVersion(a)
			}
			return cmd.Help()
		},
		Example: `# the whole order queue in one process, for a first look
orderctl dev
# where do orders wait?
orderctl lag
# what went wrong with the ones that died?
orderctl dlq list
# which value counts, and who set it?
orderctl config show --origin`,
	}
	exits(root, exitOK, "", exitUsage, "")
	root.AddGroup(
		&cobra.Group{ID: groupRun, Title: "Run"},
		&cobra.Group{ID: groupOnCall, Title: "On call"},
		&cobra.Group{ID: groupSetUp, Title: "Set up"},
	)
	a.addGlobals(root)
	root.AddCommand(
		newDevCmd(a),
		newServeCmd(a),
		newConsumeCmd(a),
		newProduceCmd(a),
		newLagCmd(a),
		newTopCmd(a),
		newTraceCmd(a),
		newAuditCmd(a),
		newDLQCmd(a),
		newOffsetsCmd(a),
		newDoctorCmd(a),
		newTopicsCmd(a),
		newDBCmd(a),
		newConfigCmd(a),
		newVersionCmd(a),
		newCompletionCmd(a),
	)
	addTopics(root)
	root.SetHelpCommand(newHelpCmd(a))
	root.SetHelpCommandGroupID(groupSetUp)
	root.SetHelpFunc(a.help)
	root.SetFlagErrorFunc(flagError)
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	root.CompletionOptions.DisableDefaultCmd = true // ours has one line of help for each shell, and checks its argument
	root.InitDefaultHelpCmd()
	cure(root)
	a.completeLive(root)
	return root
}

// cure walks the tree and gives every group what cobra leaves out: a misspelt child is an error, with the child that
// was probably meant, and not help with exit code 0 (spf13/cobra issue 706).
func cure(cmd *cobra.Command) {
	cmd.DisableFlagsInUseLine = true
	if cmd.HasSubCommands() {
		cmd.SuggestionsMinimumDistance = 2
		if cmd.Args == nil {
			cmd.Args = groupArgs
		}
		if !cmd.Runnable() {
			cmd.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
		}
	}
	for _, child := range cmd.Commands() {
		cure(child)
	}
}
