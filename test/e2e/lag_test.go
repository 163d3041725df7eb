//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/test/kraft"
)

// TestLagOnRealKafka shares one Kafka: the golden scenario, groups of all kinds, a worker that is stopped, two workers.
func TestLagOnRealKafka(t *testing.T) {
	k := startKafka(t, 1)
	b := newBox(t, "ORDERCTL_KAFKA_BROKERS="+k.Addrs())
	for name, test := range map[string]func(*testing.T, *kraft.Cluster, *box){
		"golden": goldenScenario, "groups made by Kafka's own tools": foreignGroups, "a worker that is stopped": stoppedWorker,
		"two workers": twoWorkers,
	} {
		t.Run(name, func(t *testing.T) {
			mine := *b
			mine.t = t
			test(t, k, &mine)
		})
	}
}

// goldenScenario must print what the embedded broker prints, byte for byte but for times.
func goldenScenario(t *testing.T, k *kraft.Cluster, b *box) {
	cl := manual(t, k.Addrs())
	createTopic(t, cl, "orders", assigned(4, 1))
	fillAged(t, cl, "orders", 4, 100, 30*time.Minute)
	deleteRecords(t, cl, "orders", 2, 40)
	commitAll(t, cl, "workers", "orders", map[int32]int64{0: 90, 2: 5, 3: 120})
	commitAll(t, cl, "audit", "orders", map[int32]int64{0: 100, 1: 100, 2: 100, 3: 100})
	for _, tt := range []struct {
		code   int
		golden string
		args   []string
	}{
		{0, "table.golden", []string{"lag", "workers"}},
		{0, "report.golden", []string{"lag", "workers", "-o", "json"}},
		{2, "check.golden", []string{"lag", "workers", "--check"}},
	} {
		r := b.must(tt.code, 20*time.Second, tt.args...)
		want, err := os.ReadFile(filepath.Join("../../cmd/orderctl/testdata/lag", tt.golden))
		if err != nil {
			t.Fatal(err)
		}
		if got := maskTimes(r.stdout); got != string(want) {
			t.Errorf("%s:\n%s\nwant:\n%s", tt.golden, got, want)
		}
	}
	if r := b.must(0, 20*time.Second, "lag", "audit"); !strings.HasPrefix(r.stdout, "audit  OK  0 unread\n") {
		t.Errorf("audit:\n%s", r.stdout)
	}
	r := b.must(0, 20*time.Second, "lag", "workers", "--peek", "orders/2", "-o", "jsonl")
	if !strings.Contains(r.stdout, `"offset":40,`) {
		t.Errorf("peek: %s", r.stdout)
	}
	asKafkaSays(t, k, b, "workers")
	asKafkaSays(t, k, b, "audit")
	goneTopic(t, cl, b)
}

// goneTopic: a group that committed in a topic that is gone since. Kafka forgets such commits sooner or later; until then
// the row says so, and neither the total nor the verdict suffers.
func goneTopic(t *testing.T, cl *kgo.Client, b *box) {
	createTopic(t, cl, "old-orders", assigned(1, 1))
	commitAll(t, cl, "workers", "old-orders", map[int32]int64{0: 50})
	deleteTopic(t, cl, "old-orders")
	eventually(t, 20*time.Second, "the topic is gone", func() error {
		g := reportOf(t, b.run(20*time.Second, "lag", "workers", "-o", "json")).Groups[0]
		if g.Unread != lag.Know[int64](170) || g.LowerBound {
			return fmt.Errorf("%v unread", g.Unread)
		}
		for _, row := range g.Partitions {
			if row.Topic == "old-orders" && row.Status != lag.Gone {
				return fmt.Errorf("old-orders is %s", row.Status)
			}
		}
		return nil
	})
}

func deleteTopic(t *testing.T, cl *kgo.Client, name string) {
	t.Helper()
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TopicNames = []string{name}
	dt := kmsg.NewDeleteTopicsRequestTopic()
	dt.Topic = kmsg.StringPtr(name)
	req.Topics = append(req.Topics, dt)
	resp, err := req.RequestWith(t.Context(), cl)
	if err == nil && len(resp.Topics) == 1 {
		err = kerr.ErrorForCode(resp.Topics[0].ErrorCode)
	}
	if err != nil {
		t.Fatalf("delete topic %s: %v", name, err)
	}
}

