package main

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"commerce.internal/orderctl/internal/config"
	"commerce.internal/orderctl/internal/out"
	"commerce.internal/orderctl/internal/tui"
)

// topOptions are the flags of top that no key stands for.
type topOptions struct {
	topics             []string
	interval, rangeOf  time.Duration
	sort, filter       string
	once, plain        bool
	count              int
	glyphs, theme      string
	metrics            []string
	demo               string // the seed; "": no demonstration
	record, replay     string
	speed              float64
	exportDir, logFile string

	asked bool // for lines, so that it need not be said why
}

func newTopCmd(a *app) *cobra.Command {
	var o topOptions
	cmd := &cobra.Command{
		Use: "top", Short: "Shows live what comes in, what goes out, what waits and what died.",
		Long: `Shows live what comes in, what goes out, what waits and what died.

It changes nothing, and it stays when Kafka goes away: what is old says how old it is. ? is unknown, never 0. Off a terminal it writes a line for each interval. ? shows the keys; 'orderctl help keys' lists them, too.`,
		GroupID: groupOnCall, Args: takes(0, 0, ""),
		Example: `# how is the sale going?
orderctl top
# what does it look like, without a cluster?
orderctl top --demo
# one line for a script
orderctl top --once
# one JSON object every 5 seconds, events in it
orderctl top --interval 5s -o jsonl
# record an outage, and look at it again at ten times the speed
orderctl top --record outage.jsonl
orderctl top --replay outage.jsonl --speed 10`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.validate(cmd, out.Format(a.global.format)); err != nil {
				return err
			}
			s, err := a.load(cmd)
			if err != nil {
				return err
			}
			return runTop(cmd.Context(), s, o)
		},
	}
	o.flags(cmd)
	exits(cmd, exitOK, "quit, or the reader has gone; --once: complete", exitFailed, "", exitUsage, "", exitUnreachable, "--once: Kafka unreachable",
		exitDenied, "login refused at first contact", exitPartial, "--once: some values are unknown", exitNotFound, "--once: no such group")
	seeAlso(cmd, "orderctl lag", "orderctl dlq list", "orderctl help keys")
	return cmd
}

func (o *topOptions) flags(cmd *cobra.Command) {
	fs := cmd.Flags()
	keyFlag(cmd, fs, "consume.group", "group", "g", "consumer `GROUP`")
	fs.StringSliceVarP(&o.topics, "topic", "t", nil, "only rows of this `TOPIC`; again for more")
	durationFlag(fs, &o.interval, "interval", "", 2*time.Second, 500*time.Millisecond, "look every `DURATION`")
	durationFlag(fs, &o.rangeOf, "range", "", 5*time.Minute, 10*time.Second, "charts show the last `DURATION`")
	enumFlag(cmd, fs, &o.sort, "sort", "", "status", tui.SortNames(), "worst, most or oldest first, by `WHAT`")
	fs.StringVar(&o.filter, "filter", "", "only rows that match this regular `EXPRESSION`; a leading ! inverts it")
	keyFlag(cmd, fs, "lag.slo", "slo", "", "age that no unread order should have, `DURATION`")
	fs.BoolVar(&o.once, "once", false, "one line, and end")
	fs.IntVar(&o.count, "count", 0, "end after `N` lines; 0: go on")
	fs.BoolVar(&o.plain, "plain", false, "lines, also on a terminal")
	enumFlag(cmd, fs, &o.glyphs, "glyphs", "", "auto", []string{"auto", "braille", "ascii"}, "characters of charts, `WHICH`")
	enumFlag(cmd, fs, &o.theme, "theme", "", "auto", tui.ThemeNames(), "colours, `WHICH`")
	fs.StringSliceVar(&o.metrics, "metrics-url", nil, "metrics of serve or consume at this `URL`; again for more, which are added up")
	fs.StringVar(&o.demo, "demo", "", "figures of a queue that does not exist, from this `SEED`")
	fs.Lookup("demo").NoOptDefVal = "1"
	fs.StringVar(&o.record, "record", "", "write all that was seen to this new `FILE`")
	fs.StringVar(&o.replay, "replay", "", "show a `FILE` that --record wrote")
	fs.Float64Var(&o.speed, "speed", 1, "of --replay, `N` times as fast")
	fs.StringVar(&o.exportDir, "export-dir", ".", "key e saves frames in this `FOLDER`")
	fs.StringVar(&o.logFile, "log-file", "", "write the log to this `FILE`; else its end is printed after an error")
	_ = cmd.MarkFlagDirname("export-dir")
	_ = cmd.MarkFlagFilename("replay")
}

