package broker_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"commerce.internal/orderctl/internal/broker"
)

// small makes every batch a segment of its own.
func small(configs map[string]string) map[string]string {
	out := map[string]string{"segment.bytes": "1"}
	for k, v := range configs {
		out[k] = v
	}
	return out
}

// fill opens a broker with n old orders in "orders" and the given configs.
func fill(t *testing.T, n int, configs map[string]string, change func(*broker.Options)) *broker.Broker {
	t.Helper()
	b := open(t, change)
	if err := b.CreateTopic("orders", 1, small(configs)); err != nil {
		t.Fatal(err)
	}
	c := client(t, b.Addr())
	for i := range n {
		put(t, c, "orders", fmt.Sprint(i), time.Now().Add(-time.Hour))
	}
	return b
}

func ends(t *testing.T, b *broker.Broker) (start, end int64) {
	t.Helper()
	p := b.Cluster().PartitionInfo("orders", 0)
	if p == nil {
		t.Fatal("no such partition")
	}
	return p.LogStartOffset, p.HighWatermark
}

func TestRetentionLeavesTheLastSegmentAndSurvivesARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := fill(t, 5, map[string]string{"retention.ms": "60000"}, onDisk(dir))
	b.Retain(t.Context(), time.Now())
	for life := range 3 {
		start, end := ends(t, b)
		if start != 4 || end != int64(5+life) {
			t.Fatalf("life %d: the log is [%d, %d), want [4, %d): never empty, never from 0 again", life, start, end, 5+life)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		b = open(t, onDisk(dir))
		if at := put(t, client(t, b.Addr()), "orders", "new", time.Now()); at != int64(5+life) {
			t.Fatalf("life %d: a new order lies at %d", life, at)
		}
	}
	if got := values(t, b.Addr(), "orders", 8); len(got) != 4 {
		t.Errorf("%d orders are left, want 4", len(got))
	}
}

func TestRetentionSurvivesKill9(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := fill(t, 5, map[string]string{"retention.ms": "60000"}, onDisk(dir))
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	addr, kill := child(t, dir) // its first act is to apply retention: the ticker runs after a restart too
	c := client(t, addr)
	eventually(t, "the child applies retention", func() bool {
		req := kmsg.NewPtrListOffsetsRequest()
		rt := kmsg.NewListOffsetsRequestTopic()
		rp := kmsg.NewListOffsetsRequestTopicPartition()
		rt.Topic, rp.Timestamp = "orders", -2
		rt.Partitions = append(rt.Partitions, rp)
		req.Topics = append(req.Topics, rt)
		resp, err := req.RequestWith(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		return resp.Topics[0].Partitions[0].Offset == 4
	})
	kill()
	b = open(t, onDisk(dir))
	if start, end := ends(t, b); start != 4 || end != 5 {
		t.Errorf("after kill -9 the log is [%d, %d), want [4, 5)", start, end)
	}
}

func TestRetentionOfATopicFollowsItsConfigs(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		configs map[string]string
		later   time.Duration // when retention looks
		start   int64
	}{
		{"for ever", map[string]string{"retention.ms": "-1"}, 1e6 * time.Hour, 0},
		{"compacted", map[string]string{"cleanup.policy": "compact", "retention.ms": "1"}, 0, 0},
		{"compacted and deleted", map[string]string{"cleanup.policy": "compact,delete", "retention.ms": "1"}, 0, 4},
		{"not old enough", map[string]string{"retention.ms": "7200000"}, 0, 0},
		{"old enough", map[string]string{"retention.ms": "7200000"}, 2 * time.Hour, 4},
		{"a week without a word", nil, 6 * 24 * time.Hour, 0},
		{"more than a week without a word", nil, 8 * 24 * time.Hour, 4},
		{"too large: no less than the bytes stays", map[string]string{"retention.ms": "-1", "retention.bytes": "140"}, 0, 2},
		{"large enough", map[string]string{"retention.ms": "-1", "retention.bytes": "100000"}, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := fill(t, 5, tt.configs, onDisk(t.TempDir()))
			b.Retain(t.Context(), time.Now().Add(tt.later))
			if start, end := ends(t, b); start != tt.start || end != 5 {
				t.Errorf("the log is [%d, %d), want [%d, 5)", start, end, tt.start)
			}
		})
	}
}

func TestRetentionSparesWhatAGroupHasNotCommitted(t *testing.T) {
	t.Parallel()
	b := fill(t, 5, map[string]string{"retention.ms": "60000"}, func(o *broker.Options) {
		onDisk(t.TempDir())(o)
		o.Groups = []string{"a", "b"}
	})
	for _, step := range []struct {
		group         string
		commit, start int64
	}{
		{"a", 4, 0}, // b has not begun
		{"b", 2, 2}, // b is behind
		{"b", 3, 3},
		{"a", 5, 3},
		{"b", 5, 4},
	} {
		if err := commit(t, b.Addr(), step.group, "orders", step.commit); err != nil {
			t.Fatal(err)
		}
		b.Retain(t.Context(), time.Now())
		if start, _ := ends(t, b); start != step.start {
			t.Fatalf("%s committed %d: the log starts at %d, want %d", step.group, step.commit, start, step.start)
		}
	}
}

