package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"commerce.internal/orderctl/internal/config"
	"commerce.internal/orderctl/internal/dlq"
)

// selectFlags are the flags that choose letters, and from which topic.
type selectFlags struct {
	topic                                string // "": the group's own
	classes, codes, orders, states, jobs []string
	since, until, jq, ids                string
	limit                                int
	all                                  bool
	chosenAt                             time.Time
	stay                                 bool // what is decided is still among the chosen
	anyState                             bool // without --state letters are chosen whatever their state
}

const anyState = "any"

// add adds the flags that choose letters.
func (f *selectFlags) add(a *app, cmd *cobra.Command) {
	fs := cmd.Flags()
	f.addTopic(a, cmd)
	fs.StringSliceVar(&f.classes, "class", nil, "only this `CLASS` of failure; again for more")
	fs.StringSliceVar(&f.codes, "code", nil, "only this `CODE`; again for more")
	fs.StringSliceVar(&f.orders, "order-id", nil, "only letters of this order `ID`; again for more")
	fs.StringVar(&f.since, "since", "", "only letters from this `TIME` on, RFC 3339, or a duration back: 24h")
	fs.StringVar(&f.until, "until", "", "only letters before this `TIME`")
	def := []string{string(dlq.Undecided)}
	if f.anyState {
		def = []string{anyState}
	}
	fs.StringSliceVar(&f.states, "state", def, "only letters of this `STATE`: "+strings.Join(stateNames(), ", "))
	fs.StringSliceVar(&f.jobs, "job", nil, "only letters that this job `ID` has decided; again for more")
	fs.StringVar(&f.jq, "jq", "", "only letters for which this jq `EXPR` is true, such as '.class == \"exhausted\"'")
	fs.StringVar(&f.ids, "ids", "", "only letters named in this `FILE`, one a line; -: stdin")
	fs.IntVar(&f.limit, "limit", 0, "the newest `N`")
	fs.BoolVar(&f.all, "all", false, "no limit")
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(stateNames(), cobra.ShellCompDirectiveNoFileComp))
}

// addTopic adds the flags that say where the letters lie.
func (f *selectFlags) addTopic(a *app, cmd *cobra.Command) {
	groupFlags(cmd)
	cmd.ValidArgsFunction = a.completeLetters(f)
	cmd.Flags().StringVar(&f.topic, "dlq", "", "dead-letter `TOPIC`, of whomever; else that of the group")
	_ = cmd.RegisterFlagCompletionFunc("dlq", a.completeFrom(offerTopics))
}

func groupFlags(cmd *cobra.Command) {
	keyFlag(cmd, cmd.Flags(), "consume.group", "group", "g", "consumer `GROUP`")
	keyFlag(cmd, cmd.Flags(), "consume.topic", "topic", "t", "source `TOPIC`")
}

func stateNames() []string {
	names := make([]string, 0, 8)
	for _, s := range dlq.States() {
		names = append(names, string(s))
	}
	return append(names, anyState)
}

// selection turns arguments and flags into what dlq understands.
func (f *selectFlags) selection(cmd *cobra.Command, args []string, e env) (dlq.Selection, error) {
	s := dlq.Selection{Classes: f.classes, Codes: f.codes, OrderIDs: f.orders, Jobs: f.jobs, Limit: f.limit}
	if name := emptyFlag(cmd); name != "" {
		return s, badUsage(cmd, "a flag that chooses needs a value; leave it out to choose all.", "--%s is empty", name)
	}
	if f.limit < 0 {
		return s, badUsage(cmd, "", "--limit: %d is below 0", f.limit)
	}
	if f.all && f.limit > 0 {
		return s, badUsage(cmd, "", "--all and --limit exclude each other")
	}
	for _, a := range args {
		id, err := dlq.ParseID(a)
		if err != nil {
			return s, badUsage(cmd, "", "%v", err)
		}
		s.IDs = append(s.IDs, id)
	}
	for _, step := range []func() error{
		func() error { return f.readIDs(cmd, e.stdin, &s) },
		func() error { return f.times(cmd, e.now(), &s) },
		func() error { return f.stateOf(cmd, &s) },
		func() error { return f.query(cmd, e.now, &s) },
	} {
		if err := step(); err != nil {
			return s, err
		}
	}
	return s, nil
}

