package store

import (
	"context"
	"maps"
	"strings"
	"testing"

	"commerce.internal/orderctl/internal/queue"
)

// discarded is a message that a discard in the replay topic has ended.
func discarded(id, topic string, partition int32, control int64) queue.Row {
	src := queue.Position{Topic: topic, Partition: partition, Offset: 3}
	return queue.Row{
		RowKey: queue.RowKey{MsgID: id, Fingerprint: "f"}, State: queue.StateDiscarded, Outcome: queue.ByOperator, Hop: 1,
		Src: src, At: queue.Position{Topic: "orders.g.dlq", Partition: partition, Offset: 7}, OrderID: "A-" + id, Control: control,
	}
}

// controls returns the offset of the last discard of each message.
func controls(t *testing.T, s *Store, group string, ids ...string) map[string]int64 {
	t.Helper()
	var keys []queue.RowKey
	for _, id := range ids {
		keys = append(keys, queue.RowKey{MsgID: id, Fingerprint: "f"})
	}
	rows, err := s.Rows(t.Context(), group, keys)
	if err != nil || len(rows) != len(ids) {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	found := map[string]int64{}
	for k, r := range rows {
		found[k.MsgID] = r.Control
	}
	return found
}

func TestAReplayPartitionForgetsWhatItObeyed(t *testing.T) {
	t.Parallel()
	s := openForAudit(t)
	remember(t, s, "g", discarded("a", "orders", 1, 9), discarded("tier", "orders.g.retry.5s", 1, 4), discarded("never", "orders", 1, -1),
		discarded("neighbour", "orders", 2, 9), discarded("foreign", "refunds", 1, 9))
	remember(t, s, "other", discarded("a", "orders", 1, 9))
	for try, want := range []int64{2, 0} {
		if n, err := s.ForgetControls(t.Context(), "g", []string{"orders", "orders.g.retry.5s"}, 1); n != want || err != nil {
			t.Errorf("call %d: forgot %d, %v; want %d", try, n, err, want)
		}
	}
	got := controls(t, s, "g", "a", "tier", "never", "neighbour", "foreign")
	if want := map[string]int64{"a": -1, "tier": -1, "never": -1, "neighbour": 9, "foreign": 9}; !maps.Equal(got, want) {
		t.Errorf("controls %v, want %v", got, want)
	}
	if got := controls(t, s, "other", "a")["a"]; got != 9 {
		t.Errorf("another group forgot as well: %d", got)
	}
	// The undo that was obeyed at 9 lies below what is read again from 2 on: it must count once more.
	row := discarded("a", "orders", 1, -1)
	next := row
	next.State, next.Outcome, next.Control = queue.StateDead, "", 2
	errs, err := s.Apply(t.Context(), "g", []queue.Lookup{{MsgID: "a"}}, func(int, queue.Seen) queue.Change {
		return queue.Change{Writes: []queue.Write{{Kind: queue.Control, Was: row, Row: next}}}
	})
	if err != nil || errs[0] != nil {
		t.Errorf("a control below the forgotten one: %v, %v", errs, err)
	}
}

func TestForgettingNeedsTopicsAndTheDatabase(t *testing.T) {
	t.Parallel()
	s := openForAudit(t)
	if n, err := s.ForgetControls(t.Context(), "g", nil, 0); n != 0 || err != nil {
		t.Errorf("no topics: %d, %v", n, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.ForgetControls(ctx, "g", []string{"orders"}, 0); err == nil || !strings.Contains(err.Error(), "forget controls of a partition") {
		t.Errorf("a call that was called off: %v", err)
	}
}
