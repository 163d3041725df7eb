package order

import (
	"bytes"

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
	case "order_id":
		return r.text(dec, &o.OrderID)
	case "user_id":
		return r.str(dec, &o.UserID) // required, so that Validate refuses an empty one
	case "status":
		return r.text(dec, (*string)(&o.Status))
	case "currency":
		return r.text(dec, &o.Currency)
	case "items":
		return r.items(dec)
	case "discount_amount":
		return r.integer(dec, &o.DiscountAmount)
	case "freight_amount":
		return r.integer(dec, &o.FreightAmount)
	case "tax_amount":
		return r.integer(dec, &o.TaxAmount)
	case "total_amount":
		o.HasTotal = true
		return r.integer(dec, &o.TotalAmount)
	case "attributes":
		return r.object(dec, r.attribute)
	case "timestamp":
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
	case "product_id":
		return r.str(dec, &item.ProductID)
	case "quantity":
		return r.integer(dec, &item.Quantity)
	case "unit_price":
		return r.integer(dec, &item.UnitPrice)
	}
	return r.stranger(dec, name, itemMembers())
}

func (r *jsonReader) attribute(dec *jsontext.Decoder, name []byte) error {
	key := string(name)
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

// object reads one object and calls member for each of its names before the value is read. The name is valid until the
// decoder moves on.
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
		bare := name[1 : len(name)-1]
		if bytes.IndexByte(bare, '\\') >= 0 {
			bare = []byte(unquote(name))
		}
		if err := member(dec, bare); err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return err
}
