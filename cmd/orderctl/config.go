package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"commerce.internal/orderctl/internal/config"
	"commerce.internal/orderctl/internal/out"
)

const configTopic = `Shows, checks and writes the configuration.

A value comes from the strongest of these: a flag, an ORDERCTL_* variable, the chosen context, the file, the default. 'orderctl config show --origin' tells which it was.

There is one file: the one that --config or ORDERCTL_CONFIG names, else the first that exists of ./configs/orderctl.yaml, $XDG_CONFIG_HOME/orderctl/config.yaml and /etc/orderctl/config.yaml. An unknown key in it is an error.

A context is a named profile in the file, one for each cluster. --context, ORDERCTL_CONTEXT or the key context chooses one; what stands in it replaces the values of kafka, store and consume.group:

  contexts:
    - name: prod
      brokers: ["kafka-1:9092", "kafka-2:9092"]
      tls: {enabled: true}
      group: orders-worker

Secrets do not stand in the file: a key that ends in _file names a file that holds one, or the variable of the secret does. Units: 250ms 5s 1m30s; 64KiB 4MiB; 100/s; 0.5 or 50%.`

func newConfigCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "config", Short: "Shows, checks and writes the configuration.", Long: configTopic, GroupID: groupSetUp, Args: groupArgs,
		Example: `# which value counts, and who set it?
orderctl config show --origin
# is the file right?
orderctl config check
# begin with a file that explains every key
orderctl config init`,
	}
	exits(cmd, exitOK, "", exitUsage, "")
	seeAlso(cmd, "orderctl help keys", "orderctl help environment")
	cmd.AddCommand(newConfigShowCmd(a), newConfigCheckCmd(a), newConfigPathCmd(a), newConfigInitCmd(a))
	return cmd
}

func newConfigShowCmd(a *app) *cobra.Command {
	var origin bool
	cmd := &cobra.Command{
		Use: "show", Short: "Prints every key with the value that counts.", Args: noArgs,
		Example: `# which value counts, and who set it?
orderctl config show --origin
# what would another cluster get?
orderctl config show --context prod
# one value, for a script
orderctl config show -o json | jq -r '.keys[] | select(.key=="consume.group").value'`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.load(cmd)
			if err != nil {
				return err
			}
			return s.print(configTable(s.loaded, origin), nil)
		},
	}
	cmd.Flags().BoolVar(&origin, "origin", false, "also where each value came from")
	exits(cmd, exitOK, "printed; secrets as (set)", exitUsage, "the configuration is wrong")
	seeAlso(cmd, "orderctl help config", "orderctl help keys")
	return cmd
}

func configTable(l config.Loaded, origin bool) out.Table {
	t := out.Table{
		Schema: "orderctl.config/v1", List: "keys",
		Columns: []out.Column{
			{Name: "KEY", JSON: "key"},
			{Name: "VALUE", JSON: "value"},
			{Name: "ORIGIN", JSON: "origin", Wide: !origin},
		},
	}
	for _, e := range l.Entries() {
		t.Rows = append(t.Rows, []out.Cell{out.Text(e.Name), out.Text(e.Value), out.Text(e.Origin.String())})
	}
	return t
}

func newConfigCheckCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "check", Short: "Loads the configuration and says what is wrong with it.", Args: noArgs,
		Example: `# is the configuration right?
orderctl config check
# is that file?
orderctl config check -c /etc/orderctl/config.yaml`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.load(cmd)
			if err != nil {
				return err
			}
			where := s.loaded.Path
			if where == "" {
				where = "configuration without a file"
			}
			_, err = fmt.Fprintf(a.stdout, "%s: good\n", where)
			return err
		},
	}
	exits(cmd, exitOK, "it is right", exitUsage, "it is wrong")
	seeAlso(cmd, "orderctl help config")
	return cmd
}

func newConfigPathCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "path", Short: "Prints the path of the file in use.", Args: noArgs,
		Example: `# which file counts?
orderctl config path
# edit it
$EDITOR "$(orderctl config path)"`,
		RunE: func(*cobra.Command, []string) error {
			path := config.Find(config.Input{Path: a.global.config, Environ: a.env.environ})
			if path == "" {
				return exitWith(exitNotFound, "there is no configuration file; the defaults count",
					"looked for "+strings.Join(config.Candidates(a.env.environ), ", ")+"; 'orderctl config init' writes one")
			}
			_, err := fmt.Fprintln(a.stdout, path)
			return err
		},
	}
	exits(cmd, exitOK, "printed", exitNotFound, "there is none", exitUsage, "")
	seeAlso(cmd, "orderctl help config")
	return cmd
}

func newConfigInitCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "init [FILE|-]", Short: "Writes a file with every key, its default and a comment.",
		Long: "Writes a file with every key, its default and a comment. Without FILE it is the one that --config or " +
			"ORDERCTL_CONFIG names, else $XDG_CONFIG_HOME/orderctl/config.yaml. A file that exists is never overwritten. " +
			"With - it goes to stdout.",
		Args: takes(0, 1, "one file"),
		Example: `# begin with a file that explains every key
orderctl config init
# only look at it
orderctl config init -`,
		RunE: func(_ *cobra.Command, args []string) error { return runConfigInit(a, args) },
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault
		},
	}
	exits(cmd, exitOK, "written", exitFailed, "the file exists, or could not be written", exitUsage, "")
	seeAlso(cmd, "orderctl config check")
	return cmd
}

func runConfigInit(a *app, args []string) error {
	path := filepath.Join(config.PathsOf(a.env.environ).Config, "config.yaml")
	switch {
	case len(args) == 1:
		path = args[0]
	case a.global.config != "":
		path = a.global.config
	case a.env.lookup(config.EnvConfig) != "":
		path = a.env.lookup(config.EnvConfig)
	}
	if path == "-" {
		_, err := io.WriteString(a.stdout, config.Template())
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("write %s: %w", path, cause(err))
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return exitWith(exitFailed, path+" exists; nothing was written", "'orderctl config init -' prints what would stand in it")
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, cause(err))
	}
	_, err = io.WriteString(f, config.Template())
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, cause(err))
	}
	_, err = fmt.Fprintln(a.stdout, path)
	return err
}
