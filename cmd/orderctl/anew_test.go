package main

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/broker/brokertest"
)

// A topic is made anew between two runs of the worker, and its log has grown past the commit by the time the second one
// starts: without the topic id in the database ten orders would never be read, and nothing would say so.
func TestATopicMadeAnewIsNotReadUntilItsOffsetsAreReset(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t)
	home := t.TempDir()
	environ := []string{
		"HOME=" + home, "ORDERCTL_KAFKA_BROKERS=" + b.Addr(), "ORDERCTL_CONSUME_ADMIN_ADDR=127.0.0.1:0",
		"ORDERCTL_TOPICS_PARTITIONS=1", "ORDERCTL_TOPICS_REPLICATION_FACTOR=1", "ORDERCTL_TOPICS_MIN_INSYNC_REPLICAS=1",
	}
	run := func(args ...string) string {
		t.Helper()
		raw, err := orderctl(t, environ, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("orderctl %s: %v\n%s", strings.Join(args, " "), err, raw)
		}
		return string(raw)
	}
	run("topics", "apply", "--yes")
	run("produce", "--count", "10", "--rate", "max", "--via", "kafka", "-q")
	run("consume", "--until-empty")
	b.DeleteTopic("orders")
	run("topics", "apply", "--yes")
	run("produce", "--count", "20", "--rate", "max", "--via", "kafka", "-q")
	b.Commit(t, "orders-worker", "orders", 0, 10) // where the cluster has kept it

	for range 2 { // a restart does not forget
		var log lockedBuffer
		cmd := orderctl(t, environ, "consume")
		cmd.Stderr = &log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, 30*time.Second, "the worker says why it halts", func() error {
			if said := log.String(); !strings.Contains(said, "topic-made-anew") {
				return errors.New(said)
			}
			return nil
		})
		if err := errors.Join(cmd.Process.Signal(syscall.SIGTERM), cmd.Wait()); err != nil {
			t.Errorf("consume, stopped: %v\n%s", err, log.String())
		}
		if got := b.Committed(t, "orders-worker")[brokertest.TP{Topic: "orders"}]; got != 10 {
			t.Fatalf("committed at %d: orders were skipped", got)
		}
	}
	run("offsets", "reset", "--to", "earliest", "--yes")
	run("consume", "--until-empty")
	if got := b.Committed(t, "orders-worker")[brokertest.TP{Topic: "orders"}]; got != 20 {
		t.Errorf("committed at %d, want 20", got)
	}
}

// Nobody consumes when the topic is made anew, and its commits are gone with it: what is unread now is counted all the same.
func TestLagOfATopicMadeAnewWithoutAWorker(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t)
	environ := []string{
		"HOME=" + t.TempDir(), "ORDERCTL_KAFKA_BROKERS=" + b.Addr(), "ORDERCTL_CONSUME_ADMIN_ADDR=127.0.0.1:0",
		"ORDERCTL_TOPICS_PARTITIONS=1", "ORDERCTL_TOPICS_REPLICATION_FACTOR=1", "ORDERCTL_TOPICS_MIN_INSYNC_REPLICAS=1",
	}
	run := func(args ...string) string {
		t.Helper()
		var stderr strings.Builder
		cmd := orderctl(t, environ, args...)
		cmd.Stderr = &stderr
		raw, err := cmd.Output()
		if err != nil {
			t.Fatalf("orderctl %s: %v\n%s%s", strings.Join(args, " "), err, raw, stderr.String())
		}
		return string(raw)
	}
	run("topics", "apply", "--yes")
	run("produce", "--count", "3", "--rate", "max", "--via", "kafka", "-q")
	run("consume", "--until-empty")
	b.DeleteTopic("orders")
	if left := b.Committed(t, "orders-worker"); left[brokertest.TP{Topic: "orders"}] != 0 {
		t.Fatalf("commits outlive the topic: %v", left)
	}
	if got := run("lag"); !strings.Contains(got, "WARNING") || !strings.Contains(got, "NO-TOPIC") {
		t.Errorf("without its topic:\n%s", got)
	}
	if got := run("top", "--once"); !strings.Contains(got, "worst=orders/? ") {
		t.Errorf("top says\n%s", got)
	}
	run("topics", "apply", "--yes")
	run("produce", "--count", "2", "--rate", "max", "--via", "kafka", "-q")
	got := run("lag")
	for _, want := range []string{"CRITICAL  2 unread", "NO-MEMBERS", "the group has never committed here"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	if got := run("offsets", "show"); !strings.Contains(got, "orders                             0          -      0    2") {
		t.Errorf("the new topic is not in\n%s", got)
	}
	if got := run("top", "--once", "-o", "jsonl"); !strings.Contains(got, `"unread":2`) {
		t.Errorf("top says\n%s", got)
	}
}

// eventually waits until ok returns nil.
func eventually(t *testing.T, bound time.Duration, what string, ok func() error) {
	t.Helper()
	end := time.NewTimer(bound)
	defer end.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ok()
		if err == nil {
			return
		}
		select {
		case <-end.C:
			t.Fatalf("%s: not within %v: %v", what, bound, err)
		case <-tick.C:
		}
	}
}
