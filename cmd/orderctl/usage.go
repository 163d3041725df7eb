package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"commerce.internal/orderctl/internal/config"
)

// usageError is a command line that means nothing.
type usageError struct {
	text string
	fix  string // what was probably meant
	path string // of the command, for its help
}

// Error implements error.
func (e *usageError) Error() string { return e.text }

// ExitCode is 2.
func (*usageError) ExitCode() int { return exitUsage }

// Hint tells what was probably meant, and where the usage stands.
func (e *usageError) Hint() string {
	see := ""
	if e.path != "" {
		see = "See '" + e.path + " --help'"
	}
	return strings.TrimSpace(e.fix + " " + see)
}

// badUsage returns the error of a command line that a command cannot take.
func badUsage(cmd *cobra.Command, fix, format string, args ...any) error {
	return &usageError{text: fmt.Sprintf(format, args...), fix: fix, path: cmd.CommandPath()}
}

// takes returns the check of a command that takes from least to most arguments (most < 0: any number); what says what
// they are.
func takes(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return badUsage(cmd, "", "%s needs %s", cmd.CommandPath(), what)
		case most < 0 || len(args) <= most:
			return nil
		}
		extra := args[max(most, 0)]
		if name := optionalValue(cmd); name != "" {
			return badUsage(cmd, fmt.Sprintf("write --%s=%s.", name, extra), "the value of --%s stands behind =", name)
		}
		if most == 0 {
			return badUsage(cmd, "", "%s takes no arguments, but got %q", cmd.CommandPath(), extra)
		}
		return badUsage(cmd, "", "%s takes %s only, but got %q", cmd.CommandPath(), what, extra)
	}
}

// noArgs is the check of a command without arguments.
func noArgs(cmd *cobra.Command, args []string) error { return takes(0, 0, "")(cmd, args) }

// optionalValue returns the flag that was given without its optional value: pflag takes the word behind it for an
// argument.
func optionalValue(cmd *cobra.Command) string {
	name := ""
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if f.NoOptDefVal != "" && f.Value.Type() != "bool" && f.Value.Type() != "count" && f.Value.String() == f.NoOptDefVal {
			name = f.Name
		}
	})
	return name
}

// groupArgs is the check of a command that only has children: any argument is a misspelt child.
func groupArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return unknownCommand(cmd, args[0])
}

func unknownCommand(cmd *cobra.Command, word string) error {
	names := []string{}
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
	}
	fix := ""
	if s := config.Suggest(word, names); s != "" {
		fix = fmt.Sprintf("did you mean %q?", s)
	}
	return badUsage(cmd, fix, "unknown command %q for %q", word, cmd.CommandPath())
}

// flagError gives the errors of pflag our texts.
func flagError(cmd *cobra.Command, err error) error {
	if cmd.HasSubCommands() && cmd.Flags().NArg() > 0 {
		return unknownCommand(cmd, cmd.Flags().Arg(0)) // dlq lst --by class: the flag is not what is wrong
	}
	var unknown *pflag.NotExistError
	var missing *pflag.ValueRequiredError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown):
		return unknownFlag(cmd, unknown)
	case errors.As(err, &missing):
		return badUsage(cmd, "", "--%s needs a value", missing.GetFlag().Name)
	case errors.As(err, &invalid):
		return invalidFlag(cmd, invalid)
	}
	return badUsage(cmd, "", "%s", err.Error())
}

func unknownFlag(cmd *cobra.Command, err *pflag.NotExistError) error {
	if err.GetSpecifiedShortnames() != "" {
		return badUsage(cmd, "", "unknown flag -%s", err.GetSpecifiedName())
	}
	names := []string{}
	add := func(f *pflag.Flag) { names = append(names, f.Name) }
	cmd.LocalFlags().VisitAll(add)
	cmd.InheritedFlags().VisitAll(add)
	fix := ""
	if s := config.Suggest(err.GetSpecifiedName(), names); s != "" {
		fix = "did you mean --" + s + "?"
	}
	return badUsage(cmd, fix, "unknown flag --%s", err.GetSpecifiedName())
}

func invalidFlag(cmd *cobra.Command, err *pflag.InvalidValueError) error {
	f, value := err.GetFlag(), err.GetValue()
	var own *usageError
	if errors.As(err, &own) {
		return &usageError{text: "--" + f.Name + ": " + own.text, fix: own.fix, path: cmd.CommandPath()}
	}
	reason := fmt.Sprintf("%q is not valid: %v", value, errors.Unwrap(err))
	switch f.Value.Type() {
	case "bool":
		reason = fmt.Sprintf("%q is neither true nor false", value)
	case "int", "int32", "int64", "uint", "uint64", "count":
		reason = fmt.Sprintf("%q is not a whole number", value)
	case "float64":
		reason = fmt.Sprintf("%q is not a number", value)
	case "duration":
		if _, e := config.ParseDuration(value); e != nil {
			reason = e.Error()
		}
	}
	return badUsage(cmd, "", "--%s: %s", f.Name, reason)
}

// durationValue is a flag that takes a duration, spelt as in the file, not below the least one.
type durationValue struct {
	p     *time.Duration
	least time.Duration
}

// durationFlag adds a flag for a duration that no key stands for.
func durationFlag(fs *pflag.FlagSet, p *time.Duration, name, short string, value, least time.Duration, usage string) {
	*p = value
	f := fs.VarPF(&durationValue{p: p, least: least}, name, short, usage)
	f.DefValue = config.FormatDuration(value)
}

// Set implements pflag.Value.
func (v *durationValue) Set(s string) error {
	d, err := config.ParseDuration(s)
	if err != nil {
		return &usageError{text: err.Error()}
	}
	if d < v.least {
		return &usageError{text: fmt.Sprintf("%s is below %s", s, config.FormatDuration(v.least))}
	}
	*v.p = d
	return nil
}

// String implements pflag.Value.
func (v *durationValue) String() string {
	if v.p == nil {
		return ""
	}
	return config.FormatDuration(*v.p)
}

// Type implements pflag.Value.
func (*durationValue) Type() string { return "duration" }
