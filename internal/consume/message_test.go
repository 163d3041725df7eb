package consume

import (
	"strings"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

var print64 = strings.Repeat("ab", 32)

func readRecord(r queue.Record) *message {
	if r.Time.IsZero() {
		r.Time = noon
	}
	r.Partition = 2
	return reader{names: testNames, unknown: order.KeepUnknown, currency: "EUR"}.read(r, noon)
}

func hs(pairs ...string) []queue.Header {
	var all []queue.Header
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, queue.Header{Name: pairs[i], Value: []byte(pairs[i+1])})
	}
	return all
}

func TestTheIdentityOfAMessage(t *testing.T) {
	t.Parallel()
	o := SampleOrder("A", order.Created)
	value := o.AppendJSON(nil)
	origin := []string{queue.HeaderOriginTopic, "orders", queue.HeaderOriginPartition, "2", queue.HeaderOriginOffset, "7"}
	with := func(more ...string) []queue.Header { return hs(append(more, origin...)...) }
	tests := []struct {
		name        string
		topic       string
		headers     []queue.Header
		id          string
		fingerprint string
		src         int64
		hop         int
		replay      string
	}{
		{"the sender's id", "orders", hs(queue.HeaderID, "A:CREATED"), "A:CREATED", o.Fingerprint(), 5, 0, ""},
		{"given twice, the first", "orders", hs(queue.HeaderID, "x", queue.HeaderID, "y"), "x", o.Fingerprint(), 5, 0, ""},
		{"without one, where it lies", "orders", nil, "orders/2@5", o.Fingerprint(), 5, 0, ""},
		{"on a copy, where it lay", tier1, with(queue.HeaderHop, "1"), "orders/2@7", o.Fingerprint(), 7, 1, ""},
		{"on a copy, what the first hop wrote", tier1, with(queue.HeaderMsgID, "orders/2@3"), "orders/2@3", o.Fingerprint(), 7, 0, ""},
		{"but the sender's before that", tier1, with(queue.HeaderMsgID, "m", queue.HeaderID, "x"), "x", o.Fingerprint(), 7, 0, ""},
		{"an id that is no text", "orders", hs(queue.HeaderID, "\xff"), "sha256:a8100ae6aa1940d0b663bb31cd466142ebbdbd5187131b92d93818987832eb89", o.Fingerprint(), 5, 0, ""},
		{"an id with NUL, which databases refuse", "orders", hs(queue.HeaderID, "a\x00"), "sha256:ffe9aaeaa2a2d5048174df0b80599ef0197ec024c4b051bc9860cff58ef7f9f3", o.Fingerprint(), 5, 0, ""},
		{"a fingerprint on a copy is kept", tier1, with(queue.HeaderFingerprint, print64), "orders/2@7", print64, 7, 0, ""},
		{"one that is none is computed", tier1, with(queue.HeaderFingerprint, "AB"), "orders/2@7", o.Fingerprint(), 7, 0, ""},
		{
			"in the source nothing of ours is believed", "orders",
			with(queue.HeaderFingerprint, print64, queue.HeaderMsgID, "m", queue.HeaderHop, "3"), "orders/2@5", o.Fingerprint(), 5, 0, "",
		},
		{"a replay id alone neither", "orders", with(queue.HeaderFingerprint, print64, queue.HeaderReplayID, "r"), "orders/2@5", o.Fingerprint(), 5, 0, ""},
		{"nor without the fingerprint", "orders", with(queue.HeaderHop, "3", queue.HeaderReplayID, "r"), "orders/2@5", o.Fingerprint(), 5, 0, ""},
		{
			"nor with an id that is none", "orders",
			with(queue.HeaderFingerprint, print64, queue.HeaderHop, "3", queue.HeaderReplayID, "r\x1b"), "orders/2@5", o.Fingerprint(), 5, 0, "",
		},
		{
			"a replay to the origin is, but not where it says it lay", "orders",
			with(queue.HeaderFingerprint, print64, queue.HeaderHop, "3", queue.HeaderReplayID, "r", queue.HeaderMsgID, "m"), "m", print64, 5, 3, "r",
		},
		{"a copy without origin", tier1, hs(queue.HeaderID, "x"), "x", o.Fingerprint(), -1, 0, ""},
		{
			"a copy with an origin elsewhere", tier1, hs(queue.HeaderID, "x", queue.HeaderOriginTopic, "__consumer_offsets", queue.HeaderOriginPartition, "2", queue.HeaderOriginOffset, "7"),
			"x", o.Fingerprint(), -1, 0, "",
		},
		{
			"a copy of another partition", tier1, hs(queue.HeaderID, "x", queue.HeaderOriginTopic, "orders", queue.HeaderOriginPartition, "3", queue.HeaderOriginOffset, "7"),
			"x", o.Fingerprint(), -1, 0, "",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := readRecord(queue.Record{Topic: tt.topic, Offset: 5, Key: []byte("A"), Value: value, Headers: tt.headers})
			if m.key.MsgID != tt.id || m.key.Fingerprint != tt.fingerprint {
				t.Errorf("key %+v, want %s %s", m.key, tt.id, tt.fingerprint)
			}
			if m.src.Offset != tt.src || m.hop != tt.hop || m.replayID != tt.replay {
				t.Errorf("src %v hop %d replay %q", m.src, m.hop, m.replayID)
			}
		})
	}
}

