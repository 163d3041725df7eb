package tui

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/queue"
)

const (
	demoPartitions = 12
	demoCycle      = 200 * time.Second
	demoCalm       = 50 * time.Second  // until then all is calm,
	demoPeak       = 90 * time.Second  // until then a sale begins,
	demoHot        = 140 * time.Second // until then one partition is hot,
	demoLost       = 160 * time.Second // until then no broker answers; then it recovers
	demoCapacity   = 260.0             // orders a second that a worker can do
)

// Demo is a queue that does not exist: a calm hour, a sale, a hot partition, a broker that is lost for 20 s, recovery, in
// a few minutes and again and again. The same seed gives the same samples.
type Demo struct {
	interval time.Duration
	rng      *rand.Rand
	wait     func(ctx context.Context, d time.Duration) error
	clock    *clock

	start, at time.Time
	tries     int
	end, done [demoPartitions]float64
	in, out   [demoPartitions]float64
	retry     float64
	dead      []ClassCount
}

// NewDemo returns a demonstration. now is the clock that the pace follows; its figures have a time of their own.
func NewDemo(seed uint64, interval time.Duration, now func() time.Time) *Demo {
	d := &Demo{
		interval: interval, rng: rand.New(rand.NewPCG(seed, 0x746f70)), wait: sleep, clock: &clock{speed: 1, now: now},
		start: time.Date(2026, 11, 22, 14, 29, 0, 0, time.UTC),
	}
	for p := range d.end {
		d.end[p] = 880000 + math.Floor(30000*d.rng.Float64())
		d.done[p] = d.end[p] - math.Floor(200*d.rng.Float64())
	}
	for i, c := range [...]queue.Class{queue.ClassExhausted, queue.ClassIllegal, queue.ClassDecode} {
		d.dead = append(d.dead, ClassCount{
			Class: string(c), Count: int64(14 - 5*i), Newest: d.start.Add(-time.Duration(3+9*i) * time.Minute), OrderID: d.order(), Attempts: 5 - 2*i,
		})
	}
	d.dead[2].OrderID = "" // bytes that are no order have no id
	d.clock.set(d.start)
	return d
}

func (d *Demo) order() string { return fmt.Sprint(500000 + d.rng.IntN(80000)) }

// Now is the time of the demonstration.
func (d *Demo) Now() time.Time { return d.clock.time() }

// Sample implements Source. It takes as long as the interval, or as the pause after a failure.
func (d *Demo) Sample(ctx context.Context) (Sample, error) {
	step := d.interval
	if d.tries > 0 {
		step = Backoff(d.tries, d.at)
	}
	if d.at.IsZero() {
		d.at = d.start.Add(-step) // the first one comes at once
	} else if err := d.wait(ctx, step); err != nil {
		return Sample{}, err
	}
	d.at = d.at.Add(step)
	d.clock.set(d.at)
	d.live(step)
	if since := d.at.Sub(d.start) % demoCycle; since >= demoHot && since < demoLost {
		d.tries++
		return Sample{}, &timedError{err: errors.New("cannot reach Kafka at demo-2:9092: connection refused"), at: d.at}
	}
	d.tries = 0
	return d.sample(), nil
}

// live lets the queue go on for a while.
func (d *Demo) live(step time.Duration) {
	since := d.at.Sub(d.start) % demoCycle
	load := 600.0
	switch {
	case since < demoCalm:
	case since < demoPeak:
		load = 600 + 700*float64(since-demoCalm)/float64(demoPeak-demoCalm)
	case since < demoLost:
		load = 1300
	default:
		load = 700
	}
	for p := range d.end {
		share := load / demoPartitions * (0.94 + 0.12*d.rng.Float64())
		if p == 3 && since >= demoPeak && since < demoLost {
			share *= 2.2
		}
		limit := demoCapacity / (demoPartitions / 4)
		if p == 3 {
			limit *= 1.5
		}
		come := math.Floor(share * step.Seconds())
		took := math.Min(math.Floor(limit*1.3*step.Seconds()*(0.97+0.06*d.rng.Float64())), d.end[p]+come-d.done[p]-math.Floor(share*2))
		took = max(took, 0)
		d.end[p], d.done[p] = d.end[p]+come, d.done[p]+took
		if s := step.Seconds(); s > 0 {
			d.in[p], d.out[p] = come/s, took/s
		}
	}
	d.retry = max(0, d.retry*0.9+load/100*d.rng.Float64())
	if d.rng.Float64() < load/12000 {
		c := &d.dead[d.rng.IntN(2)]
		c.Count, c.Newest, c.OrderID = c.Count+1, d.at, d.order()
	}
}

