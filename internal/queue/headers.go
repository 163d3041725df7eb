package queue

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// Header names. CloudEvents 1.0 binary mode, W3C Trace Context, KIP-1191, and orderctl's own.
const (
	HeaderSpecVersion = "ce_specversion"
	HeaderID          = "ce_id" // the stable message id
	HeaderType        = "ce_type"
	HeaderSource      = "ce_source"
	HeaderTime        = "ce_time"
	HeaderContentType = "content-type"
	HeaderTraceparent = "traceparent"

	HeaderRequestID   = "orderctl-request-id"
	HeaderClient      = "orderctl-client"
	HeaderFingerprint = "orderctl-fingerprint"
	HeaderLoadTest    = "orderctl-load-test"

	HeaderOriginTopic     = "__dlq.errors.topic"
	HeaderOriginPartition = "__dlq.errors.partition"
	HeaderOriginOffset    = "__dlq.errors.offset"
	HeaderOriginGroup     = "__dlq.errors.group"
	HeaderDeliveryCount   = "__dlq.errors.delivery.count"
	HeaderErrorMessage    = "__dlq.errors.message"

	HeaderHop           = "orderctl-hop"
	HeaderMsgID         = "orderctl-msg-id"
	HeaderClass         = "orderctl-class"
	HeaderCode          = "orderctl-code"
	HeaderAttempts      = "orderctl-attempts"
	HeaderNotBefore     = "orderctl-not-before"
	HeaderFirstFailure  = "orderctl-first-failure"
	HeaderLastFailure   = "orderctl-last-failure"
	HeaderOrigTimestamp = "orderctl-orig-timestamp"
	HeaderWorker        = "orderctl-worker"
	HeaderReplayID      = "orderctl-replay-id"
	HeaderReplayCount   = "orderctl-replay-count"
	HeaderReplayOf      = "orderctl-replay-of"
	HeaderBlockedBy     = "orderctl-blocked-by"
	HeaderEdited        = "orderctl-edited"
	HeaderDiscard       = "orderctl-discard"
	HeaderPointer       = "orderctl-pointer"
)

// HeaderName is the name of a header as text. Those that every order carries need no memory of their own.
func HeaderName(b []byte) string {
	for _, name := range [...]string{
		HeaderID, HeaderType, HeaderSource, HeaderTime, HeaderSpecVersion, HeaderContentType, HeaderTraceparent, HeaderRequestID,
		HeaderClient, HeaderFingerprint, HeaderLoadTest,
	} {
		if string(b) == name {
			return name
		}
	}
	return string(b)
}

// The content types of an order.
const (
	ContentJSON     = "application/json"
	ContentProtobuf = "application/x-protobuf"
)

// Bounds of what is believed of a header: anyone with write access to a topic can forge one.
const (
	MaxMessageBytes = 1 << 10 // of an error message on a record
	maxAttempts     = 1_000
	maxHop          = 1_000_000
)

// First returns the value of the first header of that name.
func First(hs []Header, name string) (string, bool) {
	for i := range hs {
		if hs[i].Name == name {
			return string(hs[i].Value), true
		}
	}
	return "", false
}

// Last returns the value of the last header of that name.
func Last(hs []Header, name string) (string, bool) {
	for i := len(hs) - 1; i >= 0; i-- {
		if hs[i].Name == name {
			return string(hs[i].Value), true
		}
	}
	return "", false
}

// Trail is what a copy of a record carries about its life: where it came from and why it is here. Zero values are
// absent headers. All values are UTF-8 text.
type Trail struct {
	Hop          int
	Origin       Position // where the message lies in the source topic; Offset -1 or Partition -1: malformed or absent
	Group        string
	OrigTime     time.Time // record time of the original
	MsgID        string
	Fingerprint  string
	Class        Class
	Code         string
	Message      string // cut to MaxMessageBytes
	Attempts     int
	NotBefore    time.Time
	FirstFailure time.Time
	LastFailure  time.Time
	Worker       string
	ReplayID     string
	ReplayCount  int
	ReplayOf     string // partition/offset of the dead letter
	BlockedBy    string
	Edited       string
	Discard      string // "true", "undo"
	Pointer      string
}

