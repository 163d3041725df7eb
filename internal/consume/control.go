package consume

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"commerce.internal/orderctl/internal/obs"
	"commerce.internal/orderctl/internal/queue"
)

// Paused is a partition that is not fetched, and why.
type Paused struct {
	Topic     string
	Partition int32
	Reasons   []string // sorted: backpressure, breaker, hop, span, topic
}

// Health is how the worker does. Asking for it opens no connection and does not wait.
type Health struct {
	Partitions  int       // owned
	Queued      int       // records in this process, not finished
	InFlight    int       // of these in an attempt, a hop or a wait
	Letters     int64     // dead letters written
	BreakerOpen time.Time // since when the database is away; zero: it is not
	Paused      []Paused
}

// Health returns how the worker does.
func (w *Worker) Health() Health {
	h := Health{Letters: w.letters.Load()}
	_, h.BreakerOpen = w.breaker.open()
	for _, c := range w.owned() {
		h.Partitions++
		c.mu.Lock()
		h.Queued += c.queued
		h.InFlight += c.active
		p := Paused{Topic: c.Topic(), Partition: c.Partition()}
		for reason := range c.reasons {
			p.Reasons = append(p.Reasons, reason)
		}
		c.mu.Unlock()
		if len(p.Reasons) > 0 {
			slices.Sort(p.Reasons)
			h.Paused = append(h.Paused, p)
		}
	}
	return h
}

// Letters is how many dead letters this worker has written.
func (w *Worker) Letters() int64 { return w.letters.Load() }

// Checks returns what the worker says about itself to probes. Neither takes it out of service: a worker that waits for
// its database is where it belongs.
func (w *Worker) Checks() []obs.Check {
	checks := []obs.Check{
		{Name: "database", Report: func() obs.Health { return reportBreaker(w.breaker) }},
		{Name: "consumer", Report: w.reportPaused},
	}
	if w.sink != nil {
		checks = append(checks, obs.Check{Name: "webhook", Report: func() obs.Health { return reportBreaker(w.sink) }})
	}
	return checks
}

func reportBreaker(b *breaker) obs.Health {
	if _, since := b.open(); !since.IsZero() {
		return obs.Health{Status: obs.Warn, Since: since, Err: errors.New("away: the worker waits, nothing is counted")}
	}
	return obs.Health{Status: obs.Pass}
}

func (w *Worker) reportPaused() obs.Health {
	for _, p := range w.Health().Paused {
		for _, reason := range p.Reasons {
			if reason != pausedBackpressure && reason != pausedBreaker {
				return obs.Health{Status: obs.Warn, Err: fmt.Errorf("%s/%d is paused: %s", p.Topic, p.Partition, reason)}
			}
		}
	}
	return obs.Health{Status: obs.Pass}
}

// Pause stops the fetching of partitions of one topic (none named: all of them) or, with topic "", of everything, also of
// partitions that come later. What was fetched before is finished.
func (w *Worker) Pause(topic string, partitions ...int32) error {
	return w.steer(topic, partitions, true)
}

// Resume takes back what Pause did. A whole topic resumes its partitions too, and "" everything.
func (w *Worker) Resume(topic string, partitions ...int32) error {
	return w.steer(topic, partitions, false)
}

func (w *Worker) steer(topic string, partitions []int32, pause bool) error {
	if role, _, ours := w.o.Names.Role(topic); topic != "" && (!ours || role == queue.RoleDLQ || role == queue.RoleAudit) {
		return fmt.Errorf("topic %q is not consumed here: one of %q", topic, w.o.Names.Consumed())
	}
	if topic == "" && len(partitions) > 0 {
		return errors.New("partitions need a topic")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.note(topic, partitions, pause)
	for c := range w.claims {
		c.pauseFor(pausedOperator, w.pausedByOperator(c))
	}
	return nil
}

// place is a partition, or with partition -1 a whole topic, or with topic "" everything.
type place struct {
	topic     string
	partition int32
}

// note changes what operators asked for. The lock is held.
func (w *Worker) note(topic string, partitions []int32, pause bool) {
	for _, p := range partitions {
		w.paused[place{topic, p}] = pause
	}
	if len(partitions) > 0 {
		return
	}
	maps.DeleteFunc(w.paused, func(at place, _ bool) bool { return topic == "" || at.topic == topic })
	w.paused[place{topic, -1}] = pause
}

// pausedByOperator: the narrowest word counts. The lock is held.
func (w *Worker) pausedByOperator(c *claim) bool {
	for _, at := range []place{{c.Topic(), c.Partition()}, {c.Topic(), -1}, {"", -1}} {
		if paused, said := w.paused[at]; said {
			return paused
		}
	}
	return false
}
