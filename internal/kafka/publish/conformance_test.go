package publish_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"commerce.internal/orderctl/internal/broker/brokertest"
	"commerce.internal/orderctl/internal/kafka/publish"
	"commerce.internal/orderctl/internal/queue"
)

// muted is a node that takes produce requests and never answers.
type muted struct {
	heard  chan struct{} // closed at the first request
	unmute func()
}

func mute(b *brokertest.Broker, node int32) muted {
	var open atomic.Bool
	var once sync.Once
	m := muted{heard: make(chan struct{}), unmute: func() { open.Store(true) }}
	b.ControlKey(kmsg.Produce, func(kmsg.Request) (kmsg.Response, error, bool) {
		b.KeepControl()
		if b.CurrentNode() != node || open.Load() {
			return nil, nil, false
		}
		once.Do(func() { close(m.heard) })
		return nil, nil, true
	})
	return m
}

func TestAFaultThatPassesLosesAndDoublesNothing(t *testing.T) { // pitfalls 2, 3, 4
	t.Parallel()
	produce := []kmsg.Key{kmsg.Produce}
	tests := []struct {
		name  string
		fault func(b *brokertest.Broker)
	}{
		{"refused before the append: not enough replicas", func(b *brokertest.Broker) {
			b.Fault(brokertest.Fault{Keys: produce, Err: kerr.NotEnoughReplicas, Count: 3})
		}},
		{"refused before the append: not the leader", func(b *brokertest.Broker) {
			b.Fault(brokertest.Fault{Keys: produce, Err: kerr.NotLeaderForPartition, Count: 3})
		}},
		{"refused before the append: corrupt", func(b *brokertest.Broker) {
			b.Fault(brokertest.Fault{Keys: produce, Err: kerr.CorruptMessage, Count: 3})
		}},
		{"applied, then failed: timed out", func(b *brokertest.Broker) {
			b.Fault(brokertest.Fault{Keys: produce, Err: kerr.RequestTimedOut, Count: 3})
		}},
		{"applied, then failed: not enough replicas after the append", func(b *brokertest.Broker) {
			b.Fault(brokertest.Fault{Keys: produce, Err: kerr.NotEnoughReplicasAfterAppend, Count: 3})
		}},
		{"the connection is cut", func(b *brokertest.Broker) {
			n := 0
			b.ControlKey(kmsg.Produce, func(kmsg.Request) (kmsg.Response, error, bool) {
				b.KeepControl()
				n++
				return nil, errors.New("cut"), n <= 3
			})
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := brokertest.Start(t, brokertest.Topics(2, "orders"))
			p, out := producer(t, b), newOutcomes()
			tt.fault(b)
			for i := range 200 {
				if err := out.publish(p, message(int32(i%2), "k", value(i))); err != nil {
					t.Fatal(err)
				}
			}
			out.wait(t, 30*time.Second)
			if _, failed, _ := out.count(); failed != 0 {
				t.Errorf("%d failed: %v", failed, out.errs)
			}
			out.check(t, b)
		})
	}
}

func TestARefusalForEverIsOnlySaidOfARecordThatWasAlone(t *testing.T) {
	t.Parallel()
	for reason, code := range map[string]*kerr.Error{
		"too-large": kerr.MessageTooLarge, "invalid-record": kerr.InvalidRecord, "policy-violation": kerr.PolicyViolation,
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			b := brokertest.Start(t, brokertest.Topics(1, "orders"))
			p, alone := producer(t, b), newOutcomes()
			b.Fault(brokertest.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: code})
			if err := alone.publish(p, message(0, "k", value(1))); err != nil {
				t.Fatal(err)
			}
			alone.wait(t, 10*time.Second)
			wantKind(t, alone.errs[value(1)], queue.Rejected, reason)

			// The next ones share a batch, for the answer to the first of them is slow.
			together := newOutcomes()
			b.Fault(brokertest.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: code, Count: -1, When: func(r kmsg.Request) bool {
				return len(r.(*kmsg.ProduceRequest).Topics[0].Partitions[0].Records) > 400
			}})
			for i := range 100 {
				if err := together.publish(p, message(0, "k", value(10+i))); err != nil {
					t.Fatal(err)
				}
			}
			together.wait(t, 10*time.Second)
			acked, failed, _ := together.count()
			for v, err := range together.errs {
				if queue.KindOf(err) == queue.Rejected {
					t.Errorf("%s was in a batch with others and is rejected for ever: %v", v, err)
				}
			}
			if failed == 0 || acked+failed != 100 {
				t.Errorf("%d acked, %d failed", acked, failed)
			}
		})
	}
}

