package dlq

import (
	"encoding/binary"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"commerce.internal/orderctl/internal/queue"
)

// The dialects of dead letters: who wrote the headers. What a dialect does not tell stays unknown.
const (
	DialectOwn       = "orderctl"
	DialectKIP1191   = "kip-1191" // Kafka 4.4
	DialectSpring    = "spring"
	DialectConnect   = "connect"
	DialectStreams   = "streams"
	DialectKarafka   = "karafka"
	DialectWatermill = "watermill"
	DialectGeneric   = "generic"
	DialectNone      = "" // no header tells
)

// dialect reads the headers of a foreign dead letter. An origin header given twice counts as the first one gives it, an error
// header as the last.
type dialect struct {
	name    string
	markers []string // any of them makes it this dialect
	origin  names
	class   []string // the first that is there
	message []string
	code    []string
	tries   []string
}

// names are the headers of an origin; several where versions differ.
type names struct {
	topic, partition, offset, group, timestamp []string
}

// dialects are looked at in this order; the first that knows a marker reads the letter.
func dialects() []dialect {
	one := func(s ...string) []string { return s }
	return []dialect{
		{
			name: DialectKIP1191, markers: one(queue.HeaderOriginTopic),
			origin:  names{topic: one(queue.HeaderOriginTopic), partition: one(queue.HeaderOriginPartition), offset: one(queue.HeaderOriginOffset), group: one(queue.HeaderOriginGroup)},
			message: one(queue.HeaderErrorMessage), tries: one(queue.HeaderDeliveryCount),
		},
		{
			name: DialectSpring, markers: one("kafka_dlt-original-topic", "kafka_original-topic"),
			origin: names{
				topic:     one("kafka_dlt-original-topic", "kafka_original-topic"),
				partition: one("kafka_dlt-original-partition", "kafka_original-partition"),
				offset:    one("kafka_dlt-original-offset", "kafka_original-offset"),
				timestamp: one("kafka_dlt-original-timestamp", "kafka_original-timestamp"),
				group:     one("kafka_dlt-original-consumer-group"),
			},
			class:   one("kafka_dlt-exception-cause-fqcn", "kafka_exception-cause-fqcn", "kafka_dlt-exception-fqcn", "kafka_exception-fqcn"),
			message: one("kafka_dlt-exception-message", "kafka_exception-message"), tries: one("retry_topic-attempts"),
		},
		{
			name: DialectConnect, markers: one("__connect.errors.topic"),
			origin: names{
				topic: one("__connect.errors.topic"), partition: one("__connect.errors.partition"), offset: one("__connect.errors.offset"),
				group: one("__connect.errors.connector.name"),
			},
			class: one("__connect.errors.exception.class.name"), message: one("__connect.errors.exception.message"), code: one("__connect.errors.stage"),
		},
		{
			name: DialectStreams, markers: one("__streams.errors.topic"),
			origin: names{topic: one("__streams.errors.topic"), partition: one("__streams.errors.partition"), offset: one("__streams.errors.offset")},
			class:  one("__streams.errors.exception"), message: one("__streams.errors.message"),
		},
		{
			name: DialectKarafka, markers: one("source_topic", "original_topic"),
			origin: names{
				topic: one("source_topic", "original_topic"), partition: one("source_partition", "original_partition"),
				offset: one("source_offset", "original_offset"), group: one("source_consumer_group", "original_consumer_group"),
			},
			tries: one("source_attempts", "original_attempts"),
		},
		{name: DialectWatermill, markers: one("topic_poisoned"), origin: names{topic: one("topic_poisoned")}, message: one("reason_poisoned")},
		{
			name: DialectGeneric, markers: one("x-original-topic", "original-topic"),
			origin: names{
				topic: one("x-original-topic", "original-topic"), partition: one("x-original-partition", "original-partition"),
				offset: one("x-original-offset", "original-offset"),
			},
			message: one("x-exception-message", "exception-message"),
		},
	}
}