// validate finds what excludes each other, and numbers that mean nothing.
func (o *topOptions) validate(cmd *cobra.Command, format out.Format) error {
	switch {
	case format == out.FormatJSON && !o.once:
		return badUsage(cmd, "use -o jsonl, or --once", "-o json is one document, and top goes on")
	case format == out.FormatCSV || format == out.FormatWide:
		return badUsage(cmd, "use -o jsonl", "top knows no -o %s", format)
	case o.demo != "" && o.replay != "":
		return badUsage(cmd, "", "--demo and --replay exclude each other")
	case o.speed <= 0 || o.speed > 1000:
		return badUsage(cmd, "", "--speed: %g is not between 0 and 1000", o.speed)
	case o.count < 0:
		return badUsage(cmd, "", "--count: %d is below 0", o.count)
	}
	if _, err := regexp.Compile(o.filter); err != nil {
		return badUsage(cmd, "", "--filter: %q is no regular expression", o.filter)
	}
	if _, err := strconv.ParseUint(o.demo, 10, 64); o.demo != "" && err != nil {
		return badUsage(cmd, "write --demo=7", "--demo: %q is no number", o.demo)
	}
	o.asked = o.once || o.count > 0 || o.plain || format == out.FormatJSON || format == out.FormatJSONL
	if o.once {
		o.count = 1
	}
	return nil
}

// runTop builds the source and shows it: on a screen if there is one, else in lines.
func runTop(ctx context.Context, s *session, o topOptions) (err error) {
	ctx, stop := s.untilHangup(ctx)
	defer stop()
	screen := !o.asked && out.CanRedraw(s.env.lookup, s.env.stdoutTerminal) && s.env.lookup("TERM") != "" && s.env.stdinTerminal
	t, err := s.newTop(o, screen)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, t.close()); err != nil {
			t.tell()
		}
	}()
	if screen {
		err = tui.Run(ctx, t.opts)
		s.runsUntilStopped(nil) // only now: nobody else may write while the screen is drawn
		return err
	}
	if !o.once {
		s.runsUntilStopped(nil)
	}
	if !o.asked && !s.env.stdoutTerminal {
		s.note("stdout is not a terminal: one line every %s (--once for one)", config.FormatDuration(o.interval))
	}
	end, err := tui.Lines(ctx, t.opts)
	if err != nil || o.count == 0 || ctx.Err() != nil {
		return err
	}
	return t.verdict(ctx, end)
}

// untilHangup ends the context when the terminal goes away, too.
func (s *session) untilHangup(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-s.env.hangups:
			s.long.Store(true)
			cancel()
		case <-ctx.Done():
		}
	})
	return ctx, func() {
		cancel()
		watch.Wait()
	}
}

// ringLines is how much of the log is kept for the end.
const ringLines = 200

// ring keeps the last lines that were written to it.
type ring struct{ lines [][]byte }

// Write implements io.Writer. The log writes whole lines, one at a time.
func (r *ring) Write(p []byte) (int, error) {
	r.lines = append(r.lines, slices.Clone(p))
	r.lines = r.lines[max(0, len(r.lines)-ringLines):]
	return len(p), nil
}
