package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"commerce.internal/orderctl/internal/config"
	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/kafka/observe"
	"commerce.internal/orderctl/internal/out"
)

// lagOptions are the flags of lag that no key stands for.
type lagOptions struct {
	groups     []string
	topics     []string
	partitions []int32
	allGroups  bool

	all       bool
	sort, by  string
	minUnread int64
	minAge    time.Duration
	isolation string
	age       string
	sample    time.Duration // below 0: as it suits the output
	watch     time.Duration // 0: once
	count     int
	summary   bool
	check     bool
	failOver  int64 // below 0: no limit
	wait      string
	peek      string
	patience  time.Duration // of --wait
}

func newLagCmd(a *app) *cobra.Command {
	var o lagOptions
	cmd := &cobra.Command{
		Use: "lag [GROUP...]", Short: "Shows how far a group is, how old its oldest order is, and why it does not get on.",
		Long: `Shows how far a group is, how old its oldest order is, and why it does not get on.

UNREAD is what waits, OLDEST for how long. LOST was deleted before the group read it. AHEAD says that the group has committed offsets that the log does not have. ? is unknown, never 0; - does not apply. Where a partition is unknown, totals are lower bounds (>=). No record is read, but by --peek.

--check speaks Nagios: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN, whatever happens.`,
		GroupID: groupOnCall, Args: lagArgs(a),
		Example: `# which partition is stuck, and who owns it?
orderctl lag
# every partition, with leader, replicas and what retention leaves
orderctl lag --all -o wide
# is it getting better?
orderctl lag --watch
# an alarm: older than 10 minutes, or more than 20 dead letters an hour
orderctl lag --check --crit-age 10m --crit-dlq 20
# wait until all is applied, then deploy
orderctl lag --wait && ./deploy.sh
# which order comes next in the partition that is stuck?
orderctl lag --peek orders/2`,
		RunE: func(cmd *cobra.Command, args []string) error {
			err := a.lag(cmd, args, o)
			if o.check {
				return a.nagios(err)
			}
			return err
		},
	}
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		err = flagError(cmd, err)
		if a.wantsCheck() {
			return a.nagios(err)
		}
		return err
	})
	o.flags(cmd)
	exits(cmd, exitOK, "printed, and complete; --wait: nothing waits any more", exitFailed, "--wait: orders are LOST, or AHEAD",
		exitUsage, "", exitUnreachable, "Kafka unreachable", exitDenied, "", exitThreshold, "over --fail-over; --wait: not done in time",
		exitPartial, "printed, but some values are unknown", exitNotFound, "no such group, topic or record")
	seeAlso(cmd, "orderctl dlq list", "orderctl consume", "orderctl help exit-codes")
	return cmd
}

