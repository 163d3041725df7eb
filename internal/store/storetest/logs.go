package storetest

import (
	"testing"

	"commerce.internal/orderctl/internal/queue"
)

// logsAreRemembered says what the database knows of the log that a commit belongs to.
func logsAreRemembered(t *testing.T, w *world) {
	s := w.open(t)
	want := func(where string, topic string, partition int32, l queue.Log, found bool) {
		t.Helper()
		if got, ok, err := s.Log(t.Context(), group, topic, partition); err != nil || ok != found || got != l {
			t.Errorf("%s: %+v, %v, %v; want %+v, %v", where, got, ok, err, l, found)
		}
	}
	keep := func(group, topic string, partition int32, l queue.Log) {
		t.Helper()
		if err := s.KeepLog(t.Context(), group, topic, partition, l); err != nil {
			t.Fatal(err)
		}
	}
	want("never read", "orders", 1, queue.Log{}, false)
	reads, halted := queue.Log{TopicID: "AAAAAAAAAAAAAAAAAAAAAQ", HaltedAt: -1}, queue.Log{TopicID: "AAAAAAAAAAAAAAAAAAAAAQ", HaltedAt: 0}
	keep(group, "orders", 1, reads)
	keep(group, "orders", 2, queue.Log{HaltedAt: 15})
	keep("another", "orders", 1, halted)
	want("read", "orders", 1, reads, true)
	keep(group, "orders", 1, reads) // nothing changes, and no second row comes
	keep(group, "orders", 1, halted)
	want("halted at the start", "orders", 1, halted, true)
	want("of no topic id", "orders", 2, queue.Log{HaltedAt: 15}, true)
	want("another topic", "orders.g.replay", 1, queue.Log{}, false)
	for range 2 {
		if err := s.ForgetLog(t.Context(), group, "orders", 1); err != nil {
			t.Fatal(err)
		}
	}
	want("forgotten", "orders", 1, queue.Log{}, false)
	if n := w.db.Int(t, `SELECT count(*) FROM orderctl_logs`); n != 2 {
		t.Errorf("%d rows, want that of the other partition and that of the other group", n)
	}
}
