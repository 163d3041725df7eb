package order

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Unknown says what becomes of members that an order does not have.
type Unknown string

// The ways with unknown members. A known name in another case is refused by both.
const (
	RejectUnknown Unknown = "reject"
	KeepUnknown   Unknown = "keep" // they are ignored; who passes the bytes on passes them on too
)

// ParseJSON reads one order as JSON. Its error is *Malformed, or *Invalid for wrong types, null, and unknown members;
// with *Invalid the order holds what could be read. Absent members are no error here: fill them with Fill where the
// sender may leave them out, then ask Validate.
func ParseJSON(b []byte, u Unknown) (Order, error) {
	r := jsonReader{unknown: u}
	if err := json.Unmarshal(b, &r); err != nil {
		return Order{}, malformedJSON(b, r.whole, err)
	}
	return r.order, r.found.err()
}

// jsonReader reads an order token by token: that alone sees null, names in another case and every wrong type with its
// place, in one pass. The library below it refuses duplicate names, invalid UTF-8 and trailing data.
type jsonReader struct {
	unknown Unknown
	order   Order
	found   violations
	whole   bool // the document has ended; what follows is too much
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom. It returns syntax errors only; what is wrong with a well-formed
// document goes to r.found.
func (r *jsonReader) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	err := r.object(dec, r.member)
	r.whole = err == nil
	return err
}

func (r *jsonReader) member(dec *jsontext.Decoder, name []byte) error {
	o := &r.order
	switch string(name) {
	case `"order_id"`:
		return r.text(dec, &o.OrderID)
	case `"user_id"`:
		return r.str(dec, &o.UserID) // required, so that Validate refuses an empty one
	case `"status"`:
		return r.text(dec, (*string)(&o.Status))
	case `"currency"`:
		return r.text(dec, &o.Currency)
	case `"items"`:
		return r.items(dec)
	case `"discount_amount"`:
		return r.integer(dec, &o.DiscountAmount)
	case `"freight_amount"`:
		return r.integer(dec, &o.FreightAmount)
	case `"tax_amount"`:
		return r.integer(dec, &o.TaxAmount)
	case `"total_amount"`:
		o.HasTotal = true
		return r.integer(dec, &o.TotalAmount)
	case `"attributes"`:
		return r.object(dec, r.attribute)
	case `"timestamp"`:
		return r.timestamp(dec)
	}
	return r.stranger(dec, name, members())
}

func (r *jsonReader) items(dec *jsontext.Decoder) error {
	if dec.PeekKind() != '[' {
		return r.mismatch(dec, "an array")
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for dec.PeekKind() != ']' {
		if r.order.Items == nil {
			r.order.Items = make([]Item, 0, 4)
		}
		r.order.Items = append(r.order.Items, Item{})
		if err := r.object(dec, r.itemMember); err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return err
}

func (r *jsonReader) itemMember(dec *jsontext.Decoder, name []byte) error {
	item := &r.order.Items[len(r.order.Items)-1]
	switch string(name) {
	case `"product_id"`:
		return r.str(dec, &item.ProductID)
	case `"quantity"`:
		return r.integer(dec, &item.Quantity)
	case `"unit_price"`:
		return r.integer(dec, &item.UnitPrice)
	}
	return r.stranger(dec, name, itemMembers())
}

func (r *jsonReader) attribute(dec *jsontext.Decoder, name []byte) error {
	key := unquote(name)
	var value string
	if err := r.str(dec, &value); err != nil {
		return err
	}
	if r.order.Attributes == nil {
		r.order.Attributes = make(map[string]string)
	}
	r.order.Attributes[key] = value
	return nil
}

// object reads one object and calls member for each of its names, quotes included, before the value is read. The name
// is valid until the decoder moves on.
func (r *jsonReader) object(dec *jsontext.Decoder, member func(*jsontext.Decoder, []byte) error) error {
	if dec.PeekKind() != '{' {
		return r.mismatch(dec, "an object")
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for dec.PeekKind() != '}' {
		name, err := dec.ReadValue()
		if err != nil {
			return err
		}
		if bytes.IndexByte(name, '\\') >= 0 {
			name = []byte(`"` + unquote(name) + `"`)
		}
		if err := member(dec, name); err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return err
}

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
		return nil //nolint:nilerr // the document goes on; the number is a violation, not a syntax error
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
func (r *jsonReader) stranger(dec *jsontext.Decoder, quoted []byte, known []string) error {
	name := string(quoted[1 : len(quoted)-1])
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
