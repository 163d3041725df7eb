// Package produce makes load: generated or recorded orders at an exact rate, straight to Kafka or through the API, and a
// report on what became of every one of them. The schedule is absolute: a late record is sent late and its latency
// counts from when it was due, so that a slow target cannot hide. The package prints nothing; the command shows its
// values.
package produce

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"
)

// Producer is one run.
type Producer struct {
	o Options
}

// New checks the options of a run.
func New(o Options) (*Producer, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Producer{o: o}, nil
}

// target takes records.
type target interface {
	// fire hands one record over, or waits until it can.
	fire(ctx context.Context, s *shot)
	// drain lets what was handed over end, and cuts it off when ctx is done. Nothing is fired afterwards.
	drain(ctx context.Context)
}

// Run sends until the asked end, or until ctx is done, waits for the missing answers and reports. Its error is why it
// could not start or go on; the report counts up to there.
func (p *Producer) Run(ctx context.Context) (Report, error) {
	o := p.o.started(time.Now())
	src, err := o.source()
	if err != nil {
		return Report{}, err
	}
	defer func() { _ = src.close() }() // it was only read
	t := newTally(time.Time{}, o.Log, o.Acked)
	to, err := o.open(ctx, t)
	if err != nil {
		return Report{}, err
	}
	before, _ := cpuTime()
	c := conduct{start: time.Now()}
	t.start = c.start

	var watch sync.WaitGroup
	watching, stopWatch := context.WithCancel(ctx)
	watch.Go(func() { o.watch(watching, t) })
	l := loop{o: o, src: src, to: to, tally: t, start: c.start}
	err = l.run(ctx)
	c.end = time.Now()
	c.stopped = ctx.Err() != nil && !l.done
	c.cut = c.stopped && (o.Duration > 0 || o.Count > 0 || o.File != nil && o.File.Repeat >= 0)

	// What is under way gets its answer also after a Ctrl-C, within a bound.
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.Drain)
	defer cancel()
	to.drain(drain)
	t.end(drain)
	stopWatch()
	watch.Wait()
	after, known := cpuTime()
	c.cpu, c.cpuKnown = after-before, known
	if err == nil && t.writeErr != nil {
		err = fmt.Errorf("write acknowledged ids: %w", t.writeErr)
	}
	return o.report(t.view(), c), err
}

// DryRun writes the orders of the run to w, one JSON document a line, and sends nothing. A run without an end stops when
// ctx is done.
func (p *Producer) DryRun(ctx context.Context, w io.Writer) error {
	o := p.o.started(time.Now())
	src, err := o.source()
	if err != nil {
		return err
	}
	defer func() { _ = src.close() }() // it was only read
	for n := int64(0); ctx.Err() == nil && !o.over(n); n++ {
		r, ok, err := src.next()
		if err != nil || !ok {
			return err
		}
		line := r.value
		if r.content != "application/json" {
			line = r.order.AppendJSON(nil)
		}
		if _, err := w.Write(append(line, '\n')); err != nil {
			return fmt.Errorf("write order %s: %w", r.key, err)
		}
	}
	return nil
}

// started fixes what defaults to the start.
func (o Options) started(now time.Time) Options {
	if o.RunID == "" {
		o.RunID = now.UTC().Format("20060102T150405.000")
	}
	if o.BaseTime.IsZero() {
		o.BaseTime = now
	}
	return o
}

// over reports whether n records are all that was asked for, as far as that can be told by counting.
func (o Options) over(n int64) bool {
	if o.Count > 0 && n >= o.Count {
		return true
	}
	return o.Duration > 0 && !o.Rate.max && !o.Rate.IsZero() && n >= o.Rate.within(o.Duration)
}

func (o Options) source() (source, error) {
	if o.File == nil {
		return newSampler(o), nil
	}
	file := *o.File
	o.File = &file
	return newRecording(o)
}

func (o Options) open(ctx context.Context, t *tally) (target, error) {
	if o.Kafka != nil {
		return &topicTarget{k: o.Kafka, o: o, tally: t}, nil
	}
	return openAPI(ctx, o, t)
}

// watch reports progress.
func (o Options) watch(ctx context.Context, t *tally) {
	if o.Progress == nil {
		return
	}
	tick := time.NewTicker(o.ReportEvery)
	defer tick.Stop()
	var last view
	then := t.start
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			v := t.view()
			o.Progress(o.progress(v, last, now.Sub(t.start), now.Sub(then)))
			last, then = v, now
		}
	}
}

func (o Options) progress(v, last view, elapsed, since time.Duration) Progress {
	return Progress{
		Elapsed: elapsed, Asked: o.Rate.perSecond, Total: v.sent, InFlight: v.pending, Failures: v.failures, Dropped: v.dropped,
		Sent:    float64(v.sent-last.sent) / since.Seconds(),
		Acked:   float64(v.counts[acknowledged]-last.counts[acknowledged]) / since.Seconds(),
		Latency: v.latency, SendDelay: v.sendDelay,
	}
}

// target names where the records go, without credentials.
func (o Options) target() string {
	if o.Kafka != nil {
		return "kafka:" + o.Kafka.Topic
	}
	return redacted(o.HTTP.URL)
}

// schedule says in words what was asked for.
func (o Options) schedule() string {
	s := o.Rate.String()
	if o.Rate.IsZero() {
		s = "max"
		if o.File.Speed > 0 {
			s = fmt.Sprintf("recorded gaps at %vx", o.File.Speed)
		}
	}
	if o.Duration > 0 {
		s += " for " + o.Duration.String()
	}
	if o.Count > 0 {
		s += fmt.Sprintf(", %d records", o.Count)
	}
	return s
}
