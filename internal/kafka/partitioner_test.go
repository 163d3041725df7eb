package kafka_test

import (
	"strconv"
	"sync"
	"testing"

	"commerce.internal/orderctl/internal/kafka"
)

func TestPartitionerIsPartitionForAllAtOnce(t *testing.T) {
	t.Parallel()
	partition := kafka.Partitioner()
	if foo, key := partition([]byte("foo"), 12), partition([]byte("kafka"), 12); foo != 8 || key != 4 {
		t.Errorf("foo on %d, kafka on %d; Java clients say 8 and 4", foo, key)
	}
	if partition(nil, 12) != kafka.Partition(nil, 12) || partition([]byte("a"), 0) != 0 {
		t.Error("a missing key, or a topic without partitions, differs")
	}
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range 200 {
				key := []byte(strconv.Itoa(g*1_000 + i))
				if a, b := partition(key, 12), kafka.Partition(key, 12); a != b {
					t.Errorf("key %s on %d and %d", key, a, b)
				}
			}
		})
	}
	all.Wait()
}

func BenchmarkPartitioner(b *testing.B) {
	partition := kafka.Partitioner()
	key := []byte("536365-r2")
	b.ReportAllocs()
	for b.Loop() {
		partition(key, 12)
	}
}
