package broker_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"commerce.internal/orderctl/internal/broker"
)

// commit commits as a client does that belongs to no generation.
func commit(t *testing.T, addr, group, topic string, offset int64) error {
	t.Helper()
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version = 7 // topics by name
	req.Group, req.Generation = group, -1
	rt := kmsg.NewOffsetCommitRequestTopic()
	rt.Topic = topic
	rp := kmsg.NewOffsetCommitRequestTopicPartition()
	rp.Offset = offset
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	resp := dial(t, addr).ask(req).(*kmsg.OffsetCommitResponse)
	return kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
}

func TestAFullDiskRefusesWritesAndCommits(t *testing.T) {
	t.Parallel()
	var free atomic.Uint64
	free.Store(1 << 30)
	b := open(t, func(o *broker.Options) {
		onDisk(t.TempDir())(o)
		o.Reserve, o.Free = 256<<20, func(string) (uint64, error) { return free.Load(), nil }
	})
	if err := b.CreateTopic("orders", 1, nil); err != nil {
		t.Fatal(err)
	}
	c := client(t, b.Addr(), kgo.DisableIdempotentWrite(), kgo.RecordRetries(0))
	put(t, c, "orders", "before", time.Now())
	if err := commit(t, b.Addr(), "g", "orders", 1); err != nil {
		t.Fatal(err)
	}

	if err := b.Full(); err != nil {
		t.Errorf("full before it is: %v", err)
	}
	free.Store(256<<20 - 1)
	b.CheckDisk(t.Context())
	var told *broker.DiskError
	if err := b.Full(); !errors.As(err, &told) || told.Free != 256<<20-1 || told.Reserve != 256<<20 {
		t.Errorf("full: %v", err)
	}
	b.CheckDisk(t.Context()) // refuses once, not twice
	err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Value: []byte("full")}).FirstErr()
	if !errors.Is(err, kerr.KafkaStorageError) {
		t.Errorf("produce on a full disk: %v", err)
	}
	if err := commit(t, b.Addr(), "g", "orders", 2); !errors.Is(err, kerr.KafkaStorageError) {
		t.Errorf("commit on a full disk: %v", err)
	}
	if p := b.Cluster().PartitionInfo("orders", 0); p.HighWatermark != 1 {
		t.Errorf("high watermark %d: something was stored", p.HighWatermark)
	}
	if at := b.Cluster().GroupInfo("g").Commits["orders"][0].Offset; at != 1 {
		t.Errorf("committed %d: something was stored", at)
	}

	free.Store(256 << 20)
	b.CheckDisk(t.Context())
	if err := b.Full(); err != nil {
		t.Errorf("full after it was: %v", err)
	}
	if at := put(t, c, "orders", "after", time.Now()); at != 1 {
		t.Errorf("next offset %d", at)
	}
	if err := commit(t, b.Addr(), "g", "orders", 2); err != nil {
		t.Errorf("commit with space again: %v", err)
	}
	if n, none := b.Committed("g", "orders"), b.Committed("nobody", "orders")+b.Committed("g", "others"); n != 2 || none != 0 {
		t.Errorf("committed %d, and %d of what is not there", n, none)
	}
}

func TestRunLooksAtTheDisk(t *testing.T) {
	t.Parallel()
	var free atomic.Uint64
	free.Store(1 << 30)
	b := open(t, func(o *broker.Options) {
		onDisk(t.TempDir())(o)
		o.Free = func(string) (uint64, error) { return free.Load(), nil }
		o.Reserve = 1 << 20
	})
	if err := b.CreateTopic("orders", 1, nil); err != nil {
		t.Fatal(err)
	}
	run(t, b)
	free.Store(0)
	c := client(t, b.Addr(), kgo.DisableIdempotentWrite(), kgo.RecordRetries(0))
	eventually(t, "a write is refused", func() bool {
		return c.ProduceSync(t.Context(), &kgo.Record{Topic: "orders"}).FirstErr() != nil
	})
	free.Store(1 << 30)
	eventually(t, "a write is taken", func() bool {
		return c.ProduceSync(t.Context(), &kgo.Record{Topic: "orders"}).FirstErr() == nil
	})
}

// What is not known changes nothing: writes that were taken are taken on, writes that were refused stay refused.
func TestADiskThatDoesNotAnswerChangesNothing(t *testing.T) {
	t.Parallel()
	var free atomic.Int64
	free.Store(1 << 30)
	b := open(t, func(o *broker.Options) {
		onDisk(t.TempDir())(o)
		o.Reserve = 1 << 20
		o.Free = func(string) (uint64, error) {
			if n := free.Load(); n >= 0 {
				return uint64(n), nil
			}
			return 0, errors.New("stale handle")
		}
	})
	if err := b.CreateTopic("orders", 1, nil); err != nil {
		t.Fatal(err)
	}
	c := client(t, b.Addr(), kgo.DisableIdempotentWrite(), kgo.RecordRetries(0))
	free.Store(-1)
	b.CheckDisk(t.Context())
	put(t, c, "orders", "taken", time.Now())
	free.Store(0)
	b.CheckDisk(t.Context())
	free.Store(-1)
	b.CheckDisk(t.Context())
	if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "orders"}).FirstErr(); !errors.Is(err, kerr.KafkaStorageError) {
		t.Errorf("produce: %v", err)
	}
}

func TestOpenRefusesADiskBelowTheReserve(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := broker.Options{Log: open(t, nil).Logger(), Addr: "127.0.0.1:0", DataDir: dir, Reserve: 100, Free: func(string) (uint64, error) { return 99, nil }}
	_, err := broker.Open(o)
	var full *broker.DiskError
	if !errors.Is(err, broker.ErrDiskFull) || !errors.As(err, &full) || full.Free != 99 || full.Reserve != 100 {
		t.Fatalf("Open = %v", err)
	}
	o.Free = nil
	o.Reserve = 1
	b, err := broker.Open(o) // the lock of the refused start is gone
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}
