package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"commerce.internal/orderctl/internal/out"
	"commerce.internal/orderctl/internal/produce"
	"commerce.internal/orderctl/internal/text"
)

// meter shows how a run goes: one line redrawn on a terminal, else one line for each report. The returned function ends it.
func (s *session) meter(o *produce.Options) func() {
	if s.global.quiet {
		return func() {}
	}
	redraw := out.CanRedraw(s.env.lookup, s.env.stderrTerminal)
	if redraw {
		o.ReportEvery = time.Second
	}
	drawn := false
	o.Progress = func(p produce.Progress) {
		line := progressLine(p)
		if !redraw {
			s.say(line)
			return
		}
		drawn = true
		_, _ = io.WriteString(s.env.stderr, "\r\x1b[K"+text.Truncate(line, max(20, s.env.width()-1)))
	}
	return func() {
		if drawn {
			_, _ = io.WriteString(s.env.stderr, "\n")
		}
	}
}

func progressLine(p produce.Progress) string {
	asked := "max"
	if p.Asked > 0 {
		asked = perSecond(p.Asked)
	}
	line := fmt.Sprintf("%s  asked %s  sent %s  acked %s  p50 %s  p99 %s ms  late p99 %s  inflight %d  errors %d",
		clock(p.Elapsed), asked, perSecond(p.Sent), perSecond(p.Acked), ms(p.Latency, p.Latency.P50), ms(p.Latency, p.Latency.P99),
		ms(p.SendDelay, p.SendDelay.P99), p.InFlight, p.Failures)
	if p.Dropped > 0 {
		line += fmt.Sprintf("  dropped %d", p.Dropped)
	}
	return line
}

func clock(d time.Duration) string {
	return fmt.Sprintf("%02d:%02d", int(d.Minutes()), int(d.Seconds())%60)
}

func perSecond(f float64) string {
	if f < 10 {
		return fmt.Sprintf("%.2f/s", f)
	}
	return digits(int64(f+0.5)) + "/s"
}

// ms is a value of a distribution; of an empty one nothing is known.
func ms(of produce.Latency, f float64) string {
	if of.Count == 0 {
		return "?"
	}
	return fmt.Sprintf("%.1f", f)
}

// printReport prints the summary of a run.
func (s *session) printReport(r produce.Report) error {
	switch out.Format(s.global.format) {
	case out.FormatJSON:
		return out.WriteJSON(s.stdout, r)
	case out.FormatJSONL:
		return out.WriteLine(s.stdout, r)
	}
	s.line(fmt.Sprintf("run %s to %s, %s, %.1fs", r.RunID, r.Target, r.Schedule, r.Window.Seconds))
	s.line(fmt.Sprintf("sent %s: acknowledged %s, rejected %s (%s expected), not sent %s, unknown %s", digits(r.Sent), digits(r.Acknowledged),
		digits(r.Rejected), digits(r.Expected), digits(r.NotSent), digits(r.Unknown)))
	if r.Dropped > 0 {
		s.line(fmt.Sprintf("dropped %s: too late to be sent", digits(r.Dropped)))
	}
	s.line(rateText(r))
	for _, d := range []struct {
		name string
		l    produce.Latency
	}{{"latency", r.Latency}, {"send delay", r.SendDelay}, {"service", r.Service}} {
		s.line(fmt.Sprintf("%-10s p50 %s  p90 %s  p99 %s  p999 %s  max %s ms", d.name, ms(d.l, d.l.P50), ms(d.l, d.l.P90),
			ms(d.l, d.l.P99), ms(d.l, d.l.P999), ms(d.l, d.l.Max)))
	}
	for _, code := range slices.Sorted(maps.Keys(r.Errors)) {
		s.line(fmt.Sprintf("errors     %s %s", digits(r.Errors[code]), code))
	}
	return nil
}

func rateText(r produce.Report) string {
	rate := "nothing was answered"
	if r.AchievedRate != nil {
		rate = "achieved " + perSecond(*r.AchievedRate)
	}
	if r.AskedRate != nil && r.AchievedRatio != nil {
		rate += fmt.Sprintf(" of %s asked (%.1f%%)", perSecond(*r.AskedRate), 100**r.AchievedRatio)
	}
	if r.CPUPerRecord != nil {
		rate += fmt.Sprintf(", %.1f us of CPU a record", *r.CPUPerRecord)
	}
	return rate
}

// verdictText says why a run was not as it should be.
func verdictText(r produce.Report) string {
	switch r.Verdict {
	case produce.VerdictErrors:
		var codes []string
		for _, code := range slices.Sorted(maps.Keys(r.Errors)) {
			codes = append(codes, fmt.Sprintf("%s %d", code, r.Errors[code]))
		}
		return fmt.Sprintf("%s of %s records failed (%s)", digits(r.Failures()), digits(r.Sent), strings.Join(codes, ", "))
	case produce.VerdictRate:
		if r.Dropped > 0 {
			return digits(r.Dropped) + " records were dropped: they were too late"
		}
		return fmt.Sprintf("achieved %.1f%% of the asked rate, want %.1f%%", 100**r.AchievedRatio, 100*r.MinRate)
	case produce.VerdictInterrupted:
		return "stopped before the end that was asked for"
	case produce.VerdictOK:
	}
	return ""
}
