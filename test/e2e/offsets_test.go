//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// resetPlan is the answer of offsets reset -o json.
type resetPlan struct {
	Applied    bool   `json:"applied"`
	Saved      string `json:"saved"`
	Skips      int    `json:"skips"`
	Repeats    int    `json:"repeats"`
	WithoutRow int    `json:"without_row"`
	Partitions []struct {
		Topic     string `json:"topic"`
		Partition int    `json:"partition"`
		From      *int64 `json:"from"`
		To        *int64 `json:"to"`
	} `json:"partitions"`
}

func reset(t *testing.T, b *box, args ...string) resetPlan {
	t.Helper()
	var p resetPlan
	decode(t, b.must(0, time.Minute, append([]string{"offsets", "reset", "-o", "json"}, args...)...).stdout, &p)
	return p
}

// standing is what offsets show says is committed, by topic/partition.
func standing(t *testing.T, b *box) map[string]int64 {
	t.Helper()
	var shown struct {
		Complete   bool `json:"complete"`
		Partitions []struct {
			Topic     string `json:"topic"`
			Partition int    `json:"partition"`
			Committed *int64 `json:"committed"`
		} `json:"partitions"`
	}
	decode(t, b.must(0, time.Minute, "offsets", "show", "-o", "json").stdout, &shown)
	at := map[string]int64{}
	for _, p := range shown.Partitions {
		if p.Committed != nil {
			at[fmt.Sprintf("%s/%d", p.Topic, p.Partition)] = *p.Committed
		}
	}
	return at
}