func TestADuplicateIsASuccessWithoutAnOffset(t *testing.T) { // pitfall 5
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(1, "orders"))
	p, out := producer(t, b), newOutcomes()
	b.Fault(brokertest.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.DuplicateSequenceNumber})
	if err := out.publish(p, message(0, "k", "v1")); err != nil {
		t.Fatal(err)
	}
	out.wait(t, 10*time.Second)
	if ack, ok := out.acks["v1"]; !ok || ack.Position.Offset != -1 {
		t.Errorf("ack = %v, %v, %v", ack, ok, out.errs)
	}
}

func TestAnErrorAfterTheHandOverIsUnknownAndTheNextIsWritten(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]*kerr.Error{
		"out of order": kerr.OutOfOrderSequenceNumber, "not authorized": kerr.TopicAuthorizationFailed, "unknown to us": kerr.ProducerFenced,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := brokertest.Start(t, brokertest.Topics(1, "orders"))
			p, out := producer(t, b), newOutcomes()
			b.Fault(brokertest.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: code})
			if err := out.publish(p, message(0, "k", value(1))); err != nil {
				t.Fatal(err)
			}
			out.wait(t, 10*time.Second)
			wantKind(t, out.errs[value(1)], queue.Unknown, "")
			if p.Health().LastErr == nil {
				t.Error("the failure does not show in the health")
			}
			if err := out.publish(p, message(0, "k", value(2))); err != nil {
				t.Fatal(err)
			}
			out.wait(t, 10*time.Second)
			if _, ok := out.acks[value(2)]; !ok || p.Health().LastErr != nil {
				t.Errorf("the next one: %v; health %+v", out.errs, p.Health())
			}
			out.check(t, b)
		})
	}
}

func TestFourSecondsWithoutALeaderFailNothing(t *testing.T) { // pitfall 6
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(1, "orders"))
	p, out := producer(t, b, func(o *publish.Options) { o.RetryBackoff = 0 }), newOutcomes()
	leaderless := b.Fault(
		brokertest.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotLeaderForPartition, Count: -1},
		brokertest.Fault{Keys: []kmsg.Key{kmsg.Metadata}, Topic: "orders", Err: kerr.LeaderNotAvailable, Count: -1},
	)
	elected := time.AfterFunc(4*time.Second, leaderless.Remove)
	defer elected.Stop()
	for i := range 24 {
		if err := out.publish(p, message(0, "k", value(i))); err != nil {
			t.Fatal(err)
		}
	}
	out.wait(t, 20*time.Second)
	if acked, failed, _ := out.count(); acked != 24 {
		t.Errorf("%d acked, %d failed: %v", acked, failed, out.errs)
	}
	out.check(t, b)
}

func TestLeadersMoveUnderLoad(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Nodes(3), brokertest.Topics(6, "orders"))
	p, out := producer(t, b), newOutcomes()
	for i := range 3000 {
		if i%100 == 50 {
			b.MoveTopicPartition("orders", int32(i/100%6), int32(i/100%3))
		}
		m := message(int32(i%6), "k", value(i))
		if err := p.Room(t.Context(), "orders", m.Partition); err != nil {
			t.Fatal(err)
		}
		if err := out.publish(p, m); err != nil {
			t.Fatal(err)
		}
	}
	out.wait(t, 60*time.Second)
	if acked, failed, _ := out.count(); failed != 0 {
		t.Errorf("%d acked, %d failed", acked, failed)
	}
	out.check(t, b)
}

func TestAMuteBrokerStopsOnlyItsOwnPartitions(t *testing.T) { // pitfall 7
	t.Parallel()
	b := brokertest.Start(t, brokertest.Nodes(2), brokertest.Topics(2, "orders"))
	for p := range int32(2) {
		b.MoveTopicPartition("orders", p, p)
	}
	p, out := producer(t, b), newOutcomes()
	silent := mute(b, 0)
	busy := 0
	for i := range 2000 { // far more than one partition may have in flight
		began := time.Now()
		err := out.publish(p, message(0, "k", value(i)))
		if took := time.Since(began); took > time.Second {
			t.Fatalf("Publish took %v", took)
		}
		if err != nil {
			wantKind(t, err, queue.NotSent, "busy")
			busy++
		}
	}
	if busy != 2000-512 {
		t.Errorf("%d shed, want all but the 512 in flight", busy)
	}
	healthy := newOutcomes()
	for i := range 500 {
		if err := healthy.publish(p, message(1, "k", value(i))); err != nil {
			t.Fatalf("the healthy partition: %v", err)
		}
	}
	healthy.wait(t, 4*time.Second)
	if acked, _, _ := healthy.count(); acked != 500 {
		t.Errorf("%d of 500 acked on the healthy broker", acked)
	}
	<-silent.heard
	if acked, failed, _ := out.count(); acked+failed != 0 {
		t.Fatalf("%d acked, %d failed by a broker that is mute", acked, failed)
	}
	silent.unmute()
	out.wait(t, 60*time.Second)
	for v, err := range out.errs {
		wantKind(t, err, queue.Unknown, "")
		t.Logf("%s: %v", v, err)
	}
	times, _, _ := written(t, b)
	for v := range out.acks {
		if times[v] == 0 {
			t.Errorf("%s was acknowledged and is not in the log", v)
		}
	}
}