// foreignGroups are made with the console consumers of Kafka itself.
func foreignGroups(t *testing.T, k *kraft.Cluster, b *box) {
	cl := manual(t, k.Addrs())
	createTopic(t, cl, "payments", assigned(2, 1))
	fillAged(t, cl, "payments", 2, 10, time.Minute)
	ctx, cancel := context.WithCancel(t.Context())
	var tools sync.WaitGroup
	defer tools.Wait()
	defer cancel()
	tool := func(class string, args ...string) {
		tools.Go(func() {
			_, _ = k.Tool(ctx, class, append([]string{"--bootstrap-server", k.Addr(1), "--topic", "payments"}, args...)...)
		})
	}
	const console = "org.apache.kafka.tools.consumer.ConsoleConsumer"
	tool(console, "--group", "classic-g", "--from-beginning")
	tool(console, "--group", "modern-g", "--from-beginning", "--command-property", "group.protocol=consumer")
	tool("org.apache.kafka.tools.consumer.ConsoleShareConsumer", "--group", "share-g")
	for name, kind := range map[string]string{"classic-g": "classic", "modern-g": "consumer"} {
		eventually(t, 90*time.Second, name+" has a member and has read all", func() error {
			r := b.run(20*time.Second, "lag", name, "-o", "json")
			if r.code != 0 {
				return fmt.Errorf("exit %d: %s", r.code, r.stderr)
			}
			g := reportOf(t, r).Groups[0]
			if g.Type.V != kind || g.State.V != "Stable" || g.Members != lag.Know(1) || g.Unread != lag.Know[int64](0) || slices.Contains(g.Reasons, lag.NoMembers) {
				return fmt.Errorf("%v %v, %v members, %v unread, %v", g.Type, g.State, g.Members, g.Unread, g.Reasons)
			}
			for _, row := range g.Partitions {
				if row.Owner == nil {
					return fmt.Errorf("%s has no owner", row.TopicPartition())
				}
			}
			return nil
		})
	}
	asKafkaSays(t, k, b, "modern-g")
	eventually(t, 90*time.Second, "the share group is listed", func() error {
		r := b.run(20*time.Second, "lag", "share-g", "-t", "payments", "-o", "json")
		if r.code != 6 {
			return fmt.Errorf("exit %d: %s", r.code, r.stderr)
		}
		g := reportOf(t, r).Groups[0]
		if g.Type.V != "share" || g.Unread.Known || !slices.Contains(g.Reasons, lag.NotSupported) {
			return fmt.Errorf("%v, %v unread, %v", g.Type, g.Unread, g.Reasons)
		}
		return nil
	})
	all := b.must(6, 20*time.Second, "lag", "-A", "--by", "group")
	for _, want := range []string{`(?m)^classic-g +Stable +1 +0 `, `(?m)^modern-g +Stable +1 +0 `, `(?m)^share-g +\S+ +\? +\? +\? +\? `} {
		if !regexp.MustCompile(want).MatchString(all.stdout) {
			t.Errorf("no %s in\n%s", want, all.stdout)
		}
	}
	if r := b.run(20*time.Second, "lag", "share-g", "--check"); r.code != 3 {
		t.Errorf("check of a share group: exit %d, %s", r.code, r.stdout)
	}
}

