package kafka_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"commerce.internal/orderctl/internal/kafka"
)

// lines collects what is logged.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

var logged lines // all of sarama's, for it has one log a process

func TestMain(m *testing.M) {
	kafka.Setup(slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug})))
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"))
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func options(brokers ...string) kafka.Options {
	return kafka.Options{Brokers: brokers, ClientID: "orderctl-test", Timeout: 2 * time.Second, Idempotent: true, Log: discard()}
}

func TestKeysGoWhereJavaClientsPutThem(t *testing.T) { // pitfall 28
	t.Parallel()
	for key, want := range map[string]int32{"foo": 8, "kafka": 4} {
		if got := kafka.Partition([]byte(key), 12); got != want {
			t.Errorf("Partition(%q, 12) = %d, want %d", key, got, want)
		}
	}
	if a, b := kafka.Partition(nil, 12), kafka.Partition([]byte{}, 12); a != b {
		t.Errorf("a missing key goes to %d, an empty one to %d: it must not be left to chance", a, b)
	}
	if got := kafka.Partition([]byte("foo"), 0); got != 0 {
		t.Errorf("Partition among none = %d", got)
	}
}

func TestEveryKeyHasAPartitionOfTheTopic(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		key, n := rapid.SliceOf(rapid.Byte()).Draw(t, "key"), rapid.Int32Range(1, 1000).Draw(t, "n")
		p := kafka.Partition(key, n)
		if p < 0 || p >= n || p != kafka.Partition(key, n) {
			t.Fatalf("Partition(%q, %d) = %d", key, n, p)
		}
	})
}

func TestTheOptionsOfEachPurpose(t *testing.T) { // pitfalls 1, 2, 6, 27, 33, 34
	t.Parallel()
	type row struct {
		dial, read, write time.Duration
		metaMax           int
		metaTimeout       time.Duration
	}
	want := map[kafka.Purpose]row{
		kafka.ForPublish: {3 * time.Second, 5 * time.Second, 5 * time.Second, 20, 10 * time.Second},
		kafka.ForGroup:   {3 * time.Second, 20 * time.Second, 5 * time.Second, 20, 10 * time.Second},
		kafka.ForRead:    {3 * time.Second, 3 * time.Second, 3 * time.Second, 0, 3 * time.Second},
	}
	for p, w := range want {
		c, err := kafka.NewConfig(options("k:9092"), p)
		if err != nil {
			t.Fatal(err)
		}
		got := row{c.Net.DialTimeout, c.Net.ReadTimeout, c.Net.WriteTimeout, c.Metadata.Retry.Max, c.Metadata.Timeout}
		if got != w {
			t.Errorf("purpose %d: %+v, want %+v", p, got, w)
		}
		if c.Metadata.AllowAutoTopicCreation || c.Metadata.Full || c.ClientID != "orderctl-test" || c.Version != sarama.V3_6_0_0 {
			t.Errorf("purpose %d: creates topics, wants all topics, or hides its name: %+v", p, c.Metadata)
		}
		if err := c.Validate(); err != nil {
			t.Errorf("purpose %d: %v", p, err)
		}
	}
}

func TestTheProducerIsIdempotentAndWaitsForAll(t *testing.T) { // pitfalls 1, 2, 6, 28
	t.Parallel()
	c, err := kafka.NewConfig(options("k:9092"), kafka.ForPublish)
	if err != nil {
		t.Fatal(err)
	}
	p := c.Producer
	if p.RequiredAcks != sarama.WaitForAll || !p.Idempotent || c.Net.MaxOpenRequests != 1 || p.Transaction.ID != "" {
		t.Errorf("acks %v, idempotent %v, open %d, transaction %q", p.RequiredAcks, p.Idempotent, c.Net.MaxOpenRequests, p.Transaction.ID)
	}
	if p.Retry.Max != 20 || p.Retry.Backoff != 250*time.Millisecond || p.Timeout != 3*time.Second {
		t.Errorf("retry %d x %v, ack timeout %v", p.Retry.Max, p.Retry.Backoff, p.Timeout)
	}
	if got, _ := p.Partitioner("t").Partition(&sarama.ProducerMessage{Partition: 7, Key: sarama.StringEncoder("foo")}, 12); got != 7 {
		t.Errorf("the partition of the sender is not kept: %d", got)
	}
	o := options("k:9092")
	o.Idempotent = false
	if c, _ := kafka.NewConfig(o, kafka.ForPublish); c.Producer.Idempotent || c.Net.MaxOpenRequests != 1 || c.Producer.RequiredAcks != sarama.WaitForAll {
		t.Error("without idempotence a retry must still not overtake")
	}
}

func TestSetupIsDoneOnceAndBoundsWhatABatchUnpacksTo(t *testing.T) { // pitfalls 10, 29, 30
	t.Parallel()
	kafka.Setup(discard()) // a second call changes nothing
	if sarama.MaxDecompressedBatchSize != 64<<20 {
		t.Errorf("MaxDecompressedBatchSize = %d", sarama.MaxDecompressedBatchSize)
	}
	if sarama.PanicHandler != nil {
		t.Error("a panic inside sarama must end the process, not one goroutine of it")
	}
}

func TestMissingOptionsAreNamed(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]kafka.Options{
		"Brokers":  {ClientID: "c", Log: discard()},
		"ClientID": {Brokers: []string{"k:9092"}, Log: discard()},
		"Log":      {Brokers: []string{"k:9092"}, ClientID: "c"},
	} {
		if _, err := kafka.NewConfig(o, kafka.ForRead); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}
