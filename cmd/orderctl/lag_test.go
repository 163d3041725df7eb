package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"commerce.internal/orderctl/internal/broker"
)

// lagCommands are what the scripts of lag have beside the others:
//
//	golden                                  plays the golden scenario of lag
//	fill TOPIC PARTITION N AGE              writes N records, the first of which is AGE old, each a second younger
//	commit GROUP TOPIC PARTITION OFFSET     commits
//	hostile-group                           lets a group commit whose name is out to take over a terminal
//	masked FILE                             compares the last stdout with a file, but for times
func lagCommands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"golden": golden, "fill": fill, "commit": commitOffset, "masked": masked,
		"hostile-group": func(ts *testscript.TestScript, _ bool, _ []string) {
			_, cl := scriptClient(ts)
			defer cl.Close()
			commitAt(ts.Check, cl, evil, "orders", 0, 1)
		},
	}
}

func scriptClient(ts *testscript.TestScript) (*broker.Broker, *kgo.Client) {
	b, _ := ts.Value(brokerKey{}).(*broker.Broker)
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.MaxVersions(kversion.V3_0_0()), kgo.ProducerLinger(0)) // from v10 on a commit wants topic ids
	ts.Check(err)
	return b, cl
}

func golden(ts *testscript.TestScript, _ bool, _ []string) {
	b, cl := scriptClient(ts)
	defer cl.Close()
	ts.Check(b.CreateTopic("orders", 4, nil))
	for p := range int32(4) {
		produceAged(ts, cl, "orders", p, 100, 30*time.Minute)
	}
	ts.Check(b.Cluster().DeleteRecords("orders", 2, 40))
	for p, offset := range map[int32]int64{0: 90, 2: 5, 3: 120} {
		commitAt(ts.Check, cl, "workers", "orders", p, offset)
	}
	for p := range int32(4) {
		commitAt(ts.Check, cl, "audit", "orders", p, 100)
	}
}

func fill(ts *testscript.TestScript, _ bool, args []string) {
	_, cl := scriptClient(ts)
	defer cl.Close()
	age, err := time.ParseDuration(args[3])
	ts.Check(err)
	produceAged(ts, cl, args[0], int32(number(ts, args[1])), int(number(ts, args[2])), age)
}

func commitOffset(ts *testscript.TestScript, _ bool, args []string) {
	_, cl := scriptClient(ts)
	defer cl.Close()
	commitAt(ts.Check, cl, args[0], args[1], int32(number(ts, args[2])), number(ts, args[3]))
}

func number(ts *testscript.TestScript, s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	ts.Check(err)
	return n
}

func produceAged(ts *testscript.TestScript, cl *kgo.Client, topic string, partition int32, n int, age time.Duration) {
	recs := make([]*kgo.Record, n)
	begin := time.Now().Add(-age)
	for i := range recs {
		recs[i] = &kgo.Record{
			Topic: topic, Partition: partition, Key: fmt.Appendf(nil, "A-%d", i), Value: fmt.Appendf(nil, `{"order_id":"A-%d"}`, i),
			Timestamp: begin.Add(time.Duration(i) * time.Second),
		}
	}
	ts.Check(cl.ProduceSync(context.Background(), recs...).FirstErr())
}

func commitAt(check func(error), cl *kgo.Client, group, topic string, partition int32, offset int64) {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.Generation = group, -1
	rt, rp := kmsg.NewOffsetCommitRequestTopic(), kmsg.NewOffsetCommitRequestTopicPartition()
	rp.Partition, rp.Offset = partition, offset
	rt.Topic, rt.Partitions = topic, append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	res, err := req.RequestWith(context.Background(), cl)
	check(err)
	check(kerr.ErrorForCode(res.Topics[0].Partitions[0].ErrorCode))
}

// maskTimes blots out what no two runs share. Ages keep their width.
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

func masked(ts *testscript.TestScript, _ bool, args []string) {
	file := filepath.Join(ts.Getenv("GOLDEN"), args[0])
	got := maskTimes(ts.ReadFile("stdout"))
	if *update {
		ts.Check(os.WriteFile(file, []byte(got), 0o600))
	}
	want, err := os.ReadFile(file)
	ts.Check(err)
	if got != string(want) {
		ts.Fatalf("not %s:\n%s\nwant:\n%s", args[0], got, strings.TrimSpace(string(want)))
	}
}