// emptyFlag is a flag that was given to choose letters and says nothing, as where a variable of a script is not set; "":
// none is. It would choose all.
func emptyFlag(cmd *cobra.Command) string {
	empty := func(s string) bool { return strings.TrimSpace(s) == "" }
	for _, name := range selecting() {
		fl := cmd.Flags().Lookup(name)
		if fl == nil || !fl.Changed {
			continue
		}
		values := valuesOf(fl)
		if len(values) == 0 || slices.ContainsFunc(values, empty) {
			return name
		}
	}
	return ""
}

// readIDs adds the letters of --ids. A file that names none chooses none.
func (f *selectFlags) readIDs(cmd *cobra.Command, stdin io.Reader, s *dlq.Selection) (err error) {
	if f.ids == "" {
		return nil
	}
	from := stdin
	if f.ids != "-" {
		file, err := os.Open(f.ids)
		if err != nil {
			return badUsage(cmd, "", "--ids: %v", err)
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		from = file
	}
	if s.IDs == nil {
		s.IDs = []dlq.ID{}
	}
	lines := bufio.NewScanner(from)
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		id, err := dlq.ParseID(string(line))
		if err != nil {
			return badUsage(cmd, "", "--ids %s:%d: %v", f.ids, n, err)
		}
		s.IDs = append(s.IDs, id)
	}
	if err := lines.Err(); err != nil {
		return badUsage(cmd, "", "--ids %s: %v", f.ids, err)
	}
	return nil
}

func (f *selectFlags) times(cmd *cobra.Command, now time.Time, s *dlq.Selection) error {
	for _, t := range []struct {
		flag, value string
		into        *time.Time
	}{{"since", f.since, &s.Since}, {"until", f.until, &s.Until}} {
		at, err := when(t.value, now)
		if err != nil {
			return badUsage(cmd, "", "--%s: %v", t.flag, err)
		}
		if *t.into = at; t.value != "" { // who goes on later means the same letters
			_ = cmd.Flags().Set(t.flag, at.UTC().Format(time.RFC3339Nano))
		}
	}
	if s.Since.After(now) {
		return badUsage(cmd, "", "--since: %s lies in the future", f.since)
	}
	f.chosenAt = now
	return nil
}

// stateOf reads --state. A letter that is named is chosen whatever its state.
func (f *selectFlags) stateOf(cmd *cobra.Command, s *dlq.Selection) error {
	known := stateNames()
	for _, state := range f.states {
		if !slices.Contains(known, state) {
			fix := ""
			if near := config.Suggest(state, known); near != "" {
				fix = fmt.Sprintf("did you mean %q?", near)
			}
			return badUsage(cmd, fix, "--state: %q is none of %s", state, strings.Join(known, ", "))
		}
	}
	if f.stay = slices.Contains(f.states, anyState) || s.IDs != nil && !cmd.Flags().Changed("state"); f.stay {
		return nil
	}
	for _, state := range f.states {
		s.States = append(s.States, dlq.State(state))
	}
	return nil
}

// rest narrows --limit to what is left of it once some letters are done: the newest of those that there were. Whoever goes on
// with the whole limit would take others along.
func (f *selectFlags) rest(cmd *cobra.Command, done int) {
	if f.limit == 0 {
		return
	}
	if f.stay {
		done = 0
	}
	_ = cmd.Flags().Set("limit", strconv.Itoa(max(1, f.limit-done)))
	if f.until == "" {
		_ = cmd.Flags().Set("until", f.chosenAt.UTC().Format(time.RFC3339Nano))
	}
}

// query reads --jq.
func (f *selectFlags) query(cmd *cobra.Command, now func() time.Time, s *dlq.Selection) error {
	if f.jq == "" {
		return nil
	}
	q, err := dlq.ParseQuery(f.jq, now)
	if bad := new(dlq.QueryError); errors.As(err, &bad) {
		fix := "members: " + strings.Join(dlq.Members(), " ")
		switch near := config.Suggest(bad.Member, dlq.Members()); {
		case bad.Member == "":
			fix = ""
		case near != "":
			fix = "did you mean " + near + "?"
		}
		return badUsage(cmd, fix, "--jq: %v", err)
	}
	s.Query = q
	return err
}

// when reads a point in time: RFC 3339, or a duration back from now. Empty is no time.
func when(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	d, err := config.ParseDuration(s)
	if err != nil || d < 0 {
		return time.Time{}, fmt.Errorf("%q is neither a time (2026-11-22T03:12:07Z) nor a duration back (24h)", s)
	}
	return now.Add(-d), nil
}