// readTrail reads what a dead letter's headers say of its life, whoever wrote them.
func readTrail(hs []queue.Header) (name string, t queue.Trail) {
	if _, own := queue.First(hs, queue.HeaderClass); own {
		return DialectOwn, queue.ReadTrail(hs)
	}
	for _, d := range dialects() {
		fold := d.name == DialectGeneric
		if _, known := first(hs, d.markers, fold); known {
			return d.name, d.read(hs, fold)
		}
	}
	return DialectNone, queue.ReadTrail(hs)
}

func (d dialect) read(hs []queue.Header, fold bool) queue.Trail {
	t := queue.Trail{Origin: queue.Position{Partition: -1, Offset: -1}}
	text := func(pick picker, from []string, set func(string)) {
		if v, ok := pick(hs, from, fold); ok {
			set(words(v))
		}
	}
	num := func(pick picker, from []string, limit int64, set func(int64)) {
		if v, ok := pick(hs, from, fold); ok {
			if n, ok := d.number(v); ok && n <= limit {
				set(n)
			}
		}
	}
	text(first, d.origin.topic, func(s string) { t.Origin.Topic = s })
	num(first, d.origin.partition, math.MaxInt32, func(n int64) { t.Origin.Partition = int32(n) }) //nolint:gosec // bounded
	num(first, d.origin.offset, math.MaxInt64, func(n int64) { t.Origin.Offset = n })
	text(first, d.origin.group, func(s string) { t.Group = s })
	num(first, d.origin.timestamp, maxMillis, func(n int64) { t.OrigTime = time.UnixMilli(n).UTC() })
	text(last, d.class, func(s string) { t.Class = queue.Class(lastSegment(s)) })
	text(last, d.message, func(s string) { t.Message = s })
	text(last, d.code, func(s string) { t.Code = s })
	num(last, d.tries, maxTries, func(n int64) { t.Attempts = int(n) })
	own := queue.ReadTrail(hs) // what a replay of ours has left on it
	t.ReplayOf, t.ReplayID, t.ReplayCount = own.ReplayOf, own.ReplayID, own.ReplayCount
	t.MsgID, _ = queue.First(hs, queue.HeaderID)
	return t
}

type picker = func(hs []queue.Header, names []string, fold bool) ([]byte, bool)

// Bounds of what is believed of a foreign number: attempts, and a time in the year 9999.
const (
	maxTries  = 1_000
	maxMillis = 253_402_300_799_999
)

// first returns the first header under the first of the names that occurs.
func first(hs []queue.Header, wanted []string, fold bool) ([]byte, bool) {
	for _, name := range wanted {
		for i := range hs {
			if named(hs[i].Name, name, fold) {
				return hs[i].Value, true
			}
		}
	}
	return nil, false
}

// last returns the last header under the first of the names that occurs.
func last(hs []queue.Header, wanted []string, fold bool) ([]byte, bool) {
	for _, name := range wanted {
		for i := len(hs) - 1; i >= 0; i-- {
			if named(hs[i].Name, name, fold) {
				return hs[i].Value, true
			}
		}
	}
	return nil, false
}

func named(have, want string, fold bool) bool {
	return have == want || fold && strings.EqualFold(have, want)
}

// number reads a number that is not negative: digits, or, as Spring writes it, big-endian in 1, 4 or 8 bytes.
func (d dialect) number(v []byte) (int64, bool) {
	if d.name == DialectSpring {
		switch len(v) {
		case 1:
			return int64(v[0]), true
		case 4:
			n := int64(int32(binary.BigEndian.Uint32(v))) //nolint:gosec // the sign is part of the format
			return n, n >= 0
		case 8:
			n := int64(binary.BigEndian.Uint64(v)) //nolint:gosec // the sign is part of the format
			return n, n >= 0
		}
	}
	n, err := strconv.ParseInt(string(v), 10, 64)
	return n, err == nil && n >= 0
}

// words is a header as text; bytes that are no text are no answer.
func words(v []byte) string {
	if !utf8.Valid(v) {
		return ""
	}
	return string(v)
}

// lastSegment is the name of an exception without its package.
func lastSegment(fqcn string) string {
	return fqcn[strings.LastIndexAny(fqcn, ".$:")+1:]
}
