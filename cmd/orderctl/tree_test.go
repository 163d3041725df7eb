package main

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"commerce.internal/orderctl/internal/config"
	"commerce.internal/orderctl/internal/text"
)

// everyCommand calls f for each command of the tree.
func everyCommand(t *testing.T, f func(*testing.T, *cobra.Command)) {
	t.Helper()
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		t.Run(c.CommandPath(), func(t *testing.T) { f(t, c) })
		for _, child := range c.Commands() {
			walk(child)
		}
	}
	walk(newRoot(newApp(newTestProcess(t).env)))
}

func TestEveryCommandChecksItsArguments(t *testing.T) {
	t.Parallel()
	everyCommand(t, func(t *testing.T, c *cobra.Command) {
		if c.Args == nil || c.RunE == nil || c.Run != nil {
			t.Error("no Args, no RunE, or Run")
		}
		if c.PersistentPreRun != nil || c.PersistentPreRunE != nil || c.PreRun != nil || c.PreRunE != nil {
			t.Error("a PreRun hook also runs for completion, and not under a child that has one")
		}
		if c.HasSubCommands() && c.Args(c, []string{"no-such-command"}) == nil {
			t.Error("takes a misspelt child")
		}
	})
}

func TestEveryCommandHasHelp(t *testing.T) {
	t.Parallel()
	everyCommand(t, func(t *testing.T, c *cobra.Command) {
		help := helpText(c)
		for line := range strings.Lines(help) {
			line = strings.TrimSuffix(line, "\n")
			if text.Width(line) > helpWidth && !strings.Contains(help[:strings.Index(help, line)], "Examples:") {
				t.Errorf("%d columns: %s", text.Width(line), line)
			}
			if strings.TrimRight(line, " ") != line || strings.Contains(line, "\x1b") {
				t.Errorf("blanks at the end, or an escape: %q", line)
			}
		}
		if c.Annotations[annotationTopic] != "" {
			return
		}
		if !strings.HasSuffix(c.Short, ".") {
			t.Errorf("Short is no sentence: %q", c.Short)
		}
		for _, section := range []string{"\nUsage:\n", "\nExamples:\n  # ", "\nFlags:\n", "\nExit status:\n  0 "} {
			if !strings.Contains(help, section) {
				t.Errorf("no %q", section)
			}
		}
		if parent := c.Parent(); parent != nil && !parent.HasParent() && c.GroupID == "" {
			t.Error("belongs to no group of the root, so help does not list it")
		}
	})
}

// Every exit code that a command lists is one of the table.
func TestListedExitCodesExist(t *testing.T) {
	t.Parallel()
	everyCommand(t, func(t *testing.T, c *cobra.Command) {
		for row := range strings.Lines(c.Annotations[annotationExits]) {
			code, meaning, _ := strings.Cut(strings.TrimSpace(row), " ")
			n, err := strconv.Atoi(code)
			if err != nil || meaningOf(n) == "" || meaning == "" {
				t.Errorf("row %q", row)
			}
		}
	})
}

func TestAShortLetterMeansOneThing(t *testing.T) {
	t.Parallel()
	meaning := map[string]string{"g": "group", "t": "topic", "p": "partition", "w": "watch", "A": "all-groups", "n": "dry-run", "y": "yes", "h": "help"}
	everyCommand(t, func(t *testing.T, c *cobra.Command) {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Shorthand == "" {
				return
			}
			if name, known := meaning[f.Shorthand]; known && name != f.Name {
				t.Errorf("-%s is --%s here and --%s elsewhere", f.Shorthand, f.Name, name)
			}
			meaning[f.Shorthand] = f.Name
		})
	})
}

func TestFlagsOfKeysNameAKeyAndItsDefault(t *testing.T) {
	t.Parallel()
	keys := config.Keys()
	everyCommand(t, func(t *testing.T, c *cobra.Command) {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			key := f.Annotations[annotationKey]
			if len(key) == 0 {
				return
			}
			i := slices.IndexFunc(keys, func(k config.Key) bool { return k.Name == key[0] })
			if i < 0 || f.DefValue != keys[i].Default || keys[i].Secret {
				t.Errorf("--%s: no key %s, a secret, or another default", f.Name, key[0])
			}
		})
	})
}

