package read_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"commerce.internal/orderctl/internal/broker/brokertest"
	"commerce.internal/orderctl/internal/kafka/read"
	"commerce.internal/orderctl/internal/queue"
)

// orders starts a broker with one topic whose records may be large.
func orders(t *testing.T, partitions int32) *brokertest.Broker {
	t.Helper()
	return brokertest.Start(t, large("orders", partitions))
}

func large(topic string, partitions int32) brokertest.Option {
	return brokertest.TopicWith(topic, partitions, map[string]string{"max.message.bytes": "100000000"})
}

func client(b *brokertest.Broker, opts ...kgo.Opt) *kgo.Client {
	return b.Client(append([]kgo.Opt{
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchMaxBytes(16 << 20), kgo.ProducerLinger(0),
	}, opts...)...)
}

func send(t *testing.T, cl *kgo.Client, recs ...*kgo.Record) {
	t.Helper()
	if err := cl.ProduceSync(t.Context(), recs...).FirstErr(); err != nil {
		t.Fatalf("produce: %v", err)
	}
}

func values(topic string, vs ...string) []*kgo.Record {
	var recs []*kgo.Record
	for _, v := range vs {
		recs = append(recs, &kgo.Record{Topic: topic, Value: []byte(v)})
	}
	return recs
}

func texts(recs []queue.Record) []string {
	var vs []string
	for _, r := range recs {
		vs = append(vs, string(r.Value))
	}
	return vs
}

func span(t *testing.T, r *read.Reader, topic string) read.Span {
	t.Helper()
	spans, err := r.Bounds(t.Context(), topic)
	if err != nil {
		t.Fatalf("Bounds: %v", err)
	}
	return spans[0]
}

func TestRecordsComeAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	var topics []brokertest.Option
	for name := range codecs {
		topics = append(topics, large(name, 1))
	}
	b := brokertest.Start(t, topics...)
	for name, codec := range codecs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := time.UnixMilli(1_763_000_000_123)
			written := []*kgo.Record{
				{Key: []byte("k"), Value: []byte("v"), Headers: []kgo.RecordHeader{{Key: "a", Value: []byte("1")}, {Key: "a", Value: []byte("2")}}},
				{}, // no key, no value
				{Key: []byte{}, Value: []byte{}, Headers: []kgo.RecordHeader{{Key: "", Value: nil}, {Key: "empty", Value: []byte{}}}},
				{Key: []byte{0xff, 0}, Value: []byte("\x1b[2J")},
				{Value: bytes.Repeat([]byte("order "), 20_000)},
			}
			for i, r := range written {
				r.Topic, r.Timestamp = name, at.Add(time.Duration(i)*time.Millisecond)
			}
			send(t, client(b, kgo.ProducerBatchCompression(codec)), written...)
			got, err := all(t, reader(t, b.Addr()), name, 0, int64(len(written)))
			if err != nil || len(got) != len(written) {
				t.Fatalf("%d records, %v", len(got), err)
			}
			for i, r := range got {
				compare(t, r, written[i], int64(i))
			}
		})
	}
}

func compare(t *testing.T, got queue.Record, want *kgo.Record, offset int64) {
	t.Helper()
	same := func(a, b []byte) bool { return bytes.Equal(a, b) && (a == nil) == (b == nil) }
	if got.Offset != offset || got.Topic != want.Topic || !same(got.Key, want.Key) || !same(got.Value, want.Value) {
		t.Errorf("record %d: key %q value %q, want %q %q", got.Offset, got.Key, got.Value, want.Key, want.Value)
	}
	if !got.Time.Equal(want.Timestamp) || len(got.Headers) != len(want.Headers) {
		t.Errorf("record %d: time %v headers %v, want %v %v", got.Offset, got.Time, got.Headers, want.Timestamp, want.Headers)
	}
	for i, h := range got.Headers {
		if h.Name != want.Headers[i].Key || !same(h.Value, want.Headers[i].Value) {
			t.Errorf("record %d: header %q %q, want %q", got.Offset, h.Name, h.Value, want.Headers[i])
		}
	}
}

