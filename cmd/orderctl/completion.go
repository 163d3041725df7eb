package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"commerce.internal/orderctl/internal/config"
)

func newCompletionCmd(a *app) *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	cmd := &cobra.Command{
		Use:     "completion bash|zsh|fish|powershell",
		Short:   "Prints a script that completes commands in a shell.",
		GroupID: groupSetUp,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := takes(1, 1, "one of bash, zsh, fish, powershell")(cmd, args); err != nil {
				return err
			}
			if slices.Contains(shells, args[0]) {
				return nil
			}
			fix := ""
			if s := config.Suggest(args[0], shells); s != "" {
				fix = fmt.Sprintf("did you mean %q?", s)
			}
			return badUsage(cmd, fix, "%q is none of bash, zsh, fish, powershell", args[0])
		},
		ValidArgs: shells,
		Example: `# bash, for this shell
source <(orderctl completion bash)
# zsh, for ever
orderctl completion zsh > "${fpath[1]}/_orderctl"
# fish, for ever
orderctl completion fish > ~/.config/fish/completions/orderctl.fish`,
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(a.stdout, true)
			case "zsh":
				return root.GenZshCompletion(a.stdout)
			case "fish":
				return root.GenFishCompletion(a.stdout, true)
			default:
				return root.GenPowerShellCompletionWithDesc(a.stdout)
			}
		},
	}
	exits(cmd, exitOK, "printed", exitUsage, "no such shell")
	return cmd
}

// completeContexts offers the names of the contexts. A configuration that does not load offers nothing: the command
// itself will say why.
func (a *app) completeContexts() cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		var names []cobra.Completion
		loaded, err := config.Load(config.Input{Path: a.global.config, Environ: a.env.environ})
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		for _, c := range loaded.Config.Contexts {
			names = append(names, c.Name)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
