package observe_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/queue"
)

// mute accepts connections and never answers.
func mute(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

func TestOneSilentBrokerLeavesTheRest(t *testing.T) {
	t.Parallel()
	s := script(t, 3)
	s.coordinate("g")
	ends := sarama.NewMockOffsetResponse(t)
	fetch := sarama.NewMockOffsetFetchResponse(t)
	for p := range int32(9) {
		s.meta.SetLeader("orders", p, p%3+1)
		ends.SetOffset("orders", p, sarama.OffsetNewest, 100).SetOffset("orders", p, sarama.OffsetOldest, 0)
		fetch.SetOffset("g", "orders", p, 90, "", sarama.ErrNoError)
	}
	s.on("OffsetFetchRequest", fetch)
	s.on("OffsetRequest", ends)
	s.onBroker(1, "OffsetRequest", nil)
	o := s.start()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	start := time.Now()
	snap, err := o.Snapshot(ctx, lag.Query{Groups: []string{"g"}})
	if took := time.Since(start); err != nil || took > 2*time.Second {
		t.Fatalf("Snapshot took %v: %v", took, err)
	}
	r := lag.Evaluate([]lag.Snapshot{snap}, lag.Policy{})
	if g := r.Groups[0]; g.Unread != lag.Know[int64](60) || !g.LowerBound || r.Complete || g.Known != 6 || g.Total != 9 {
		t.Errorf("%v unread of %d/%d, complete %v", g.Unread, g.Known, g.Total, r.Complete)
	}
	for _, row := range r.Groups[0].Partitions {
		if silent := row.Leader == lag.Know[int32](2); row.Unread.Known == silent || silent && row.Status != lag.Unknown {
			t.Errorf("%+v", row)
		}
	}
	if _, err := o.Snapshot(t.Context(), lag.Query{Topics: []string{"nothing"}}); err != nil {
		t.Errorf("the next question is answered again, got %v", err)
	}
}

func TestASilentBrokerHidesItsGroups(t *testing.T) {
	t.Parallel()
	s := script(t, 2)
	s.meta.SetLeader("orders", 0, 1)
	s.on("OffsetRequest", offsets(t, "orders", 100))
	s.onBroker(0, "ListGroupsRequest", sarama.NewMockListGroupsResponse(t).AddGroup("g", "consumer").AddGroup("connect-x", "connect"))
	s.onBroker(0, "OffsetFetchRequest", sarama.NewMockOffsetFetchResponse(t).SetOffset("g", "orders", 0, 90, "", sarama.ErrNoError))
	s.onBroker(1, "ListGroupsRequest", nil)
	o := s.start()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	snap, err := o.Snapshot(ctx, lag.Query{All: true})
	if err != nil {
		t.Fatal(err)
	}
	r := lag.Evaluate([]lag.Snapshot{snap}, lag.Policy{})
	if len(r.Groups) != 1 || r.Groups[0].Group != "g" || r.Complete || len(r.SilentBrokers) != 1 || r.SilentBrokers[0] != 2 {
		t.Errorf("%+v", r)
	}
	short, stop := context.WithTimeout(t.Context(), time.Second)
	defer stop()
	groups, err := o.Groups(short)
	if !errors.Is(err, queue.ErrPartial) || len(groups) != 1 || groups[0].Name != "g" {
		t.Errorf("Groups = %v, %v", groups, err)
	}
}

// A broker that is silent to all questions costs one timeout, not one a question.
func TestASilentBrokerIsWaitedForOnce(t *testing.T) {
	t.Parallel()
	s := script(t, 3)
	ends := sarama.NewMockOffsetResponse(t)
	fetch := sarama.NewMockOffsetFetchResponse(t)
	for p := range int32(9) {
		s.meta.SetLeader("orders", p, p%3+1)
		ends.SetOffset("orders", p, sarama.OffsetNewest, 100).SetOffset("orders", p, sarama.OffsetOldest, 0)
		fetch.SetOffset("g", "orders", p, 90, "", sarama.ErrNoError)
	}
	s.on("OffsetRequest", ends)
	s.onBroker(0, "OffsetFetchRequest", fetch)
	s.onBroker(0, "ListGroupsRequest", sarama.NewMockListGroupsResponse(t).AddGroup("g", "consumer"))
	for _, question := range []string{"ListGroupsRequest", "OffsetFetchRequest", "DescribeGroupsRequest", "OffsetRequest"} {
		s.onBroker(1, question, nil)
	}
	o := s.start()
	start := time.Now()
	snap, r := look(t, o, lag.Query{All: true})
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
	if g := r.Groups[0]; g.Known != 6 || g.Total != 9 || r.Complete || len(snap.Unlisted) != 1 {
		t.Errorf("%d of %d known, complete %v, silent %v", g.Known, g.Total, r.Complete, snap.Unlisted)
	}
}

// A node that is stopped still takes connections, and does not even answer the handshake.
func TestAFrozenNodeIsWaitedForOnce(t *testing.T) {
	t.Parallel()
	s := script(t, 2)
	s.coordinate("g")
	frozen := mute(t)
	s.meta.SetBroker(frozen, 9)
	ends := sarama.NewMockOffsetResponse(t)
	fetch := sarama.NewMockOffsetFetchResponse(t)
	for p, leader := range []int32{1, 2, 9} {
		s.meta.SetLeader("orders", int32(p), leader)
		ends.SetOffset("orders", int32(p), sarama.OffsetNewest, 100).SetOffset("orders", int32(p), sarama.OffsetOldest, 0)
		fetch.SetOffset("g", "orders", int32(p), 90, "", sarama.ErrNoError)
	}
	s.on("OffsetRequest", ends)
	s.on("OffsetFetchRequest", fetch)
	o := observer(t, append([]string{frozen}, s.addrs()...)...)
	start := time.Now()
	_, r := look(t, o, lag.Query{All: true, Groups: []string{"g"}})
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
	if g := r.Groups[0]; g.Known != 2 || g.Total != 3 || r.Complete || len(r.SilentBrokers) != 1 {
		t.Errorf("%d of %d known, complete %v, silent %v", g.Known, g.Total, r.Complete, r.SilentBrokers)
	}
}

func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	for _, timeout := range []time.Duration{300 * time.Millisecond, time.Second} {
		t.Run(timeout.String(), func(t *testing.T) {
			t.Parallel()
			o := observer(t, mute(t), mute(t))
			ctx, cancel := context.WithTimeout(t.Context(), timeout)
			defer cancel()
			start := time.Now()
			_, err := o.Snapshot(ctx, lag.Query{Groups: []string{"g"}})
			if took := time.Since(start); !errors.Is(err, queue.ErrUnreachable) || took > timeout+time.Second {
				t.Errorf("after %v: %v", took, err)
			}
			var coded interface{ ExitCode() int }
			if !errors.As(err, &coded) || coded.ExitCode() != 3 {
				t.Errorf("exit code of %v is not 3", err)
			}
		})
	}
}

