package broker_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"commerce.internal/orderctl/internal/broker"
)

// values reads a log from its start to an offset.
func values(t *testing.T, addr, topic string, until int64) []string {
	t.Helper()
	c := client(t, addr, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}))
	defer c.Close()
	var all []string
	for last := int64(-1); last < until-1; {
		fs := c.PollFetches(t.Context())
		if err := fs.Err(); err != nil {
			t.Fatal(err)
		}
		fs.EachRecord(func(r *kgo.Record) {
			last = r.Offset
			all = append(all, string(r.Value))
		})
	}
	return all
}

func TestNothingThatWasAcknowledgedIsLostByKill9(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	next := 0
	for life := range 4 {
		addr, kill := child(t, dir)
		c := client(t, addr)
		if life == 0 {
			req := kmsg.NewPtrCreateTopicsRequest()
			rt := kmsg.NewCreateTopicsRequestTopic()
			rt.Topic, rt.NumPartitions, rt.ReplicationFactor = "orders", 1, 1
			req.Topics = append(req.Topics, rt)
			if _, err := req.RequestWith(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		for range 50 {
			if at := put(t, c, "orders", fmt.Sprint(next), time.Now()); at != int64(next) {
				t.Fatalf("life %d: record %d lies at %d", life, next, at)
			}
			next++
		}
		if err := commit(t, addr, "g", "orders", int64(next)); err != nil {
			t.Fatal(err)
		}
		kill()
	}
	b := open(t, onDisk(dir))
	got := values(t, b.Addr(), "orders", int64(next))
	if len(got) != next {
		t.Fatalf("%d records of %d", len(got), next)
	}
	for i, v := range got {
		if v != fmt.Sprint(i) {
			t.Fatalf("record %d holds %q", i, v)
		}
	}
	if at := b.Cluster().GroupInfo("g").Commits["orders"][0].Offset; at != int64(next) {
		t.Errorf("committed %d, want %d", at, next)
	}
}

func TestFsyncKeepsTheSameLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, func(o *broker.Options) { onDisk(dir)(o); o.Fsync = true })
	if err := b.CreateTopic("orders", 1, nil); err != nil {
		t.Fatal(err)
	}
	put(t, client(t, b.Addr()), "orders", "one", time.Now())
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = open(t, onDisk(dir))
	if got := values(t, b.Addr(), "orders", 1); len(got) != 1 || got[0] != "one" {
		t.Errorf("read %q", got)
	}
}

func TestTopicsAreMadeOnPurposeOnly(t *testing.T) {
	t.Parallel()
	b := open(t, func(o *broker.Options) { o.Partitions = 4 })
	if err := b.CreateTopic("orders", 0, nil); err != nil {
		t.Fatal(err)
	}
	if err := b.CreateTopic("orders", 0, nil); err == nil || !strings.Contains(err.Error(), "orders") {
		t.Errorf("made twice: %v", err)
	}
	c := client(t, b.Addr())
	req := kmsg.NewPtrMetadataRequest()
	req.AllowAutoTopicCreation = true
	for _, name := range []string{"orders", "oders"} {
		rt := kmsg.NewMetadataRequestTopic()
		rt.Topic = kmsg.StringPtr(name)
		req.Topics = append(req.Topics, rt)
	}
	resp, err := req.RequestWith(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	for _, rt := range resp.Topics {
		want := map[string]int{"orders": 4, "oders": 0}[*rt.Topic]
		if len(rt.Partitions) != want {
			t.Errorf("%s has %d partitions, want %d", *rt.Topic, len(rt.Partitions), want)
		}
	}
	if id := resp.ClusterID; id == nil || *id != broker.ClusterID {
		t.Errorf("cluster id %v", id)
	}
}

func TestWhatIsAdvertisedIsWhatClientsDial(t *testing.T) {
	t.Parallel()
	b := open(t, func(o *broker.Options) { o.Advertise = "localhost" })
	if !strings.HasPrefix(b.Addr(), "localhost:") || strings.HasSuffix(b.Addr(), ":0") {
		t.Errorf("Addr() = %s", b.Addr())
	}
	if err := b.CreateTopic("orders", 1, nil); err != nil {
		t.Fatal(err)
	}
	put(t, client(t, b.Addr()), "orders", "v", time.Now())
	b = open(t, func(o *broker.Options) { o.Addr, o.Advertise = "0.0.0.0:0", "kafka.example:19092" })
	if b.Addr() != "kafka.example:19092" {
		t.Errorf("Addr() = %s", b.Addr())
	}
}

func TestOptionsThatCannotWorkAreNamed(t *testing.T) {
	t.Parallel()
	log := open(t, nil).Logger()
	for want, o := range map[string]broker.Options{
		"Options.Log":        {Addr: "127.0.0.1:0", Memory: true},
		"Options.Addr":       {Log: log, Memory: true},
		"Options.DataDir":    {Log: log, Addr: "127.0.0.1:0"},
		"Options.Addr \"x\"": {Log: log, Addr: "x", Memory: true},
		"Options.Advertise":  {Log: log, Addr: "0.0.0.0:0", Memory: true},
	} {
		if _, err := broker.Open(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open = %v, want %s", err, want)
		}
	}
}