func (o *lagOptions) flags(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringSliceVarP(&o.groups, "group", "g", nil, "consumer `GROUP`; again for more; default consume.group")
	fs.BoolVarP(&o.allGroups, "all-groups", "A", false, "all groups of the cluster")
	fs.StringSliceVarP(&o.topics, "topic", "t", nil, "only rows of this `TOPIC`; again for more")
	fs.Int32SliceVarP(&o.partitions, "partition", "p", nil, "only rows of this partition `N`; again for more")
	fs.BoolVar(&o.all, "all", false, "rows that are OK, too")
	enumFlag(cmd, fs, &o.by, "by", "", "partition", []string{"partition", "topic", "member", "group"}, "one row for each `WHAT`")
	enumFlag(cmd, fs, &o.sort, "sort", "", "status", []string{"status", "unread", "oldest", "partition"}, "worst, most or oldest first, by `WHAT`")
	fs.Int64Var(&o.minUnread, "min-unread", 0, "only rows with at least `N` unread")
	durationFlag(fs, &o.minAge, "min-age", "", 0, 0, "only rows whose oldest order is so old, `DURATION`")
	enumFlag(cmd, fs, &o.isolation, "isolation", "", string(lag.ReadCommitted), []string{string(lag.ReadCommitted), string(lag.ReadUncommitted)}, "where a log ends, `LEVEL`")
	enumFlag(cmd, fs, &o.age, "age", "", string(lag.AgeAuto), []string{string(lag.AgeAuto), string(lag.AgeExact), string(lag.AgeBracket), string(lag.AgeOff)}, "how closely ages are looked for, `HOW`")
	durationFlag(fs, &o.sample, "sample", "", 3*time.Second, 0, "for rates look twice, `DURATION` apart; off a terminal 0s unless given")
	durationFlag(fs, &o.watch, "watch", "w", 0, 500*time.Millisecond, "again and again, each `DURATION`, 2s where none is given")
	fs.Lookup("watch").NoOptDefVal = "2s"
	fs.IntVar(&o.count, "count", 0, "end --watch after `N` looks; 0: go on")
	fs.BoolVar(&o.summary, "summary", false, "one line for each group")
	fs.BoolVar(&o.check, "check", false, "one line and exit code for Nagios")
	fs.Int64Var(&o.failOver, "fail-over", -1, "exit 5 if a group has more than `N` unread")
	fs.Lookup("fail-over").DefValue = ""
	enumFlag(cmd, fs, &o.wait, "wait", "", "", []string{"source", "all"}, "until no order waits, for --timeout, else 10m, `WHERE`")
	fs.Lookup("wait").NoOptDefVal = "source"
	fs.StringVar(&o.peek, "peek", "", "show the record that comes next at `TOPIC/PARTITION`")
	keyFlag(cmd, fs, "lag.slo", "slo", "", "age that no unread order should have, `DURATION`")
	keyFlag(cmd, fs, "lag.tolerance", "tolerance", "", "so many unread records are none, `N`")
	keyFlag(cmd, fs, "lag.stall_after", "stall-after", "", "no progress for so long is a stall, `DURATION`; 0s: 10s")
	keyFlag(cmd, fs, "lag.warn_age", "warn-age", "", "age of the oldest order that is a warning, `DURATION`; 0s: SLO")
	keyFlag(cmd, fs, "lag.crit_age", "crit-age", "", "age of the oldest order that is critical, `DURATION`; 0s: 3 x SLO")
	keyFlag(cmd, fs, "lag.warn_unread", "warn-unread", "", "more unread in a group is a warning, `N`")
	keyFlag(cmd, fs, "lag.crit_unread", "crit-unread", "", "more unread in a group is critical, `N`")
	keyFlag(cmd, fs, "lag.warn_dlq", "warn-dlq", "", "more dead letters within an hour is a warning, `N`")
	keyFlag(cmd, fs, "lag.crit_dlq", "crit-dlq", "", "more dead letters within an hour is critical, `N`")
}

// lag checks the command line and does what it asks for.
func (a *app) lag(cmd *cobra.Command, args []string, o lagOptions) error {
	o.groups = append(o.groups, args...)
	if err := o.validate(cmd, out.Format(a.global.format)); err != nil {
		return err
	}
	if !cmd.Flags().Changed("sample") && (!a.env.stdoutTerminal || o.check) {
		o.sample = 0
	}
	s, err := a.load(cmd)
	if err != nil {
		return err
	}
	o.patience = 10 * time.Minute
	if cmd.Flags().Changed("timeout") {
		o.patience = s.timeout()
	}
	return runLag(cmd.Context(), s, o)
}

// lagRun is one run of lag: what it was asked for, and what it has seen.
type lagRun struct {
	*session
	o        lagOptions
	log      *slog.Logger
	observer *observe.Observer
	window   *lag.Window
}

