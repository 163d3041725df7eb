package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"commerce.internal/orderctl/internal/config"
)

const (
	annotationExits = "orderctl_exits" // of a command: its exit codes, one "code text" a line
	annotationSee   = "orderctl_see"   // of a command: what to read next, comma between
	annotationTopic = "orderctl_topic" // of a help topic
	helpWidth       = 80
)

// exits tells the exit codes of a command, as code and text in turn; an empty text is the usual meaning.
func exits(cmd *cobra.Command, codeAndText ...any) {
	var b strings.Builder
	for i := 0; i+1 < len(codeAndText); i += 2 {
		code, _ := codeAndText[i].(int)
		text, _ := codeAndText[i+1].(string)
		if text == "" {
			text = meaningOf(code)
		}
		fmt.Fprintf(&b, "%d %s\n", code, text)
	}
	annotate(cmd, annotationExits, b.String())
}

// seeAlso names what to read next.
func seeAlso(cmd *cobra.Command, commands ...string) {
	annotate(cmd, annotationSee, strings.Join(commands, ", "))
}

func annotate(cmd *cobra.Command, name, value string) {
	if cmd.Annotations == nil {
		cmd.Annotations = map[string]string{}
	}
	cmd.Annotations[name] = value
}

// help is cobra's help function: what --help and `orderctl help` print.
func (*app) help(cmd *cobra.Command, _ []string) {
	_, _ = io.WriteString(cmd.OutOrStdout(), helpText(cmd))
}

// helpText is the help of a command: 80 columns, no colour.
func helpText(cmd *cobra.Command) string {
	var b strings.Builder
	long := cmd.Long
	if long == "" {
		long = cmd.Short
	}
	b.WriteString(wrapAll(long, ""))
	if cmd.Annotations[annotationTopic] != "" {
		return b.String()
	}
	fmt.Fprintf(&b, "\nUsage:\n  %s\n", usageLine(cmd))
	helpCommands(&b, cmd)
	helpExamples(&b, cmd)
	helpFlags(&b, cmd)
	helpExits(&b, cmd)
	if see := cmd.Annotations[annotationSee]; see != "" {
		fmt.Fprintf(&b, "\nSee also:\n%s", wrapAll(see, "  "))
	}
	return b.String()
}

func usageLine(cmd *cobra.Command) string {
	if cmd.HasSubCommands() {
		return cmd.UseLine() + " COMMAND"
	}
	return cmd.UseLine() + " [flags]"
}

func helpCommands(b *strings.Builder, cmd *cobra.Command) {
	if !cmd.HasSubCommands() {
		return
	}
	groups := cmd.Groups()
	if len(groups) == 0 {
		groups = []*cobra.Group{{Title: "Commands"}}
	}
	for _, g := range groups {
		fmt.Fprintf(b, "\n%s:\n", g.Title)
		for _, c := range cmd.Commands() {
			if c.GroupID == g.ID && !c.Hidden {
				b.WriteString(hang("  "+c.Name(), c.Short, 14))
			}
		}
	}
	if !cmd.HasParent() {
		fmt.Fprintf(b, "\nHelp topics ('orderctl help TOPIC'):\n%s", wrapAll(strings.Join(topicNames(cmd), ", "), "  "))
	}
}

func helpExamples(b *strings.Builder, cmd *cobra.Command) {
	if cmd.Example == "" {
		return
	}
	b.WriteString("\nExamples:\n")
	for line := range strings.SplitSeq(strings.Trim(cmd.Example, "\n"), "\n") {
		b.WriteString("  " + line + "\n")
	}
}

func helpFlags(b *strings.Builder, cmd *cobra.Command) {
	var lines []string
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden && (!cmd.HasParent() || cmd.PersistentFlags().Lookup(f.Name) != nil || cmd.InheritedFlags().Lookup(f.Name) == nil) {
			lines = append(lines, flagHelp(f))
		}
	})
	b.WriteString("\nFlags:\n" + strings.Join(lines, ""))
	if !cmd.HasParent() {
		return
	}
	var global []string
	cmd.InheritedFlags().VisitAll(func(f *pflag.Flag) {
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + "/" + name
		}
		global = append(global, name)
	})
	if len(global) > 0 {
		fmt.Fprintf(b, "\nGlobal flags ('orderctl --help'):\n%s", wrapAll(strings.Join(global, ", "), "  "))
	}
}

// flagHelp is one flag: its names, what it is for, its default and its key.
func flagHelp(f *pflag.Flag) string {
	value, usage := pflag.UnquoteUsage(f)
	left := "      --" + f.Name
	if f.Shorthand != "" {
		left = "  -" + f.Shorthand + ", --" + f.Name
	}
	if value != "" && f.Value.Type() != "bool" && f.Value.Type() != "count" {
		if f.NoOptDefVal != "" {
			left += "[=" + strings.ToUpper(value) + "]"
		} else {
			left += " " + strings.ToUpper(value)
		}
	}
	var notes []string
	if d := f.DefValue; d != "" && d != "false" && d != "[]" && d != "0" && d != "0s" {
		notes = append(notes, "default "+d)
	}
	if key := f.Annotations[annotationKey]; len(key) > 0 {
		notes = append(notes, "key "+key[0])
	}
	if len(notes) > 0 {
		usage += " (" + strings.Join(notes, "; ") + ")"
	}
	return hang(left, usage, 26)
}

func helpExits(b *strings.Builder, cmd *cobra.Command) {
	rows := strings.TrimSpace(cmd.Annotations[annotationExits])
	if rows == "" {
		return
	}
	b.WriteString("\nExit status:\n")
	for row := range strings.SplitSeq(rows, "\n") {
		code, text, _ := strings.Cut(row, " ")
		b.WriteString(hang("  "+code, text, 7))
	}
}

// hang writes left, and text from column at on, wrapped. A left part that is too long has a line of its own.
func hang(left, text string, at int) string {
	indent := strings.Repeat(" ", at)
	lines := wrap(text, helpWidth-at)
	if len(left) > at-2 {
		return left + "\n" + indent + strings.Join(lines, "\n"+indent) + "\n"
	}
	return fmt.Sprintf("%-*s", at, left) + strings.Join(lines, "\n"+indent) + "\n"
}

// wrapAll wraps each line by itself; indented lines are tables, which stay as they are.
func wrapAll(text, indent string) string {
	var b strings.Builder
	for line := range strings.SplitSeq(strings.Trim(text, "\n"), "\n") {
		if line == "" || strings.HasPrefix(line, " ") {
			b.WriteString(strings.TrimRight(indent+line, " ") + "\n")
			continue
		}
		for _, l := range wrap(line, helpWidth-len(indent)) {
			b.WriteString(indent + l + "\n")
		}
	}
	return b.String()
}

func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

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
