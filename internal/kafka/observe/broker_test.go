package observe_test

import (
	"context"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"commerce.internal/orderctl/internal/broker/brokertest"
	"commerce.internal/orderctl/internal/inspect/lag"
)

func client(b *brokertest.Broker, opts ...kgo.Opt) *kgo.Client {
	return b.Client(append([]kgo.Opt{kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0)}, opts...)...)
}

func commit(t *testing.T, b *brokertest.Broker, group string, offsets map[lag.TopicPartition]int64) {
	t.Helper()
	for tp, offset := range offsets {
		b.Commit(t, group, tp.Topic, tp.Partition, offset)
	}
}

// fill writes 100 records to each partition; record i is stamped at plus i seconds.
func fill(t *testing.T, b *brokertest.Broker, topic string, partitions int32, at time.Time) {
	t.Helper()
	var recs []*kgo.Record
	for p := range partitions {
		for i := range 100 {
			recs = append(recs, &kgo.Record{Topic: topic, Partition: p, Value: []byte("order"), Timestamp: at.Add(time.Duration(i) * time.Second)})
		}
	}
	if err := client(b).ProduceSync(t.Context(), recs...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

func rowsOf(g lag.Group) map[string]lag.Row {
	rows := map[string]lag.Row{}
	for _, r := range g.Partitions {
		rows[r.TopicPartition().String()] = r
	}
	return rows
}

func TestGroupsOfACluster(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(3, "orders"), brokertest.Topics(1, "orders.workers.dlq"), brokertest.Topics(1, "orders.workers.retry.1m"))
	begin := time.Now()
	fill(t, b, "orders", 3, begin.Add(-6*time.Minute)) // 60 of each are older than five minutes, each second one more
	fill(t, b, "orders.workers.dlq", 1, begin.Add(-time.Hour-30*time.Second))
	fill(t, b, "orders.workers.retry.1m", 1, begin.Add(-90*time.Second))
	commit(t, b, "workers", map[lag.TopicPartition]int64{
		tp("orders", 0): 50, tp("orders", 2): 120, tp("orders.workers.retry.1m", 0): 10,
	})
	commit(t, b, "audit", map[lag.TopicPartition]int64{tp("orders", 0): 100, tp("orders", 1): 100, tp("orders", 2): 100})
	for name, q := range map[string]lag.Query{
		"all groups, all topics":   {All: true, SLO: 5 * time.Minute},
		"named groups":             {Groups: []string{"workers", "audit"}, SLO: 5 * time.Minute},
		"a named group and topics": {Groups: []string{"workers", "audit"}, Topics: []string{"orders"}, SLO: 5 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, r := look(t, observer(t, b.Addr()), q)
			passed := int64(time.Since(begin).Seconds())
			aged := func(v lag.Maybe[int64], atFirst int64) bool {
				return v.Known && v.V >= atFirst && v.V <= atFirst+passed+1
			}
			if len(r.Groups) != 2 || s.Took <= 0 || !r.Complete {
				t.Fatalf("%+v", r)
			}
			if g := r.Groups[0]; g.Group != "audit" || g.Status != lag.SevOK || g.Unread != lag.Know[int64](0) || len(g.Partitions) != 3 {
				t.Errorf("audit %+v", g)
			}
			g := r.Groups[1]
			rows := rowsOf(g)
			known := lag.Know[int64]
			if row := rows["orders/0"]; row.Unread != known(50) || !aged(row.Stale, 10) || row.Lost != known(0) {
				t.Errorf("orders/0 %+v", row)
			}
			if row := rows["orders/1"]; row.Unread != known(100) || row.Commit != lag.CommitNone || row.Committed.Known || !aged(row.Stale, 60) {
				t.Errorf("orders/1 %+v", row)
			}
			if row := rows["orders/2"]; row.Unread != known(0) || row.Ahead != known(20) || row.Status != lag.Ahead {
				t.Errorf("orders/2 %+v", row)
			}
			if g.State.V != "Empty" || g.Members != lag.Know(0) || g.Unread != known(150) || len(rows) != 4 {
				t.Errorf("workers %+v", g)
			}
			if d := g.Delayed; len(d) != 1 || d[0].Depth != known(90) || !aged(d[0].Overdue, 20) {
				t.Errorf("tiers %+v", d)
			}
			if d := g.DeadLetters; len(d) != 1 || d[0].DepthMax != known(100) || !aged(lag.Know(100-d[0].LastHourMax.V), 30) {
				t.Errorf("dead letters %+v", d)
			}
		})
	}
}

func TestMembersOwnWhatTheyAreAssigned(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(2, "orders"))
	fill(t, b, "orders", 2, time.Now())
	worker := client(b, kgo.ConsumerGroup("g"), kgo.ConsumeTopics("orders"), kgo.ClientID("worker-7c"),
		kgo.InstanceID("seven"), kgo.DisableAutoCommit(), kgo.FetchMaxWait(20*time.Millisecond))
	worker.PollFetches(t.Context())
	o := observer(t, b.Addr())
	_, r := look(t, o, lag.Query{Groups: []string{"g"}})
	g := r.Groups[0]
	if g.State.V != "Stable" || g.Members != lag.Know(1) || g.Unread != lag.Know[int64](200) || !r.Complete {
		t.Fatalf("%+v", g)
	}
	for _, row := range g.Partitions {
		if row.Owner == nil || row.Owner.ClientID != "worker-7c" || row.Owner.Host != "127.0.0.1" || row.Owner.InstanceID != lag.Know("seven") {
			t.Errorf("owner %+v", row.Owner)
		}
		if row.Status != lag.Behind || row.Commit != lag.CommitNone {
			if row.Status != lag.NeverCommitted {
				t.Errorf("row %+v", row)
			}
		}
	}
	groups, err := o.Groups(t.Context())
	if err != nil || len(groups) != 1 || groups[0].Name != "g" || groups[0].State != "Stable" {
		t.Errorf("Groups = %+v, %v", groups, err)
	}
}

