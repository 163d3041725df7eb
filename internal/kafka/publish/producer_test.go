package publish_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"commerce.internal/orderctl/internal/broker/brokertest"
	"commerce.internal/orderctl/internal/kafka"
	"commerce.internal/orderctl/internal/kafka/publish"
	"commerce.internal/orderctl/internal/queue"
)

func TestAMessageArrivesAsItWasSent(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(3, "orders"))
	p := producer(t, b, func(o *publish.Options) { o.Compression = "zstd" })
	at := time.UnixMilli(1_760_000_000_123)
	m := queue.Message{
		Topic: "orders", Partition: 2, Key: nil, Value: []byte(`{"a":1}`), Time: at,
		Headers: []queue.Header{{Name: "ce_id", Value: []byte("x")}, {Name: "twice", Value: []byte("1")}, {Name: "twice", Value: []byte{}}, {Name: "nil"}},
	}
	done := make(chan queue.Ack, 1)
	err := p.Publish(m, func(a queue.Ack, err error) {
		if err != nil {
			t.Error(err)
		}
		done <- a
	})
	if err != nil {
		t.Fatal(err)
	}
	if ack := <-done; ack.Position != (queue.Position{Topic: "orders", Partition: 2, Offset: 0}) {
		t.Errorf("ack = %v", ack)
	}
	rs := b.Records(t, "orders")
	if len(rs) != 1 || rs[0].Partition != 2 || rs[0].Key != nil || string(rs[0].Value) != `{"a":1}` || !rs[0].Time.Equal(at) {
		t.Fatalf("records = %+v", rs)
	}
	for i, h := range rs[0].Headers {
		if h.Name != m.Headers[i].Name || string(h.Value) != string(m.Headers[i].Value) || (h.Value == nil) != (m.Headers[i].Value == nil) {
			t.Errorf("header %d = %+v, want %+v", i, h, m.Headers[i])
		}
	}
	if h := p.Health(); h.LastAck.IsZero() || h.LastErr != nil || h.InFlight != 0 || h.Bytes != 0 {
		t.Errorf("health = %+v", h)
	}
}

func TestWhatPublishRefusesIsCertainlyNotWritten(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(1, "orders"))
	p := producer(t, b, func(o *publish.Options) { o.MaxMessage = 1000 })
	never := func(queue.Ack, error) { t.Error("done was called for a refused message") }
	late := message(0, "k", "late")
	late.Deadline = time.Now().Add(-time.Millisecond)
	wantKind(t, p.Publish(late, never), queue.NotSent, "deadline")
	wantKind(t, p.Publish(message(0, "k", strings.Repeat("x", 1000)), never), queue.Rejected, "too-large")
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantKind(t, p.Publish(message(0, "k", "v"), never), queue.NotSent, "closed")
	if rs := b.Records(t, "orders"); len(rs) != 0 {
		t.Errorf("records = %v", rs)
	}
}

func TestAPartitionThatIsNotThereIsNeverWritten(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(1, "orders"))
	p, out := producer(t, b), newOutcomes()
	if err := out.publish(p, message(7, "k", "v1")); err != nil {
		t.Fatal(err)
	}
	out.wait(t, 10*time.Second)
	wantKind(t, out.errs["v1"], queue.NotSent, "no-partition")
}