// stoppedWorker: under SIGSTOP a worker is stalled after the time that was given, and not before; going on, it is not.
func stoppedWorker(t *testing.T, k *kraft.Cluster, b *box) {
	b = ownQueue(t, b, "stop-orders", "stop-g", 2)
	w := b.start("consume", "--admin-addr", port(t))
	b.must(0, time.Minute, "produce", "--count", "20", "--rate", "max")
	eventually(t, time.Minute, "the worker has read all", func() error { return waits(t, b, 0) })
	watch := b.start("lag", "--watch=500ms", "-o", "jsonl", "--stall-after", "5s")
	w.signal(syscall.SIGSTOP)
	b.must(0, time.Minute, "produce", "--count", "50", "--rate", "max")
	begin := time.Now()
	eventually(t, 40*time.Second, "STALLED, or the group has lost its member", func() error {
		lines := strings.Split(strings.TrimSpace(watch.out.String()), "\n")
		var g lag.Group
		for _, line := range lines {
			if !strings.HasPrefix(line, "{") {
				continue
			}
			g = reportOf(t, result{stdout: line}).Groups[0]
			if slices.Contains(g.Reasons, lag.Stalled) {
				break
			}
		}
		if !slices.Contains(g.Reasons, lag.Stalled) {
			return fmt.Errorf("reasons %v", g.Reasons)
		}
		return nil
	})
	if took := time.Since(begin); took < 4*time.Second {
		t.Errorf("called stalled after %v", took)
	}
	w.signal(syscall.SIGCONT)
	eventually(t, time.Minute, "it goes on", func() error { return waits(t, b, 0) })
	watch.signal(os.Interrupt)
	if code := watch.wait(10 * time.Second); code != 0 {
		t.Errorf("watch ended with %d", code)
	}
	w.signal(syscall.SIGTERM)
	w.wait(time.Minute)
}

// twoWorkers share a topic: each shows the lag of the partitions that it owns, and no whole-group figures.
func twoWorkers(t *testing.T, k *kraft.Cluster, b *box) {
	b = ownQueue(t, b, "shared-orders", "shared-g", 4)
	b.must(0, time.Minute, "produce", "--count", "20", "--rate", "max")
	admins := []string{port(t), port(t)}
	for i, admin := range admins {
		b.start("consume", "--admin-addr", admin, "--instance-id", fmt.Sprint("w", i))
	}
	series := regexp.MustCompile(`(?m)^kafka_consumer_lag\{group="shared-g",(partition="\d",topic="shared-orders[^"]*")\} `)
	eventually(t, 2*time.Minute, "each partition is shown by one worker", func() error {
		shown := map[string]int{}
		for _, admin := range admins {
			_, body, err := call("GET", "http://"+admin+"/metrics", "", "")
			if err != nil {
				return err
			}
			if strings.Contains(body, "kafka_consumergroup_group_sum_lag") {
				t.Error("a worker shows figures of the whole group")
			}
			mine := series.FindAllStringSubmatch(body, -1)
			if len(mine) == 0 {
				return fmt.Errorf("%s shows nothing", admin)
			}
			for _, m := range mine {
				shown[m[1]]++
			}
		}
		for which, n := range shown {
			if n > 1 {
				return fmt.Errorf("%s is shown %d times", which, n)
			}
		}
		if len(shown) != 5*4 { // the source, three tiers and replay
			return fmt.Errorf("%d partitions", len(shown))
		}
		return nil
	})
}

