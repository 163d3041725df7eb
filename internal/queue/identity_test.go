package queue_test

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

const (
	anOrder  = `{"order_id":"A-1","user_id":"u","status":"PAID","items":[{"product_id":"p","quantity":1,"unit_price":2}]}`
	anOrder2 = `{"items":[{"unit_price":2,"quantity":1,"product_id":"p"}],"status":"PAID","user_id":"u","order_id":"A-1","timestamp":5}`
)

// headers are names and values in turn.
func headers(pairs ...string) []queue.Header {
	var hs []queue.Header
	for i := 0; i < len(pairs); i += 2 {
		hs = append(hs, queue.Header{Name: pairs[i], Value: []byte(pairs[i+1])})
	}
	return hs
}

func recordAt(topic string, hs []queue.Header) queue.Record {
	return queue.Record{Topic: topic, Partition: 3, Offset: 40, Headers: hs}
}

func TestTheIDOfAMessage(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 257)
	print := strings.Repeat("ab", 32)
	origin := []string{queue.HeaderOriginTopic, "orders", queue.HeaderOriginPartition, "3", queue.HeaderOriginOffset, "7"}
	for _, tt := range []struct {
		name   string
		record queue.Record
		want   string
	}{
		{"the sender's", recordAt("orders", headers("ce_id", "A:PAID")), "A:PAID"},
		{"none: where it lies", recordAt("orders", nil), "orders/3@40"},
		{"no text", recordAt("orders", headers("ce_id", "\xff")), fmt.Sprintf("sha256:%x", sha256.Sum256([]byte("\xff")))},
		{"too long", recordAt("orders", headers("ce_id", long)), fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(long)))},
		{"in the source nobody is believed", recordAt("orders", headers(queue.HeaderMsgID, "forged")), "orders/3@40"},
		{"but a replay", recordAt("orders", headers(queue.HeaderMsgID, "m", queue.HeaderReplayID, "r", queue.HeaderHop, "2", queue.HeaderFingerprint, print)), "m"},
		{"and only a whole one", recordAt("orders", headers(queue.HeaderMsgID, "m", queue.HeaderReplayID, "r", queue.HeaderHop, "2")), "orders/3@40"},
		{"of the first hop", recordAt("orders.g.dlq", headers(append(origin, queue.HeaderMsgID, "m")...)), "m"},
		{"of a copy without one: where it came from", recordAt("orders.g.dlq", headers(origin...)), "orders/3@7"},
		{"of a copy from nowhere: where it lies", recordAt("orders.g.dlq", headers(queue.HeaderOriginTopic, "orders")), "orders.g.dlq/3@40"},
		{"a copy never changes its partition", recordAt("orders.g.dlq", headers(queue.HeaderOriginTopic, "orders", queue.HeaderOriginPartition, "4", queue.HeaderOriginOffset, "7")), "orders.g.dlq/3@40"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := queue.MessageIDOf(tt.record, "orders"); got != tt.want {
				t.Errorf("MessageIDOf = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestTheContentOfAMessage(t *testing.T) {
	t.Parallel()
	key := func(topic, value string, hs ...string) string {
		r := recordAt(topic, headers(hs...))
		r.Value = []byte(value)
		return queue.Identify(r, "orders", order.KeepUnknown).Fingerprint
	}
	paid, err := order.ParseJSON([]byte(anOrder), order.KeepUnknown)
	if err != nil {
		t.Fatal(err)
	}
	print := strings.Repeat("ab", 32)
	if got := key("orders", anOrder, queue.HeaderFingerprint, print); got != paid.Fingerprint() {
		t.Errorf("in the source: %s, want the computed %s", got, paid.Fingerprint())
	}
	if got := key("orders", anOrder2); got != paid.Fingerprint() {
		t.Error("the same order in other words has another content")
	}
	if got := key("orders.g.dlq", "edited", queue.HeaderFingerprint, print); got != print {
		t.Errorf("of a copy: %s, want that of its header", got)
	}
	if key("orders.g.dlq", "x", queue.HeaderFingerprint, "AB") != key("orders", "x") || key("orders", "x") == key("orders", "y") {
		t.Error("undecodable bytes stand for themselves, and a malformed header for nothing")
	}
	if key("orders", "x", "content-type", "text/plain") != key("orders", "x") {
		t.Error("bytes of an unknown type stand for themselves")
	}
}

func TestWhereAMessageCameFrom(t *testing.T) {
	t.Parallel()
	if at, ok := queue.OriginOf(recordAt("orders", nil), "orders"); !ok || at.String() != "orders/3@40" {
		t.Errorf("of the source: %v, %v", at, ok)
	}
	if _, ok := queue.OriginOf(recordAt("orders.g.dlq", nil), "orders"); ok {
		t.Error("a copy without origin has one")
	}
}