func (d *Demo) sample() Sample {
	s := Sample{At: d.at, Got: d.at, TookMS: 9 + int64(d.rng.IntN(6)), NoMetrics: false, Rows: make([]Row, demoPartitions)}
	var backlog []int64
	for p := range s.Rows {
		backlog = append(backlog, int64(d.end[p]-d.done[p]))
	}
	median := middle(slices.Clone(backlog))
	total := Group{
		Name: "orders-worker", State: lag.Know(lag.StateStable), Members: lag.Know(4), Brokers: lag.Know(3), Complete: true, SLO: 300,
		Names: []string{"worker-1", "worker-2", "worker-3", "worker-4"}, Severity: lag.SevOK.String(), Status: string(lag.OK),
		Unread: lag.Know[int64](0), In: lag.Know(0.0), Out: lag.Know(0.0), Oldest: lag.Know(0.0), Breach: lag.Know("no"),
	}
	for p := range s.Rows {
		r := d.row(p, backlog[p], median)
		s.Rows[p] = r
		total.Unread.V, total.In.V, total.Out.V = total.Unread.V+r.Unread.V, total.In.V+r.In.V, total.Out.V+r.Out.V
		total.Oldest.V = max(total.Oldest.V, r.Oldest.V)
		if grade(r.Severity) > grade(total.Severity) {
			total.Severity, total.Status = r.Severity, string(r.Status)
		}
	}
	total.Drain = lag.Know(lag.DrainSteady)
	switch net := total.In.V - total.Out.V; {
	case net > 0.05*total.In.V:
		total.Drain = lag.Know(lag.DrainGrowing)
	case net < -0.05*total.In.V:
		total.Drain, total.ETA = lag.Know(lag.DrainDraining), lag.Know(float64(total.Unread.V)/-net)
	}
	s.Group = total
	d.side(&s)
	return s
}

func (d *Demo) row(p int, backlog, median int64) Row {
	number := int32(p) //nolint:gosec // there are twelve
	r := Row{
		Key: Key{"orders", number}, Name: "orders", Role: queue.RoleSource, Committed: lag.Know(int64(d.done[p])), End: lag.Know(int64(d.end[p])),
		Unread: lag.Know(backlog), Lost: lag.Know[int64](0), Ahead: lag.Know[int64](0), In: lag.Know(d.in[p]), Out: lag.Know(d.out[p]),
		Oldest: lag.Know(float64(backlog) / max(d.in[p], 1)), Status: lag.OK, Severity: lag.SevOK.String(), Counted: true,
		Owner: lag.Know(fmt.Sprintf("worker-%d", p%4+1)), Host: fmt.Sprintf("10.0.4.%d", 14+p%4), Leader: lag.Know(number%3 + 1),
		ISR: lag.Know(3), Replicas: lag.Know(3), Still: lag.Know(0.0), Reasons: []lag.Status{},
	}
	switch {
	case backlog > 4*median && backlog > 100:
		r.Status, r.Severity, r.Reasons = lag.Hot, lag.SevWarning.String(), []lag.Status{lag.Hot}
	case d.in[p] > 1.05*d.out[p]:
		r.Status, r.Reasons = lag.Growing, []lag.Status{lag.Growing}
	case d.out[p] > 1.05*d.in[p]:
		r.Status, r.Reasons = lag.Draining, []lag.Status{lag.Draining}
	}
	return r
}

// side adds tiers, dead letters and what processes say of themselves.
func (d *Demo) side(s *Sample) {
	pending := Pending{At: d.at, Parked: int64(d.retry / 4), Tiers: map[string]TierCount{}, Classes: slices.Clone(d.dead)}
	for i, delay := range [...]time.Duration{5 * time.Second, time.Minute, 10 * time.Minute} {
		topic := queue.Names{Source: "orders", Group: "orders-worker"}.Retry(delay)
		n := int64(d.retry * [...]float64{0.4, 0.45, 0.15}[i])
		t := TierCount{Count: n}
		if n > 0 {
			t.NextDue = d.at.Add(time.Duration(float64(delay) * (0.1 + 0.5*d.rng.Float64()))).Truncate(time.Second)
			if pending.NextDue.IsZero() || t.NextDue.Before(pending.NextDue) {
				pending.NextDue = t.NextDue
			}
		}
		pending.Tiers[topic] = t
		pending.Retry += n
		s.Pinned = append(s.Pinned, Row{
			Key: Key{topic, -1}, Name: shortName(topic, "orders-worker"), Role: queue.RoleRetry, Unread: lag.Know(n), Overdue: lag.Know[int64](0),
			In: lag.Know(d.retry / 50), Out: lag.Know(d.retry / 50), Status: lag.Parked, Severity: lag.SevOK.String(), Owner: lag.Know(""),
			Reasons: []lag.Status{lag.Parked},
		})
	}
	for _, c := range d.dead {
		pending.Dead += c.Count
	}
	s.Pinned = append(s.Pinned, Row{
		Key: Key{"orders.orders-worker.dlq", -1}, Name: "dlq", Role: queue.RoleDLQ, Unread: lag.Know(pending.Dead), Status: "-",
		Severity: lag.SevOK.String(), Owner: lag.Know(""), Reasons: []lag.Status{},
	})
	s.Pending = lag.Know(pending)
	due(s)
	s.Metrics = lag.Know(Metrics{
		Accepted: s.Group.In, Refused: lag.Know(3 * d.rng.Float64()), Busy: lag.Know(0.0), InDoubt: lag.Know(0.0),
		APIP99: lag.Know(0.005 + 0.003*d.rng.Float64()), WorkP99: lag.Know(0.04 + 0.02*d.rng.Float64()), Errors: lag.Know(0.004 + 0.002*d.rng.Float64()),
	})
}
