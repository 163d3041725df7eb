package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"commerce.internal/orderctl/internal/config"
	"commerce.internal/orderctl/internal/kafka"
	"commerce.internal/orderctl/internal/kafka/publish"
	"commerce.internal/orderctl/internal/obs"
	"commerce.internal/orderctl/internal/produce"
)

// produceFlags are the flags of produce, as they are written.
type produceFlags struct {
	rate, via, url, format, file, runID, baseTime, onLag string
	count, keys, minRate, items, speed                   string
	duration, maxLag, reportEvery, maxGap                time.Duration
	seed                                                 uint64
	connections, repeat                                  int
	headers                                              []string
	tokenFile, caCert, acked                             string
	restamp, dryRun                                      bool
}

func newProduceCmd(a *app) *cobra.Command {
	var f produceFlags
	cmd := &cobra.Command{
		Use: "produce", Short: "Sends test orders, or recorded ones, at an exact rate, and reports what became of each.",
		Long: `Sends test orders, or recorded ones, at an exact rate, and reports what became of each.

The schedule is absolute: a record that is sent late counts from when it was due. Without --count and --duration it goes on until Ctrl-C. Every record carries the header orderctl-load-test.`,
		GroupID: groupRun, Args: noArgs,
		Example: `# 200 orders a second through the API, for half a minute
orderctl produce --rate 200 --duration 30s --via http
# as many as Kafka takes
orderctl produce --rate max --duration 10s
# recorded orders, an order a line
orderctl produce --file orders.ndjson --via http
# look at three of them, send nothing
orderctl produce --count 3 --dry-run`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.load(cmd)
			if err != nil {
				return err
			}
			o, err := f.options(cmd)
			if err != nil {
				return err
			}
			a.tuneMemory()
			return runProduce(cmd.Context(), s, f, o)
		},
	}
	f.add(cmd)
	exits(cmd, exitOK, "all sent, all acknowledged or refused as expected", exitFailed, "records failed that were not expected to", exitUsage, "",
		exitUnreachable, "", exitDenied, "", exitThreshold, "the asked rate was missed", exitNotFound, "no such topic",
		exitInterrupted, "stopped before the asked count or duration")
	seeAlso(cmd, "orderctl lag", "orderctl consume")
	return cmd
}

func (f *produceFlags) add(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&f.rate, "rate", "100/s", "records a second, `RATE`: 100/s, 20k, 0.5, 100/m, max")
	fs.StringVar(&f.count, "count", "0", "end after `N` records; 0: no end")
	durationFlag(fs, &f.duration, "duration", "", 0, 0, "end after a `DURATION`; 0s: no end")
	fs.StringVar(&f.file, "file", "", "send the orders of a `FILE`, one a line (.gz too; - is stdin)")
	enumFlag(cmd, fs, &f.via, "via", "", "kafka", []string{"kafka", "http"}, "`TARGET`")
	fs.StringVar(&f.url, "url", "", "`URL` of the API, for --via http; default: where serve.addr listens")
	fs.IntVar(&f.connections, "connections", produce.DefaultConnections, "connections to the API, `N`")
	fs.StringArrayVar(&f.headers, "header", nil, "header of every request, `'NAME: VALUE'`; not for secrets")
	fs.StringVar(&f.tokenFile, "token-file", "", "`FILE` with a bearer token")
	fs.StringVar(&f.caCert, "cacert", "", "`FILE` with the certificates to trust")
	enumFlag(cmd, fs, &f.format, "format", "", produce.FormatJSON, []string{produce.FormatJSON, produce.FormatProtobuf}, "`ENCODING` of the orders")
	fs.StringVar(&f.keys, "keys", "100k", "orders that are in their life at a time, `N`; 0: every record is a new order")
	fs.StringVar(&f.items, "items", "1-8", "items of an order, `RANGE`")
	fs.Uint64Var(&f.seed, "seed", 1, "`N` that the orders follow from")
	fs.StringVar(&f.runID, "run-id", "", "`ID` that order ids begin with; default: from the time of the start")
	fs.StringVar(&f.baseTime, "base-time", "", "`TIME` of the first order, RFC 3339; default: the start")
	fs.StringVar(&f.speed, "speed", "max", "of a file without --rate: `FACTOR` by which its gaps are shorter: 1x, 60x, max")
	durationFlag(fs, &f.maxGap, "max-gap", "", produce.DefaultMaxGap, 0, "of a file: longest wait between two orders, `DURATION`")
	fs.BoolVar(&f.restamp, "restamp", false, "of a file: time now, and from the second round on fresh order ids")
	fs.IntVar(&f.repeat, "repeat", 1, "of a file: rounds, `N`")
	enumFlag(cmd, fs, &f.onLag, "on-lag", "", string(produce.QueueLate), []string{string(produce.QueueLate), string(produce.DropLate)}, "late records, `WORD`")
	durationFlag(fs, &f.maxLag, "max-lag", "", produce.DefaultMaxLag, 0, "how late is late, `DURATION`")
	fs.StringVar(&f.minRate, "min-rate", "99%", "least achieved share of the rate, `PERCENT`")
	durationFlag(fs, &f.reportEvery, "report-every", "", produce.DefaultReportEvery, 100*time.Millisecond, "between two lines off a terminal, `DURATION`")
	fs.StringVar(&f.acked, "acked", "", "write the message id of each acknowledged order to a `FILE`, one a line")
	fs.BoolVarP(&f.dryRun, "dry-run", "n", false, "print the orders, send nothing")
	keyFlag(cmd, fs, "consume.topic", "topic", "t", "`TOPIC`, for --via kafka")
}

