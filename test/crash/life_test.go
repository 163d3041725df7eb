//go:build crash

package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"commerce.internal/orderctl/internal/queue"
)

const (
	dieBound   = 60 * time.Second // for a process to reach its point
	drainBound = 2 * time.Minute
	maxRounds  = 10 // of replays, until nothing is dead that could live
)

// live starts the process under test.
func (w *world) live(env ...string) *process {
	w.t.Helper()
	return start(w.t, w.bin, append(slices.Clone(w.env), env...), w.args...)
}

// crash lets the process die at the n-th hit of a point, and looks whether it has committed too much.
func (w *world) crash(point string, n int, env ...string) {
	w.t.Helper()
	p := w.live(append(env, fmt.Sprintf("FAILPOINT=%s:%d", point, n))...)
	if w.at.real {
		w.sample() // of the last life: this one begins slower than that
	}
	if point == "drain" {
		want := w.rows() + 10
		eventually(w.t, dieBound, "orders are consumed before the stop", func() error {
			if got := w.rows(); got < want {
				return fmt.Errorf("%d of %d", got, want)
			}
			return nil
		})
		_ = p.cmd.Process.Signal(termination)
	}
	if !p.killed(dieBound) {
		w.t.Fatalf("the process did not die at %s:%d\n%s", point, n, p.said())
	}
	if w.at.real {
		w.sample()
	}
}

// rows is how many messages the database knows.
func (w *world) rows() int {
	n := 0
	err := w.db.QueryRowContext(w.t.Context(), "SELECT count(*) FROM orderctl_messages WHERE consumer_group = $1", w.names.Group).Scan(&n)
	if err != nil {
		return 0 // there is no such table yet
	}
	return n
}

// sample looks at commits while the queue runs, or stands still.
func (w *world) sample() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	l, err := w.look(ctx)
	if err != nil {
		return // there is nothing yet, or the broker of dev is gone with the process
	}
	w.samples++
	w.broken = append(w.broken, l.commitAhead()...)
}

// replay sends letters back while all goes on, some of them twice, as two operators do.
func (w *world) replay(ctx context.Context) {
	for pause(ctx, 700*time.Millisecond) {
		if l, err := w.look(ctx); err == nil {
			w.mu.Lock()
			w.samples++
			w.broken = append(w.broken, l.commitAhead()...)
			w.mu.Unlock()
			w.sendBack(ctx, l, func(row queue.Row, letter queue.Record) bool {
				return queue.ReadTrail(letter.Headers).ReplayCount < 1
			})
		}
	}
}

// sendBack replays the letters that their row calls dead, in the order of the log. It returns how many.
func (w *world) sendBack(ctx context.Context, l look, chosen func(queue.Row, queue.Record) bool) int {
	var messages []queue.Message
	done := map[queue.RowKey]bool{}
	letters := slices.SortedFunc(slices.Values(l.records[w.names.DLQ()]), func(a, b queue.Record) int {
		return int(queue.ReadTrail(a.Headers).Origin.Offset - queue.ReadTrail(b.Headers).Origin.Offset)
	})
	for _, r := range letters {
		row, found := l.row(r)
		if !found || done[row.RowKey] || row.State != queue.StateDead || row.Hop != queue.ReadTrail(r.Headers).Hop || !chosen(row, r) {
			continue
		}
		done[row.RowKey] = true
		m := replayOf(r, fmt.Sprintf("job-%d", rand.Uint32()), w.names)
		messages = append(messages, m)
		if rand.N(3) == 0 {
			messages = append(messages, replayOf(r, fmt.Sprintf("job-%d", rand.Uint32()), w.names))
		}
	}
	if len(messages) == 0 || w.kafka.write(ctx, messages...) != nil {
		return 0
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.replays += len(done)
	return len(done)
}

// drained waits until the commits have reached the ends and no message waits.
func (w *world) drained() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	commits, err := w.kafka.committed(ctx, w.names.Group, w.names.Consumed())
	if err != nil {
		return err
	}
	cl, err := w.kafka.client()
	if err != nil {
		return err
	}
	defer cl.Close()
	for _, topic := range w.names.Consumed() {
		ends, err := w.kafka.ends(ctx, cl, topic)
		if err != nil {
			return err
		}
		for p, end := range ends {
			if at := commits[queue.Position{Topic: topic, Partition: p}]; at < end {
				return fmt.Errorf("%s/%d is at %d of %d", topic, p, at, end)
			}
		}
	}
	return nil
}

// finish ends the load, heals the sink, lets a sound process consume all, and returns what does not hold.
func (w *world) finish() []string {
	w.t.Helper()
	w.heal()
	return w.conclude(w.live())
}

// unharmed lets one process consume a whole load, with its environment and no death, and returns what does not hold.
func (w *world) unharmed(env string) []string {
	w.t.Helper()
	p := w.live(env)
	eventually(w.t, dieBound, "orders are accepted", func() error {
		if got := w.accepted(); got < 60 {
			return fmt.Errorf("%d of 60", got)
		}
		return nil
	})
	w.heal()
	return w.conclude(p)
}

// heal ends the load and all that made orders fail.
func (w *world) heal() {
	w.end()
	if w.hook != nil {
		w.hook.mu.Lock()
		w.hook.healed = true
		w.hook.mu.Unlock()
	}
	w.exec("DELETE FROM poison")
}

// conclude lets a process consume all, sends back what is dead until nothing is that could live, ends the process, and
// returns what does not hold.
func (w *world) conclude(p *process) []string {
	w.t.Helper()
	l := w.settle()
	for round := 0; ; round++ {
		n := w.sendBack(w.t.Context(), l, func(row queue.Row, _ queue.Record) bool { return row.OrderID != "" })
		if n == 0 {
			break
		}
		if round == maxRounds {
			w.broken = append(w.broken, fmt.Sprintf("I3: %d messages die at each replay", n))
			break
		}
		l = w.settle()
	}
	w.broken = append(w.broken, w.settled(l)...)
	for _, row := range l.rows {
		if row.State == queue.StateDead && row.OrderID != "" {
			w.broken = append(w.broken, fmt.Sprintf("I3: the replays of %s were not accepted", row.MsgID))
		}
	}
	if code := p.stop(w.t, time.Minute); code != 0 {
		w.t.Errorf("orderctl ends with %d at SIGTERM", code)
	}
	w.t.Logf("%d accepted, %d in the log, %d rows, %d effects, %d letters, %d replays, %d looks at the commits",
		len(w.acked), len(l.records[w.names.Source]), len(l.rows), len(l.journal), len(l.records[w.names.DLQ()]), w.replays, w.samples)
	if len(w.acked) < 20 {
		w.t.Errorf("only %d messages were accepted: this shows nothing", len(w.acked))
	}
	slices.Sort(w.broken)
	return slices.Compact(w.broken)
}

// settle waits for the drain and looks. What is lost for good is found by the look.
func (w *world) settle() look {
	w.t.Helper()
	eventually(w.t, drainBound, "all is consumed", w.drained)
	var l look
	eventually(w.t, 20*time.Second, "a look", func() (err error) {
		l, err = w.look(w.t.Context())
		return err
	})
	return l
}
