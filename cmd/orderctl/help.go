package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
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