func TestTheFingerprintDoesNotDependOnTheConfiguration(t *testing.T) {
	t.Parallel()
	value := []byte(strings.NewReplacer(`"currency":"EUR",`, "", `"total_amount":500,`, "").Replace(string(SampleOrder("A", order.Created).AppendJSON(nil))))
	rec := queue.Record{Topic: "orders", Value: value, Time: noon}
	a := reader{names: testNames, unknown: order.KeepUnknown, currency: "EUR"}.read(rec, noon)
	b := reader{names: testNames, unknown: order.KeepUnknown, currency: "CNY"}.read(rec, noon)
	if a.bad != nil || a.order.Currency != "EUR" || b.order.Currency != "CNY" || a.order.TotalAmount != 500 {
		t.Errorf("filled in %+v, %v", a.order, a.bad)
	}
	if a.key != b.key {
		t.Errorf("keys %v and %v", a.key, b.key)
	}
}

func TestWhatWaitsForAMessage(t *testing.T) {
	t.Parallel()
	bad := func(id string) []byte {
		o := SampleOrder(id, order.Created)
		o.UserID = ""
		return o.AppendJSON(nil)
	}
	tests := []struct {
		name  string
		key   string
		value []byte
		lane  string
		order string
	}{
		{"its order", "k", SampleOrder("A", order.Created).AppendJSON(nil), "A", "A"},
		{"its order, also when it is invalid", "k", bad("A"), "A", "A"},
		{"undecodable: what has its key", "k", []byte("{"), "k", ""},
		{"an order id that is none: what has its key", "k", bad("../etc"), "k", ""},
		{"nothing, without a key", "", []byte("{"), "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := readRecord(queue.Record{Topic: "orders", Key: []byte(tt.key), Value: tt.value})
			if got := m.lane([]byte(tt.key)); got != tt.lane || m.orderID != tt.order {
				t.Errorf("lane %q order %q, want %q %q", got, m.orderID, tt.lane, tt.order)
			}
		})
	}
}

func TestADiscardIsOneInTheReplayTopicOnly(t *testing.T) {
	t.Parallel()
	headers := hs(queue.HeaderDiscard, "true", queue.HeaderHop, "2", queue.HeaderFingerprint, print64, queue.HeaderID, "x")
	if m := readRecord(queue.Record{Topic: rpl, Headers: headers}); m.discard != "true" || m.hop != 2 || m.key.Fingerprint != print64 || m.bad != nil {
		t.Errorf("in the replay topic: %+v", m)
	}
	for _, topic := range []string{"orders", tier1} {
		if m := readRecord(queue.Record{Topic: topic, Headers: headers}); m.discard != "" || m.bad == nil {
			t.Errorf("in %s it is an ordinary record: %+v", topic, m)
		}
	}
}

func TestTheTraceOfAMessage(t *testing.T) {
	t.Parallel()
	good := "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for parent, want := range map[string]string{
		good: "4bf92f3577b34da6a3ce929d0e0e4736", "": "", "00-short": "", strings.ReplaceAll(good, "4", "x"): "",
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01": "", strings.ReplaceAll(good, "-", "_"): "",
	} {
		if got := traceID(parent); got != want {
			t.Errorf("traceID(%q) = %q, want %q", parent, got, want)
		}
	}
}

func TestTheAgeOfACopyIsThatOfTheOriginal(t *testing.T) {
	t.Parallel()
	m := readRecord(queue.Record{Topic: tier1, Headers: hs(queue.HeaderOrigTimestamp, "1600000000000", queue.HeaderLoadTest, "run-1")})
	if !m.entered.Equal(time.UnixMilli(1_600_000_000_000)) || !m.loadTest {
		t.Errorf("entered %v, load test %v", m.entered, m.loadTest)
	}
}

// Whatever the bytes and headers are: no panic, and an identity that a database takes.
func FuzzRead(f *testing.F) {
	f.Add("orders", []byte("{"), "ce_id", []byte("x"), int64(0))
	f.Add(tier1, SampleOrder("A", order.Created).AppendJSON(nil), queue.HeaderOriginPartition, []byte("-1"), int64(-1))
	f.Add(rpl, []byte(nil), queue.HeaderDiscard, []byte("undo"), int64(1<<62))
	f.Add(tier1, []byte(nil), queue.HeaderHop, []byte("99999999999999999999"), int64(0))
	f.Fuzz(func(t *testing.T, topic string, value []byte, name string, header []byte, ms int64) {
		rec := queue.Record{Topic: topic, Partition: 2, Value: value, Headers: hs(name, string(header)), Time: time.UnixMilli(ms)}
		m := readRecord(rec)
		if m.key.MsgID == "" || len(m.key.MsgID) > 256+len(topic)+64 || len(m.key.Fingerprint) != 64 || strings.ContainsRune(m.key.MsgID, 0) && !strings.Contains(topic, "\x00") {
			t.Errorf("key %+v", m.key)
		}
		if same := queue.Identify(rec, "orders", order.KeepUnknown); m.discard == "" && same != m.key {
			t.Errorf("the tools call it %+v, the worker %+v", same, m.key)
		}
		if m.bad == nil && m.discard == "" && m.orderID == "" {
			t.Error("a valid order without an id")
		}
	})
}
