package queue_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"commerce.internal/orderctl/internal/queue"
)

func TestNamesOfTheTopicsOfAGroup(t *testing.T) {
	t.Parallel()
	n := queue.Names{Source: "orders", Group: "orders-worker", Tiers: []time.Duration{5 * time.Second, time.Minute, 10 * time.Minute}}
	want := []string{
		"orders", "orders.orders-worker.retry.5s", "orders.orders-worker.retry.1m", "orders.orders-worker.retry.10m",
		"orders.orders-worker.replay", "orders.orders-worker.dlq", "orders.orders-worker.dlq.audit",
	}
	got := n.All()
	if len(got) != len(want) {
		t.Fatalf("All() = %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("All()[%d] = %q, want %q", i, got[i], want[i])
		}
	}
	if c := n.Consumed(); len(c) != 5 || c[4] != n.Replay() {
		t.Errorf("Consumed() = %v: want the source, three tiers and the replay topic", c)
	}
}

func TestRoleOfATopic(t *testing.T) {
	t.Parallel()
	n := queue.Names{Source: "shop.orders", Group: "g.1", Tiers: []time.Duration{5 * time.Second}}
	tests := []struct {
		name, topic string
		role        queue.Role
		delay       time.Duration
		ours        bool
	}{
		{"the source", "shop.orders", queue.RoleSource, 0, true},
		{"a tier", "shop.orders.g.1.retry.5s", queue.RoleRetry, 5 * time.Second, true},
		{"a tier that has left the configuration", "shop.orders.g.1.retry.90s", queue.RoleRetry, 90 * time.Second, true},
		{"a delay that no tier name is written like", "shop.orders.g.1.retry.60s", "", 0, false},
		{"a delay of nothing", "shop.orders.g.1.retry.0s", "", 0, false},
		{"the replay topic", "shop.orders.g.1.replay", queue.RoleReplay, 0, true},
		{"the dead letters", "shop.orders.g.1.dlq", queue.RoleDLQ, 0, true},
		{"the ledger", "shop.orders.g.1.dlq.audit", queue.RoleAudit, 0, true},
		{"the dead letters of another group", "shop.orders.g.2.dlq", "", 0, false},
		{"something else below the name", "shop.orders.g.1.other", "", 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			role, delay, ok := n.Role(tt.topic)
			if role != tt.role || delay != tt.delay || ok != tt.ours {
				t.Errorf("Role(%q) = %q, %v, %v; want %q, %v, %v", tt.topic, role, delay, ok, tt.role, tt.delay, tt.ours)
			}
		})
	}
}

func TestRoleByNameAlone(t *testing.T) {
	t.Parallel()
	for topic, want := range map[string]queue.Role{
		"orders": queue.RoleSource, "orders.g.dlq": queue.RoleDLQ, "a.b.c.retry.1m": queue.RoleRetry, "dlq": queue.RoleSource,
		"orders.g.dlq.audit": queue.RoleAudit, "orders.g.replay": queue.RoleReplay, "orders.replay.more": queue.RoleSource,
	} {
		if got, _ := queue.RoleOf(topic); got != want {
			t.Errorf("RoleOf(%q) = %q, want %q", topic, got, want)
		}
	}
}

func TestDelaysSurviveTheirName(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(1, 1e9).Draw(t, "ms")) * time.Millisecond
		n := queue.Names{Source: "orders", Group: "g", Tiers: []time.Duration{d}}
		role, got, ok := n.Role(n.Retry(d))
		if !ok || role != queue.RoleRetry || got != d {
			t.Fatalf("Role(Retry(%v)) = %q %v %v", d, role, got, ok)
		}
	})
}