func TestAMissingTopicEndsTheStart(t *testing.T) { // pitfall 27: and is not made
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(1, "orders"))
	began := time.Now()
	_, err := publish.New(t.Context(), options(b.Addr()), publish.Options{Topics: []string{"orders", "ordres"}, Log: slog.New(slog.DiscardHandler)})
	var e *kafka.Error
	if !errors.As(err, &e) || e.ExitCode() != 7 || !errors.Is(err, queue.ErrNotFound) || e.Error() != `topic "ordres" not found` || e.Hint() != "run: orderctl topics apply" {
		t.Errorf("err = %v", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
	if b.PartitionInfo("ordres", 0) != nil {
		t.Error("the topic was made")
	}
}

func TestTheOptionsThatCannotHold(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	for want, o := range map[string]publish.Options{
		"Options.Log":           {Topics: []string{"t"}},
		"Options.Topics":        {Log: log},
		"Options.ChannelBuffer": {Topics: []string{"t"}, Log: log, ChannelBuffer: 1000},
		"Options.AckTimeout":    {Topics: []string{"t"}, Log: log, AckTimeout: 5 * time.Second},
		"Options.Compression":   {Topics: []string{"t"}, Log: log, Compression: "brotli"},
	} {
		if _, err := publish.New(t.Context(), options("127.0.0.1:1"), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestThePartitionCountIsPinned(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(3, "orders", "other"))
	p := producer(t, b)
	if n, err := p.Partitions("orders"); n != 3 || err != nil {
		t.Errorf("Partitions = %d, %v", n, err)
	}
	if n, err := p.Partitions("other"); n != 3 || err != nil {
		t.Errorf("a topic that was not named at the start: %d, %v", n, err)
	}
	if len(p.Grown()) != 0 {
		t.Errorf("Grown = %v", p.Grown())
	}
}

func TestAThousandPublishRaceClose(t *testing.T) { // pitfall 8
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(3, "orders"))
	p, out := producer(t, b), newOutcomes()
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 1000 {
		wg.Go(func() {
			<-start
			if err := out.publish(p, message(int32(i%3), "k", value(i))); err != nil {
				if queue.KindOf(err) != queue.NotSent {
					t.Errorf("refused as %v", err)
				}
			}
		})
	}
	for range 2 {
		wg.Go(func() {
			<-start
			if err := p.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	close(start)
	wg.Wait()
	if err := p.Close(t.Context()); err != nil {
		t.Errorf("another Close: %v", err)
	}
	out.wait(t, time.Second) // Close returns when all is told
	acked, failed, _ := out.count()
	if failed != 0 {
		t.Errorf("%d acked, %d failed: %v", acked, failed, out.errs)
	}
	times, _, _ := written(t, b)
	if len(times) != acked {
		t.Errorf("%d in the log, %d acked", len(times), acked)
	}
}

func TestRoomWaitsForTheBuffer(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(2, "orders"))
	p, out := producer(t, b, func(o *publish.Options) { o.PerPartition = 2 }), newOutcomes()
	silent := mute(b, 0)
	for i := range 2 {
		if err := p.Room(t.Context(), "orders", 0); err != nil {
			t.Fatal(err)
		}
		if err := out.publish(p, message(0, "k", value(i))); err != nil {
			t.Fatal(err)
		}
	}
	wantKind(t, p.Publish(message(0, "k", "x"), func(queue.Ack, error) {}), queue.NotSent, "busy")
	if err := p.Room(t.Context(), "orders", 1); err != nil {
		t.Errorf("the other partition has room: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := p.Room(ctx, "orders", 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Room with a full partition: %v", err)
	}
	<-silent.heard
	silent.unmute()
	if err := p.Room(t.Context(), "orders", 0); err != nil {
		t.Errorf("Room: %v", err)
	}
	out.wait(t, 20*time.Second)
	out.check(t, b)
}

func TestTheBufferIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(1, "orders"))
	p, out := producer(t, b, func(o *publish.Options) { o.MaxBuffer = 1000 }), newOutcomes()
	silent := mute(b, 0)
	large := message(0, "k", value(1)+strings.Repeat("x", 2000))
	if err := p.Publish(large, func(queue.Ack, error) {}); err != nil {
		t.Fatalf("one record that is larger than the whole buffer still goes: %v", err)
	}
	wantKind(t, out.publish(p, message(0, "k", value(2))), queue.NotSent, "busy")
	if h := p.Health(); h.InFlight != 1 || h.Bytes < 2000 {
		t.Errorf("health = %+v", h)
	}
	<-silent.heard
	silent.unmute()
	if err := p.Room(t.Context(), "orders", 0); err != nil {
		t.Fatal(err)
	}
}

func TestAClusterThatRefusesIdempotenceEndsTheStart(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(1, "orders"))
	b.Fault(brokertest.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, TopLevel: true, Err: kerr.ClusterAuthorizationFailed, Count: -1})
	o := publish.Options{Topics: []string{"orders"}, Log: slog.New(slog.DiscardHandler)}
	_, err := publish.New(t.Context(), options(b.Addr()), o)
	var e *kafka.Error
	if !errors.As(err, &e) || e.ExitCode() != 4 || !strings.Contains(e.Hint(), "kafka.idempotent: false") {
		t.Fatalf("err = %v", err)
	}
	k := options(b.Addr())
	k.Idempotent = false
	p, err := publish.New(t.Context(), k, o)
	if err != nil {
		t.Fatal(err)
	}
	out := newOutcomes()
	if err := out.publish(p, message(0, "k", value(1))); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	out.check(t, b)
}

func TestTheStartOfAProducerEndsWithItsContext(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(1, "orders"))
	b.Mute(kmsg.InitProducerID)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := publish.New(ctx, options(b.Addr()), publish.Options{Topics: []string{"orders"}, Log: slog.New(slog.DiscardHandler)})
	if took := time.Since(began); !errors.Is(err, queue.ErrUnreachable) || took > 3*time.Second {
		t.Errorf("err = %v after %v", err, took)
	}
}
