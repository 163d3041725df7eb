//go:build crash

package crash

import (
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"
)

const termination = syscall.SIGTERM

// deaths is how often a process dies in each world.
func deaths() int {
	if os.Getenv("NIGHTLY") == "1" {
		return 30
	}
	return 3
}

// upTo is the highest number of the hit that is the last: points that are reached for a batch, or in a hop, are rarer.
func upTo(point string) int {
	switch point {
	case "fetched", "in-db", "before-commit", "after-commit", "validated", "before-enqueue", "acked", "webhook-2xx":
		return 30
	case "before-hop", "hop-produced", "hop-written", "drain":
		return 2
	}
	return 8
}

var (
	dev      = place{name: "dev"}
	devHold  = place{name: "dev-hold", hold: true}
	devHook  = place{name: "dev-webhook", webhook: true}
	real     = place{name: "kafka-postgres", real: true, postgres: true}
	realHook = place{name: "kafka-webhook", real: true, webhook: true}
)

func TestEveryPointOfTheWay(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		at     place
		points string
	}{
		{dev, "validated before-enqueue acked fetched before-db in-db after-db before-commit after-commit before-hop hop-produced hop-written drain running"},
		{devHold, "after-db before-hop hop-produced"},
		{devHook, "before-db after-db webhook-2xx before-hop hop-produced hop-written after-commit"},
		{real, "acked fetched before-db in-db after-db before-commit after-commit before-hop hop-produced hop-written drain running"},
		{realHook, "webhook-2xx hop-produced"},
	} {
		for point := range strings.SplitSeq(tt.points, " ") {
			t.Run(tt.at.name+":"+point, func(t *testing.T) {
				t.Parallel()
				if tt.at.real && os.Getenv("KAFKA") == "embedded" {
					t.Skip("KAFKA=embedded")
				}
				w := newWorld(t, tt.at)
				w.begin()
				if point == "running" { // it is reached on probation only
					for range 3 {
						w.crash("before-db", 1+rand.N(4))
					}
				}
				for range deaths() {
					w.crash(point, 1+rand.N(upTo(point)))
				}
				for _, b := range w.finish() {
					t.Error(b)
				}
			})
		}
	}
}

// A rule counts once a seeded bug has turned it red; and the bug alone, without the crash that it needs, is none.
func TestSeededBugsAreSeen(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		bug, point string // no point: nothing dies
		red        string // rules that must be broken
		green      string // rules that must not
	}{
		{"done-first", "before-db", "I1 I6", ""}, // lost effects
		{"done-first", "", "", "I1"},
		{"hop-unacked", "before-hop", "I3", "I1 I2"},
		{"no-rehop", "before-hop", "I3", "I1 I2"},
	} {
		t.Run(tt.bug+":"+tt.point, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, dev)
			w.begin()
			bug := "FAILPOINT_BUG=" + tt.bug
			var broken []string
			if tt.point == "" {
				broken = w.unharmed(bug)
			} else {
				for range 3 {
					w.crash(tt.point, 1+rand.N(upTo(tt.point)), bug)
				}
				broken = w.finish()
			}
			n := map[string]int{}
			for _, b := range broken {
				n[b[:2]]++
			}
			t.Logf("broken: %v", n)
			for rule := range strings.FieldsSeq(tt.red) {
				if n[rule] == 0 {
					t.Errorf("rule %s is not broken: the bug was not seen: %q", rule, broken)
				}
			}
			for rule := range strings.FieldsSeq(tt.green) {
				if n[rule] > 0 {
					t.Errorf("rule %s is broken: %q", rule, broken)
				}
			}
		})
	}
}
