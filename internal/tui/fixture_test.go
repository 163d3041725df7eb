package tui_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/tui"
)

// noon is when every test begins.
var noon = time.Date(2026, 11, 22, 14, 32, 7, 0, time.UTC)

func setup() tui.Setup { return tui.Setup{Cluster: "prod", Group: "orders-worker"} }

// partition is a row that is fine.
func partition(topic string, p int32, unread int64) tui.Row {
	return tui.Row{
		Key: tui.Key{Topic: topic, Partition: p}, Name: topic, Role: queue.RoleSource, Committed: lag.Know[int64](900000 + int64(p)),
		End: lag.Know(900000 + int64(p) + unread), Unread: lag.Know(unread), Lost: lag.Know[int64](0), Ahead: lag.Know[int64](0),
		In: lag.Know(100.0), Out: lag.Know(98.0), Oldest: lag.Know(float64(unread) / 100), Status: lag.OK, Severity: lag.SevOK.String(),
		Reasons: []lag.Status{}, Counted: true, Owner: lag.Know(fmt.Sprintf("worker-%d", p%3+1)), Host: "/10.0.4.17", Leader: lag.Know(p%3 + 1),
		ISR: lag.Know(3), Replicas: lag.Know(3), Still: lag.Know(0.0),
	}
}

// pinned are the tiers and the dead letters.
func pinned() []tui.Row {
	names := queue.Names{Source: "orders", Group: "orders-worker"}
	var rows []tui.Row
	for i, d := range []time.Duration{5 * time.Second, time.Minute, 10 * time.Minute} {
		rows = append(rows, tui.Row{
			Key: tui.Key{Topic: names.Retry(d), Partition: -1}, Name: "retry." + queue.FormatDelay(d), Role: queue.RoleRetry,
			Unread: lag.Know(int64(118 + 32*i)), Overdue: lag.Know[int64](0), In: lag.Know(11.0), Out: lag.Know(10.0), Due: lag.Know(2 + 29*float64(i)),
			Status: lag.Parked, Severity: lag.SevOK.String(), Reasons: []lag.Status{lag.Parked}, Owner: lag.Know(""),
		})
	}
	return append(rows, tui.Row{
		Key: tui.Key{Topic: names.DLQ(), Partition: -1}, Name: "dlq", Role: queue.RoleDLQ, Unread: lag.Know[int64](27), AtMost: true,
		Status: "-", Severity: lag.SevOK.String(), Owner: lag.Know(""),
	})
}

// sample is a look at six partitions, one of them hot.
func sample(at time.Time) tui.Sample {
	rows := []tui.Row{
		partition("orders", 0, 1902), partition("orders", 1, 958), partition("orders", 2, 222), partition("orders", 3, 9208),
		partition("orders", 4, 389), partition("orders", 5, 1531),
	}
	hot := &rows[3]
	hot.Status, hot.Severity, hot.Reasons, hot.In, hot.Out = lag.Hot, lag.SevWarning.String(), []lag.Status{lag.Hot, lag.Growing}, lag.Know(131.0), lag.Know(100.0)
	return of(at, rows)
}

