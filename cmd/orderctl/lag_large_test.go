package main

import (
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"commerce.internal/orderctl/internal/broker/brokertest"
)

// many is a cluster of three nodes with 10,000 partitions in 100 topics and 300 groups that have read half of them.
func many(t *testing.T) *brokertest.Broker {
	t.Helper()
	b := brokertest.Start(t, brokertest.Nodes(3), brokertest.SleepOutOfOrder())
	var recs []*kgo.Record
	for i := range 100 {
		b.CreateTopic(fmt.Sprintf("orders-%d", i), 100, nil)
		for p := range int32(100) {
			for n := range 2 {
				recs = append(recs, &kgo.Record{
					Topic: fmt.Sprintf("orders-%d", i), Partition: p, Value: []byte("v"),
					Timestamp: time.Now().Add(-time.Duration(i)*time.Minute + time.Duration(n)*30*time.Second),
				})
			}
		}
	}
	cl := b.Client(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MaxVersions(kversion.V3_0_0()))
	if err := cl.ProduceSync(t.Context(), recs...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	for i := range 300 {
		req := kmsg.NewPtrOffsetCommitRequest()
		req.Group, req.Generation = fmt.Sprintf("group-%d", i), -1
		rt := kmsg.NewOffsetCommitRequestTopic()
		rt.Topic = fmt.Sprintf("orders-%d", i%100)
		for p := range int32(100) {
			rp := kmsg.NewOffsetCommitRequestTopicPartition()
			rp.Partition, rp.Offset = p, 1
			rt.Partitions = append(rt.Partitions, rp)
		}
		req.Topics = append(req.Topics, rt)
		if _, err := req.RequestWith(t.Context(), cl); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// Ten thousand partitions, each answer 5 ms late: a look at all groups, 30,000 rows, takes two seconds at most, and a few
// requests to each node.
func TestALookAtALargeCluster(t *testing.T) { // not parallel: it is about time
	b := many(t)
	var mu sync.Mutex
	asked := map[string]int{}
	b.Control(func(req kmsg.Request) (kmsg.Response, error, bool) {
		b.KeepControl()
		mu.Lock()
		asked[fmt.Sprintf("%s at node %d", kmsg.Key(req.Key()).Name(), b.CurrentNode())]++
		mu.Unlock()
		b.SleepControl(func() { <-time.After(5 * time.Millisecond) })
		return nil, nil, false
	})
	for _, args := range [][]string{{"-A"}, {"-A", "-o", "wide"}, {"-A", "-o", "csv"}, {"-A", "--by", "group"}} {
		mu.Lock()
		clear(asked)
		mu.Unlock()
		p := newTestProcess(t, append([]string{"lag", "-b", strings.Join(b.Addrs(), ",")}, args...)...)
		start, before := time.Now(), worked(t)
		code := run(p.env)
		// On a machine that is busy with other things what was worked here counts, and that each answer was late.
		took := min(time.Since(start), worked(t)-before+30*5*time.Millisecond)
		if code != exitOK || took > 2*time.Second && !raceDetector || len(p.out.String()) < 10_000 {
			t.Errorf("%v: exit %d after %v, %d bytes: %s", args, code, took, len(p.out.String()), p.err.String())
		}
		mu.Lock()
		for what, n := range asked {
			limit := 1 // ListGroups, OffsetFetch, DescribeGroups, DescribeConfigs
			switch {
			case strings.HasPrefix(what, "ListOffsets"):
				limit = 4 + 15
			case strings.HasPrefix(what, "Metadata"):
				limit = 3
			case strings.HasPrefix(what, "ApiVersions"):
				limit = 10 // one a connection
			}
			if n > limit {
				t.Errorf("%v: %d times %s", args, n, what)
			}
		}
		t.Logf("%v: %v, %d bytes, %v", args, took, len(p.out.String()), asked)
		mu.Unlock()
	}
}

// worked is how much of the processors this process has used.
func worked(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