func runLag(ctx context.Context, s *session, o lagOptions) error {
	logs, err := s.logs("orderctl-lag", false)
	if err != nil {
		return err
	}
	defer logs.Close()
	if len(o.groups) == 0 && !o.allGroups {
		o.groups = []string{s.cfg.Consume.Group}
	}
	l := &lagRun{session: s, o: o, log: logs.Log, observer: observe.New(s.kafka("lag", logs.Log))}
	defer l.observer.Close()
	q := lag.Query{
		Groups: o.groups, Topics: o.topics, All: o.allGroups, Isolation: lag.Isolation(o.isolation), SLO: s.cfg.Lag.SLO, Reuse: lag.SlowChange,
	}
	policy := s.lagPolicy()
	policy.Topics, policy.Partitions = o.topics, o.partitions
	if o.wait != "" {
		l.o.age = string(lag.AgeOff) // how old they are does not matter here
	}
	if l.window, err = lag.NewWindow(l.observer, q, policy, lag.Ages(l.o.age)); err != nil {
		return err
	}
	switch {
	case o.peek != "":
		return l.peek(ctx)
	case o.wait != "":
		return l.wait(ctx)
	case o.watch > 0:
		return l.watch(ctx)
	default:
		return l.once(ctx)
	}
}

// validate finds what excludes each other, and numbers that mean nothing.
func (o lagOptions) validate(cmd *cobra.Command, format out.Format) error {
	program := format == out.FormatJSON || format == out.FormatJSONL
	given := map[string]bool{
		"check": o.check, "watch": o.watch > 0, "wait": o.wait != "", "peek": o.peek != "", "summary": o.summary,
		"fail-over": o.failOver >= 0, "by": o.by != "partition",
	}
	for _, pair := range [...][2]string{
		{"check", "watch"},
		{"check", "wait"},
		{"check", "peek"},
		{"check", "summary"},
		{"check", "fail-over"},
		{"watch", "wait"},
		{"watch", "peek"},
		{"wait", "peek"},
		{"wait", "fail-over"},
		{"peek", "summary"},
		{"peek", "by"},
		{"peek", "fail-over"},
		{"summary", "by"},
		{"check", "by"},
	} {
		if given[pair[0]] && given[pair[1]] {
			return badUsage(cmd, "", "--%s and --%s exclude each other", pair[0], pair[1])
		}
	}
	switch {
	case o.allGroups && len(o.groups) > 0:
		return badUsage(cmd, "", "--all-groups and group %q exclude each other", o.groups[0])
	case o.peek != "" && (o.allGroups || len(o.groups) > 1):
		return badUsage(cmd, "", "--peek looks for one group")
	case o.watch > 0 && format == out.FormatJSON:
		return badUsage(cmd, "use -o jsonl.", "--watch is no single document")
	case o.count != 0 && o.watch == 0:
		return badUsage(cmd, "", "--count ends --watch, which was not given")
	case o.count < 0:
		return badUsage(cmd, "", "--count: %d is below 0", o.count)
	case o.minUnread < 0:
		return badUsage(cmd, "", "--min-unread: %d is below 0", o.minUnread)
	case cmd.Flags().Changed("fail-over") && o.failOver < 0:
		return badUsage(cmd, "", "--fail-over: %d is below 0", o.failOver)
	case program && (o.summary || given["by"]):
		return badUsage(cmd, "use -o table.", "--summary and --by are for eyes; the document has all groups and partitions")
	}
	if i := slices.IndexFunc(o.partitions, func(p int32) bool { return p < 0 }); i >= 0 {
		return badUsage(cmd, "", "--partition: %d is below 0", o.partitions[i])
	}
	return nil
}

// lagArgs takes names of groups. Behind a flag with an optional value pflag takes the value for an argument.
func lagArgs(a *app) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		name := optionalValue(cmd)
		for _, arg := range args {
			_, err := config.ParseDuration(arg)
			if name == "watch" && err == nil || name == "wait" && (arg == "all" || arg == "source") {
				err := badUsage(cmd, fmt.Sprintf("write --%s=%s.", name, arg), "the value of --%s stands behind =", name)
				if a.wantsCheck() {
					return a.nagios(err)
				}
				return err
			}
		}
		return nil
	}
}

// wantsCheck looks for --check where the command line could not be read.
func (a *app) wantsCheck() bool {
	return slices.ContainsFunc(a.env.args, func(s string) bool { return s == "--check" || strings.HasPrefix(s, "--check=") })
}
