package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"commerce.internal/orderctl/internal/broker/brokertest"
	"commerce.internal/orderctl/internal/queue"
)

// lettersOf writes n letters of three classes, as a worker would, with orders of 400 bytes.
func lettersOf(t *testing.T, n int) *brokertest.Broker {
	t.Helper()
	b := brokertest.Start(t, brokertest.Topics(12, "orders.orders-worker.dlq", "orders.orders-worker.dlq.audit"))
	cl := b.Client(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.Lz4Compression()), kgo.MaxBufferedRecords(50_000))
	classes := []queue.Class{queue.ClassInvalid, queue.ClassExhausted, queue.ClassDecode}
	began := time.Now().Add(-24 * time.Hour)
	items := strings.Repeat(`{"product_id":"p-100","quantity":2,"unit_price":1999},`, 5)
	for i := range n {
		key := fmt.Sprintf("A-%d", i)
		tr := queue.Trail{
			MsgID: key + ":CREATED", Fingerprint: fmt.Sprintf("%064x", i), Hop: 1, Class: classes[i%3], Code: "#/user_id", Group: "orders-worker",
			Origin: queue.Position{Topic: "orders", Partition: int32(i % 12), Offset: int64(i / 12)}, Message: "not a valid order: #/user_id is required",
			FirstFailure: began, LastFailure: began, Worker: "host-1",
		}
		rec := &kgo.Record{
			Topic: "orders.orders-worker.dlq", Partition: int32(i % 12), Key: []byte(key), Timestamp: began.Add(time.Duration(i) * 80 * time.Millisecond),
			Value: fmt.Appendf(nil, `{"order_id":"%s","status":"CREATED","total_amount":%d,"items":[%s{}]}`, key, i, items),
		}
		for _, h := range tr.Append(nil) {
			rec.Headers = append(rec.Headers, kgo.RecordHeader{Key: h.Name, Value: h.Value})
		}
		cl.Produce(t.Context(), rec, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Errorf("produce: %v", err)
			}
		})
	}
	if err := cl.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

// The newest fifty of however many letters are there within two seconds, an export needs no more memory for more letters, and
// a count tells how far it is. LETTERS=1000000 makes it a measurement.
func TestALookAtManyLetters(t *testing.T) { // not parallel: it is about time
	n := 60_000
	if raceDetector { // neither its time nor its memory are those of the real one
		n = 6_000
	}
	if s := os.Getenv("LETTERS"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	b := lettersOf(t, n)
	environ := []string{"HOME=" + t.TempDir(), "ORDERCTL_KAFKA_BROKERS=" + b.Addr()}
	look := func(args ...string) (stdout, stderr string, took time.Duration, rss int64) {
		t.Helper()
		cmd := orderctl(t, environ, append([]string{"dlq"}, args...)...)
		lines := &lineCount{}
		var errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = lines, &errs
		began := time.Now()
		rss, err := runMeasured(cmd)
		if err != nil {
			t.Fatalf("dlq %v: %v\n%s", args, err, errs.String())
		}
		return fmt.Sprint(lines.n), errs.String(), time.Since(began), rss
	}
	lines, errs, took, rss := look("list")
	t.Logf("list: %v, %d MiB, %s", took, rss>>20, errs)
	if lines != "51" || took > 2*time.Second && !raceDetector || !strings.Contains(errs, "50 of ") {
		t.Errorf("%s lines in %v: %s", lines, took, errs)
	}
	lines, _, took, rss = look("export")
	t.Logf("export: %s letters in %v, %d MiB", lines, took, rss>>20)
	if lines != fmt.Sprint(n) || rss > 200<<20 && !raceDetector {
		t.Errorf("%s letters, want %d, with %d MiB", lines, n, rss>>20)
	}
	lines, errs, took, rss = look("stats")
	t.Logf("stats: %v, %d MiB, %s", took, rss>>20, errs)
	if lines != "5" || took > 15*time.Second && !strings.Contains(errs, "count ") {
		t.Errorf("%s lines in %v: %s", lines, took, errs)
	}
	lines, errs, took, rss = look("list", "--jq", ".body.total_amount == 7")
	t.Logf("list --jq: %s lines, %v, %d MiB, %s", lines, took, rss>>20, errs)
	if lines != "2" {
		t.Errorf("%s lines: %s", lines, errs)
	}
}

type lineCount struct{ n int }

func (l *lineCount) Write(p []byte) (int, error) {
	l.n += bytes.Count(p, []byte("\n"))
	return len(p), nil
}

// runMeasured runs a process and returns the most memory that it had; 0 where the system does not tell. What wait tells
// instead counts in what the test itself had before the process began.
func runMeasured(cmd *exec.Cmd) (most int64, err error) {
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			return most, err
		case <-tick.C:
			raw, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
			_, rest, _ := strings.Cut(string(raw), "VmHWM:")
			if f := strings.Fields(rest); len(f) > 0 {
				kib, _ := strconv.ParseInt(f[0], 10, 64)
				most = max(most, kib<<10)
			}
		}
	}
}