// TestLagWithAFrozenNode: three nodes, one of which stops without closing anything. The table comes by the deadline, what
// the node alone knew is unknown and never 0, and no check calls that well.
func TestLagWithAFrozenNode(t *testing.T) {
	k := startKafka(t, 3)
	b := newBox(t, "ORDERCTL_KAFKA_BROKERS="+k.Addrs())
	cl := manual(t, k.Addrs())
	createTopic(t, cl, "orders", [][]int32{{1, 2, 3}, {2, 3, 1}, {3, 1, 2}})
	createTopic(t, cl, "single", [][]int32{{1}, {2}, {3}})
	for _, topic := range []string{"orders", "single"} {
		fillAged(t, cl, topic, 3, 10, time.Minute)
		commitAll(t, cl, "g", topic, map[int32]int64{0: 4, 1: 4, 2: 4})
	}
	whole := reportOf(t, b.must(0, 20*time.Second, "lag", "g", "-o", "json"))
	if g := whole.Groups[0]; !whole.Complete || g.Unread != lag.Know[int64](36) {
		t.Fatalf("%v unread", g.Unread)
	}
	api := servedLag(t, b)
	frozen := 1 + int(whole.Groups[0].Coordinator.V)%3 // not the coordinator: it is another test whether that moves
	if err := k.Freeze(frozen); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = k.Thaw(frozen) }()
	lost := int32(frozen - 1) // the partition of topic single that lies there
	first := b.must(6, 12*time.Second, "lag", "g", "-o", "json", "--timeout", "10s")
	g := reportOf(t, first).Groups[0]
	for _, row := range g.Partitions {
		if row.Topic == "single" && (row.Partition == lost) == row.Unread.Known {
			t.Errorf("right after: %s has %v unread, %s", row.TopicPartition(), row.Unread, row.Status)
		}
		if row.Unread.Known && row.Unread.V != 6 {
			t.Errorf("%s has %v unread", row.TopicPartition(), row.Unread)
		}
	}
	if !g.LowerBound || g.Complete || first.took > 11*time.Second {
		t.Errorf("lower bound %v, complete %v, after %v", g.LowerBound, g.Complete, first.took)
	}
	t.Logf("right after: %d of %d known in %v", g.Known, g.Total, first.took)
	if r := b.run(12*time.Second, "lag", "g", "--check"); r.code == 0 || r.code == 1 || !strings.Contains(r.stdout, "unread=U") {
		t.Errorf("check: exit %d, %s", r.code, r.stdout)
	}
	eventually(t, time.Minute, "the partition has no leader, and all others are known", func() error {
		r := b.run(20*time.Second, "lag", "g", "-o", "json")
		g := reportOf(t, r).Groups[0]
		if r.code != 6 || g.Known != 5 || g.Unread != lag.Know[int64](30) || !slices.Contains(g.Reasons, lag.Leaderless) {
			return fmt.Errorf("exit %d, %d known, %v unread, %v", r.code, g.Known, g.Unread, g.Reasons)
		}
		return nil
	})
	table := b.must(6, 20*time.Second, "lag", "g")
	if want := regexp.MustCompile(fmt.Sprintf(`(?m)^single +%d +4 +\? +\? +\? +\? +\? +\? +NO-LEADER `, lost)); !want.MatchString(table.stdout) || !strings.HasPrefix(table.stdout, "g  CRITICAL  >= 30 unread") {
		t.Errorf("table:\n%s", table.stdout)
	}
	if r := b.run(20*time.Second, "lag", "-A", "--by", "group"); r.code != 6 {
		t.Errorf("all groups: exit %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	api.lacks(lost)
	api.down(frozen)
	if err := k.Thaw(frozen); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, "all is known again", func() error {
		if r := b.run(20*time.Second, "lag", "g", "-o", "json"); r.code != 0 || reportOf(t, r).Groups[0].Unread.V != 36 {
			return fmt.Errorf("exit %d: %s", r.code, r.stderr)
		}
		return nil
	})
	for id := 1; id <= 3; id++ {
		if err := k.Freeze(id); err != nil {
			t.Fatal(err)
		}
	}
	api.outdated()
}

// metricsOf is a serve that watches group g.
type metricsOf struct {
	t   *testing.T
	url string
}

func servedLag(t *testing.T, b *box) metricsOf {
	t.Helper()
	mine := *b
	mine.env = append(slices.Clone(b.env), "ORDERCTL_METRICS_CONSUMER_LAG_GROUPS=g", "ORDERCTL_METRICS_CONSUMER_LAG_REFRESH=2s")
	admin := port(t)
	mine.start("serve", "--addr", port(t), "--admin-addr", admin)
	m := metricsOf{t: t, url: "http://" + admin}
	eventually(t, time.Minute, "serve shows the lag of all partitions", func() error {
		_, body, err := call("GET", m.url+"/metrics/consumer_lag?group=g&topic=single", "", "")
		if err != nil || !strings.Contains(body, `"complete":true,"total_lag":18,`) {
			return fmt.Errorf("%w: %s", err, body)
		}
		return nil
	})
	return m
}