// A stopped group is sent back to the start of everything that it reads: the orders are seen again, and nothing happens
// again. Then the other way: what nobody has seen is not skipped in passing.
func TestOffsetsOfAStoppedGroup(t *testing.T) {
	k := startKafka(t, 1)
	b := newBox(t, "ORDERCTL_KAFKA_BROKERS="+k.Addrs(), "ORDERCTL_TOPICS_PARTITIONS=6", "ORDERCTL_CONSUME_RETRY=none")
	dsn := filepath.Join(b.home, "orders.db")
	b.env = append(b.env, "ORDERCTL_STORE_DSN="+dsn)
	file, err := filepath.Abs(realOrders)
	if err != nil {
		t.Fatal(err)
	}
	b.must(0, time.Minute, "topics", "apply", "--yes")
	b.must(0, 2*time.Minute, "produce", "--file", file, "--via", "kafka", "-q")
	b.must(7, time.Minute, "offsets", "reset", "--to", "earliest", "--yes")
	b.must(6, 3*time.Minute, "consume", "--until-empty")
	check := func(what string) {
		t.Helper()
		db := openDB(t, dsn)
		if rows, msgs := count(t, db, "SELECT count(*) FROM orders"), count(t, db, "SELECT count(*) FROM orderctl_messages"); rows != validOrders || msgs != allOrders {
			t.Errorf("%s: %d rows of orders, %d of messages; want %d, %d", what, rows, msgs, validOrders, allOrders)
		}
		if n := len(letters(t, b)); n != dirtyOrders || logEnd(t, k.Addrs(), "orders.orders-worker.dlq") != dirtyOrders {
			t.Errorf("%s: %d letters, want %d", what, n, dirtyOrders)
		}
	}
	check("first")
	before := standing(t, b)

	plan := reset(t, b, "-t", "orders", "-t", "orders.orders-worker.replay", "--to", "earliest", "-n")
	if plan.Applied || plan.Repeats != allOrders || plan.Skips != 0 || len(standing(t, b)) != len(before) || standing(t, b)["orders/0"] != before["orders/0"] {
		t.Errorf("the plan of a dry run: %+v", plan)
	}
	done := reset(t, b, "-t", "orders", "--to", "earliest", "--yes")
	if !done.Applied || done.Repeats != allOrders {
		t.Fatalf("reset: %+v", done)
	}
	now := standing(t, b)
	for _, p := range done.Partitions { // the plan is the result
		if at := fmt.Sprintf("%s/%d", p.Topic, p.Partition); now[at] != *p.To || *p.To != 0 || before[at] != *p.From {
			t.Errorf("%s stands at %d: the plan said from %d to %d", at, now[at], *p.From, *p.To)
		}
	}
	b.must(0, 3*time.Minute, "consume", "--until-empty")
	check("again")
	if after := standing(t, b); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("stands at %v, before the reset at %v", after, before)
	}

	// Back by a time, by a number, and from the file.
	if back := reset(t, b, "--to", "-1h", "--yes"); back.Repeats != allOrders {
		t.Errorf("an hour back: %+v", back)
	}
	if on := reset(t, b, "-p", "0", "--to", "+3", "--yes"); on.Skips != 3 || on.WithoutRow != 0 || standing(t, b)["orders/0"] != 3 {
		t.Errorf("three further: %+v", on)
	}
	reset(t, b, "--from-file", done.Saved, "--yes")
	if after := standing(t, b); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("from the file: %v, want %v", after, before)
	}

	// Five orders that nobody has seen, behind a transaction that was aborted: its markers and records are no orders.
	foreign, err := kgo.NewClient(kgo.SeedBrokers(k.Addrs()), kgo.TransactionalID("foreign"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	if err := foreign.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := foreign.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Value: []byte("x")}, &kgo.Record{Topic: "orders", Value: []byte("y")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if err := foreign.EndTransaction(t.Context(), kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
	b.must(0, time.Minute, "produce", "--count", "5", "--rate", "max", "-q")
	eventually(t, time.Minute, "the five orders can be read", func() error {
		if p := reset(t, b, "--to", "latest", "-n"); p.Skips != 5 || p.WithoutRow != 5 {
			return fmt.Errorf("%+v", p)
		}
		return nil
	})
	if r := b.must(8, time.Minute, "offsets", "reset", "--to", "latest", "--yes"); !strings.Contains(r.stderr, "add --yes-skip 5") {
		t.Errorf("stderr %s", r.stderr)
	}
	if fmt.Sprint(standing(t, b)) != fmt.Sprint(before) {
		t.Error("a refusal moved something")
	}
	if p := reset(t, b, "--to", "latest", "--yes", "--yes-skip", "5"); !p.Applied {
		t.Errorf("%+v", p)
	}
	if n, complete := unread(t, b); n != 0 || !complete {
		t.Errorf("after the skip lag says %d, complete %v", n, complete)
	}
}

// A group of each protocol that has members keeps its offsets, and says whose they are.
func TestOffsetsOfAGroupWithMembers(t *testing.T) {
	k := startKafka(t, 1)
	b := newBox(t, "ORDERCTL_KAFKA_BROKERS="+k.Addrs(), "ORDERCTL_TOPICS_PARTITIONS=3")
	b.must(0, time.Minute, "topics", "apply", "--yes")
	b.must(0, time.Minute, "produce", "--count", "30", "--rate", "max", "-q")
	worker := b.start("consume", "--admin-addr", port(t))
	eventually(t, time.Minute, "the worker has read all", func() error {
		if r := b.run(time.Minute, "lag", "--all"); r.code != 0 || !strings.Contains(r.stdout, "Stable") || !strings.Contains(r.stdout, " 0 unread") {
			return fmt.Errorf("%d %s", r.code, r.stdout)
		}
		return nil
	})
	r := b.must(1, time.Minute, "offsets", "reset", "--to", "earliest", "--yes")
	if !strings.Contains(r.stderr, "group orders-worker is Stable, not Empty: orderctl-consume on 127.0.0.1 (") {
		t.Errorf("stderr %s", r.stderr)
	}
	worker.signal(os.Interrupt)
	worker.wait(time.Minute)
	eventually(t, time.Minute, "the group is empty", func() error {
		if r := b.run(time.Minute, "offsets", "reset", "--to", "earliest", "--yes"); r.code != 0 {
			return fmt.Errorf("%d %s", r.code, r.stderr)
		}
		return nil
	})

	// KIP-848: the coordinator assigns, and the old request calls such a group dead while it works.
	next, err := kgo.NewClient(kgo.SeedBrokers(k.Addrs()), kgo.ConsumerGroup("modern"), kgo.ConsumeTopics("orders"),
		kgo.WithContext(context.WithValue(t.Context(), "opt_in_kafka_next_gen_balancer_beta", true)), kgo.ClientID("modern-1")) //nolint:staticcheck // the key of the library
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for seen < 30 {
		f := next.PollFetches(t.Context())
		if err := f.Err(); err != nil {
			t.Fatal(err)
		}
		seen += f.NumRecords()
	}
	if err := next.CommitUncommittedOffsets(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := b.run(time.Minute, "lag", "modern"); !strings.Contains(r.stdout, "Stable, consumer/") {
		t.Fatalf("the group is not one of KIP-848:\n%s", r.stdout)
	}
	if r := b.must(1, time.Minute, "offsets", "reset", "-g", "modern", "--to", "earliest", "--yes"); !strings.Contains(r.stderr, "modern-1 on 127.0.0.1") {
		t.Errorf("stderr %s", r.stderr)
	}
	next.Close()
	eventually(t, time.Minute, "the modern group is empty and moved", func() error {
		r := b.run(time.Minute, "offsets", "reset", "-g", "modern", "--to", "earliest", "--yes", "-o", "json")
		var p resetPlan
		if r.code != 0 {
			return fmt.Errorf("%d %s", r.code, r.stderr)
		}
		if err := json.Unmarshal([]byte(r.stdout), &p); err != nil || !p.Applied || p.Repeats != 30 {
			return fmt.Errorf("%+v, %w", p, err)
		}
		return nil
	})
}
