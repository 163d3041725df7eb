package consume

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

// maxIDBytes bounds a message id. A longer one, or one that is no text, stands for itself by its hash.
const (
	maxIDBytes  = 256
	maxReplayID = 64
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
	m := r.unreadable(rec)
	if m.discard == "" {
		r.readOrder(m, rec, now)
	}
	m.key.Fingerprint = m.trail.Fingerprint
	if m.key.Fingerprint == "" {
		m.key.Fingerprint = fingerprint(rec.Value)
	}
	return m
}

// unreadable reads what stands beside the value. Its fingerprint is that of its bytes.
func (r reader) unreadable(rec queue.Record) *message {
	role, _, _ := r.names.Role(rec.Topic)
	m := &message{at: rec.Position(), role: role, src: rec.Position(), entered: rec.Time}
	r.readTrail(m, rec)
	m.key.MsgID = messageID(rec, m.trail.MsgID, m.src)
	m.key.Fingerprint = m.trail.Fingerprint
	if m.key.Fingerprint == "" {
		m.key.Fingerprint = fingerprint(rec.Value)
	}
	parent, _ := queue.First(rec.Headers, queue.HeaderTraceparent)
	m.traceID = traceID(parent)
	_, m.loadTest = queue.First(rec.Headers, queue.HeaderLoadTest)
	return m
}

// readTrail takes over what is believed of the headers of earlier hops. Anybody may write to the source: there only a
// replay is believed, and only when its id, hop number and fingerprint stand together.
func (r reader) readTrail(m *message, rec queue.Record) {
	if m.role == queue.RoleSource {
		if _, found := queue.First(rec.Headers, queue.HeaderReplayID); !found {
			return
		}
	}
	t := queue.ReadTrail(rec.Headers)
	if !hexPrint(t.Fingerprint) {
		t.Fingerprint = ""
	}
	if !plain(t.ReplayID) {
		t.ReplayID = ""
	}
	if m.role == queue.RoleSource {
		if t.ReplayID == "" || t.Hop == 0 || t.Fingerprint == "" {
			return
		}
		t.OrigTime = time.Time{}
	} else {
		m.src = t.Origin
		if t.Origin.Topic != r.names.Source || t.Origin.Partition != rec.Partition {
			m.src = queue.Position{Partition: -1, Offset: -1}
		}
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

// messageID is the stable id of a message: the sender's, that of the first hop, or where it lies.
func messageID(rec queue.Record, hopped string, src queue.Position) string {
	id, _ := queue.First(rec.Headers, queue.HeaderID)
	if id == "" {
		id = hopped
	}
	if id == "" {
		if src.Offset < 0 {
			src = rec.Position()
		}
		return src.String()
	}
	if len(id) > maxIDBytes || !utf8.ValidString(id) || strings.ContainsRune(id, 0) {
		sum := sha256.Sum256([]byte(id))
		return "sha256:" + hex.EncodeToString(sum[:])
	}
	return id
}

// fingerprint of a record without a readable order: that of its bytes.
func fingerprint(value []byte) string {
	sum := sha256.Sum256(value)
	return hex.EncodeToString(sum[:])
}

func hexPrint(s string) bool {
	if len(s) != 2*sha256.Size || strings.ToLower(s) != s {
		return false
	}
	_, err := hex.DecodeString(s)
	return err == nil
}

// plain reports whether a replay id is one that a database and a terminal take.
func plain(id string) bool {
	return len(id) <= maxReplayID && !strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' })
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