// lacks: a partition that nobody leads has no series, and the total is null.
func (m metricsOf) lacks(partition int32) {
	m.t.Helper()
	eventually(m.t, time.Minute, "the total of topic single is null", func() error {
		_, body, err := call("GET", m.url+"/metrics/consumer_lag?group=g&topic=single", "", "")
		if err != nil || !strings.Contains(body, `"complete":false,"total_lag":null,"total_lag_min":12,`) {
			return fmt.Errorf("%w: %s", err, body)
		}
		return nil
	})
	_, body, err := call("GET", m.url+"/metrics", "", "")
	if err != nil {
		m.t.Fatal(err)
	}
	for p := range int32(3) {
		series := fmt.Sprintf(`kafka_consumer_lag{group="g",partition="%d",topic="single"} `, p)
		if strings.Contains(body, series) != (p != partition) {
			m.t.Errorf("partition %d, without leader is %d: shown %v", p, partition, strings.Contains(body, series))
		}
	}
	if strings.Contains(body, `kafka_consumergroup_group_sum_lag{group="g"}`) || !strings.Contains(body, `orderctl_lag_unknown_partitions{group="g"} 1`) {
		m.t.Error("a sum, though a partition is unknown")
	}
}

// down: the frozen node, and no other, is down; how many copies a record has is told.
func (m metricsOf) down(node int) {
	m.t.Helper()
	eventually(m.t, time.Minute, "one broker is down", func() error {
		_, body, err := call("GET", m.url+"/metrics", "", "")
		if err != nil {
			return err
		}
		for id := 1; id <= 3; id++ {
			want := fmt.Sprintf(`orderctl_kafka_up{broker="%d"} %d`, id, map[bool]int{false: 1}[id == node])
			if !strings.Contains(body, want) {
				return fmt.Errorf("no %s", want)
			}
		}
		if !strings.Contains(body, `orderctl_topic_min_insync_replicas{topic="orders"} 2`) {
			return errors.New("copies are not told")
		}
		return nil
	})
}

// outdated: nobody answers any more, so nothing is shown.
func (m metricsOf) outdated() {
	m.t.Helper()
	eventually(m.t, time.Minute, "503, and no series", func() error {
		code, body, err := call("GET", m.url+"/metrics/consumer_lag?group=g&topic=single", "", "")
		if err != nil || code != 503 {
			return fmt.Errorf("%w: %d %s", err, code, body)
		}
		_, body, err = call("GET", m.url+"/metrics", "", "")
		if err != nil || strings.Contains(body, "kafka_consumer_lag{") {
			return fmt.Errorf("%w: there are series", err)
		}
		return nil
	})
}

// ownQueue gives a test topics and a group of its own.
func ownQueue(t *testing.T, b *box, topic, group string, partitions int) *box {
	t.Helper()
	mine := *b
	mine.t, mine.home = t, t.TempDir()
	mine.env = append(slices.Clone(b.env), "HOME="+mine.home, "ORDERCTL_CONSUME_TOPIC="+topic, "ORDERCTL_CONSUME_GROUP="+group,
		fmt.Sprintf("ORDERCTL_TOPICS_PARTITIONS=%d", partitions), "ORDERCTL_CONSUME_HANDLER=discard", "ORDERCTL_METRICS_CONSUMER_LAG_REFRESH=1s")
	mine.must(0, time.Minute, "topics", "apply", "--yes")
	mine.must(0, time.Minute, "db", "migrate")
	return &mine
}

// waits is nil when the configured group has exactly so many unread.
func waits(t *testing.T, b *box, n int64) error {
	t.Helper()
	r := b.run(20*time.Second, "lag", "-o", "json")
	if r.code != 0 {
		return fmt.Errorf("exit %d: %s", r.code, r.stderr)
	}
	if g := reportOf(t, r).Groups[0]; g.Unread != lag.Know(n) {
		return fmt.Errorf("%v unread", g.Unread)
	}
	return nil
}

func reportOf(t *testing.T, r result) lag.Report {
	t.Helper()
	var report lag.Report
	decode(t, r.stdout, &report)
	if len(report.Groups) == 0 {
		t.Fatalf("no group in %s", clip(r.stdout))
	}
	return report
}

