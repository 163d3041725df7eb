package dlq_test

import (
	"context"
	"encoding/binary"
	"testing"
	"time"

	"pgregory.net/rapid"

	"commerce.internal/orderctl/internal/dlq"
	"commerce.internal/orderctl/internal/queue"
)

func text(name, value string) queue.Header { return queue.Header{Name: name, Value: []byte(value)} }

func int32Header(name string, n int32) queue.Header {
	return queue.Header{Name: name, Value: binary.BigEndian.AppendUint32(nil, uint32(n))}
}

func int64Header(name string, n int64) queue.Header {
	return queue.Header{Name: name, Value: binary.BigEndian.AppendUint64(nil, uint64(n))}
}

// read puts one record with these headers into a log and reads it back as a letter.
func read(t interface {
	Helper()
	Fatalf(string, ...any)
}, hs ...queue.Header,
) dlq.Letter {
	t.Helper()
	l := &topicLog{parts: map[int32][]queue.Record{0: {{Topic: topic, Key: []byte("A-1"), Value: []byte("{}"), Time: base(), Headers: hs}}}}
	letter, err := dlq.NewReader(l, nil, topic, "g").At(context.Background(), dlq.ID{})
	if err != nil {
		t.Fatalf("read letter: %v", err)
	}
	return letter
}

func TestForeignLettersAreRead(t *testing.T) {
	t.Parallel()
	at := queue.Position{Topic: "orders", Partition: 3, Offset: 42}
	nowhere := queue.Position{Partition: -1, Offset: -1}
	tests := []struct {
		name    string
		hs      []queue.Header
		dialect string
		origin  queue.Position
		group   string
		class   queue.Class
		code    string
		message string
		tries   int
	}{
		{
			"KIP-1191",
			[]queue.Header{text("__dlq.errors.topic", "orders"), text("__dlq.errors.partition", "3"), text("__dlq.errors.offset", "42"), text("__dlq.errors.group", "g"), text("__dlq.errors.message", "boom"), text("__dlq.errors.delivery.count", "5")},
			dlq.DialectKIP1191, at, "g", "", "", "boom", 5,
		},
		{
			"Spring, newer names, binary",
			[]queue.Header{text("kafka_dlt-original-topic", "orders"), int32Header("kafka_dlt-original-partition", 3), int64Header("kafka_dlt-original-offset", 42), text("kafka_dlt-original-consumer-group", "g"), text("kafka_dlt-exception-fqcn", "org.springframework.kafka.listener.ListenerExecutionFailedException"), text("kafka_dlt-exception-cause-fqcn", "java.lang.IllegalStateException"), text("kafka_dlt-exception-message", "no"), {Name: "retry_topic-attempts", Value: []byte{4}}},
			dlq.DialectSpring, at, "g", "IllegalStateException", "", "no", 4,
		},
		{
			"Spring, older names, attempts in four bytes",
			[]queue.Header{text("kafka_original-topic", "orders"), int32Header("kafka_original-partition", 3), int64Header("kafka_original-offset", 42), text("kafka_exception-fqcn", "a.b.C$D"), int32Header("retry_topic-attempts", 7)},
			dlq.DialectSpring, at, "", "D", "", "", 7,
		},
		{
			"Spring, a partition of three bytes and an empty offset",
			[]queue.Header{text("kafka_dlt-original-topic", "orders"), {Name: "kafka_dlt-original-partition", Value: []byte{0, 0, 3}}, {Name: "kafka_dlt-original-offset", Value: []byte{}}},
			dlq.DialectSpring,
			queue.Position{Topic: "orders", Partition: -1, Offset: -1},
			"", "", "", "", 0,
		},
		{
			"Spring, numbers below 0",
			[]queue.Header{text("kafka_dlt-original-topic", "orders"), int32Header("kafka_dlt-original-partition", -3), int64Header("kafka_dlt-original-offset", -1)},
			dlq.DialectSpring,
			queue.Position{Topic: "orders", Partition: -1, Offset: -1},
			"", "", "", "", 0,
		},
		{
			"Connect",
			[]queue.Header{text("__connect.errors.topic", "orders"), text("__connect.errors.partition", "3"), text("__connect.errors.offset", "42"), text("__connect.errors.connector.name", "sink"), text("__connect.errors.exception.class.name", "org.apache.kafka.connect.errors.DataException"), text("__connect.errors.exception.message", "bad"), text("__connect.errors.stage", "VALUE_CONVERTER")},
			dlq.DialectConnect, at, "sink", "DataException", "VALUE_CONVERTER", "bad", 0,
		},
		{
			"Streams",
			[]queue.Header{text("__streams.errors.topic", "orders"), text("__streams.errors.partition", "3"), text("__streams.errors.offset", "42"), text("__streams.errors.exception", "x.Y"), text("__streams.errors.message", "m")},
			dlq.DialectStreams, at, "", "Y", "", "m", 0,
		},
		{
			"Karafka",
			[]queue.Header{text("source_topic", "orders"), text("source_partition", "3"), text("source_offset", "42"), text("source_consumer_group", "g"), text("source_attempts", "2")},
			dlq.DialectKarafka, at, "g", "", "", "", 2,
		},
		{
			"Karafka, older names",
			[]queue.Header{text("original_topic", "orders"), text("original_partition", "3"), text("original_offset", "42")},
			dlq.DialectKarafka, at, "", "", "", "", 0,
		},
		{
			"Watermill knows the topic only",
			[]queue.Header{text("topic_poisoned", "orders"), text("reason_poisoned", "why")},
			dlq.DialectWatermill,
			queue.Position{Topic: "orders", Partition: -1, Offset: -1},
			"", "", "", "why", 0,
		},
		{
			"generic, in any case",
			[]queue.Header{text("X-Original-Topic", "orders"), text("X-ORIGINAL-PARTITION", "3"), text("x-original-offset", "42"), text("X-Exception-Message", "m")},
			dlq.DialectGeneric, at, "", "", "", "m", 0,
		},
		{
			"ours wins over all",
			[]queue.Header{text("kafka_dlt-original-topic", "x"), text("orderctl-class", "invalid"), text("__dlq.errors.topic", "orders"), text("__dlq.errors.partition", "3"), text("__dlq.errors.offset", "42")},
			dlq.DialectOwn, at, "", "invalid", "", "", 0,
		},
		{
			"origin given twice: the first; error twice: the last",
			[]queue.Header{text("source_topic", "orders"), text("source_topic", "evil"), text("source_partition", "3"), text("source_offset", "42"), text("source_attempts", "1"), text("source_attempts", "9")},
			dlq.DialectKarafka, at, "", "", "", "", 9,
		},
		{"nobody known", []queue.Header{text("x", "y")}, dlq.DialectNone, nowhere, "", "", "", "", 0},
		{
			"numbers that are none, text that is none",
			[]queue.Header{text("source_topic", "\xff"), text("source_partition", "2147483648"), text("source_offset", "9223372036854775808"), text("source_attempts", "1000000")},
			dlq.DialectKarafka, nowhere, "", "", "", "", 0,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := read(t, tt.hs...)
			if l.Dialect != tt.dialect || l.Trail.Origin != tt.origin || l.Trail.Group != tt.group || l.Trail.Class != tt.class ||
				l.Trail.Code != tt.code || l.Trail.Message != tt.message || l.Trail.Attempts != tt.tries {
				t.Errorf("read %q %+v", l.Dialect, l.Trail)
			}
		})
	}
}

