package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"commerce.internal/orderctl/internal/config"
	"commerce.internal/orderctl/internal/tui"
)

// newHelpCmd replaces cobra's, which answers an unknown command with help and exit code 0.
func newHelpCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "help [COMMAND...|TOPIC]",
		Short:   "Explains a command or a topic.",
		GroupID: groupSetUp,
		Args:    takes(0, -1, "a command or a topic"),
		Example: `# what does a command do, and what do its exit codes mean?
orderctl help config show
# which exit codes are there at all?
orderctl help exit-codes`,
		RunE: func(cmd *cobra.Command, args []string) error {
			at := cmd.Root()
			for _, word := range args {
				i := slices.IndexFunc(at.Commands(), func(c *cobra.Command) bool { return c.Name() == word })
				if i < 0 {
					return unknownCommand(at, word)
				}
				at = at.Commands()[i]
			}
			at.InitDefaultHelpFlag()
			a.help(at, nil)
			return nil
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			at, _, err := cmd.Root().Find(args)
			if err != nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			var words []cobra.Completion
			for _, c := range at.Commands() {
				words = append(words, cobra.CompletionWithDesc(c.Name(), c.Short))
			}
			return words, cobra.ShellCompDirectiveNoFileComp
		},
	}
	exits(cmd, exitOK, "printed", exitUsage, "no such command or topic")
	return cmd
}

// topic makes a help topic.
func topic(name, short, long string) *cobra.Command {
	cmd := &cobra.Command{
		Use: name, Short: short, Long: long, Hidden: true, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	annotate(cmd, annotationTopic, "yes")
	return cmd
}

func topicNames(root *cobra.Command) []string {
	names := []string{"config"} // the command of that name explains it
	for _, c := range root.Commands() {
		if c.Annotations[annotationTopic] != "" {
			names = append(names, c.Name())
		}
	}
	slices.Sort(names)
	return names
}

func addTopics(root *cobra.Command) {
	root.AddCommand(
		topic("exit-codes", "What the exit codes mean.", exitTopic()),
		topic("environment", "The variables that are read.", environmentTopic()),
		topic("formats", "How answers are printed.", formatsTopic),
		topic("keys", "Every key of the configuration.", keysTopic()),
		topic("retries", "What happens to an order that fails.", retriesTopic),
	)
}

func exitTopic() string {
	var b strings.Builder
	b.WriteString("Exit codes of orderctl:\n\n")
	for _, m := range exitMeanings() {
		fmt.Fprintf(&b, "  %-4s %s\n", strconv.Itoa(m.code), m.text)
	}
	return b.String()
}

func keysTopic() string {
	var b strings.Builder
	b.WriteString("Every key of the configuration, with its default. 'orderctl help environment' tells how a variable is " +
		"called, 'orderctl config init' writes a file with a comment for each.\n\n")
	for _, k := range config.Keys() {
		if !k.Secret {
			fmt.Fprintf(&b, "  %-38s %s\n", k.Name, orEmpty(k.Default))
		}
	}
	b.WriteString("\nThe keys of the dashboard, 'orderctl top':\n\n")
	for _, k := range tui.KeyTable() {
		fmt.Fprintf(&b, "  %-6s %s\n", k[0], k[1])
	}
	return b.String()
}

func orEmpty(s string) string {
	if s == "" {
		return `""`
	}
	return s
}

func environmentTopic() string {
	var b strings.Builder
	b.WriteString(environmentIntro)
	for _, k := range config.Keys() {
		if k.Env != "" {
			fmt.Fprintf(&b, "  %s\n", k.Env)
		}
	}
	return b.String()
}

const environmentIntro = `Each key of the configuration has a variable: ORDERCTL_, the key in upper case, dots as underscores. It beats the file and the context; a flag beats it. A variable without a value is unset. A misspelt ORDERCTL_ name is an error, but for those that Kubernetes sets for a Service called orderctl.

Others that are read:

  ORDERCTL_CONFIG        the configuration file
  NO_COLOR               no colours
  CLICOLOR_FORCE, FORCE_COLOR
                         colours also off a terminal
  TERM=dumb              no colours, no redrawing
  ACCESSIBLE             no redrawing
  GOGC, GOMEMLIMIT       set the garbage collector; else orderctl does
  XDG_CONFIG_HOME, XDG_STATE_HOME, XDG_DATA_HOME, XDG_CACHE_HOME
                         where files of the user are

Variables of keys:

`

const formatsTopic = `The answer goes to stdout, everything else to stderr. -o chooses the format:

  table   for eyes: fits the terminal; in a pipe all columns, nothing cut
  wide    the same with more columns
  json    one document with a member schema, such as orderctl.config/v1
  jsonl   one object a line
  csv     RFC 4180 with line feeds, headings are the names of json

Unknown is ? in a table, null in json, empty in csv; it is never 0. What does not apply is - in a table and left out in json. An empty list is [] or the heading alone, with exit code 0.

In json integers are integers, times are RFC 3339, and names that end in _seconds are lengths of time. Off a terminal tables show plain digits, UTC and no colours.

Text that came from messages is escaped: what could move a cursor or hide itself appears as \x1b or \u202e. In csv, text that a spreadsheet would run (it begins with = + - @) gets an apostrophe.`

const retriesTopic = `An order that fails is tried again in place first: consume.local.attempts times, with a pause of consume.local.base that doubles up to consume.local.cap. Only then does it leave its partition.

What can never succeed (undecodable, invalid, a forbidden change of status, the same id with other content) becomes a dead letter at once. What may succeed later goes on to the retry topics, whose delays are consume.retry (none: there are none), and becomes a dead letter after the last.

An outage is nobody's fault: while the database is down the worker pauses. It commits nothing, counts no attempt and writes no letter.

A dead letter keeps the bytes, headers and coordinates of the record and says why it died: 'orderctl dlq list'.`
