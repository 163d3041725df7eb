package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/kafka/observe"
	"commerce.internal/orderctl/internal/obs"
	"commerce.internal/orderctl/internal/out"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/store"
	"commerce.internal/orderctl/internal/tui"
)

// top is a dashboard and what it stands on, to be closed newest first.
type top struct {
	*session
	o      topOptions
	opts   tui.Options
	logs   *obs.Logs
	ring   *ring // nil: the log goes to a file, or to stderr
	closes []func() error
}

func (s *session) newTop(o topOptions, screen bool) (*top, error) {
	t := &top{session: s, o: o}
	filter, err := tui.NewFilter(o.filter)
	if err != nil {
		return nil, err
	}
	t.opts = tui.Options{
		Now: s.env.now, Interval: o.interval, Range: o.rangeOf, Sort: tui.SortOf(o.sort), Filter: filter, Version: buildInfo().Version,
		Fatal:  func(err error) bool { c := codeOf(err); return c == exitDenied || c == exitUsage },
		Input:  s.env.stdin,
		Output: s.stdout, Count: o.count, Colour: out.UseColor(s.global.color, s.env.lookup, s.env.stdoutTerminal), Theme: o.theme,
		Glyphs: s.glyphs(o.glyphs), ExportDir: o.exportDir, Width: s.env.width(), Height: s.env.lines(),
		Setup: tui.Setup{Cluster: s.cfg.Cluster(), Group: s.cfg.Consume.Group, Location: time.Local, Shell: s.shell()},
	}
	if screen {
		t.opts.Output = s.env.stdout // the file itself: its size is asked for
	}
	switch out.Format(s.global.format) {
	case out.FormatJSON:
		t.opts.JSON = func(v any) error { return out.WriteJSON(s.stdout, v) }
	case out.FormatJSONL:
		t.opts.JSON = func(v any) error { return out.WriteLine(s.stdout, v) }
	}
	if err := t.openLog(screen); err != nil {
		return nil, err
	}
	if err := t.source(); err != nil {
		return nil, errors.Join(err, t.close())
	}
	return t, nil
}

// shell is how commands that are to be typed begin.
func (s *session) shell() string {
	if s.cfg.Context != "" {
		return "orderctl --context " + s.cfg.Context
	}
	return "orderctl"
}

func (s *session) glyphs(which string) tui.Glyphs {
	switch which {
	case "braille":
		return tui.UTF8()
	case "ascii":
		return tui.ASCII()
	default:
		return tui.ChooseGlyphs(s.env.lookup)
	}
}

// openLog says where the log goes: to a file, or, while a screen is drawn, to a ring.
func (t *top) openLog(screen bool) error {
	if t.o.logFile == "" && !screen {
		logs, err := t.session.logs("orderctl-top", false)
		t.logs = logs
		return err
	}
	t.ring = &ring{}
	var w io.Writer = t.ring
	if t.o.logFile != "" {
		f, err := os.OpenFile(t.o.logFile, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return fmt.Errorf("open log: %w", err)
		}
		t.closes = append(t.closes, f.Close)
		t.ring, w = nil, f
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(t.cfg.Log.Level)); err != nil {
		return fmt.Errorf("read log.level: %w", err)
	}
	t.logs = obs.NewLogs(obs.LogOptions{Writer: w, Text: true, Level: level, Service: "orderctl-top"})
	return nil
}

// close ends what the dashboard stood on.
func (t *top) close() error {
	var all error
	for i := len(t.closes) - 1; i >= 0; i-- {
		all = errors.Join(all, t.closes[i]())
	}
	if t.logs != nil {
		all = errors.Join(all, t.logs.Close())
	}
	return all
}

// tell prints the end of the log.
func (t *top) tell() {
	if t.ring == nil {
		return
	}
	for _, l := range t.ring.lines {
		_, _ = t.env.stderr.Write(l)
	}
}

// source builds what the figures come from: a cluster, a record, or nothing at all.
func (t *top) source() error {
	switch {
	case t.o.demo != "":
		seed, _ := strconv.ParseUint(t.o.demo, 10, 64) // validated
		t.opts.Source = tui.NewDemo(seed, t.o.interval, t.env.now)
		t.opts.Setup.Demo, t.opts.Setup.SelfPaced, t.opts.Setup.Location = true, true, time.UTC
		t.opts.Setup.Cluster, t.opts.Setup.Group = "demo", "orders-worker"
	case t.o.replay != "":
		if err := t.player(); err != nil {
			return err
		}
	default:
		if err := t.live(); err != nil {
			return err
		}
	}
	if t.o.record != "" {
		r := tui.NewRecorder(t.opts.Source, t.o.record, tui.Header{
			Group: t.opts.Setup.Group, Cluster: t.opts.Setup.Cluster, IntervalMS: t.o.interval.Milliseconds(), Version: t.opts.Version,
		}, t.opts.Now)
		t.opts.Source = r
		t.closes = append(t.closes, r.Close)
	}
	return nil
}