// options reads the flags; targets come later.
func (f *produceFlags) options(cmd *cobra.Command) (produce.Options, error) {
	o := produce.Options{
		Duration: f.duration, OnLag: produce.OnLag(f.onLag), MaxLag: f.maxLag, RunID: f.runID, Seed: f.seed, Format: f.format,
		ReportEvery: f.reportEvery,
	}
	bad := func(flag string, err error) error { return badUsage(cmd, "", "--%s: %v", flag, err) }
	var err error
	if f.file == "" || cmd.Flags().Changed("rate") {
		if o.Rate, err = produce.ParseRate(f.rate); err != nil {
			return o, bad("rate", err)
		}
	}
	if o.Count, err = produce.ParseCount(f.count); err != nil {
		return o, bad("count", err)
	}
	if o.MinRate, err = produce.ParsePercent(f.minRate); err != nil {
		return o, bad("min-rate", err)
	}
	if o.MinItems, o.MaxItems, err = produce.ParseItems(f.items); err != nil {
		return o, bad("items", err)
	}
	if f.baseTime != "" {
		if o.BaseTime, err = time.Parse(time.RFC3339, f.baseTime); err != nil {
			return o, badUsage(cmd, "", "--base-time: %q is no RFC 3339 time, such as 2026-11-22T03:12:07Z", f.baseTime)
		}
	}
	if f.file == "" || cmd.Flags().Changed("keys") {
		keys, err := produce.ParseCount(f.keys)
		if err != nil {
			return o, bad("keys", err)
		}
		o.Keys = int(keys)
	}
	if f.file == "" {
		return o, nil
	}
	o.File = &produce.File{Name: f.file, MaxGap: f.maxGap, Restamp: f.restamp, Repeat: f.repeat}
	if o.File.Speed, err = produce.ParseSpeed(f.speed); err != nil {
		return o, bad("speed", err)
	}
	o.File.Open = func() (io.ReadCloser, error) { return os.Open(f.file) }
	if f.file == "-" {
		in := cmd.InOrStdin()
		o.File.Open = func() (io.ReadCloser, error) { return io.NopCloser(in), nil }
	}
	return o, nil
}

// runProduce sends, reports while it sends, and prints the summary.
func runProduce(ctx context.Context, s *session, f produceFlags, o produce.Options) (err error) {
	logs, err := s.logs("orderctl-produce", false)
	if err != nil {
		return err
	}
	defer logs.Close()
	o.Log = obs.Component(logs.Log, "produce")
	if f.acked != "" {
		file, err := os.OpenFile(f.acked, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return exitWith(exitUsage, fmt.Sprintf("--acked: %v", err), "")
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		o.Acked = file
	}
	if f.dryRun {
		return s.dryRun(ctx, o)
	}
	s.runsUntilStopped(nil)
	closeTarget, err := s.target(ctx, f, &o, logs)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeTarget()) }()
	meter := s.meter(&o)
	p, err := produce.New(o)
	if err != nil {
		return err
	}
	report, err := p.Run(ctx)
	meter()
	if err != nil {
		return err
	}
	if err := s.printReport(report); err != nil {
		return err
	}
	if code := report.ExitCode(); code != exitOK {
		return exitWith(code, verdictText(report), "")
	}
	return nil
}

// target connects what the orders are sent to.
func (s *session) target(ctx context.Context, f produceFlags, o *produce.Options, logs *obs.Logs) (func() error, error) {
	if f.via == "http" {
		h := &produce.HTTP{URL: cmp.Or(f.url, apiURL(s.cfg.Serve.Addr)), Connections: f.connections, Headers: f.headers}
		if err := readSecret(f.tokenFile, "token-file", func(b []byte) { h.Token = strings.TrimSpace(string(b)) }); err != nil {
			return nil, err
		}
		if err := readSecret(f.caCert, "cacert", func(b []byte) { h.CACert = b }); err != nil {
			return nil, err
		}
		o.HTTP = h
		return func() error { return nil }, nil
	}
	topic := s.cfg.Consume.Topic
	p, err := ask(ctx, s, func(ctx context.Context) (*publish.Producer, error) {
		return publish.New(ctx, s.kafka("produce", logs.Log), s.publish(logs.Log, topic))
	})
	if err != nil {
		return nil, err
	}
	n, err := p.Partitions(topic)
	if err != nil {
		return nil, err
	}
	o.Kafka = &produce.Kafka{Publisher: p, Room: p.Room, Topic: topic, Partition: kafka.Partitioner(), Partitions: n}
	return func() error {
		// The run has ended, what is on its way has not.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Serve.Drain.Producer)
		defer cancel()
		return p.Close(ctx)
	}, nil
}

// apiURL is where this machine reaches an API that listens on addr: all interfaces include the loopback one.
func apiURL(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "http://" + addr // the run says what is wrong with it
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}

func readSecret(path, flag string, use func([]byte)) error {
	if path == "" {
		return nil
	}
	b, err := config.ReadFile(path)
	if err != nil {
		return exitWith(exitUsage, fmt.Sprintf("--%s: %v", flag, err), "")
	}
	use(b)
	return nil
}

// dryRun prints what would be sent. It reaches for no target.
func (s *session) dryRun(ctx context.Context, o produce.Options) error {
	o.HTTP = &produce.HTTP{URL: "http://127.0.0.1"}
	p, err := produce.New(o)
	if err != nil {
		return err
	}
	return p.DryRun(ctx, s.stdout)
}
