//go:build crash

package crash

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/queue"
)

// `orderctl dlq replay` dies at each of its points, with batches of 1, 3 and 100 and each target, and is run again: each
// letter takes effect once and in order, another topic holds each once, and a third run sends nothing.
func TestEveryPointOfAReplay(t *testing.T) {
	t.Parallel()
	const letters = 7
	w := newWorld(t, dev)
	w.live()
	eventually(t, dieBound, "the queue is there", func() error {
		_, err := w.look(t.Context())
		return err
	})
	other := "other-" + w.names.Group
	w.run(0, append(slices.Clone(w.env), "ORDERCTL_CONSUME_TOPIC="+other), "topics", "apply", "--yes", "--brokers", w.kafka.addr)
	n := 0
	for _, to := range []string{"group", "origin", "topic=" + other} {
		for _, batch := range []int{1, 3, 100} {
			for _, point := range []string{"before-intent:1", "after-intent:1", fmt.Sprintf("mid-batch:%d", min(batch, 4)), "before-ledger:1", "after-ledger:1", "ledger-sending:4"} {
				n++
				w.dieReplaying(fmt.Sprintf("r%d", n), letters, to, other, batch, point)
			}
		}
	}
	if t.Failed() {
		return
	}
	for _, b := range w.settled(w.settle()) {
		t.Error(b)
	}
}

// dieReplaying makes letters of its own, and lets their replay die once.
func (w *world) dieReplaying(run string, letters int, to, other string, batch int, point string) {
	w.t.Helper()
	name := fmt.Sprintf("%s: to %s in batches of %d at %s", run, to, batch, point)
	var orders bytes.Buffer
	for i := range letters {
		fmt.Fprintf(&orders, `{"order_id":"%s-%d","user_id":"","status":"%s","currency":"EUR","items":[{"product_id":"P","quantity":1,"unit_price":1}],"total_amount":1,"timestamp":1750000000000}`+"\n", run, i/2, []string{"CREATED", "PAID"}[i%2])
	}
	file, plan := filepath.Join(w.t.TempDir(), "orders"), filepath.Join(w.t.TempDir(), "plan")
	if err := os.WriteFile(file, orders.Bytes(), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.run(0, w.env, "produce", "--via", "kafka", "--file", file, "--brokers", w.kafka.addr)
	chosen := fmt.Sprintf(`.order_id | startswith("%s-")`, run)
	eventually(w.t, 30*time.Second, name+": letters", func() error {
		got := strings.Count(w.run(0, w.env, "dlq", "list", "--all", "--jq", chosen, "-o", "csv", "--no-header", "-q", "--brokers", w.kafka.addr), "\n")
		if got < letters {
			return fmt.Errorf("%d of %d", got, letters)
		}
		return nil
	})
	w.run(0, w.env, "dlq", "plan", "--jq", chosen, "--set", `/user_id="u-1"`, "--to", to, "--file", plan, "--brokers", w.kafka.addr)
	replay := []string{"dlq", "replay", "-q", "--plan", plan, "--rate", "max", "--takeover", "--batch", fmt.Sprint(batch), "--brokers", w.kafka.addr}
	p := start(w.t, w.bin, append(slices.Clone(w.env), "FAILPOINT="+point), replay...)
	if !p.killed(dieBound) {
		w.t.Fatalf("%s: it did not die\n%s", name, p.said())
	}
	w.run(0, w.env, replay...)
	if said := w.run(0, w.env, replay...); !strings.HasPrefix(said, fmt.Sprintf("nothing to do: %d replayed before", letters)) {
		w.t.Errorf("%s: the third run says %q", name, said)
	}
	if strings.HasPrefix(to, "topic=") {
		w.heldOnce(name, other, run, letters)
		return
	}
	if to == "origin" {
		w.heldOnce(name, w.names.Source, run, letters)
	}
	eventually(w.t, 30*time.Second, name+": effects", func() error {
		got := 0
		if err := w.db.QueryRowContext(w.t.Context(), "SELECT count(*) FROM journal WHERE message_id LIKE $1", run+"-%").Scan(&got); err != nil {
			return err
		}
		if got < letters {
			return fmt.Errorf("%d of %d", got, letters)
		}
		if got > letters {
			w.t.Errorf("%s: %d effects of %d letters", name, got, letters)
		}
		return nil
	})
	wrong := 0
	if err := w.db.QueryRowContext(w.t.Context(), `SELECT count(*) FROM journal paid JOIN journal created ON created.message_id = paid.order_id || ':CREATED'
		WHERE paid.message_id = paid.order_id || ':PAID' AND paid.order_id LIKE $1 AND paid.n < created.n`, run+"-%").Scan(&wrong); err != nil || wrong > 0 {
		w.t.Errorf("%s: %d orders out of order, %v", name, wrong, err)
	}
}

// heldOnce: a topic holds each letter of a run once.
func (w *world) heldOnce(name, topic, run string, letters int) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	records, err := w.kafka.read(ctx, topic)
	if err != nil {
		w.t.Fatal(err)
	}
	seen, all := map[string]bool{}, 0
	for _, r := range records {
		if of, ok := queue.Last(r.Headers, queue.HeaderReplayOf); ok && strings.HasPrefix(string(r.Key), run+"-") {
			seen[of] = true
			all++
		}
	}
	if all != letters || len(seen) != letters {
		w.t.Errorf("%s: %s holds %d records of %d letters, want %d", name, topic, all, len(seen), letters)
	}
}

