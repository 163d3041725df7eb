package queue

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
	"unicode/utf8"

	"commerce.internal/orderctl/internal/order"
)

const (
	maxIDBytes  = 256 // a longer message id stands for itself by its hash
	maxReplayID = 64
)

// MessageIDOf returns the stable id of the message in a record: the sender's, that of the first hop, or where it lies in
// the source topic. One that is too long, or no text, stands for itself by its hash.
func MessageIDOf(r Record, source string) string {
	id, _ := First(r.Headers, HeaderID)
	if id == "" {
		id = Believed(r, source).MsgID
	}
	if id == "" {
		if at, ok := OriginOf(r, source); ok {
			return at.String()
		}
		return r.Position().String()
	}
	if len(id) > maxIDBytes || !utf8.ValidString(id) || strings.ContainsRune(id, 0) {
		sum := sha256.Sum256([]byte(id))
		return "sha256:" + hex.EncodeToString(sum[:])
	}
	return id
}

// Identify names the message of a record: its id, and its content. A fingerprint is believed of a copy; of a record in
// the source topic it is computed.
func Identify(r Record, source string, unknown order.Unknown) RowKey {
	k := RowKey{MsgID: MessageIDOf(r, source), Fingerprint: Believed(r, source).Fingerprint}
	if k.Fingerprint == "" {
		k.Fingerprint = fingerprintOf(r, unknown)
	}
	return k
}

// OriginOf returns where the message of a record lies in the source topic: a record of the source there itself, a copy
// where its headers say. ok is false where they do not.
func OriginOf(r Record, source string) (at Position, ok bool) {
	if r.Topic == source {
		return r.Position(), true
	}
	at = ReadTrail(r.Headers).Origin
	return at, at.Topic == source && at.Partition == r.Partition && at.Offset >= 0
}

// Believed returns the trail of a record, zero where it is not believed. Anybody may write to the source: there only a
// replay is believed, and only when its id, hop number and fingerprint stand together.
func Believed(r Record, source string) Trail {
	if r.Topic == source {
		if _, found := First(r.Headers, HeaderReplayID); !found {
			return Trail{}
		}
	}
	t := ReadTrail(r.Headers)
	if !hexPrint(t.Fingerprint) {
		t.Fingerprint = ""
	}
	if !plainID(t.ReplayID) {
		t.ReplayID = ""
	}
	if r.Topic == source {
		if t.ReplayID == "" || t.Hop == 0 || t.Fingerprint == "" {
			return Trail{}
		}
		t.OrigTime = time.Time{} // it is written there anew
	}
	return t
}

// fingerprintOf is that of the order, or, where there is no readable one, that of the bytes.
func fingerprintOf(r Record, unknown order.Unknown) string {
	contentType, _ := First(r.Headers, HeaderContentType)
	if o, err := order.Parse(contentType, r.Value, unknown); err == nil {
		return o.Fingerprint()
	}
	return BytesFingerprint(r.Value)
}

// BytesFingerprint is the fingerprint of a record without a readable order.
func BytesFingerprint(value []byte) string {
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

// plainID reports whether a replay id is one that a database and a terminal take.
func plainID(id string) bool {
	return len(id) <= maxReplayID && !strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' })
}
