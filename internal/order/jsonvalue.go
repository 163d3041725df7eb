package order

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

func (r *jsonReader) str(dec *jsontext.Decoder, to *string) error {
	if dec.PeekKind() != '"' {
		return r.mismatch(dec, "a string")
	}
	raw, err := dec.ReadValue()
	if err != nil {
		return err
	}
	*to = unquote(raw)
	return nil
}

// text reads a string that may be absent but not empty: in an Order an empty one says that it was absent, and a default
// would silently take its place.
func (r *jsonReader) text(dec *jsontext.Decoder, to *string) error {
	quoted := dec.PeekKind() == '"'
	if err := r.str(dec, to); err != nil {
		return err
	}
	if quoted && *to == "" {
		r.found.add(pointer(dec.StackPointer()), CodeFormat, "must not be empty; leave it out instead")
	}
	return nil
}

func (r *jsonReader) timestamp(dec *jsontext.Decoder) error {
	before := len(r.found)
	if err := r.integer(dec, &r.order.Timestamp); err != nil {
		return err
	}
	if r.order.Timestamp == 0 && len(r.found) == before {
		r.found.add(pointer(dec.StackPointer()), CodeRange, "must be at least 1; leave it out instead")
	}
	return nil
}

func (r *jsonReader) integer(dec *jsontext.Decoder, to *int64) error {
	if dec.PeekKind() != '0' {
		return r.mismatch(dec, "an integer")
	}
	raw, err := dec.ReadValue()
	if err != nil {
		return err
	}
	if bytes.ContainsAny(raw, ".eE") {
		r.found.add(pointer(dec.StackPointer()), CodeInteger, "must be an integer, written without fraction and exponent")
		return nil
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		r.found.add(pointer(dec.StackPointer()), CodeRange, "is beyond the largest integer, 9007199254740991")
		return nil // the document goes on: the number is a violation, no syntax error
	}
	*to = n
	return nil
}

// mismatch skips a value of another type than wanted and notes it.
func (r *jsonReader) mismatch(dec *jsontext.Decoder, want string) error {
	kind := dec.PeekKind()
	if err := dec.SkipValue(); err != nil {
		return err
	}
	at := pointer(dec.StackPointer())
	if kind == 'n' {
		r.found.add(at, CodeNull, "must be "+want+", not null")
		return nil
	}
	r.found.add(at, CodeType, "must be "+want+", not "+kindName(kind))
	return nil
}

// stranger handles a member that is none of known.
func (r *jsonReader) stranger(dec *jsontext.Decoder, rawName []byte, known []string) error {
	name := string(rawName)
	value, err := dec.ReadValue()
	if err != nil {
		return err
	}
	for _, k := range known {
		if strings.EqualFold(k, name) {
			r.found.add(pointer(dec.StackPointer()), CodeCase, "is written "+k+": names of members are case-sensitive")
			return nil
		}
	}
	if r.unknown != KeepUnknown {
		r.found.add(pointer(dec.StackPointer()), CodeUnknown, "is not a member of "+ownerName(known))
		return nil
	}
	if at, found := firstNull(value); found {
		r.found.add(pointer(dec.StackPointer()+at), CodeNull, "must not be null")
	}
	return nil
}

func ownerName(known []string) string {
	if known[0] == "product_id" {
		return "an item"
	}
	return "an order"
}

// firstNull finds a null anywhere in a value that is ignored otherwise: null has no meaning in an order.
func firstNull(value jsontext.Value) (jsontext.Pointer, bool) {
	if !bytes.Contains(value, []byte("null")) {
		return "", false
	}
	dec := jsontext.NewDecoder(bytes.NewReader(value))
	for {
		token, err := dec.ReadToken()
		if err != nil {
			return "", false
		}
		if token.Kind() == 'n' {
			return dec.StackPointer(), true
		}
	}
}

func kindName(k jsontext.Kind) string {
	switch k {
	case '"':
		return "a string"
	case '0':
		return "a number"
	case '{':
		return "an object"
	case '[':
		return "an array"
	default:
		return "a boolean"
	}
}

// unquote returns the text of a JSON string that the decoder has already checked.
func unquote(quoted []byte) string {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1 : len(quoted)-1])
	}
	text, _ := jsontext.AppendUnquote(nil, quoted)
	return string(text)
}