func (t *top) player() error {
	f, err := os.Open(t.o.replay)
	if err != nil {
		return fmt.Errorf("open record: %w", cause(err))
	}
	defer f.Close()
	p, err := tui.ReadRecord(f, t.o.speed, t.env.now)
	if errors.Is(err, tui.ErrNotARecord) {
		return exitWith(exitUsage, t.o.replay+" is no record of this orderctl top", "--record writes one")
	}
	if err != nil {
		return err
	}
	if p.Cut {
		t.say("warning: the last line of " + t.o.replay + " was cut off; it is left out")
	}
	t.opts.Source, t.opts.Interval = p, max(time.Duration(p.Header.IntervalMS)*time.Millisecond, time.Millisecond)
	t.opts.Setup.Replay, t.opts.Setup.SelfPaced = true, true
	t.opts.Setup.Cluster, t.opts.Setup.Group = p.Header.Cluster, p.Header.Group
	return nil
}

func (t *top) live() error {
	names := t.names()
	q := lag.Query{Groups: []string{names.Group}, Topics: t.o.topics, SLO: t.cfg.Lag.SLO, Reuse: lag.SlowChange}
	policy := t.lagPolicy()
	policy.Topics = t.o.topics
	o := tui.LiveOptions{
		Group: names.Group, Query: q, Policy: policy, Interval: t.o.interval, Now: t.env.now, Whole: t.opts.Count > 0,
		Dial: func() tui.Client { return observe.New(t.kafka("top", t.logs.Log)) },
	}
	rows := &pendingRows{session: t.session, log: t.logs.Log}
	o.Pending = rows.pending
	t.closes = append(t.closes, rows.close)
	if len(t.o.metrics) > 0 {
		o.Scrape = tui.NewScraper(t.o.metrics, &http.Client{Timeout: 2 * time.Second}, t.env.now).Scrape
	}
	l, err := tui.NewLive(o)
	if err != nil {
		return err
	}
	t.closes = append(t.closes, l.Close)
	t.opts.Source, t.opts.Background = l, l.Run
	return nil
}

// verdict is the exit code of the last line.
func (t *top) verdict(ctx context.Context, end tui.Ending) error {
	switch {
	case end.Err != nil:
		return end.Err
	case end.Sample == nil:
		return nil
	case end.Sample.Group.Missing:
		var there []string
		o := observe.New(t.kafka("top", t.logs.Log))
		groups, _ := ask(ctx, t.session, o.Groups) // only for the hint
		for _, g := range groups {
			there = append(there, g.Name)
		}
		return errors.Join(notFound("consumer group", t.opts.Setup.Group, "groups", there), o.Close())
	case !end.Sample.Group.Complete:
		return &exitError{code: exitPartial, text: "incomplete: some values are unknown", err: queue.ErrPartial}
	}
	return nil
}

// pendingRows asks the store what is not done. It opens the store when it is there, and makes none.
type pendingRows struct {
	*session
	log *slog.Logger

	mu sync.Mutex
	st *store.Store
}

func (p *pendingRows) pending(ctx context.Context) (tui.Pending, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.st == nil {
		o := p.storeOptions(p.log)
		o.Migrate = false
		if _, err := os.Stat(o.DSN); p.cfg.Store.DSN.Reveal() == "" && errors.Is(err, fs.ErrNotExist) {
			return tui.Pending{}, tui.ErrNoStore // never configured, and never used
		}
		st, err := store.Open(ctx, o)
		if err != nil {
			return tui.Pending{}, fmt.Errorf("open store: %w", err)
		}
		p.st = st
	}
	sums, err := p.st.Pending(ctx, p.cfg.Consume.Group)
	if err != nil {
		return tui.Pending{}, fmt.Errorf("ask store: %w", err)
	}
	return tui.NewPending(p.env.now(), sums), nil
}

func (p *pendingRows) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.st == nil {
		return nil
	}
	return p.st.Close()
}