func TestSpringKeepsTheTimeOfTheOriginal(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(1_764_000_000_000).UTC()
	l := read(t, text("kafka_dlt-original-topic", "orders"), int64Header("kafka_dlt-original-timestamp", at.UnixMilli()))
	if !l.Trail.OrigTime.Equal(at) {
		t.Errorf("time %v, want %v", l.Trail.OrigTime, at)
	}
}

func TestNoForeignHeaderIsAnError(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var hs []queue.Header
		for range rapid.IntRange(0, 8).Draw(t, "n") {
			hs = append(hs, queue.Header{
				Name: rapid.SampledFrom([]string{
					"kafka_dlt-original-topic", "kafka_dlt-original-partition", "kafka_dlt-original-offset", "retry_topic-attempts", "source_topic", "source_offset",
					"__connect.errors.offset", "__connect.errors.topic", "X-Original-Topic", "__streams.errors.topic", "topic_poisoned", "orderctl-class",
				}).Draw(t, "name"),
				Value: rapid.SliceOfN(rapid.Byte(), 0, 9).Draw(t, "value"),
			})
		}
		if l := read(t, hs...); l.Trail.Origin.Offset < -1 || l.Trail.Origin.Partition < -1 || l.Trail.Attempts < 0 || l.Trail.Attempts > 1000 {
			t.Fatalf("%+v", l.Trail)
		}
	})
}
