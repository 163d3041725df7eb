package order

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// AppendJSON appends the canonical encoding of the order to dst: members in the order of the documentation, absent and
// zero optional ones left out, attributes sorted by name, no white space.
func (o Order) AppendJSON(dst []byte) []byte {
	b := append(dst, '{')
	b = appendText(b, `"order_id":`, o.OrderID)
	b = appendText(b, `"user_id":`, o.UserID)
	b = appendText(b, `"status":`, string(o.Status))
	b = appendText(b, `"currency":`, o.Currency)
	b = appendItems(b, o.Items)
	b = appendAmount(b, `"discount_amount":`, o.DiscountAmount, o.DiscountAmount != 0)
	b = appendAmount(b, `"freight_amount":`, o.FreightAmount, o.FreightAmount != 0)
	b = appendAmount(b, `"tax_amount":`, o.TaxAmount, o.TaxAmount != 0)
	b = appendAmount(b, `"total_amount":`, o.TotalAmount, o.HasTotal)
	b = appendAttributes(b, o.Attributes)
	b = appendAmount(b, `"timestamp":`, o.Timestamp, o.Timestamp != 0)
	return append(b, '}')
}

// Fingerprint returns the hex SHA-256 of the canonical order without its timestamp, which may be ours and then differs
// between two sends of one order. It is the same for JSON and Protobuf.
func (o Order) Fingerprint() string {
	o.Timestamp = 0
	var few [1024]byte // most orders fit, and need no memory of their own
	sum := sha256.Sum256(o.AppendJSON(few[:0]))
	var text [2 * sha256.Size]byte
	hex.Encode(text[:], sum[:])
	return string(text[:])
}

func appendItems(b []byte, items []Item) []byte {
	if len(items) == 0 {
		return b
	}
	return AppendItems(append(comma(b), `"items":`...), items)
}

// AppendItems appends items to dst as a JSON array, as AppendJSON writes them.
func AppendItems(dst []byte, items []Item) []byte {
	b := append(dst, '[')
	for i := range items {
		b = append(comma(b), '{')
		b = appendText(b, `"product_id":`, items[i].ProductID)
		b = appendAmount(b, `"quantity":`, items[i].Quantity, true)
		b = appendAmount(b, `"unit_price":`, items[i].UnitPrice, true)
		b = append(b, '}')
	}
	return append(b, ']')
}

func appendAttributes(b []byte, attributes map[string]string) []byte {
	if len(attributes) == 0 {
		return b
	}
	var few [8]string // most orders have no more, and need no memory of their own
	names := few[:0]
	for name := range attributes {
		names = append(names, name)
	}
	slices.Sort(names)
	b = append(comma(b), `"attributes":{`...)
	for _, name := range names {
		b = append(appendString(comma(b), name), ':')
		b = appendString(b, attributes[name])
	}
	return append(b, '}')
}

// appendText appends a member whose empty value says that it is absent.
func appendText(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	return appendString(append(comma(b), name...), value)
}

func appendAmount(b []byte, name string, value int64, present bool) []byte {
	if !present {
		return b
	}
	return strconv.AppendInt(append(comma(b), name...), value, 10)
}

// comma separates a member or element from the one before it.
func comma(b []byte) []byte {
	switch b[len(b)-1] {
	case '{', '[':
		return b
	}
	return append(b, ',')
}

func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			b, _ = jsontext.AppendQuote(b, s) // its error says that invalid UTF-8 was replaced; no codec lets it in
			return b
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
