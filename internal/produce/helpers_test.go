package produce_test

import (
	"bytes"
	"context"
	"errors"
	"hash/fnv"
	"io"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"commerce.internal/orderctl/internal/produce"
	"commerce.internal/orderctl/internal/queue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// publisher is a queue.Publisher that takes everything, unless refuse or answer say otherwise.
type publisher struct {
	mu     sync.Mutex
	got    []queue.Message
	at     []time.Time
	refuse func(n int, m queue.Message) error                        // returned by Publish
	answer func(n int, m queue.Message, done func(queue.Ack, error)) // nil: acknowledged at once
}

func (p *publisher) Publish(m queue.Message, done func(queue.Ack, error)) error {
	p.mu.Lock()
	n := len(p.got)
	if p.refuse != nil {
		if err := p.refuse(n, m); err != nil {
			p.mu.Unlock()
			return err
		}
	}
	p.got, p.at = append(p.got, m), append(p.at, time.Now())
	p.mu.Unlock()
	if p.answer != nil {
		p.answer(n, m, done)
		return nil
	}
	done(queue.Ack{}, nil)
	return nil
}

func (p *publisher) messages() []queue.Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.got
}

// partition is not Kafka's, but as stable.
func partition(key []byte, n int32) int32 {
	h := fnv.New32a()
	_, _ = h.Write(key)
	return int32(h.Sum32() % uint32(n))
}

func toKafka(p produce.Publisher) *produce.Kafka {
	return &produce.Kafka{Publisher: p, Topic: "orders", Partition: partition, Partitions: 6}
}

func start() time.Time { return time.UnixMilli(1_766_000_000_000) }

// run runs with options that must be good.
func run(ctx context.Context, t *testing.T, o produce.Options) produce.Report {
	t.Helper()
	p, err := produce.New(o)
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.Run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	balanced(t, r)
	return r
}

// balanced checks the promise of every report.
func balanced(t *testing.T, r produce.Report) {
	t.Helper()
	if r.Sent != r.Acknowledged+r.NotSent+r.Rejected+r.Unknown {
		t.Errorf("sent %d, acknowledged %d + not sent %d + rejected %d + unknown %d", r.Sent, r.Acknowledged, r.NotSent, r.Rejected, r.Unknown)
	}
	var failures int64
	for _, n := range r.Errors {
		failures += n
	}
	if failures != r.Failures() {
		t.Errorf("the codes %v count %d failures of %d", r.Errors, failures, r.Failures())
	}
	if r.Latency.Count != r.Acknowledged+r.Expected || r.Schema != produce.Schema {
		t.Errorf("%d latencies of %d answers; schema %s", r.Latency.Count, r.Acknowledged+r.Expected, r.Schema)
	}
}

// lines is a recording of the given text.
func lines(text string) *produce.File {
	return &produce.File{Name: "test", Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader([]byte(text))), nil }}
}

func realLines(t *testing.T) [][]byte {
	t.Helper()
	raw, err := os.ReadFile("sample/online-retail-2010-12.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Split(bytes.TrimSuffix(raw, []byte("\n")), []byte("\n"))
}

// usageError checks that err is one for the exit code 2.
func usageError(err error) bool {
	var e *produce.Error
	return errors.As(err, &e) && e.ExitCode() == 2
}
