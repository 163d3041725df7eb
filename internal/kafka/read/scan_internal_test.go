package read

import (
	"errors"
	"slices"
	"testing"

	"github.com/IBM/sarama"

	"commerce.internal/orderctl/internal/queue"
)

// stepping runs a scan of [0, end) over scripted answers, and returns the sizes that it asked for.
func stepping(s *scan, answer func(pos int64, size int32) (*sarama.FetchResponseBlock, error)) (sizes []int32, err error) {
	s.topic = "orders"
	if s.fn == nil {
		s.fn = func(queue.Record) error { return nil }
	}
	for s.pos < s.end && err == nil {
		sizes = append(sizes, s.size)
		err = s.step(func() (*sarama.FetchResponseBlock, error) { return answer(s.pos, s.size) })
	}
	return sizes, err
}

func single(offset int64) *sarama.FetchResponseBlock {
	return &sarama.FetchResponseBlock{HighWaterMarkOffset: 100, LastStableOffset: 100, RecordsSet: []*sarama.Records{
		{RecordBatch: &sarama.RecordBatch{FirstOffset: offset, Records: []*sarama.Record{{Value: []byte("v")}}}},
	}}
}

func TestABatchThatDoesNotFit(t *testing.T) {
	t.Parallel()
	cut := &sarama.FetchResponseBlock{HighWaterMarkOffset: 100, RecordsSet: []*sarama.Records{{RecordBatch: &sarama.RecordBatch{PartialTrailingRecord: true}}}}
	s := &scan{end: 2, size: fetchBytes}
	sizes, err := stepping(s, func(pos int64, size int32) (*sarama.FetchResponseBlock, error) {
		if pos == 1 && size < 8<<20 {
			return cut, nil
		}
		return single(pos), nil
	})
	if want := []int32{1 << 20, 1 << 20, 2 << 20, 4 << 20, 8 << 20}; err != nil || !slices.Equal(sizes, want) {
		t.Errorf("%v, %v; want %v", sizes, err, want)
	}
	s = &scan{pos: 7, end: 9, size: fetchBytes}
	sizes, err = stepping(s, func(int64, int32) (*sarama.FetchResponseBlock, error) { return cut, nil })
	var bad *BatchError
	if !errors.As(err, &bad) || bad.At.String() != "orders/0@7" || sizes[len(sizes)-1] != maxBytes || len(sizes) != 8 {
		t.Errorf("%v after %v", err, sizes)
	}
	legacy := &sarama.FetchResponseBlock{HighWaterMarkOffset: 100, Partial: true}
	if _, err = stepping(&scan{end: 9, size: fetchBytes}, func(int64, int32) (*sarama.FetchResponseBlock, error) { return legacy, nil }); !errors.As(err, &bad) {
		t.Errorf("%v", err)
	}
}

// One batch of many cannot be read: those before it are handed out, and the error names where it is.
func TestAnUnreadableBatchIsFound(t *testing.T) {
	t.Parallel()
	var got []int64
	s := &scan{end: 9, size: fetchBytes, fn: func(r queue.Record) error { got = append(got, r.Offset); return nil }}
	sizes, err := stepping(s, func(pos int64, size int32) (*sarama.FetchResponseBlock, error) {
		if size > 1 || pos == 3 {
			return nil, sarama.PacketDecodingError{Info: "CRC didn't match"}
		}
		return single(pos), nil
	})
	var bad *BatchError
	if !errors.As(err, &bad) || bad.At.Offset != 3 || !slices.Equal(got, []int64{0, 1, 2}) || len(sizes) != 5 {
		t.Errorf("%v, records %v, sizes %v", err, got, sizes)
	}
	var decoding sarama.PacketDecodingError
	if !errors.As(err, &decoding) {
		t.Errorf("%v does not tell its cause", err)
	}
}

func TestAScanThatGoesOnHandsNothingOutTwice(t *testing.T) {
	t.Parallel()
	batch := &sarama.FetchResponseBlock{HighWaterMarkOffset: 100, LastStableOffset: 100, RecordsSet: []*sarama.Records{
		{RecordBatch: &sarama.RecordBatch{LastOffsetDelta: 2, Records: []*sarama.Record{{}, {OffsetDelta: 1}, {OffsetDelta: 2}}}},
	}}
	var got []int64
	stop := errors.New("enough for now")
	s := &scan{end: 3, size: fetchBytes, fn: func(r queue.Record) error {
		if r.Offset == 1 && len(got) == 1 {
			got = append(got, -1)
			return stop
		}
		got = append(got, r.Offset)
		return nil
	}}
	answer := func(int64, int32) (*sarama.FetchResponseBlock, error) { return batch, nil }
	if _, err := stepping(s, answer); !errors.Is(err, stop) || s.pos != 1 {
		t.Fatalf("%v at %d", err, s.pos)
	}
	if _, err := stepping(s, answer); err != nil || !slices.Equal(got, []int64{0, -1, 1, 2}) {
		t.Errorf("%v, %v", got, err)
	}
}