// of makes a sample of rows, with the sums that belong to them.
func of(at time.Time, rows []tui.Row) tui.Sample {
	g := tui.Group{
		Name: "orders-worker", State: lag.Know(lag.StateStable), Members: lag.Know(3), Names: []string{"worker-1", "worker-2", "worker-3"},
		Severity: lag.SevOK.String(), Status: string(lag.OK), Complete: true, Unread: lag.Know[int64](0), Oldest: lag.Know(0.0),
		Drain: lag.Know(lag.DrainGrowing), SLO: 300, Breach: lag.Know("forecast"), BreachIn: lag.Know(960.0),
	}
	for _, r := range rows {
		if r.Unread.Known {
			g.Unread.V += r.Unread.V
			g.Oldest.V = max(g.Oldest.V, r.Oldest.V)
		} else {
			g.AtLeast, g.Complete = true, false
		}
		if r.In.Known {
			g.In, g.Out = lag.Know(g.In.V+r.In.V), lag.Know(g.Out.V+r.Out.V)
		} else {
			g.RatesMin = true
		}
		if r.Severity != lag.SevOK.String() {
			g.Severity, g.Status = r.Severity, string(r.Status)
		}
	}
	g.RatesMin = g.RatesMin && g.In.Known
	return tui.Sample{
		At: at, TookMS: 12, Group: g, Rows: rows, Pinned: pinned(),
		Pending: lag.Know(tui.Pending{
			At: at, Retry: 271, Parked: 41, Dead: 27, NextDue: at.Add(2 * time.Second), Classes: []tui.ClassCount{
				{Class: "exhausted", Count: 19, Newest: at.Add(-40 * time.Second), OrderID: "536412", Attempts: 5},
				{Class: "illegal-transition", Count: 6, Newest: at.Add(-3 * time.Minute), OrderID: "536370"},
				{Class: "decode", Count: 2, Newest: at.Add(-22 * time.Minute)},
			},
		}),
		Metrics: lag.Know(tui.Metrics{
			Accepted: lag.Know(1204.0), Refused: lag.Know(3.0), Busy: lag.Know(0.0), InDoubt: lag.Know(0.0), APIP99: lag.Know(0.006),
			WorkP99: lag.Know(0.048), Errors: lag.Know(0.004),
		}),
	}
}

// wave makes the totals of a sample go up and down with time.
func wave(s tui.Sample, i int) tui.Sample {
	tri := float64((i*7)%100) / 100
	s.Group.In, s.Group.Out = lag.Know(1000+600*tri), lag.Know(1100+200*float64((i/20)%2))
	s.Group.Unread = lag.Know(int64(8000 + 60*i))
	for j := range s.Rows {
		if s.Rows[j].Unread.Known {
			s.Rows[j].Unread = lag.Know(s.Rows[j].Unread.V + int64((i*(j+3))%170))
		}
	}
	return s
}

// drive plays events into a state, as the program would.
type drive struct {
	t       *testing.T
	s       tui.State
	effects []tui.Effect
}

func start(t *testing.T, w, h int) *drive {
	t.Helper()
	s, effects := tui.NewState(setup(), 2*time.Second, 5*time.Minute, noon)
	d := &drive{t: t, s: s, effects: effects}
	return d.do(tui.Resized{W: w, H: h})
}

func (d *drive) do(e tui.Event) *drive {
	var effects []tui.Effect
	d.s, effects = tui.Reduce(d.s, e)
	d.effects = append(d.effects, effects...)
	return d
}

// sees answers the question that is out.
func (d *drive) sees(s tui.Sample) *drive {
	return d.do(tui.Sampled{Gen: d.s.Poll, At: s.At, Sample: s})
}

func (d *drive) fails(at time.Time, text string) *drive {
	return d.do(tui.Failed{Gen: d.s.Poll, At: at, Err: errors.New(text)})
}

func (d *drive) ticks(at time.Time) *drive { return d.do(tui.Tick{Gen: d.s.Wake, At: at}) }

func (d *drive) press(at time.Time, actions ...tui.Action) *drive {
	for _, a := range actions {
		d.do(tui.Pressed{At: at, Action: a})
	}
	return d
}

// polls are the questions that were asked for.
func (d *drive) polls() []tui.Poll {
	var list []tui.Poll
	for _, e := range d.effects {
		if p, ok := e.(tui.Poll); ok {
			list = append(list, p)
		}
	}
	return list
}

func (d *drive) quit() (error, bool) {
	for _, e := range d.effects {
		if q, ok := e.(tui.Quit); ok {
			return q.Err, true
		}
	}
	return nil, false
}

// frame is what stands on the screen, without colours.
func (d *drive) frame() string { return frame(d.s, tui.UTF8()) }

func frame(s tui.State, g tui.Glyphs) string {
	return tui.Render(s, tui.Plan(s.W, s.H, s), tui.Bare(), g)
}

