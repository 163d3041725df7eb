//go:build e2e

package e2e

import (
	"path/filepath"
	"testing"
	"time"
)

// Three nodes, replication 3, min.insync.replicas 2: the leader of a partition is killed again and again under load and comes
// back. What was answered with 202 is there, once.
func TestPartitionLeaderKilledUnderLoad(t *testing.T) {
	k := startKafka(t, 3)
	b := newBox(t, "ORDERCTL_KAFKA_BROKERS="+k.Addrs(), "ORDERCTL_TOPICS_REPLICATION_FACTOR=3",
		"ORDERCTL_TOPICS_MIN_INSYNC_REPLICAS=2", "ORDERCTL_TOPICS_PARTITIONS=6")
	s := newShop(t, filepath.Join(b.home, "db"))
	b.env = append(b.env, "ORDERCTL_STORE_DSN="+s.db, "ORDERCTL_CONSUME_EFFECT_FILE="+s.effect)
	b.must(0, time.Minute, "topics", "apply", "--yes")
	b.must(0, time.Minute, "db", "migrate")
	api := port(t)
	b.start("serve", "--addr", api, "--admin-addr", port(t))
	b.start("consume", "--admin-addr", port(t))
	serving(t, api)

	killed := 0
	underLoad(t, b, s, api, func(n int) {
		if n%5 != 0 { // two leaders are killed; the rest of the rounds is load on the new ones
			return
		}
		if killed > 0 {
			if err := k.StartNode(killed); err != nil {
				t.Fatal(err)
			}
			eventually(t, time.Minute, "all replicas are in sync", func() error { return k.InSync(t.Context(), "orders") })
		}
		var err error
		if killed, err = k.Leader(t.Context(), "orders", 0); err != nil {
			t.Fatal(err)
		}
		if err := k.Kill(killed); err != nil {
			t.Fatal(err)
		}
	})
	s.settled(3 * time.Minute)
	s.exact()
}