// run runs a command to its end, which has to have this code, and returns what it said on stdout.
func (w *world) run(code int, env []string, args ...string) string {
	w.t.Helper()
	p := start(w.t, w.bin, env, args...)
	timer := time.NewTimer(time.Minute)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
	}
	if got := p.cmd.ProcessState.ExitCode(); got != code {
		w.t.Fatalf("orderctl %v: exit %d, want %d\n%s", args, got, code, p.said())
	}
	return p.said()
}

// A worker dies at each point of a hop to its dead letters, while a replay waits for its letters: the wait tells of each of
// them, and nothing is missing.
func TestAWorkerDiesInAHopDuringAReplay(t *testing.T) {
	t.Parallel()
	at := real
	if os.Getenv("KAFKA") == "embedded" {
		at = dev
	}
	w := newWorld(t, at)
	const letters = 9
	for i := range letters {
		w.exec(fmt.Sprintf("INSERT INTO poison (message_id) VALUES ('H-%d:CREATED')", i))
	}
	p := w.live()
	eventually(t, dieBound, "the queue is there", func() error {
		_, err := w.look(t.Context())
		return err
	})
	w.produce("H", "u", letters)
	eventually(t, dieBound, "letters", func() error {
		if got := strings.Count(w.run(0, w.env, "dlq", "list", "--all", "-o", "csv", "--no-header", "-q", "--brokers", w.kafka.addr), "H-"); got < letters {
			return fmt.Errorf("%d of %d", got, letters)
		}
		return nil
	})
	if !at.real {
		t.Skip("KAFKA=embedded: the broker dies with the worker")
	}
	for _, point := range []string{"before-hop", "hop-produced", "hop-written"} {
		if code := p.stop(t, time.Minute); code != 0 {
			t.Fatalf("orderctl ends with %d", code)
		}
		replay := start(t, w.bin, w.env, "dlq", "replay", "--all", "--yes", "-q", "--wait=90s", "--brokers", w.kafka.addr)
		w.crash(point, 3)
		p = w.live()
		select {
		case <-replay.done:
		case <-time.After(2 * time.Minute):
		}
		if said := replay.said(); replay.cmd.ProcessState.ExitCode() != 6 || !strings.Contains(said, fmt.Sprintf("%d replayed: 0 resolved, %d dead again", letters, letters)) {
			t.Errorf("%s: the replay ends with %v: %s", point, replay.cmd.ProcessState, said)
		}
	}
	w.exec("DELETE FROM poison")
	w.run(0, w.env, "dlq", "replay", "--all", "--include", "loop", "--yes", "-q", "--wait=90s", "--brokers", w.kafka.addr)
	for _, b := range w.settled(w.settle()) {
		t.Error(b)
	}
	if code := p.stop(t, time.Minute); code != 0 {
		t.Errorf("orderctl ends with %d", code)
	}
}
