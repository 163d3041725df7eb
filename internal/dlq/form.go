package dlq

import (
	"encoding/base64"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"commerce.internal/orderctl/internal/queue"
)

// Exported is a letter as `dlq export` writes it, orderctl.dlq.letter/v1. Bytes that are not UTF-8 stand as \xNN in its
// texts; the headers have them as they are.
type Exported struct {
	Schema       string       `json:"schema"`
	ID           string       `json:"id"`
	Copies       int          `json:"copies"`
	Time         time.Time    `json:"time"`
	Dialect      string       `json:"dialect"` // empty: nobody known wrote its headers
	State        State        `json:"state"`
	Lost         bool         `json:"lost,omitempty"`    // a pointer whose source record is gone, whatever its state
	Pointer      bool         `json:"pointer,omitempty"` // key and value are those of the source record
	Origin       *Origin      `json:"origin"`            // null: incomplete
	Class        *string      `json:"class"`             // null: the header is absent
	Code         *string      `json:"code"`
	Message      *string      `json:"message"`
	Attempts     int          `json:"attempts"`
	Hop          int          `json:"hop"`
	MsgID        *string      `json:"msg_id"`
	FirstFailure *time.Time   `json:"first_failure"`
	LastFailure  *time.Time   `json:"last_failure"`
	BlockedBy    *string      `json:"blocked_by"`
	KeyBase64    *[]byte      `json:"key_base64"`   // null: no key
	ValueBase64  *[]byte      `json:"value_base64"` // null: no value
	Headers      [][2]*string `json:"headers"`      // name, and the value in base64; null: none
	Ledger       *Entry       `json:"ledger"`       // what an operator did with it; null: nothing

	// NamesBase64 are the names of all headers, byte for byte; only there when one of them is not UTF-8.
	NamesBase64 [][]byte `json:"header_names_base64,omitempty"`
}

// Origin is where a letter's message came from.
type Origin struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Group     string `json:"group"`
}

// Exported returns the letter in the form of `dlq export`.
func (l Letter) Exported() Exported {
	t := l.Trail
	x := Exported{
		Schema: "orderctl.dlq.letter/v1", ID: l.ID.String(), Copies: l.Copies, State: l.State, Lost: l.Lost, Pointer: l.Pointer, Ledger: l.Ledger, Time: l.Time.UTC(), Dialect: l.Dialect,
		Class: textOrNull(string(t.Class)), Code: textOrNull(t.Code), Message: textOrNull(t.Message),
		Attempts: t.Attempts, Hop: t.Hop, MsgID: textOrNull(t.MsgID), BlockedBy: textOrNull(t.BlockedBy),
		FirstFailure: timeOrNull(t.FirstFailure), LastFailure: timeOrNull(t.LastFailure),
		KeyBase64: bytesOrNull(l.Key), ValueBase64: bytesOrNull(l.Value), Headers: make([][2]*string, 0, len(l.Headers)),
	}
	if _, ok := l.copyOf(); ok {
		x.Origin = &Origin{Topic: utf8Text(t.Origin.Topic), Partition: t.Origin.Partition, Offset: t.Origin.Offset, Group: utf8Text(t.Group)}
	}
	odd := false
	for _, h := range l.Headers {
		x.Headers = append(x.Headers, headerForm(h))
		odd = odd || !utf8.ValidString(h.Name)
	}
	for i := 0; odd && i < len(l.Headers); i++ {
		x.NamesBase64 = append(x.NamesBase64, []byte(l.Headers[i].Name))
	}
	return x
}

func headerForm(h queue.Header) [2]*string {
	name := utf8Text(h.Name)
	if h.Value == nil {
		return [2]*string{&name, nil}
	}
	value := base64.StdEncoding.EncodeToString(h.Value)
	return [2]*string{&name, &value}
}

// utf8Text writes what is not UTF-8 as \xNN: JSON has no other way, and a replacement character would be a lie.
func utf8Text(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&b, `\x%02x`, s[i])
		} else {
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

func textOrNull(s string) *string {
	if s == "" {
		return nil
	}
	s = utf8Text(s)
	return &s
}

func bytesOrNull(b []byte) *[]byte {
	if b == nil {
		return nil
	}
	return &b
}

func timeOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
