package produce

import (
	"context"
	"time"
)

// checkEvery is how many records in a row are sent without a look at the context.
const checkEvery = 256

// loop walks the schedule.
type loop struct {
	o     Options
	src   source
	to    target
	tally *tally
	start time.Time
	timer *time.Timer
	n     int64 // records taken from the source
	done  bool  // the asked end was reached
}

// run sends record after record, each when it is due, until the asked end or until ctx is done.
func (l *loop) run(ctx context.Context) error {
	l.timer = time.NewTimer(0)
	defer l.timer.Stop()
	for ; ; l.n++ {
		if l.n%checkEvery == 0 && ctx.Err() != nil {
			return nil
		}
		if l.o.over(l.n) {
			l.done = true
			return nil
		}
		r, ok, err := l.src.next()
		if err != nil || !ok {
			l.done = err == nil
			return err
		}
		if !l.send(ctx, r) {
			return nil
		}
	}
}

// send waits for the time of one record and fires it. false: the run is over.
func (l *loop) send(ctx context.Context, r record) bool {
	now := time.Since(l.start)
	at := l.due(r, now)
	if l.o.Duration > 0 && at >= l.o.Duration {
		l.done = true
		return false
	}
	if at > now && !l.wait(ctx, at-now) {
		return false
	}
	late := time.Since(l.start) - at
	if l.o.Duration > 0 && at+late > l.o.Duration+l.o.MaxLag {
		l.giveUp()
		return false
	}
	if late > l.o.MaxLag && l.o.OnLag == DropLate {
		l.tally.drop(1)
		return true
	}
	l.to.fire(ctx, &shot{record: r, intended: l.start.Add(at)})
	return ctx.Err() == nil
}

// due returns when a record is to be sent, from the start.
func (l *loop) due(r record, now time.Duration) time.Duration {
	switch {
	case l.o.Rate.max:
		return now
	case !l.o.Rate.IsZero():
		return l.o.Rate.at(l.n)
	case r.at >= 0:
		return r.at
	}
	return now
}

func (l *loop) wait(ctx context.Context, d time.Duration) bool {
	l.timer.Reset(d)
	select {
	case <-l.timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// giveUp ends a run whose time is over although its schedule is not: the target does not take the asked rate, and what
// is left of the schedule is dropped.
func (l *loop) giveUp() {
	l.done = true
	if l.o.Rate.max || l.o.Rate.IsZero() {
		return
	}
	left := l.o.Rate.within(l.o.Duration)
	if l.o.Count > 0 {
		left = min(left, l.o.Count)
	}
	l.tally.drop(left - l.n)
}
