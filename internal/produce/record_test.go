package produce_test

import (
	"bytes"
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/produce"
	"commerce.internal/orderctl/internal/queue"
)

// plain are options whose records follow from nothing but what stands here.
func plain(p produce.Publisher) produce.Options {
	return produce.Options{Kafka: toKafka(p), Rate: produce.Max(), Count: 1_000, RunID: "run", Seed: 1, BaseTime: start()}
}

func dryRun(t *testing.T, o produce.Options) string {
	t.Helper()
	p, err := produce.New(o)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := p.DryRun(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestEqualSeedsGiveEqualBytes(t *testing.T) {
	t.Parallel()
	first := dryRun(t, plain(&publisher{}))
	if n := strings.Count(first, "\n"); n != 1_000 {
		t.Fatalf("%d lines, want 1000", n)
	}
	if dryRun(t, plain(&publisher{})) != first {
		t.Error("equal seed, run id and base time gave other bytes")
	}
	for name, change := range map[string]func(*produce.Options){
		"seed":      func(o *produce.Options) { o.Seed = 2 },
		"run id":    func(o *produce.Options) { o.RunID = "other" },
		"base time": func(o *produce.Options) { o.BaseTime = start().Add(time.Hour) },
		"keys":      func(o *produce.Options) { o.Keys = 10 },
		"items":     func(o *produce.Options) { o.MinItems, o.MaxItems = 9, 9 },
	} {
		o := plain(&publisher{})
		if change(&o); dryRun(t, o) == first {
			t.Errorf("another %s gave equal bytes", name)
		}
	}
	o := plain(&publisher{})
	if o.Format = produce.FormatProtobuf; dryRun(t, o) != first {
		t.Error("the format changed the orders, not only their encoding")
	}
}

func TestADryRunSendsNothingAndIsWhatWillBeSent(t *testing.T) {
	t.Parallel()
	p := &publisher{}
	dry := dryRun(t, plain(p))
	if len(p.messages()) != 0 {
		t.Fatal("a dry run published")
	}
	run(t.Context(), t, plain(p))
	var sent strings.Builder
	for _, m := range p.messages() {
		sent.Write(m.Value)
		sent.WriteByte('\n')
	}
	if sent.String() != dry {
		t.Error("the run sent other bytes than the dry run showed")
	}
}

func TestADryRunWithoutEndStops(t *testing.T) {
	t.Parallel()
	o := plain(&publisher{})
	o.Count = 0
	p, err := produce.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := p.DryRun(ctx, writer(func(b []byte) (int, error) { cancel(); return len(b), nil })); err != nil {
		t.Error(err)
	}
	o.Rate, o.Duration = rate(t, "10/s"), 2*time.Second
	if n := strings.Count(dryRun(t, o), "\n"); n != 20 {
		t.Errorf("2 s at 10/s showed %d orders", n)
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }

func TestGeneratedOrdersAreValid(t *testing.T) {
	t.Parallel()
	for _, format := range []string{produce.FormatJSON, produce.FormatProtobuf} {
		for _, keys := range []int{0, 7} {
			p := &publisher{}
			o := plain(p)
			o.Format, o.Keys, o.MinItems, o.MaxItems = format, keys, 2, 5
			o.Count = 2_000
			run(t.Context(), t, o)
			for i, m := range p.messages() {
				content, _ := queue.First(m.Headers, queue.HeaderContentType)
				got, err := order.Parse(content, m.Value, order.RejectUnknown)
				if err != nil {
					t.Fatalf("%s record %d: %v", format, i, err)
				}
				if got.Fill(order.Defaults{Currency: "CNY", Now: start()}) || got.Validate(start()) != nil {
					t.Fatalf("%s record %d is not whole and valid: %s", format, i, m.Value)
				}
				if n := len(got.Items); n < 2 || n > 5 {
					t.Fatalf("record %d has %d items, want 2 to 5", i, n)
				}
				if string(m.Key) != got.OrderID || m.Partition != partition(m.Key, 6) || m.Topic != "orders" {
					t.Fatalf("record %d: key %s of order %s on %s/%d", i, m.Key, got.OrderID, m.Topic, m.Partition)
				}
			}
		}
	}
}

// With keys each slot walks through the statuses, one order after the other, and stays on its partition.
func TestKeysAreChainsThatStayOnTheirPartition(t *testing.T) {
	t.Parallel()
	p := &publisher{}
	o := plain(p)
	o.Keys, o.Count = 20, 5_000
	run(t.Context(), t, o)
	stored := map[string]order.Order{}
	places := map[string]int32{}
	ids := map[string]bool{}
	for i, m := range p.messages() {
		got, err := order.ParseJSON(m.Value, order.RejectUnknown)
		if err != nil {
			t.Fatal(err)
		}
		was := stored[got.OrderID]
		if order.Transition(was.Status, got.Status) != order.Advance || was.Status == "" && got.Status != order.Created {
			t.Fatalf("record %d: %s went from %q to %s", i, got.OrderID, was.Status, got.Status)
		}
		if was.Status != "" && (was.UserID != got.UserID || was.TotalAmount != got.TotalAmount) {
			t.Fatalf("record %d: %s became another order", i, got.OrderID)
		}
		stored[got.OrderID] = got
		if ids[got.MessageID()] {
			t.Fatalf("record %d: message id %s twice", i, got.MessageID())
		}
		ids[got.MessageID()] = true
		slot := regexp.MustCompile(`^run-k\d+`).FindString(got.OrderID)
		if at, known := places[slot]; known && at != m.Partition {
			t.Fatalf("record %d: key %s moved from partition %d to %d", i, slot, at, m.Partition)
		}
		places[slot] = m.Partition
	}
	if len(places) != 20 || len(stored) < 1_200 {
		t.Errorf("%d keys, %d orders; want 20 and about 1,250", len(places), len(stored))
	}
}

func TestHeadersAreThoseOfServe(t *testing.T) {
	t.Parallel()
	p := &publisher{}
	o := plain(p)
	o.Count = 2
	before := time.Now()
	run(t.Context(), t, o)
	m := p.messages()[1]
	got, err := order.ParseJSON(m.Value, order.RejectUnknown)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		queue.HeaderSpecVersion: "1.0", queue.HeaderID: "run-1:CREATED", queue.HeaderType: "internal.commerce.order.created.v1",
		queue.HeaderSource: "/orderctl/produce", queue.HeaderContentType: queue.ContentJSON, queue.HeaderRequestID: "run-1",
		queue.HeaderClient: "produce", queue.HeaderFingerprint: got.Fingerprint(), queue.HeaderLoadTest: "run",
	}
	for name, value := range want {
		if is, _ := queue.First(m.Headers, name); is != value {
			t.Errorf("header %s = %q, want %q", name, is, value)
		}
	}
	parent, _ := queue.First(m.Headers, queue.HeaderTraceparent)
	other, _ := queue.First(p.messages()[0].Headers, queue.HeaderTraceparent)
	if !regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-00$`).MatchString(parent) || parent == other {
		t.Errorf("traceparents %q and %q", other, parent)
	}
	at, _ := queue.First(m.Headers, queue.HeaderTime)
	when, err := time.Parse(time.RFC3339, at)
	if err != nil || when.Before(before.Add(-time.Second)) || m.Time.Before(before) {
		t.Errorf("ce_time %q, record time %v: both are the time of the write", at, m.Time)
	}
	if len(m.Headers) != len(want)+2 {
		t.Errorf("%d headers, want %d", len(m.Headers), len(want)+2)
	}
}

func TestRunIDAndBaseTimeDefaultToTheStart(t *testing.T) {
	t.Parallel()
	p := &publisher{}
	o := plain(p)
	o.RunID, o.BaseTime, o.Count = "", time.Time{}, 1
	before := time.Now().Add(-time.Millisecond)
	r := run(t.Context(), t, o)
	got, err := order.ParseJSON(p.messages()[0].Value, order.RejectUnknown)
	if err != nil || got.OrderID != r.RunID+"-0" || !regexp.MustCompile(`^\d{8}T\d{6}\.\d{3}$`).MatchString(r.RunID) {
		t.Errorf("run id %q, order %q, %v", r.RunID, got.OrderID, err)
	}
	if stamp := time.UnixMilli(got.Timestamp); stamp.Before(before.Truncate(time.Millisecond)) || got.Validate(time.Now()) != nil {
		t.Errorf("timestamp %v", stamp)
	}
}

func TestOptionsThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*produce.Options){
		"no target":         func(o *produce.Options) { o.Kafka = nil },
		"two targets":       func(o *produce.Options) { o.HTTP = &produce.HTTP{URL: "http://127.0.0.1:1"} },
		"no publisher":      func(o *produce.Options) { o.Kafka.Publisher = nil },
		"no partitioner":    func(o *produce.Options) { o.Kafka.Partition = nil },
		"no topic":          func(o *produce.Options) { o.Kafka.Topic = "" },
		"no partitions":     func(o *produce.Options) { o.Kafka.Partitions = 0 },
		"no rate":           func(o *produce.Options) { o.Rate = produce.Rate{} },
		"negative count":    func(o *produce.Options) { o.Count = -1 },
		"negative duration": func(o *produce.Options) { o.Duration = -1 },
		"negative lag":      func(o *produce.Options) { o.MaxLag = -1 },
		"negative report":   func(o *produce.Options) { o.ReportEvery = -1 },
		"bad on-lag":        func(o *produce.Options) { o.OnLag = "wait" },
		"min-rate of 2":     func(o *produce.Options) { o.MinRate = 2 },
		"run id, space":     func(o *produce.Options) { o.RunID = "a b" },
		"run id, dash":      func(o *produce.Options) { o.RunID = "-a" },
		"run id too long":   func(o *produce.Options) { o.RunID = strings.Repeat("a", 41) },
		"format":            func(o *produce.Options) { o.Format = "xml" },
		"keys":              func(o *produce.Options) { o.Keys = -1 },
		"items 0":           func(o *produce.Options) { o.MinItems = -1 },
		"items turned":      func(o *produce.Options) { o.MinItems, o.MaxItems = 5, 3 },
		"items 2,001":       func(o *produce.Options) { o.MaxItems = 2_001 },
		"file, no open":     func(o *produce.Options) { o.File = &produce.File{} },
		"file and keys":     func(o *produce.Options) { o.File, o.Keys = lines(""), 3 },
		"file, protobuf":    func(o *produce.Options) { o.File, o.Format = lines(""), produce.FormatProtobuf },
		"file, speed":       func(o *produce.Options) { o.File = lines(""); o.File.Speed = -1 },
		"file, gap":         func(o *produce.Options) { o.File = lines(""); o.File.MaxGap = -1 },
	} {
		o := plain(&publisher{})
		change(&o)
		if _, err := produce.New(o); !usageError(err) {
			t.Errorf("%s: %v, want an error with exit code 2", name, err)
		}
	}
	o := plain(&publisher{})
	o.Count, o.Format = -1, "xml"
	if _, err := produce.New(o); err == nil || !strings.Contains(err.Error(), "count") || !strings.Contains(err.Error(), "format") {
		t.Errorf("every problem is named: %v", err)
	}
}
