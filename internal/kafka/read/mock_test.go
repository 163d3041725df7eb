package read_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"commerce.internal/orderctl/internal/queue"
)

// quiet keeps the chatter of scripted brokers out of the output.
type quiet struct{ *testing.T }

func (quiet) Logf(string, ...any) {}

// script starts a broker that leads topic "orders", partition 0, and answers fetches in this order; the last for ever,
// none: not at all.
func script(t *testing.T, fetches ...any) *sarama.MockBroker {
	t.Helper()
	b := sarama.NewMockBroker(quiet{t}, 1)
	t.Cleanup(b.Close)
	var keys []sarama.ApiVersionsResponseKey
	for key, version := range map[int16]int16{1: 11, 2: 6, 3: 9} {
		keys = append(keys, sarama.ApiVersionsResponseKey{ApiKey: key, MaxVersion: version})
	}
	handlers := map[string]sarama.MockResponse{
		"ApiVersionsRequest": sarama.NewMockApiVersionsResponse(t).SetApiKeys(keys),
		"MetadataRequest":    sarama.NewMockMetadataResponse(t).SetBroker(b.Addr(), 1).SetLeader("orders", 0, 1),
	}
	if len(fetches) > 0 {
		handlers["FetchRequest"] = sarama.NewMockSequence(fetches...)
	}
	b.SetHandlerByMap(handlers)
	return b
}

// fetched is an answer with batches.
func fetched(high int64, batches ...*sarama.RecordBatch) *sarama.FetchResponse {
	block := &sarama.FetchResponseBlock{HighWaterMarkOffset: high, LastStableOffset: high, PreferredReadReplica: -1}
	for _, b := range batches {
		block.RecordsSet = append(block.RecordsSet, &sarama.Records{RecordBatch: b})
	}
	return &sarama.FetchResponse{Version: 11, Blocks: map[string]map[int32]*sarama.FetchResponseBlock{"orders": {0: block}}}
}

func refused(code sarama.KError) *sarama.FetchResponse {
	r := fetched(0)
	r.Blocks["orders"][0].Err = code
	return r
}

// batch holds records at the given offsets between first and last.
func batch(first, last int64, offsets ...int64) *sarama.RecordBatch {
	b := &sarama.RecordBatch{
		Version: 2, FirstOffset: first, LastOffsetDelta: int32(last - first), ProducerID: -1,
		FirstTimestamp: time.UnixMilli(1e12), MaxTimestamp: time.UnixMilli(1e12),
	}
	for _, o := range offsets {
		b.Records = append(b.Records, &sarama.Record{OffsetDelta: o - first, Value: []byte("v")})
	}
	return b
}

func fetches(b *sarama.MockBroker) int {
	n := 0
	for _, h := range b.History() {
		if _, ok := h.Request.(*sarama.FetchRequest); ok {
			n++
		}
	}
	return n
}

func TestCompactionLeavesHolesAndShells(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		answers []any
		fetches int
		want    []int64
	}{
		{"a hole inside of a batch and between two", []any{fetched(30, batch(0, 9, 2, 9), batch(20, 29, 20))}, 1, []int64{2, 9, 20}},
		{"an answer of nothing but shells", []any{fetched(30, batch(0, 9), batch(10, 19)), fetched(30, batch(20, 29, 25))}, 2, []int64{25}},
		{"the log ends with a shell", []any{fetched(30, batch(0, 9, 3), batch(10, 29)), fetched(30, batch(10, 29))}, 2, []int64{3}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := script(t, tt.answers...)
			got, err := all(t, reader(t, b.Addr()), "orders", 0, 30)
			if err != nil || !slices.Equal(offsetsOf(got), tt.want) || fetches(b) != tt.fetches {
				t.Errorf("%v, %v after %d fetches; want %v after %d", offsetsOf(got), err, fetches(b), tt.want, tt.fetches)
			}
		})
	}
}