// Segments are named by numbers without leading zeros: 10.dat comes before 9.dat in the folder.
func TestSegmentsAreOrderedAsNumbers(t *testing.T) {
	t.Parallel()
	b := fill(t, 12, map[string]string{"retention.ms": "60000"}, onDisk(t.TempDir()))
	b.Retain(t.Context(), time.Now())
	if start, end := ends(t, b); start != 11 || end != 12 {
		t.Errorf("the log is [%d, %d), want [11, 12)", start, end)
	}
}

func TestDeleteRecordsIsRefused(t *testing.T) {
	t.Parallel()
	b := fill(t, 3, nil, onDisk(t.TempDir()))
	req := kmsg.NewPtrDeleteRecordsRequest()
	rt := kmsg.NewDeleteRecordsRequestTopic()
	rp := kmsg.NewDeleteRecordsRequestTopicPartition()
	rt.Topic, rp.Offset = "orders", 2
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(t.Context(), client(t, b.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	if err := kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode); !errors.Is(err, kerr.PolicyViolation) {
		t.Errorf("delete records: %v", err)
	}
	if start, _ := ends(t, b); start != 0 {
		t.Errorf("the log starts at %d", start)
	}
}

// kfake's own cleaner would empty this log at once, were it awake.
func TestTheCleanerOfTheClusterSleeps(t *testing.T) {
	t.Parallel()
	b := fill(t, 3, map[string]string{"retention.ms": "1"}, onDisk(t.TempDir()))
	req := kmsg.NewPtrDescribeConfigsRequest()
	rr := kmsg.NewDescribeConfigsRequestResource()
	rr.ResourceType, rr.ResourceName = kmsg.ConfigResourceTypeBroker, "0"
	req.Resources = append(req.Resources, rr)
	resp, err := req.RequestWith(t.Context(), client(t, b.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, c := range resp.Resources[0].Configs {
		if c.Value != nil {
			got[c.Name] = *c.Value
		}
	}
	if got["log.cleaner.backoff.ms"] != "3153600000000" || got["log.segment.bytes"] != "16777216" {
		t.Errorf("cleaner %q, segments %q", got["log.cleaner.backoff.ms"], got["log.segment.bytes"])
	}
}

func TestALargeLogIsSaidOnce(t *testing.T) {
	t.Parallel()
	var out syncBuffer
	b := open(t, func(o *broker.Options) { onDisk(t.TempDir())(o); o.Log = slog.New(slog.NewTextHandler(&out, nil)) })
	dir := filepath.Join(b.Dir(), "partitions", "orders-0")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"0.dat", "0.idx", "notes.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	grow := func(size int64) { // sparse: it takes no space
		if err := os.Truncate(filepath.Join(dir, "0.dat"), size); err != nil {
			t.Fatal(err)
		}
		b.Retain(t.Context(), time.Now())
	}
	grow(1 << 30)
	if out.String() != "" {
		t.Errorf("at 1 GiB: %s", out.String())
	}
	grow(1<<30 + 1)
	b.Retain(t.Context(), time.Now())
	if n := strings.Count(out.String(), "the log is large"); n != 1 {
		t.Errorf("%d warnings above 1 GiB, want 1", n)
	}
}

// A start reads whole segments, so they are small.
func TestALogIsCutIntoSegmentsOf16MiB(t *testing.T) {
	t.Parallel()
	b := open(t, onDisk(t.TempDir()))
	if err := b.CreateTopic("orders", 1, nil); err != nil {
		t.Fatal(err)
	}
	c := client(t, b.Addr(), kgo.ProducerBatchCompression(kgo.NoCompression()))
	large := strings.Repeat("x", 900_000)
	for range 20 {
		put(t, c, "orders", large, time.Now())
	}
	files, err := filepath.Glob(filepath.Join(b.Dir(), "partitions", "orders-0", "*.dat"))
	if err != nil || len(files) != 2 {
		t.Errorf("18 MB lie in %d segments (%v), want 2", len(files), err)
	}
}

// Who cannot tell how old a segment is keeps it.
func TestADamagedSegmentIsKept(t *testing.T) {
	t.Parallel()
	b := fill(t, 5, map[string]string{"retention.ms": "60000"}, onDisk(t.TempDir()))
	damaged := filepath.Join(b.Dir(), "partitions", "orders-0", "2.dat")
	if err := os.WriteFile(damaged, make([]byte, 100), 0o600); err != nil {
		t.Fatal(err)
	}
	b.Retain(t.Context(), time.Now())
	if start, end := ends(t, b); start != 2 || end != 5 {
		t.Errorf("the log is [%d, %d), want [2, 5)", start, end)
	}
}