// shows fails unless every text is in the frame.
func (d *drive) shows(texts ...string) *drive {
	d.t.Helper()
	got := d.frame()
	for _, want := range texts {
		if !strings.Contains(got, want) {
			d.t.Errorf("no %q in\n%s", want, got)
		}
	}
	return d
}

func (d *drive) hides(texts ...string) *drive {
	d.t.Helper()
	got := d.frame()
	for _, text := range texts {
		if strings.Contains(got, text) {
			d.t.Errorf("%q is in\n%s", text, got)
		}
	}
	return d
}

// lived keeps what live has made: a State is a value.
var lived sync.Map // of func() tui.State, by the code of the maker

// live is a dashboard that has looked for five minutes. make may not depend on variables.
func live(t *testing.T, w, h int, make func(at time.Time) tui.Sample) *drive {
	t.Helper()
	once, _ := lived.LoadOrStore(reflect.ValueOf(make).Pointer(), sync.OnceValue(func() tui.State {
		d := start(t, 120, 40)
		for i := range 151 {
			at := noon.Add(time.Duration(i-150) * 2 * time.Second)
			s := make(at)
			if i < 150 {
				s = wave(s, i)
			}
			d.sees(s)
		}
		return d.s
	}))
	state, _ := once.(func() tui.State)
	d := &drive{t: t, s: state()}
	d.effects = []tui.Effect{tui.Poll{Gen: d.s.Poll, At: d.s.PollAt}}
	return d.do(tui.Resized{W: w, H: h})
}

// many are 500 partitions, some of which are behind.
func many(at time.Time) tui.Sample {
	var rows []tui.Row
	for p := range int32(500) {
		r := partition("orders", p, int64(p%37))
		if p%100 == 50 {
			r.Status, r.Severity, r.Reasons, r.Unread = lag.Stalled, lag.SevCritical.String(), []lag.Status{lag.Stalled}, lag.Know(int64(5000+p))
		}
		rows = append(rows, r)
	}
	return of(at, rows)
}

// blind is a sample of which nothing is known but that the partitions are there.
func blind(at time.Time) tui.Sample {
	s := sample(at)
	for i, r := range s.Rows {
		s.Rows[i] = tui.Row{Key: r.Key, Name: r.Name, Role: r.Role, Status: lag.Unknown, Severity: lag.SevUnknown.String(), Counted: true, Problem: "no-answer"}
	}
	s.Pinned = s.Pinned[:1]
	s.Pinned[0].Unread, s.Pinned[0].Due, s.Pinned[0].In, s.Pinned[0].Status = lag.Maybe[int64]{}, lag.Maybe[float64]{}, lag.Maybe[float64]{}, lag.Unknown
	s.Group = tui.Group{Name: "orders-worker", Severity: lag.SevUnknown.String(), Status: string(lag.Unknown), AtLeast: true, SLO: 300}
	s.Pending, s.Metrics = lag.Maybe[tui.Pending]{}, lag.Maybe[tui.Metrics]{}
	return s
}

// hostile is a sample whose every name is out to take over the terminal, or wide, or long.
func hostile(at time.Time) tui.Sample {
	s := sample(at)
	s.Rows[0].Topic, s.Rows[0].Name = "orders\x1b[2J\u202e", "orders\x1b[2J\u202e"
	s.Rows[1].Topic, s.Rows[1].Name = "订单订单订单订单订单订单订单订单", "订单订单订单订单订单订单订单订单"
	s.Rows[2].Topic = strings.Repeat("a-very-long-topic-name.", 10)
	s.Rows[2].Name = s.Rows[2].Topic
	s.Rows[3].Owner, s.Rows[3].Host = lag.Know("worker\x1b]0;x\a\u009b31m"), "\x1b[31mhost"
	s.Rows[4].Owner = lag.Know("工人工人工人工人工人工人")
	s.Pending.V.Classes[0].OrderID, s.Pending.V.Classes[0].Class = "\x1b[31m536412", "ex\x9bhausted"
	s.Group.State = lag.Know("Sta\rble\n")
	return s
}