// maskTimes blots out what no two runs share, as the scripts of cmd/orderctl do.
func maskTimes(s string) string {
	for _, m := range [][2]string{
		{`\d\d:\d\d:\d\dZ, snapshot \d+ms`, "HH:MM:SSZ, snapshot Nms"},
		{`coordinator \d+`, "coordinator N"},
		{`\d\dm\d\ds`, "__m__s"},
		{`oldest=\d+s`, "oldest=Ns"},
		{`"(as_of|snapshot_ms|oldest_seconds|oldest_precision_seconds|loss_earliest_seconds|coordinator|leader|leader_epoch)": [^,{}\n]*[1-9][^,{}\n]*`, `"$1": N`},
		{`"(leader|leader_epoch|coordinator)": 0`, `"$1": N`},
	} {
		s = regexp.MustCompile(m[0]).ReplaceAllString(s, m[1])
	}
	return s
}

// manual is a client that writes to the partitions it is told.
func manual(t *testing.T, brokers string) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(brokers, ",")...), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.MaxVersions(kversion.V3_0_0())) // OffsetCommit from v10 on wants topic ids
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// assigned places each of n partitions on one node alone.
func assigned(n int, node int32) [][]int32 { return slices.Repeat([][]int32{{node}}, n) }

func createTopic(t *testing.T, cl *kgo.Client, name string, replicas [][]int32) {
	t.Helper()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, -1, -1
	for p, nodes := range replicas {
		a := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
		a.Partition, a.Replicas = int32(p), nodes
		topic.ReplicaAssignment = append(topic.ReplicaAssignment, a)
	}
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = 10_000
	req.Topics = append(req.Topics, topic)
	res, err := req.RequestWith(t.Context(), cl)
	if err == nil {
		err = kerr.ErrorForCode(res.Topics[0].ErrorCode)
	}
	if err != nil {
		t.Fatalf("create %s: %v", name, err)
	}
}

// fillAged writes n records to each partition, the first of them so old, each a second younger.
func fillAged(t *testing.T, cl *kgo.Client, topic string, partitions int32, n int, age time.Duration) {
	t.Helper()
	var recs []*kgo.Record
	begin := time.Now().Add(-age)
	for p := range partitions {
		for i := range n {
			recs = append(recs, &kgo.Record{Topic: topic, Partition: p, Value: []byte("order"), Timestamp: begin.Add(time.Duration(i) * time.Second)})
		}
	}
	if err := cl.ProduceSync(t.Context(), recs...).FirstErr(); err != nil {
		t.Fatalf("fill %s: %v", topic, err)
	}
}

func deleteRecords(t *testing.T, cl *kgo.Client, topic string, partition int32, before int64) {
	t.Helper()
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.TimeoutMillis = 10_000
	dt, dp := kmsg.NewDeleteRecordsRequestTopic(), kmsg.NewDeleteRecordsRequestTopicPartition()
	dp.Partition, dp.Offset = partition, before
	dt.Topic, dt.Partitions = topic, append(dt.Partitions, dp)
	req.Topics = append(req.Topics, dt)
	for _, shard := range cl.RequestSharded(t.Context(), req) {
		res, ok := shard.Resp.(*kmsg.DeleteRecordsResponse)
		if shard.Err != nil || !ok || res.Topics[0].Partitions[0].ErrorCode != 0 {
			t.Fatalf("delete records of %s: %v, %+v", topic, shard.Err, res)
		}
	}
}

func commitAll(t *testing.T, cl *kgo.Client, group, topic string, offsets map[int32]int64) {
	t.Helper()
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.Generation = group, -1
	rt := kmsg.NewOffsetCommitRequestTopic()
	rt.Topic = topic
	for p, offset := range offsets {
		rp := kmsg.NewOffsetCommitRequestTopicPartition()
		rp.Partition, rp.Offset = p, offset
		rt.Partitions = append(rt.Partitions, rp)
	}
	req.Topics = append(req.Topics, rt)
	eventually(t, 30*time.Second, "commit of "+group, func() error {
		res, err := req.RequestWith(t.Context(), cl)
		if err != nil {
			return err
		}
		for _, p := range res.Topics[0].Partitions {
			if p.ErrorCode != 0 {
				return kerr.ErrorForCode(p.ErrorCode)
			}
		}
		return nil
	})
}