func TestACallWaitsForItsTurnNoLongerThanItsContext(t *testing.T) {
	t.Parallel()
	s := script(t, 1)
	s.on("ListGroupsRequest", nil)
	o := s.start()
	first, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { _, err := o.Groups(first); done <- err }()
	waitFor(t, func() bool { return count[*sarama.ListGroupsRequest](s.brokers[0]) > 0 })
	short, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	if _, err := o.Topics(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Topics = %v", err)
	}
	cancel()
	if err := <-done; !errors.Is(err, queue.ErrPartial) && !errors.Is(err, context.Canceled) {
		t.Errorf("Groups = %v", err)
	}
}

func waitFor(t *testing.T, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(10 * time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("it did not happen within 10 s")
		}
	}
}

// A cluster of 3 brokers with 1,200 partitions and 60 groups is asked as many questions as one with 3 partitions.
func TestRequestBudget(t *testing.T) {
	t.Parallel()
	const partitions, groups = 1200, 60
	s := script(t, 3)
	ends := sarama.NewMockOffsetResponse(t)
	for p := range int32(partitions) {
		leader := p%3 + 1
		if p < 8 {
			leader = -1
		}
		s.meta.SetLeader("orders", p, leader)
		ends.SetOffset("orders", p, sarama.OffsetNewest, 100).SetOffset("orders", p, sarama.OffsetOldest, 0)
	}
	s.on("OffsetRequest", ends)
	for b := range 3 {
		list, fetch := sarama.NewMockListGroupsResponse(t), sarama.NewMockOffsetFetchResponse(t)
		for i := b; i < groups; i += 3 {
			name := fmt.Sprintf("group-%d", i)
			list.AddGroup(name, "consumer")
			for p := range int32(partitions) {
				fetch.SetOffset(name, "orders", p, 90, "", sarama.ErrNoError)
			}
		}
		s.onBroker(b, "ListGroupsRequest", list)
		s.onBroker(b, "OffsetFetchRequest", fetch)
	}
	start := time.Now()
	snap, r := look(t, s.start(), lag.Query{All: true})
	if len(r.Groups) != groups || len(snap.Partitions) != partitions {
		t.Fatalf("%d groups, %d partitions", len(r.Groups), len(snap.Partitions))
	}
	if g := r.Groups[0]; g.Known != partitions-8 || g.Total != partitions || g.Unread != lag.Know[int64](10*(partitions-8)) {
		t.Errorf("%d of %d known, %v unread", g.Known, g.Total, g.Unread)
	}
	metadata := 0
	for i, b := range s.brokers {
		list, fetch, describe := count[*sarama.ListGroupsRequest](b), count[*sarama.OffsetFetchRequest](b), count[*sarama.DescribeGroupsRequest](b)
		if n := count[*sarama.OffsetRequest](b); n > 4 || list != 1 || fetch != 1 || describe != 1 || count[*sarama.FindCoordinatorRequest](b) != 0 {
			t.Errorf("broker %d: %d ListOffsets, %d ListGroups, %d OffsetFetch, %d DescribeGroups", i+1, n, list, fetch, describe)
		}
		metadata += count[*sarama.MetadataRequest](b)
	}
	if metadata > 3+2 { // three probes of the dial, the cluster once, the dead-letter topics once
		t.Errorf("%d metadata requests", metadata)
	}
	t.Logf("took %v, snapshot %v", time.Since(start), snap.Took)
}