func TestOnlyWhatLiesBetween(t *testing.T) {
	t.Parallel()
	b := orders(t, 1)
	send(t, client(b), values("orders", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9")...) // one batch
	r := reader(t, b.Addr())
	for _, tt := range []struct {
		from, end int64
		want      []int64
	}{{0, 10, []int64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}}, {3, 6, []int64{3, 4, 5}}, {9, 10, []int64{9}}, {4, 4, []int64{}}, {6, 2, []int64{}}} {
		if got, err := all(t, r, "orders", tt.from, tt.end); err != nil || !slices.Equal(offsetsOf(got), tt.want) {
			t.Errorf("[%d, %d): %v, %v", tt.from, tt.end, offsetsOf(got), err)
		}
	}
	stop := errors.New("enough")
	n := 0
	err := r.Scan(t.Context(), "orders", 0, 0, 10, func(queue.Record) error { n++; return stop })
	if !errors.Is(err, stop) || n != 1 {
		t.Errorf("%d records after the error of fn, %v", n, err)
	}
}

func TestRecordsOfFiveMegabytes(t *testing.T) {
	t.Parallel()
	b := orders(t, 1)
	big := noise(5 << 20)
	cl := client(b)
	send(t, cl, values("orders", "before")...)
	send(t, cl, &kgo.Record{Topic: "orders", Value: big})
	send(t, cl, values("orders", "after")...)
	r := reader(t, b.Addr())
	got, err := all(t, r, "orders", 0, 3)
	if err != nil || len(got) != 3 || !bytes.Equal(got[1].Value, big) || string(got[2].Value) != "after" {
		t.Errorf("%d records, %v", len(got), err)
	}
	if rec, err := r.At(t.Context(), queue.Position{Topic: "orders", Offset: 1}); err != nil || len(rec.Value) != len(big) {
		t.Errorf("At: %d bytes, %v", len(rec.Value), err)
	}
}

// noise does not compress.
func noise(n int) []byte {
	b := make([]byte, n)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// A batch that unpacks to more than 64 MiB is named, and what lies before and behind it can be read.
func TestADecompressionBomb(t *testing.T) {
	t.Parallel()
	b := orders(t, 1)
	cl := client(b)
	send(t, cl, values("orders", "before")...)
	packer := client(b, kgo.ProducerBatchMaxBytes(80<<20), kgo.ProducerBatchCompression(kgo.ZstdCompression()))
	send(t, packer, &kgo.Record{Topic: "orders", Value: make([]byte, 65<<20)})
	send(t, cl, values("orders", "after")...)
	r := reader(t, b.Addr())
	got, err := all(t, r, "orders", 0, 3)
	var bad *read.BatchError
	if !errors.As(err, &bad) || bad.At.String() != "orders/0@1" || !slices.Equal(texts(got), []string{"before"}) {
		t.Errorf("%q, %v", texts(got), err)
	}
	if rec, err := r.At(t.Context(), queue.Position{Topic: "orders", Offset: 2}); err != nil || string(rec.Value) != "after" {
		t.Errorf("behind it: %q, %v", rec.Value, err)
	}
}

func transaction(t *testing.T, cl *kgo.Client, commit kgo.TransactionEndTry, recs ...*kgo.Record) {
	t.Helper()
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	send(t, cl, recs...)
	if err := cl.EndTransaction(t.Context(), commit); err != nil {
		t.Fatalf("end transaction: %v", err)
	}
}

func TestAbortedTransactionsAreSkipped(t *testing.T) {
	t.Parallel()
	b := orders(t, 1)
	plain := client(b)
	one, two := client(b, kgo.TransactionalID("one")), client(b, kgo.TransactionalID("two"))
	send(t, plain, values("orders", "plain 1")...)
	transaction(t, one, kgo.TryAbort, values("orders", "aborted", "aborted", "aborted")...)
	transaction(t, one, kgo.TryCommit, values("orders", "committed 1")...)
	transaction(t, one, kgo.TryAbort, values("orders", "aborted")...)
	// Two producers at once: one of them aborts around the other's commit.
	for _, cl := range []*kgo.Client{one, two} {
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
	}
	send(t, one, values("orders", "aborted")...)
	send(t, two, values("orders", "committed 2")...)
	send(t, plain, values("orders", "plain 2")...)
	if err := two.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	send(t, one, values("orders", "aborted")...)
	if err := one.EndTransaction(t.Context(), kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
	r := reader(t, b.Addr())
	waitFor(t, func() bool { return span(t, r, "orders").End == 15 })
	got, err := all(t, r, "orders", 0, 15) // ends with a marker
	if want := []string{"plain 1", "committed 1", "committed 2", "plain 2"}; err != nil || !slices.Equal(texts(got), want) {
		t.Errorf("%q at %v, %v; want %q", texts(got), offsetsOf(got), err, want)
	}
	for offset, want := range map[int64]error{0: nil, 1: queue.ErrNotFound, 4: queue.ErrNotFound, 14: queue.ErrNotFound, 15: queue.ErrNotFound, -1: queue.ErrNotFound} {
		if _, err := r.At(t.Context(), queue.Position{Topic: "orders", Offset: offset}); !errors.Is(err, want) {
			t.Errorf("At %d: %v, want %v", offset, err, want)
		}
	}
}

func TestAnOpenTransactionEndsTheLog(t *testing.T) {
	t.Parallel()
	b := orders(t, 1)
	plain, open := client(b), client(b, kgo.TransactionalID("open"))
	send(t, plain, values("orders", "before")...)
	if err := open.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	send(t, open, values("orders", "undecided")...)
	send(t, plain, values("orders", "behind")...)
	r := reader(t, b.Addr())
	if s := span(t, r, "orders"); s != (read.Span{Start: 0, End: 1}) {
		t.Errorf("Bounds = %+v", s)
	}
	got, err := all(t, r, "orders", 0, 3)
	if !errors.Is(err, queue.ErrPartial) || !slices.Equal(texts(got), []string{"before"}) {
		t.Errorf("%q, %v", texts(got), err)
	}
	if _, err := r.At(t.Context(), queue.Position{Topic: "orders", Offset: 2}); !errors.Is(err, queue.ErrPartial) {
		t.Errorf("At behind it: %v", err)
	}
	if err := open.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return span(t, r, "orders").End == 4 })
	if got, err := all(t, r, "orders", 0, 4); err != nil || !slices.Equal(texts(got), []string{"before", "undecided", "behind"}) {
		t.Errorf("%q, %v", texts(got), err)
	}
}

func TestOffsetOfATime(t *testing.T) {
	t.Parallel()
	b := orders(t, 2)
	start := time.UnixMilli(1_763_000_000_000)
	cl := client(b)
	for i := range 10 {
		send(t, cl, &kgo.Record{Topic: "orders", Partition: 1, Value: []byte("v"), Timestamp: start.Add(time.Duration(i) * time.Second)})
	}
	r := reader(t, b.Addr())
	for at, want := range map[time.Duration]int64{-time.Hour: 0, 0: 0, time.Millisecond: 1, 9 * time.Second: 9, 10 * time.Second: -1} {
		if got, err := r.OffsetAt(t.Context(), "orders", 1, start.Add(at)); err != nil || got != want {
			t.Errorf("OffsetAt(%v) = %d, %v; want %d", at, got, err, want)
		}
	}
	for _, at := range []time.Time{time.Date(1912, 10, 28, 0, 0, 0, 0, time.UTC), time.UnixMilli(-1)} { // -1 means "latest" to Kafka
		if got, err := r.OffsetAt(t.Context(), "orders", 1, at); err != nil || got != 0 {
			t.Errorf("before all time, %v: %d, %v", at, got, err)
		}
	}
	if got, err := r.OffsetAt(t.Context(), "orders", 0, start); err != nil || got != -1 {
		t.Errorf("in an empty partition: %d, %v", got, err)
	}
}

func TestWhatIsNotThere(t *testing.T) {
	t.Parallel()
	b := orders(t, 1)
	r := reader(t, b.Addr())
	_, bounds := r.Bounds(t.Context(), "order")
	_, offsetAt := r.OffsetAt(t.Context(), "order", 0, time.Now())
	_, at := r.At(t.Context(), queue.Position{Topic: "order"})
	_, partition := r.At(t.Context(), queue.Position{Topic: "orders", Partition: 7})
	for what, err := range map[string]error{"Bounds": bounds, "OffsetAt": offsetAt, "At": at, "At, partition": partition} {
		if !errors.Is(err, queue.ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if b.PartitionInfo("order", 0) != nil {
		t.Error("a typo made a topic")
	}
}

func TestManyBatchesInManyFetches(t *testing.T) {
	t.Parallel()
	b := orders(t, 1)
	cl := client(b)
	padding := bytes.Repeat([]byte("x"), 30_000)
	for i := range 20 {
		var recs []*kgo.Record
		for j := range 10 {
			recs = append(recs, &kgo.Record{Topic: "orders", Key: fmt.Append(nil, i*10+j), Value: padding})
		}
		send(t, cl, recs...)
	}
	next := int64(0)
	err := reader(t, b.Addr()).Scan(t.Context(), "orders", 0, 0, 200, func(rec queue.Record) error {
		if rec.Offset != next || string(rec.Key) != fmt.Sprint(next) {
			return fmt.Errorf("offset %d with key %s, want %d", rec.Offset, rec.Key, next)
		}
		next++
		return nil
	})
	if err != nil || next != 200 {
		t.Errorf("%d records, %v", next, err)
	}
}

func TestACancelledScanStops(t *testing.T) {
	t.Parallel()
	b := orders(t, 1)
	cl := client(b)
	for range 3 {
		send(t, cl, &kgo.Record{Topic: "orders", Value: noise(1 << 20)})
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := reader(t, b.Addr())
	n := 0
	err := r.Scan(ctx, "orders", 0, 0, 3, func(queue.Record) error { n++; cancel(); return nil })
	if !errors.Is(err, context.Canceled) || n != 1 {
		t.Errorf("%d records, %v", n, err)
	}
	if got, err := all(t, r, "orders", 0, 3); err != nil || len(got) != 3 {
		t.Errorf("afterwards: %d records, %v", len(got), err)
	}
}
