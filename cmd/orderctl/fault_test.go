package main

import (
	"fmt"
	"syscall"
	"testing"

	"commerce.internal/orderctl/internal/queue"
)

// Fault 6: a worker stands still (SIGSTOP) for longer than its session, in the middle of a hop and with records finished
// that it could not commit yet. Another one takes over and finishes all. Then the first one goes on (SIGCONT): no message
// takes effect again (I2), its late commits are refused, its late copy of the hop is a stale one, and the letter is listed
// once (I3).
func TestAFrozenWorkerHarmsNothingWhenItGoesOn(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		driver string
		hop    func(queue.Names) string // the topic of the hop that is cut short
	}{
		{"sqlite", queue.Names.DLQ},
		{"postgres", func(n queue.Names) string { return n.Retry(n.Tiers[0]) }},
	} {
		t.Run(tt.driver, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, tt.driver)
			const bad = "bad:CREATED"
			f.poison(bad)
			held, release := f.holdWrites(tt.hop(f.names))
			first := startConsume(t, f.environ)
			f.members(1)
			f.send("bad")
			f.sendMany(100)
			<-held // its row says that the hop is on its way, and all behind it waits to be committed
			f.until("the others are applied", func() error { return equal(f.count("SELECT count(*) FROM journal"), 100) })
			freeze(t, first)
			second := startConsume(t, f.environ)
			f.until("the frozen one is a member no more", func() error {
				if g := f.b.GroupInfo(f.names.Group); len(g.Members) != 1 {
					return fmt.Errorf("%d members", len(g.Members))
				}
				return nil
			})
			release()
			f.sendMany(100)
			f.members(1)
			f.until("the other one has made the hop to its end", func() error {
				return equal(f.count("SELECT count(*) FROM orderctl_messages WHERE state = 'dead' AND at_offset IS NOT NULL"), 1)
			})
			f.drained()

			if err := first.cmd.Process.Signal(syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			f.sendMany(100)
			f.until("a late commit is refused", func() error {
				if n := summed(first, "orderctl_consume_commit_errors_total", `code="25"`); n == 0 {
					return fmt.Errorf("commit errors: %v", summed(first, "orderctl_consume_commit_errors_total", ""))
				}
				return nil
			})
			f.until("its late copy of the hop has come", func() error { return equal(copies(f, tt.hop(f.names), 1), 2) })
			f.members(2)
			f.sendMany(100)
			f.drained()
			if tt.hop(f.names) != f.names.DLQ() {
				f.until("its late copy is stale", func() error {
					return equal(int(summed(first, "orderctl_consume_records_total", "stale_copy")+summed(second, "orderctl_consume_records_total", "stale_copy")), 1)
				})
			}
			f.holds(bad)
			first.stop()
			second.stop()
		})
	}
}

// freeze stops a process as a machine that sleeps does.
func freeze(t *testing.T, r *running) {
	t.Helper()
	if err := r.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.cmd.Process.Signal(syscall.SIGCONT) })
}

// copies counts the copies with a hop number in a topic.
func copies(f *fleet, topic string, hop int) (n int) {
	f.t.Helper()
	for _, r := range f.b.Records(f.t, topic) {
		if queue.ReadTrail(r.Headers).Hop == hop {
			n++
		}
	}
	return n
}

// Fault 7: one record always fails, with two members in the group. It becomes one listed letter (I3), everything else is
// applied once (I1, I2), and the group rebalances at most once meanwhile.
func TestARecordThatAlwaysFailsIsOneLetterAndNoRebalance(t *testing.T) {
	t.Parallel()
	for _, driver := range []string{"sqlite", "postgres"} {
		t.Run(driver, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, driver)
			const bad = "bad:CREATED"
			f.poison(bad)
			workers := []*running{startConsume(t, f.environ), startConsume(t, f.environ)}
			f.members(2)
			epoch := f.b.GroupInfo(f.names.Group).Epoch
			f.sendMany(50)
			f.send("bad")
			for range 5 {
				f.sendMany(50)
				f.drained()
			}
			f.until("it is dead", func() error {
				return equal(f.count("SELECT count(*) FROM orderctl_messages WHERE state = 'dead' AND at_offset IS NOT NULL"), 1)
			})
			f.drained()
			if now := f.b.GroupInfo(f.names.Group).Epoch; now > epoch+1 {
				t.Errorf("the group rebalanced %d times, at most once", now-epoch)
			}
			if got := f.b.Records(t, f.names.DLQ()); len(got) != 1 {
				t.Errorf("I3: %d letters", len(got))
			}
			want := queue.Trail{Class: queue.ClassFatal, Attempts: 1, Hop: 1}
			if driver == "postgres" { // three attempts in place and one in each tier
				want = queue.Trail{Class: queue.ClassExhausted, Attempts: 5, Hop: 3}
			}
			if l := queue.ReadTrail(f.b.Records(t, f.names.DLQ())[0].Headers); l.Class != want.Class || l.Attempts != want.Attempts || l.Hop != want.Hop {
				t.Errorf("letter %+v, want %+v", l, want)
			}
			f.holds(bad)
			for _, w := range workers {
				w.stop()
			}
		})
	}
}
