package consume

import (
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

// message is what a record says: who it is, where it comes from, and the order in it. What was tried with it stands
// beside: decide sees nothing else but rows and the time.
type message struct {
	at       queue.Position
	role     queue.Role
	key      queue.RowKey
	src      queue.Position // in the source topic; offset below 0: cannot be told
	hop      int
	replayID string
	discard  string // of the replay topic: "true", "undo"
	trail    queue.Trail
	entered  time.Time // when the original was written
	traceID  string
	loadTest bool

	order   order.Order
	orderID string         // "": undecodable
	bad     *queue.Failure // why it is no valid order
	label   string         // bounded form of the code of bad

	failure   *queue.Failure // why the effect is given up here
	tries     int            // counted attempts that no row knows of
	delivered bool           // the sink has taken it
	started   bool           // on probation: the row says that it is about to run
}

// reader reads records into messages.
type reader struct {
	names    queue.Names
	unknown  order.Unknown
	currency string
}

// read reads a record. Nothing in it is an error: what is wrong with it stands in the message.
func (r reader) read(rec queue.Record, now time.Time) *message {
	m := r.beside(rec)
	if m.discard == "" {
		r.readOrder(m, rec, now)
	}
	m.identify(rec)
	return m
}

// unreadable reads a record without its value. Its fingerprint is that of its bytes.
func (r reader) unreadable(rec queue.Record) *message {
	m := r.beside(rec)
	m.identify(rec)
	return m
}

// identify takes the fingerprint that is known, or that of the bytes.
func (m *message) identify(rec queue.Record) {
	if m.key.Fingerprint = m.trail.Fingerprint; m.key.Fingerprint == "" {
		m.key.Fingerprint = queue.BytesFingerprint(rec.Value)
	}
}

// beside reads what stands beside the value.
func (r reader) beside(rec queue.Record) *message {
	role, _, _ := r.names.Role(rec.Topic)
	m := &message{at: rec.Position(), role: role, src: rec.Position(), entered: rec.Time}
	r.readTrail(m, rec)
	m.key.MsgID = queue.MessageIDOf(rec, r.names.Source)
	parent, _ := queue.First(rec.Headers, queue.HeaderTraceparent)
	m.traceID = traceID(parent)
	_, m.loadTest = queue.First(rec.Headers, queue.HeaderLoadTest)
	return m
}

// readTrail takes over what is believed of the headers of earlier hops.
func (r reader) readTrail(m *message, rec queue.Record) {
	t := queue.Believed(rec, r.names.Source)
	if m.role == queue.RoleSource {
		t.OrigTime = time.Time{}
	} else if at, ok := queue.OriginOf(rec, r.names.Source); ok {
		m.src = at
	} else {
		m.src = queue.Position{Partition: -1, Offset: -1}
	}
	m.trail, m.hop, m.replayID = t, t.Hop, t.ReplayID
	if !t.OrigTime.IsZero() {
		m.entered = t.OrigTime
	}
	if m.role == queue.RoleReplay && (t.Discard == "true" || t.Discard == "undo") {
		m.discard = t.Discard
	}
}

// readOrder parses before it fills in: the fingerprint must not depend on the configuration.
func (r reader) readOrder(m *message, rec queue.Record, now time.Time) {
	contentType, _ := queue.First(rec.Headers, queue.HeaderContentType)
	o, err := order.Parse(contentType, rec.Value, r.unknown)
	if err != nil {
		m.refuse(err)
		return
	}
	if m.trail.Fingerprint == "" {
		m.trail.Fingerprint = o.Fingerprint()
	}
	o.Fill(order.Defaults{Currency: r.currency, Now: m.entered})
	if err := o.Validate(now); err != nil {
		m.refuse(err)
	}
	if m.bad == nil || m.bad.Code != "#/order_id" {
		m.orderID = o.OrderID
	}
	m.order = o
}

func (m *message) refuse(err error) {
	var invalid *order.Invalid
	if errors.As(err, &invalid) && len(invalid.Violations) > 0 {
		v := invalid.Violations[0]
		m.bad = &queue.Failure{Class: queue.ClassInvalid, Code: v.Pointer, Message: err.Error()}
		m.label = v.Label()
		return
	}
	m.bad = &queue.Failure{Class: queue.ClassDecode, Code: "malformed", Message: err.Error()}
	m.label = m.bad.Code
}

// lane is the key of what waits for this message: its order; of an undecodable record the Kafka key; "": nothing.
func (m *message) lane(key []byte) string {
	if m.orderID != "" {
		return m.orderID
	}
	return string(key)
}

// traceID returns the trace id of a W3C traceparent, "" of one that is malformed.
func traceID(parent string) string {
	if len(parent) < 55 || parent[2] != '-' || parent[35] != '-' {
		return ""
	}
	id := parent[3:35]
	if _, err := hex.DecodeString(id); err != nil || strings.Trim(id, "0") == "" {
		return ""
	}
	return id
}
