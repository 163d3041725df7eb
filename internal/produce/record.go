package produce

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

// eventSource is ce_source of records that did not come through the API.
const eventSource = "/orderctl/produce"

// client is the client that stands on them.
const client = "produce"

// timeForm is RFC 3339 with milliseconds, as in every ce_time.
const timeForm = "2006-01-02T15:04:05.000Z"

// record is one order on its way.
type record struct {
	number  int64
	at      time.Duration // when a recording wants it, from the start of the run; -1: it does not say
	key     string        // order id, or the line's number where there is none
	value   []byte
	content string
	order   order.Order // as far as it could be read
	refused bool        // the rules of an order say that it will be refused
	ordered bool        // other records have the same key: they must not overtake each other
}

// messageID names the record in lists of what was acknowledged.
func (r *record) messageID() string {
	if r.order.OrderID == "" {
		return r.key
	}
	return r.order.MessageID()
}

// source makes records one after another. ok is false behind the last one.
type source interface {
	next() (r record, ok bool, err error)
	close() error
}

// message makes the record of an order as serve makes it; only ce_source and client tell them apart.
func (r *record) message(k *Kafka, loadTest, requestID string, now time.Time) queue.Message {
	h, slab := make([]queue.Header, 0, 11), make([]byte, 0, 320) // one piece of memory for all values
	add := func(name, value string) {
		if value != "" {
			from := len(slab)
			slab = append(slab, value...)
			h = append(h, queue.Header{Name: name, Value: slab[from:len(slab):len(slab)]})
		}
	}
	add(queue.HeaderSpecVersion, "1.0")
	if r.order.OrderID != "" && r.order.Status != "" {
		add(queue.HeaderID, r.order.MessageID())
		add(queue.HeaderType, eventType(r.order.Status))
	}
	add(queue.HeaderSource, eventSource)
	add(queue.HeaderTime, now.UTC().Format(timeForm))
	add(queue.HeaderContentType, r.content)
	add(queue.HeaderTraceparent, traceparent())
	add(queue.HeaderRequestID, requestID)
	add(queue.HeaderClient, client)
	if r.order.OrderID != "" {
		add(queue.HeaderFingerprint, r.order.Fingerprint())
	}
	add(queue.HeaderLoadTest, loadTest)
	key := []byte(r.key)
	return queue.Message{
		Topic: k.Topic, Partition: k.Partition(key, k.Partitions), Key: key, Value: r.value, Headers: h, Time: now,
	}
}

func eventType(s order.Status) string {
	if s == order.Created {
		return "internal.commerce.order.created.v1"
	}
	return "internal.commerce.order." + strings.ToLower(string(s)) + ".v1"
}

// traceparent starts a trace of its own for each record. It is not sampled: a load test would fill the trace store.
func traceparent() string {
	const hex = "0123456789abcdef"
	b := make([]byte, 0, 55)
	b = append(b, "00-"...)
	for i, word := range [3]uint64{rand.Uint64(), rand.Uint64(), rand.Uint64() | 1} {
		if i == 2 {
			b = append(b, '-')
		}
		for shift := 60; shift >= 0; shift -= 4 {
			b = append(b, hex[word>>shift&15])
		}
	}
	return string(append(b, "-00"...))
}

func requestID(runID string, n int64) string { return runID + "-" + strconv.FormatInt(n, 10) }
