package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"commerce.internal/orderctl/internal/config"
	"commerce.internal/orderctl/internal/out"
)

const annotationKey = "orderctl_key" // of a flag: the configuration key it stands for

// globals are the flags that every command has and no key stands for.
type globals struct {
	config   string
	format   string
	color    string
	noHeader bool
	quiet    bool
	verbose  int
	version  bool
}

// addGlobals adds the flags of every command.
func (a *app) addGlobals(root *cobra.Command) {
	g, fs := &a.global, root.PersistentFlags()
	keyFlag(root, fs, "kafka.brokers", "brokers", "b", "`HOST:PORT`,... of Kafka")
	keyFlag(root, fs, "kafka.tls.enabled", "tls", "", "encrypt the connection to Kafka")
	fs.StringVarP(&g.config, "config", "c", "", "configuration `FILE`")
	keyFlag(root, fs, "context", "context", "", "`NAME` of the profile to use")
	keyFlag(root, fs, "kafka.timeout", "timeout", "", "how long to wait for Kafka, a `DURATION`")
	enumFlag(root, fs, &g.format, "output", "o", string(out.FormatTable), out.Formats(), "`FORMAT` of the answer")
	fs.BoolVar(&g.noHeader, "no-header", false, "no headings in tables and csv")
	enumFlag(root, fs, &g.color, "color", "", "auto", []string{"auto", "always", "never"}, "colours, `WHEN`")
	fs.BoolVarP(&g.quiet, "quiet", "q", false, "no notes and no progress")
	fs.CountVarP(&g.verbose, "verbose", "v", "more detail on stderr; twice: still more")
	keyFlag(root, fs, "log.format", "log-format", "", "`FORMAT` of the log")
	root.Flags().BoolVar(&g.version, "version", false, "the same as 'orderctl version'")
	_ = root.MarkPersistentFlagFilename("config", "yaml", "yml")
	_ = root.RegisterFlagCompletionFunc("context", a.completeContexts())
}

// keyFlag adds a flag that stands for a key of the configuration: its default is that of the key, and its text is read
// by the parser of the key, so that flag, variable and file are spelt alike.
func keyFlag(cmd *cobra.Command, fs *pflag.FlagSet, key, name, short, usage string) {
	keys := config.Keys()
	i := slices.IndexFunc(keys, func(k config.Key) bool { return k.Name == key })
	if i < 0 {
		i = slices.IndexFunc(keys, func(k config.Key) bool { return k.Name == "context" }) // a test finds it
	}
	k := keys[i]
	var f *pflag.Flag
	switch k.Type {
	case "bool":
		f = fs.VarPF(&boolValue{}, name, short, usage)
		f.NoOptDefVal = "true"
	case "list", "durations":
		f = fs.VarPF(&listValue{}, name, short, usage)
	default:
		f = fs.VarPF(&textValue{}, name, short, usage)
	}
	f.DefValue = k.Default
	f.Annotations = map[string][]string{annotationKey: {key}}
	if words := nonEmpty(k.Enum); len(words) > 0 {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
	}
}

func nonEmpty(list []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == "" })
}

// enumFlag adds a flag that takes one of a few words.
func enumFlag(cmd *cobra.Command, fs *pflag.FlagSet, p *string, name, short, value string, words []string, usage string) {
	*p = value
	f := fs.VarPF(&enumValue{p: p, words: words}, name, short, usage+": "+strings.Join(words, ", "))
	f.DefValue = value
	_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}

// textValue keeps the text of a flag until the configuration reads it.
type textValue struct{ text string }

// Set implements pflag.Value.
func (v *textValue) Set(s string) error { v.text = s; return nil }

// String implements pflag.Value.
func (v *textValue) String() string { return v.text }

// Type implements pflag.Value.
func (*textValue) Type() string { return "text" }

// boolValue is a flag that is given or not.
type boolValue struct{ textValue }

// Set implements pflag.Value.
func (v *boolValue) Set(s string) error {
	if _, err := strconv.ParseBool(s); err != nil {
		return errors.New("neither true nor false")
	}
	b, _ := strconv.ParseBool(s)
	v.text = strconv.FormatBool(b)
	return nil
}

// Type implements pflag.Value.
func (*boolValue) Type() string { return "bool" }

// listValue is a list; given again it grows. Completion parses flags twice, so an element counts once.
type listValue struct{ list []string }

// Set implements pflag.Value.
func (v *listValue) Set(s string) error {
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" && !slices.Contains(v.list, part) {
			v.list = append(v.list, part)
		}
	}
	return nil
}

// String implements pflag.Value.
func (v *listValue) String() string { return strings.Join(v.list, ",") }

// Type implements pflag.Value.
func (*listValue) Type() string { return "list" }

// Append implements pflag.SliceValue.
func (v *listValue) Append(s string) error { return v.Set(s) }

// Replace implements pflag.SliceValue.
func (v *listValue) Replace(list []string) error { v.list = list; return nil }

// GetSlice implements pflag.SliceValue.
func (v *listValue) GetSlice() []string { return v.list }

// enumValue is one of a few words.
type enumValue struct {
	p     *string
	words []string
}

// Set implements pflag.Value.
func (v *enumValue) Set(s string) error {
	if !slices.Contains(v.words, s) {
		fix := ""
		if near := config.Suggest(s, v.words); near != "" {
			fix = fmt.Sprintf("did you mean %q?", near)
		}
		return &usageError{text: fmt.Sprintf("%q is none of %s", s, strings.Join(v.words, ", ")), fix: fix}
	}
	*v.p = s
	return nil
}

// String implements pflag.Value.
func (v *enumValue) String() string {
	if v.p == nil {
		return ""
	}
	return *v.p
}

// Type implements pflag.Value.
func (*enumValue) Type() string { return "word" }
