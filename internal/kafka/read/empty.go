package read

import (
	"reflect"

	"github.com/IBM/sarama"
)

// emptyUntil returns the offset behind the batches of an answer that has batches but no record: compaction leaves such
// shells, for the sequence numbers of their producer. sarama drops them and keeps where they end to itself, in a field
// that reflection may read. 0: there was no batch at all.
func emptyUntil(b *sarama.FetchResponseBlock) int64 {
	next := reflect.ValueOf(b).Elem().FieldByName("recordsNextOffset")
	if !next.IsValid() || next.Kind() != reflect.Pointer || next.IsNil() || next.Elem().Kind() != reflect.Int64 {
		return 0
	}
	return next.Elem().Int()
}