func TestADeadlineThatPassesBehindAMuteBrokerIsNeverWritten(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(1, "orders"))
	p, out := producer(t, b), newOutcomes()
	silent := mute(b, 0)
	if err := out.publish(p, message(0, "k", value(0))); err != nil {
		t.Fatal(err)
	}
	<-silent.heard
	// Fill the batch behind the one in the air, so that what follows cannot join it yet.
	for i := range 3 {
		if err := out.publish(p, message(0, "k", value(i+1)+strings.Repeat(" ", 900_000))); err != nil {
			t.Fatal(err)
		}
	}
	late := message(0, "k", "late")
	late.Deadline = time.Now().Add(100 * time.Millisecond)
	if err := out.publish(p, late); err != nil {
		t.Fatal(err)
	}
	passed := time.AfterFunc(200*time.Millisecond, silent.unmute)
	defer passed.Stop()
	out.wait(t, 30*time.Second)
	wantKind(t, out.errs["late"], queue.NotSent, "deadline")
	times, _, _ := written(t, b)
	if times["late"] != 0 {
		t.Error("it stands in the log")
	}
}

func TestCloseWhileABrokerIsMuteIsBoundedAndCounts(t *testing.T) { // pitfall 9
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(1, "orders"))
	p, out := producer(t, b), newOutcomes()
	silent := mute(b, 0)
	for i := range 10 {
		if err := out.publish(p, message(0, "k", value(i))); err != nil {
			t.Fatal(err)
		}
	}
	<-silent.heard
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	err := p.Close(ctx)
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("Close took %v", took)
	}
	if err == nil || !strings.Contains(err.Error(), "unknown") {
		t.Errorf("Close = %v: it must count what is unknown", err)
	}
	out.wait(t, time.Second)
	unknown := 0
	for _, err := range out.errs {
		if queue.KindOf(err) == queue.Unknown {
			unknown++
		}
	}
	if unknown == 0 || !strings.Contains(err.Error(), "of "+strconv.Itoa(unknown)+" records") {
		t.Errorf("%d unknown, Close = %v", unknown, err)
	}
	if again := p.Close(t.Context()); again == nil {
		t.Error("a second Close says the same")
	}
}

func TestAHundredThousandRecordsWithFaults(t *testing.T) {
	t.Parallel()
	n := 100_000
	if testing.Short() {
		n = 10_000
	}
	b := brokertest.Start(t, brokertest.Topics(6, "orders"))
	p, out := producer(t, b), newOutcomes()
	rng := rand.New(rand.NewPCG(1, 2))
	for _, code := range []*kerr.Error{
		kerr.NotEnoughReplicas, kerr.NotLeaderForPartition, kerr.RequestTimedOut, kerr.NotEnoughReplicasAfterAppend, kerr.MessageTooLarge,
		kerr.OutOfOrderSequenceNumber,
	} {
		b.Fault(brokertest.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: code, Count: -1, When: func(kmsg.Request) bool { return rng.IntN(600) == 0 }})
	}
	refused := 0
	for i := range n {
		m := message(int32(i%6), "k", value(i))
		if err := p.Room(t.Context(), "orders", m.Partition); err != nil {
			t.Fatal(err)
		}
		if err := out.publish(p, m); err != nil {
			refused++
		}
	}
	out.wait(t, 2*time.Minute)
	acked, failed, accepted := out.count()
	t.Logf("%d accepted, %d refused, %d acked, %d failed", accepted, refused, acked, failed)
	if acked+failed != accepted || accepted+refused != n {
		t.Errorf("%d acked + %d failed of %d accepted", acked, failed, accepted)
	}
	times, _, _ := written(t, b)
	for v := range out.acks {
		if times[v] == 0 {
			t.Fatalf("%s was acknowledged and is not in the log", v)
		}
	}
	for v, err := range out.errs {
		if queue.KindOf(err) != queue.Unknown && times[v] > 0 {
			t.Fatalf("%s: %v, yet it stands in the log", v, err)
		}
	}
	if h := p.Health(); h.InFlight != 0 || h.Bytes != 0 {
		t.Errorf("health = %+v", h)
	}
}
