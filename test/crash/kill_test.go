//go:build crash

package crash

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"
)

// killing is how long processes are killed: CRASH_KILL, else a minute.
func killing(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("CRASH_KILL")
	if text == "" && os.Getenv("NIGHTLY") == "1" {
		return 5 * time.Minute
	}
	if text == "" {
		return time.Minute
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("CRASH_KILL: %v", err)
	}
	return d
}

// kill -9 beside load and replays: of the whole queue in one process, and of an API and two workers on real Kafka.
func TestKilledBesideLoadAndReplays(t *testing.T) {
	t.Parallel()
	for _, at := range []place{dev, devHook, real} {
		t.Run(at.name, func(t *testing.T) {
			t.Parallel()
			if at.real && os.Getenv("KAFKA") == "embedded" {
				t.Skip("KAFKA=embedded")
			}
			w := newWorld(t, at)
			w.begin()
			kills := w.killFor(killing(t))
			for _, b := range w.finish() {
				t.Error(b)
			}
			t.Logf("%d kills", kills)
			w.audited()
		})
	}
}

// killFor kills and starts again for a while, and returns how often.
func (w *world) killFor(d time.Duration) (kills int) {
	w.t.Helper()
	commands := [][]string{w.args}
	if w.at.real {
		worker := func(id string) []string {
			return []string{"consume", "--instance-id", id, "--admin-addr", freePort(w.t)}
		}
		commands = [][]string{{"serve", "--addr", w.api, "--admin-addr", freePort(w.t)}, worker("w1"), worker("w2")}
	}
	running := make([]*process, len(commands))
	for i, args := range commands {
		running[i] = start(w.t, w.bin, w.env, args...)
	}
	for end := time.Now().Add(d); time.Now().Before(end); kills++ {
		if !pause(w.t.Context(), time.Second+rand.N(3*time.Second)) {
			break
		}
		i := rand.N(len(running))
		select {
		case <-running[i].done:
			w.t.Fatalf("orderctl %v ended by itself\n%s", commands[i], running[i].said())
		default:
		}
		running[i].kill()
		running[i] = start(w.t, w.bin, w.env, commands[i]...)
	}
	for _, p := range running {
		p.kill()
	}
	return kills
}

// audited asks the binary itself.
func (w *world) audited() {
	w.t.Helper()
	p := w.live()
	var said string
	eventually(w.t, time.Minute, "audit says BALANCED", func() error {
		env := append(append([]string{}, w.env...), "ORDERCTL_KAFKA_BROKERS="+w.kafka.addr)
		audit := start(w.t, w.bin, env, "audit", "--settle", "1s")
		<-audit.done
		if code := audit.cmd.ProcessState.ExitCode(); code != 0 {
			return fmt.Errorf("exit %d: %s", code, audit.said())
		}
		said = audit.said()
		return nil
	})
	w.t.Logf("audit: %s", said)
	p.stop(w.t, time.Minute)
}

// The release binary ignores FAILPOINT, and holds no point's name.
func TestTheReleaseHasNoFailpoints(t *testing.T) {
	t.Parallel()
	at := dev
	at.bin = release
	w := newWorld(t, at)
	raw, err := os.ReadFile(w.bin)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"before-enqueue", "before-db", "in-db", "after-db", "before-commit", "after-commit", "before-hop", "hop-produced",
		"hop-written", "webhook-2xx", "done-first", "hop-unacked", "no-rehop", "before-intent", "after-intent", "mid-batch", "before-ledger",
		"after-ledger", "ledger-sending", "discard-intended", "discard-sent", "bury-written", "bury-sending", "FAILPOINT", "internal/failpoint.",
	} {
		if bytes.Contains(raw, []byte(name)) {
			t.Errorf("the release holds %q", name)
		}
	}
	w.begin()
	p := w.live("FAILPOINT=before-db:1", "FAILPOINT_BUG=done-first")
	eventually(t, time.Minute, "orders are accepted", func() error {
		if n := w.accepted(); n < 100 {
			return fmt.Errorf("%d", n)
		}
		return nil
	})
	if code := p.stop(t, time.Minute); code != 0 {
		t.Errorf("exit %d", code)
	}
	for _, b := range w.finish() {
		t.Error(b)
	}
}