// Examples are commands that exist, with flags that exist.
func TestExamplesParse(t *testing.T) {
	t.Parallel()
	everyCommand(t, func(t *testing.T, c *cobra.Command) {
		for line := range strings.Lines(c.Example) {
			line = strings.TrimSpace(line)
			_, command, found := strings.Cut(" "+line, " orderctl ")
			if !found || strings.HasPrefix(line, "#") {
				continue
			}
			command, _, _ = strings.Cut(command, "|")
			command, _, _ = strings.Cut(command, ">")
			words := strings.Fields(strings.TrimRight(command, " )\""))
			found = false
			root := newRoot(newApp(newTestProcess(t).env))
			if child, rest, err := root.Find(words); err == nil && child != root {
				found = true
				if err := child.ParseFlags(rest); err != nil {
					t.Errorf("%s: %v", line, err)
				}
				if err := child.Args(child, child.Flags().Args()); err != nil {
					t.Errorf("%s: %v", line, err)
				}
			}
			if !found {
				t.Errorf("no such command: %s", line)
			}
		}
	})
}

func TestFlagsWithAnOptionalValueSayHowItIsWritten(t *testing.T) {
	t.Parallel()
	cmd := &cobra.Command{Use: "lag", Args: noArgs}
	var every time.Duration
	durationFlag(cmd.Flags(), &every, "watch", "w", 2*time.Second, 500*time.Millisecond, "again and again")
	cmd.Flags().Lookup("watch").NoOptDefVal = "2s"
	if err := cmd.ParseFlags([]string{"--watch", "3s"}); err != nil {
		t.Fatal(err)
	}
	err := cmd.Args(cmd, cmd.Flags().Args())
	if codeOf(err) != 2 || !strings.HasPrefix(hintOf(err), "write --watch=3s.") {
		t.Errorf("%v, hint %q", err, hintOf(err))
	}
}

func TestValuesOfFlagsAreChecked(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, arg, want string }{
		{"a duration without a unit", "--every=5", `--every: "5" has no unit; write 5s`},
		{"a duration that is too short", "--every=1ms", "--every: 1ms is below 500ms"},
		{"no duration", "--every=soon", `--every: "soon" is not a duration`},
		{"no number", "--limit=x", `--limit: "x" is not a whole number`},
		{"no fraction", "--share=x", `--share: "x" is not a number`},
		{"neither true nor false", "--all=x", `--all: "x" is neither true nor false`},
		{"pflag's own duration", "--for=5", `--for: "5" has no unit; write 5s`},
		{"an unknown flag without a relative", "--zzzzzzzz", "unknown flag --zzzzzzzz"},
		{"a flag that is no flag", "--=x", "bad flag syntax: --=x"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			cmd := &cobra.Command{Use: "test", Args: noArgs, SilenceErrors: true, SilenceUsage: true, RunE: func(*cobra.Command, []string) error { return nil }}
			var every time.Duration
			durationFlag(cmd.Flags(), &every, "every", "", time.Second, 500*time.Millisecond, "")
			cmd.Flags().Int("limit", 0, "")
			cmd.Flags().Float64("share", 0, "")
			cmd.Flags().Bool("all", false, "")
			cmd.Flags().Duration("for", 0, "")
			cmd.SetFlagErrorFunc(flagError)
			cmd.SetArgs([]string{row.arg})
			err := cmd.Execute()
			if codeOf(err) != 2 || !strings.HasPrefix(err.Error(), row.want) || !strings.Contains(hintOf(err), "See 'test --help'") {
				t.Errorf("%v, hint %q", err, hintOf(err))
			}
		})
	}
}

// Completion parses the flags twice.
func TestAListThatIsParsedTwiceHoldsEachElementOnce(t *testing.T) {
	t.Parallel()
	root := newRoot(newApp(newTestProcess(t).env))
	for range 2 {
		if err := root.ParseFlags([]string{"-b", "a:1,b:1", "-b", "c:1"}); err != nil {
			t.Fatal(err)
		}
	}
	if got := root.PersistentFlags().Lookup("brokers").Value.String(); got != "a:1,b:1,c:1" {
		t.Errorf("got %s", got)
	}
}

func TestForeignTextInAnErrorIsEscaped(t *testing.T) {
	t.Parallel()
	p := newTestProcess(t, "version", "a\x1b[2J\u202e")
	if code := run(p.env); code != 2 || !strings.Contains(p.err.String(), `a\x1b[2J\u202e`) {
		t.Errorf("code %d, stderr %q", code, p.err)
	}
}