func TestAnOpenTransactionHidesOrders(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(1, "orders"))
	foreign := client(b, kgo.TransactionalID("foreign"))
	if err := foreign.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	old := &kgo.Record{Topic: "orders", Value: []byte("open"), Timestamp: time.Now().Add(-time.Minute)}
	if err := foreign.ProduceSync(t.Context(), old).FirstErr(); err != nil {
		t.Fatal(err)
	}
	fill(t, b, "orders", 1, time.Now())
	commit(t, b, "g", map[lag.TopicPartition]int64{tp("orders", 0): 0})
	o := observer(t, b.Addr())
	for slo, want := range map[time.Duration]lag.Status{30 * time.Second: lag.HungTxn, time.Hour: lag.OpenTxn} {
		_, r := look(t, o, lag.Query{Groups: []string{"g"}, SLO: slo})
		row := r.Groups[0].Partitions[0]
		if row.Status != want || row.Unread != lag.Know[int64](0) || row.Held != lag.Know[int64](101) {
			t.Errorf("SLO %v: %+v", slo, row)
		}
	}
	_, r := look(t, o, lag.Query{Groups: []string{"g"}, Isolation: lag.ReadUncommitted})
	if row := r.Groups[0].Partitions[0]; row.Unread != lag.Know[int64](101) {
		t.Errorf("read uncommitted: %+v", row)
	}
	if err := foreign.EndTransaction(t.Context(), kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
}

func TestOffsetsAtATime(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(2, "orders"))
	at := time.UnixMilli(1_763_000_000_000)
	fill(t, b, "orders", 2, at)
	found, err := observer(t, b.Addr()).OffsetsAt(t.Context(), map[lag.TopicPartition]time.Time{
		tp("orders", 0): at.Add(3500 * time.Millisecond), tp("orders", 1): at.Add(time.Hour), tp("orders", 9): at, tp("order", 0): at,
	})
	if err != nil || len(found) != 4 {
		t.Fatalf("%v, %v", found, err)
	}
	if o := found[tp("orders", 0)]; !o.Known || o.V.Offset != 4 || !o.V.Time.Equal(at.Add(4*time.Second)) {
		t.Errorf("between two records: %+v", o)
	}
	if o := found[tp("orders", 1)]; !o.Known || o.V.Offset != -1 {
		t.Errorf("behind the last: %+v", o)
	}
	early := time.Date(1912, 10, 28, 0, 0, 0, 0, time.UTC)
	for _, at := range []time.Time{early, time.UnixMilli(-1), time.UnixMilli(-2)} { // as offsets go, -1 is "latest", -2 "earliest"
		all, err := observer(t, b.Addr()).OffsetsAt(t.Context(), map[lag.TopicPartition]time.Time{tp("orders", 0): at})
		if o := all[tp("orders", 0)]; err != nil || !o.Known || o.V.Offset != 0 || o.V.Time.IsZero() {
			t.Errorf("before all time, %v: %+v, %v", at, o, err)
		}
	}
	if found[tp("orders", 9)].Known || found[tp("order", 0)].Known {
		t.Errorf("partitions that do not exist: %+v", found)
	}
}

func TestATypoIsToldAndMakesNoTopic(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(1, "orders"))
	o := observer(t, b.Addr())
	s, r := look(t, o, lag.Query{Groups: []string{"nobody"}, Topics: []string{"order", "orders"}})
	if !slices.Equal(r.MissingGroups, []string{"nobody"}) || !slices.Equal(r.MissingTopics, []string{"order"}) || len(s.Partitions) != 1 {
		t.Errorf("%+v", r)
	}
	topics, err := o.Topics(t.Context())
	if err != nil || !slices.Equal(topics, []string{"orders"}) {
		t.Errorf("Topics = %v, %v", topics, err)
	}
	if layout, err := o.Layout(t.Context()); err != nil || len(layout) != 1 || layout["orders"] != 1 {
		t.Errorf("Layout = %v, %v", layout, err)
	}
}

func TestAThousandRefreshesLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(1, "orders"))
	commit(t, b, "g", map[lag.TopicPartition]int64{tp("orders", 0): 0})
	o := observer(t, b.Addr())
	refresh := func(n int) {
		for range n {
			if _, err := o.Snapshot(t.Context(), lag.Query{Groups: []string{"g"}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	refresh(10)
	before := runtime.NumGoroutine()
	refresh(1000)
	if after := runtime.NumGoroutine(); after > before+50 { // other tests run beside this one
		t.Errorf("%d goroutines, were %d", after, before)
	}
}

func TestLagUnderLoadIsNeverNegative(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(1, "orders"))
	cl := client(b)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := int64(0); ctx.Err() == nil; n++ {
			if cl.ProduceSync(ctx, &kgo.Record{Topic: "orders", Value: []byte("v")}).FirstErr() != nil {
				return
			}
			commit(t, b, "g", map[lag.TopicPartition]int64{tp("orders", 0): n + 1})
		}
	}()
	o := observer(t, b.Addr())
	for range 100 {
		s, err := o.Snapshot(t.Context(), lag.Query{Groups: []string{"g"}})
		if err != nil {
			t.Fatal(err)
		}
		p, c := s.Partitions[tp("orders", 0)], s.Groups["g"].Commits.V[tp("orders", 0)]
		if p.Stable.V < c.Offset || p.High.V < p.Stable.V || p.EndAt.Before(c.At) {
			t.Fatalf("commit %d, stable %d, high %d", c.Offset, p.Stable.V, p.High.V)
		}
	}
	cancel()
	<-done
}
