package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/out"
	"commerce.internal/orderctl/internal/text"
)

// watch looks again and again until it is stopped or has looked often enough. On a terminal the table is redrawn in place,
// elsewhere one follows the other. A look that fails leaves the last table standing, under a line that says how old it is.
func (l *lagRun) watch(ctx context.Context) error {
	l.runsUntilStopped(nil)
	tick := time.NewTicker(l.o.watch)
	defer tick.Stop()
	screen := &frame{run: l}
	var good lag.Report
	var at time.Time
	for looks := 1; ; looks++ {
		report, err := l.look(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && at.IsZero():
			return err
		case err == nil && looks == 1:
			err = l.missing(ctx, report)
		}
		if err != nil && at.IsZero() {
			return err
		}
		stale := ""
		if err == nil {
			l.countUndecided(ctx, l.log, &report)
			good, at = report, l.env.now()
		} else {
			stale = fmt.Sprintf("STALE %s: %s", lag.Age(l.env.now().Sub(at)), strings.Join(strings.Split(err.Error(), "\n"), "; "))
			good = withoutRates(good)
		}
		if err := screen.draw(good, stale); err != nil {
			return err
		}
		if looks == l.o.count {
			return l.verdict(good)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// withoutRates takes away what a table that is not of now cannot tell.
func withoutRates(r lag.Report) lag.Report {
	r.Complete = false
	groups := make([]lag.Group, len(r.Groups))
	for i, g := range r.Groups {
		g.Flow, g.Breach, g.Complete = lag.Flow{}, lag.Breach{}, false
		rows := make([]lag.Row, len(g.Partitions))
		for j, row := range g.Partitions {
			row.Flow, row.Breach, row.Change, row.Trend = lag.Flow{}, lag.Breach{}, lag.Maybe[int64]{}, lag.Maybe[string]{}
			rows[j] = row
		}
		g.Partitions = rows
		groups[i] = g
	}
	r.Groups = groups
	return r
}

// frame is where the table of a watch stands.
type frame struct {
	run   *lagRun
	lines int // of the last one, to go back up over
	drawn int
}

func (f *frame) draw(r lag.Report, stale string) error {
	l := f.run
	format := out.Format(l.global.format)
	if format == out.FormatJSONL || format == out.FormatCSV {
		if stale != "" {
			l.note("%s", stale)
			return nil
		}
		o := l.output()
		o.NoHeader = o.NoHeader || f.drawn > 0
		f.drawn++
		return l.printTo(l.stdout, o, r)
	}
	var b bytes.Buffer
	if stale != "" {
		fmt.Fprintf(&b, "%s\n", text.Safe(stale))
	}
	if err := l.printTo(&b, l.output(), r); err != nil {
		return err
	}
	block := b.String()
	if out.CanRedraw(l.env.lookup, l.env.stdoutTerminal) {
		block = f.place(block)
	} else if f.drawn > 0 {
		block = "\n" + block
	}
	f.drawn++
	_, err := l.stdout.Write([]byte(block))
	return err
}

// place puts a block over the last one. It must not be higher than the screen, or going up would not reach its top.
func (f *frame) place(block string) string {
	lines := strings.Split(strings.TrimSuffix(block, "\n"), "\n")
	if most := f.run.env.lines() - 1; len(lines) > most {
		lines = append(lines[:most-1], fmt.Sprintf("  %d lines more", len(lines)-most+1))
	}
	var b strings.Builder
	if f.lines > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\r", f.lines)
	}
	for _, line := range lines {
		b.WriteString(line + "\x1b[K\n")
	}
	b.WriteString("\x1b[J")
	f.lines = len(lines)
	return b.String()
}