// ReadTrail reads the trail of a record. Nothing in it is an error: what is missing or malformed stays zero, and an
// origin that cannot be told has partition and offset -1. A header given twice: the origin comes from the first, the
// rest from the last.
func ReadTrail(hs []Header) Trail {
	t := Trail{Origin: Position{Partition: -1, Offset: -1}}
	t.Origin.Topic, _ = First(hs, HeaderOriginTopic)
	if n, ok := number(First(hs, HeaderOriginPartition)); ok && n <= math.MaxInt32 {
		t.Origin.Partition = int32(n) //nolint:gosec // bounded by the line above
	}
	if n, ok := number(First(hs, HeaderOriginOffset)); ok {
		t.Origin.Offset = n
	}
	t.Group, _ = First(hs, HeaderOriginGroup)
	t.Hop = bounded(hs, HeaderHop, maxHop)
	t.OrigTime = millis(hs, HeaderOrigTimestamp)
	t.MsgID, _ = Last(hs, HeaderMsgID)
	t.Fingerprint, _ = Last(hs, HeaderFingerprint)
	class, _ := Last(hs, HeaderClass)
	t.Class = Class(class)
	t.Code, _ = Last(hs, HeaderCode)
	t.Message, _ = Last(hs, HeaderErrorMessage)
	t.Attempts = bounded(hs, HeaderAttempts, maxAttempts)
	t.NotBefore = millis(hs, HeaderNotBefore)
	t.FirstFailure = millis(hs, HeaderFirstFailure)
	t.LastFailure = millis(hs, HeaderLastFailure)
	t.Worker, _ = Last(hs, HeaderWorker)
	t.ReplayID, _ = Last(hs, HeaderReplayID)
	t.ReplayCount = bounded(hs, HeaderReplayCount, maxAttempts)
	t.ReplayOf, _ = Last(hs, HeaderReplayOf)
	t.BlockedBy, _ = Last(hs, HeaderBlockedBy)
	t.Edited, _ = Last(hs, HeaderEdited)
	t.Discard, _ = Last(hs, HeaderDiscard)
	t.Pointer, _ = Last(hs, HeaderPointer)
	return t
}

// Append returns the headers of a copy: the user's headers of the record byte for byte and in order, then those of the
// trail. Headers of an earlier trail are replaced, so they never grow. The fingerprint keeps its place when it is there.
func (t Trail) Append(user []Header) []Header {
	out := make([]Header, 0, len(user)+16)
	hasPrint := false
	for _, h := range user {
		if h.Name == HeaderFingerprint {
			if hasPrint || t.Fingerprint == "" {
				continue
			}
			hasPrint, h.Value = true, []byte(t.Fingerprint)
		}
		if !trailHeader(h.Name) {
			out = append(out, h)
		}
	}
	add := func(name, value string) {
		if value != "" {
			out = append(out, Header{Name: name, Value: []byte(value)})
		}
	}
	if !hasPrint {
		add(HeaderFingerprint, t.Fingerprint)
	}
	add(HeaderOriginTopic, t.Origin.Topic)
	add(HeaderOriginPartition, strconv.FormatInt(int64(t.Origin.Partition), 10))
	add(HeaderOriginOffset, strconv.FormatInt(t.Origin.Offset, 10))
	add(HeaderOriginGroup, t.Group)
	add(HeaderDeliveryCount, strconv.Itoa(t.Attempts))
	add(HeaderErrorMessage, Cut(t.Message, MaxMessageBytes))
	add(HeaderHop, strconv.Itoa(t.Hop))
	add(HeaderMsgID, t.MsgID)
	add(HeaderClass, string(t.Class))
	add(HeaderCode, t.Code)
	add(HeaderAttempts, strconv.Itoa(t.Attempts))
	add(HeaderNotBefore, formatMillis(t.NotBefore))
	add(HeaderFirstFailure, formatMillis(t.FirstFailure))
	add(HeaderLastFailure, formatMillis(t.LastFailure))
	add(HeaderOrigTimestamp, formatMillis(t.OrigTime))
	add(HeaderWorker, t.Worker)
	add(HeaderReplayID, t.ReplayID)
	if t.ReplayCount > 0 {
		add(HeaderReplayCount, strconv.Itoa(t.ReplayCount))
	}
	add(HeaderReplayOf, t.ReplayOf)
	add(HeaderBlockedBy, t.BlockedBy)
	add(HeaderEdited, t.Edited)
	add(HeaderDiscard, t.Discard)
	add(HeaderPointer, t.Pointer)
	return out
}

// trailHeader reports whether a header belongs to the trail and not to the user. The fingerprint is handled apart.
func trailHeader(name string) bool {
	switch name {
	case HeaderOriginTopic, HeaderOriginPartition, HeaderOriginOffset, HeaderOriginGroup, HeaderDeliveryCount,
		HeaderErrorMessage, HeaderHop, HeaderMsgID, HeaderClass, HeaderCode, HeaderAttempts, HeaderNotBefore,
		HeaderFirstFailure, HeaderLastFailure, HeaderOrigTimestamp, HeaderWorker, HeaderReplayID, HeaderReplayCount,
		HeaderReplayOf, HeaderBlockedBy, HeaderEdited, HeaderDiscard, HeaderPointer:
		return true
	}
	return false
}

// Cut returns at most n bytes of s as valid UTF-8; a rune is never split.
func Cut(s string, n int) string {
	return strings.ToValidUTF8(s[:min(n, len(s))], "")
}

func number(s string, ok bool) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, ok && err == nil && n >= 0
}

func bounded(hs []Header, name string, limit int64) int {
	n, ok := number(Last(hs, name))
	if !ok {
		return 0
	}
	return int(min(n, limit))
}

func millis(hs []Header, name string) time.Time {
	n, ok := number(Last(hs, name))
	if !ok || n == 0 {
		return time.Time{}
	}
	return time.UnixMilli(n).UTC()
}

func formatMillis(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return strconv.FormatInt(t.UnixMilli(), 10)
}
