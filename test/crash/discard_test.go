//go:build crash

package crash

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"commerce.internal/orderctl/internal/queue"
)

// `orderctl dlq discard` dies at each of its points, and so does its undo; run again, it finishes: every letter is decided
// once, its row too, and a third run finds nothing to do.
func TestEveryPointOfADiscard(t *testing.T) {
	t.Parallel()
	for _, point := range []string{"discard-intended:1", "ledger-sending:4", "discard-sent:1"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			const letters = 5
			w := newWorld(t, dev)
			p := w.live()
			eventually(t, dieBound, "the queue is there", func() error {
				_, err := w.look(t.Context())
				return err
			})
			w.produce("D", "", letters)
			w.await("undecided", letters, queue.StateDead)
			discard := []string{"dlq", "discard", "--all", "--reason", "INC-1", "--yes", "--brokers", w.kafka.addr}
			for _, step := range []struct {
				args  []string
				state string
				row   queue.State
			}{
				{discard, "discarded", queue.StateDiscarded},
				{append(slices.Clone(discard), "--undo"), "undecided", queue.StateDead},
			} {
				dying := start(t, w.bin, append(slices.Clone(w.env), "FAILPOINT="+point), step.args...)
				if !dying.killed(dieBound) {
					t.Fatalf("it did not die\n%s", dying.said())
				}
				eventually(t, dieBound, "the dead job is no longer taken for running", func() error {
					again := start(t, w.bin, w.env, step.args...)
					<-again.done
					if code := again.cmd.ProcessState.ExitCode(); code != 0 {
						return fmt.Errorf("exit %d: %s", code, again.said())
					}
					return nil
				})
				w.await(step.state, letters, step.row)
				if n := w.decided(step.state); n != letters {
					t.Errorf("%v: the ledger names %d of %d letters", step.args, n, letters)
				}
				if said := w.run(0, w.env, step.args...); !strings.Contains(said, "nothing to do") {
					t.Errorf("%v: the third run says %q", step.args, said)
				}
			}
			for _, b := range w.settled(w.settle()) {
				t.Error(b)
			}
			if code := p.stop(t, dieBound); code != 0 {
				t.Errorf("orderctl ends with %d", code)
			}
		})
	}
}

// await waits until so many letters have a state, and so many rows.
func (w *world) await(state string, letters int, row queue.State) {
	w.t.Helper()
	eventually(w.t, dieBound, fmt.Sprintf("%d letters are %s", letters, state), func() error {
		listed := strings.Count(w.run(0, w.env, "dlq", "list", "--all", "--state", state, "-o", "csv", "--no-header", "-q", "--brokers", w.kafka.addr), "\n")
		rows := 0
		if err := w.db.QueryRowContext(w.t.Context(), "SELECT count(*) FROM orderctl_messages WHERE consumer_group = $1 AND state = $2", w.names.Group, string(row)).Scan(&rows); err != nil {
			return err
		}
		if listed != letters || rows != letters {
			return fmt.Errorf("%d letters are, %d rows", listed, rows)
		}
		return nil
	})
}

// decided is of how many letters of a state the ledger names the job.
func (w *world) decided(state string) int {
	return strings.Count(w.run(0, w.env, "dlq", "list", "--all", "--state", state, "--jq", `(.job // "") | startswith("d-")`, "-o", "csv", "--no-header", "-q", "--brokers", w.kafka.addr), "\n")
}

// produce writes one CREATED of each of n orders "<run>-<i>".
func (w *world) produce(run, user string, n int) {
	w.t.Helper()
	var orders strings.Builder
	for i := range n {
		fmt.Fprintf(&orders, `{"order_id":"%s-%d","user_id":"%s","status":"CREATED","currency":"EUR","items":[{"product_id":"P","quantity":1,"unit_price":1}],"total_amount":1,"timestamp":1750000000000}`+"\n", run, i, user)
	}
	file := filepath.Join(w.t.TempDir(), "orders")
	if err := os.WriteFile(file, []byte(orders.String()), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.run(0, w.env, "produce", "--via", "kafka", "--file", file, "--brokers", w.kafka.addr)
}

// `orderctl dlq bury` dies with the row written, with the letter sent and the row not told, and is run again or not: the
// worker passes the record, which is one letter and has no effect.
func TestEveryPointOfABurial(t *testing.T) {
	t.Parallel()
	for _, point := range []string{"bury-written:1", "bury-sending:1"} {
		for _, again := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, again %v", point, again), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, dev)
				broker := start(t, w.bin, w.env, append(slices.Clone(w.args), "--broker-only")...)
				topics := []string{"topics", "apply", "--yes", "--brokers", w.kafka.addr}
				eventually(t, dieBound, "the topics are there", func() error {
					apply := start(t, w.bin, w.env, topics...)
					<-apply.done
					if code := apply.cmd.ProcessState.ExitCode(); code != 0 {
						return fmt.Errorf("exit %d: %s", code, apply.said())
					}
					return nil
				})
				w.run(0, w.env, "db", "migrate")
				w.produce("B", "u", 20)
				bury := []string{"dlq", "bury", w.names.Source + "/1@0", "--reason", "INC-2", "--yes", "--brokers", w.kafka.addr}
				dying := start(t, w.bin, append(slices.Clone(w.env), "FAILPOINT="+point), bury...)
				if !dying.killed(dieBound) {
					t.Fatalf("it did not die\n%s", dying.said())
				}
				if again {
					w.run(0, w.env, bury...)
				}
				if code := broker.stop(t, dieBound); code != 0 {
					t.Fatalf("the broker ends with %d", code)
				}
				p := w.live()
				l := w.settle()
				for _, b := range w.settled(l) {
					t.Error(b)
				}
				if len(l.journal) != 19 {
					t.Errorf("%d effects, want 19: all but the one that is buried", len(l.journal))
				}
				if got := w.run(0, w.env, "dlq", "list", "--class", "operator", "-o", "csv", "--no-header", "-q", "--brokers", w.kafka.addr); strings.Count(got, "\n") != 1 {
					t.Errorf("buried letters: %q", got)
				}
				w.run(0, w.env, "dlq", "replay", "--all", "--yes", "-q", "--wait=30s", "--brokers", w.kafka.addr)
				for _, b := range w.settled(w.settle()) {
					t.Error(b)
				}
				if code := p.stop(t, dieBound); code != 0 {
					t.Errorf("orderctl ends with %d", code)
				}
			})
		}
	}
}