func TestALeaderThatMovesDuringAScan(t *testing.T) {
	t.Parallel()
	for _, code := range []sarama.KError{sarama.ErrNotLeaderForPartition, sarama.ErrFencedLeaderEpoch, sarama.ErrUnknownLeaderEpoch} {
		t.Run(code.Error(), func(t *testing.T) {
			t.Parallel()
			b := script(t, fetched(4, batch(0, 1, 0, 1)), refused(code), fetched(4, batch(2, 2, 2)), refused(code), fetched(4, batch(3, 3, 3)))
			got, err := all(t, reader(t, b.Addr()), "orders", 0, 4)
			if err != nil || !slices.Equal(offsetsOf(got), []int64{0, 1, 2, 3}) {
				t.Errorf("%v, %v", offsetsOf(got), err)
			}
		})
	}
	t.Run("twice without an answer", func(t *testing.T) {
		t.Parallel()
		b := script(t, refused(sarama.ErrNotLeaderForPartition))
		if _, err := all(t, reader(t, b.Addr()), "orders", 0, 4); !errors.Is(err, queue.ErrUnreachable) || fetches(b) != 2 {
			t.Errorf("%v after %d fetches", err, fetches(b))
		}
	})
}

func TestRefusedFetch(t *testing.T) {
	t.Parallel()
	for code, want := range map[sarama.KError]error{
		sarama.ErrOffsetOutOfRange: queue.ErrNotFound, sarama.ErrTopicAuthorizationFailed: queue.ErrDenied,
		sarama.ErrUnknownTopicOrPartition: queue.ErrNotFound,
	} {
		t.Run(code.Error(), func(t *testing.T) {
			t.Parallel()
			if _, err := all(t, reader(t, script(t, refused(code)).Addr()), "orders", 7, 9); !errors.Is(err, want) {
				t.Errorf("%v is not %v", err, want)
			}
		})
	}
}

func TestABrokerThatSendsNothing(t *testing.T) {
	t.Parallel()
	t.Run("before the end of the log", func(t *testing.T) {
		t.Parallel()
		b := script(t, fetched(9))
		if _, err := all(t, reader(t, b.Addr()), "orders", 0, 9); !errors.Is(err, queue.ErrPartial) || fetches(b) != 3 {
			t.Errorf("%v after %d fetches", err, fetches(b))
		}
	})
	t.Run("at the end of the log", func(t *testing.T) {
		t.Parallel()
		b := script(t, fetched(9))
		if _, err := all(t, reader(t, b.Addr()), "orders", 9, 12); !errors.Is(err, queue.ErrNotFound) || fetches(b) != 1 {
			t.Errorf("%v after %d fetches", err, fetches(b))
		}
	})
	t.Run("and not even an answer", func(t *testing.T) {
		t.Parallel()
		b := script(t)
		r := reader(t, b.Addr())
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		start := time.Now()
		err := r.Scan(ctx, "orders", 0, 0, 9, func(queue.Record) error { return nil })
		if took := time.Since(start); took > 2*time.Second || !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, queue.ErrUnreachable) {
			t.Errorf("after %v: %v", took, err)
		}
	})
}

func TestACallThatEndsDoesNotEndTheOthers(t *testing.T) {
	t.Parallel()
	lone := script(t) // never answers a fetch
	r := reader(t, lone.Addr())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Scan(ctx, "orders", 0, 0, 9, func(queue.Record) error { return nil }) }()
	waitFor(t, func() bool { return fetches(lone) > 0 })
	other := make(chan error, 1)
	var got []int64
	go func() {
		other <- r.Scan(t.Context(), "orders", 0, 0, 3, func(rec queue.Record) error { got = append(got, rec.Offset); return nil })
	}()
	lone.SetHandlerByMap(handlersOf(t, lone, fetched(3, batch(0, 2, 0, 1, 2))))
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("the cancelled call: %v", err)
	}
	if err := <-other; err != nil || !slices.Equal(got, []int64{0, 1, 2}) {
		t.Errorf("the other call: %v, %v", got, err)
	}
}

func handlersOf(t *testing.T, b *sarama.MockBroker, fetch *sarama.FetchResponse) map[string]sarama.MockResponse {
	t.Helper()
	var keys []sarama.ApiVersionsResponseKey
	for key, version := range map[int16]int16{1: 11, 2: 6, 3: 9} {
		keys = append(keys, sarama.ApiVersionsResponseKey{ApiKey: key, MaxVersion: version})
	}
	return map[string]sarama.MockResponse{
		"ApiVersionsRequest": sarama.NewMockApiVersionsResponse(t).SetApiKeys(keys),
		"MetadataRequest":    sarama.NewMockMetadataResponse(t).SetBroker(b.Addr(), 1).SetLeader("orders", 0, 1),
		"FetchRequest":       sarama.NewMockWrapper(fetch),
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
