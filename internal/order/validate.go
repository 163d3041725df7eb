package order

import (
	"maps"
	"slices"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/bojanz/currency"
)

const (
	maxIDBytes = 64
	maxAhead   = 24 * time.Hour // of a timestamp
)

// Validate checks every rule of a complete order and returns nil or *Invalid. Absent members are violations: where the
// sender may leave them out (HTTP; on Kafka all but the order_id), call Fill first.
func (o Order) Validate(now time.Time) error {
	var found violations
	o.checkNames(&found)
	before := len(found)
	o.checkItems(&found)
	checkAmount(&found, "#/discount_amount", o.DiscountAmount)
	checkAmount(&found, "#/freight_amount", o.FreightAmount)
	checkAmount(&found, "#/tax_amount", o.TaxAmount)
	o.checkTotal(&found, len(found) == before)
	o.checkAttributes(&found)
	o.checkTimestamp(&found, now)
	return found.err()
}

func (o *Order) checkNames(found *violations) {
	switch {
	case o.OrderID == "":
		found.add("#/order_id", CodeRequired, "is required")
	case !validOrderID(o.OrderID):
		found.add("#/order_id", CodeFormat, "must be 1 to 64 letters, digits and . _ : - and begin with a letter or digit")
	}
	switch {
	case o.UserID == "":
		found.add("#/user_id", CodeRequired, "is required")
	case !validUserID(o.UserID):
		found.add("#/user_id", CodeFormat, "must be 1 to 64 visible ASCII characters without spaces")
	}
	switch {
	case o.Status == "":
		found.add("#/status", CodeRequired, "is required")
	case !o.Status.Valid():
		found.add("#/status", CodeStatus, "must be CREATED, PAID, SHIPPED, COMPLETED, CANCELLED or REFUNDED")
	}
	switch {
	case o.Currency == "":
		found.add("#/currency", CodeRequired, "is required")
	case !currency.IsValid(o.Currency):
		found.add("#/currency", CodeCurrency, "must be an active ISO 4217 code such as EUR")
	}
}

func (o *Order) checkItems(found *violations) {
	if len(o.Items) == 0 {
		found.add("#/items", CodeRequired, "must hold 1 to 2,000 items")
		return
	}
	if len(o.Items) > MaxItems {
		found.add("#/items", CodeCount, "must hold 1 to 2,000 items")
		return
	}
	for i := range o.Items {
		item := &o.Items[i]
		if validProductID(item.ProductID) && item.Quantity >= 1 && item.Quantity <= MaxQuantity &&
			item.UnitPrice >= 0 && item.UnitPrice <= MaxAmount {
			continue
		}
		checkItem(found, "#/items/"+strconv.Itoa(i), item)
		if found.full() {
			return
		}
	}
}

func checkItem(found *violations, at string, item *Item) {
	switch {
	case item.ProductID == "":
		found.add(at+"/product_id", CodeRequired, "is required")
	case !validProductID(item.ProductID):
		found.add(at+"/product_id", CodeFormat, "must be 1 to 64 printable characters without white space at the ends")
	}
	if item.Quantity < 1 || item.Quantity > MaxQuantity {
		found.add(at+"/quantity", CodeRange, "must be 1 to 1000000")
	}
	checkAmount(found, at+"/unit_price", item.UnitPrice)
}

func checkAmount(found *violations, at string, amount int64) {
	if amount < 0 || amount > MaxAmount {
		found.add(at, CodeRange, "must be 0 to 9007199254740991 minor units")
	}
}

// checkTotal compares the total with its parts; when a part is wrong there is nothing to compare with.
func (o *Order) checkTotal(found *violations, partsHold bool) {
	if o.HasTotal && (o.TotalAmount < 0 || o.TotalAmount > MaxAmount) {
		checkAmount(found, "#/total_amount", o.TotalAmount)
		return
	}
	if !partsHold {
		return
	}
	total, code := o.sum()
	switch {
	case code != "":
		found.add("#/total_amount", CodeSum, "items - discount + freight + tax must be 0 to 9007199254740991")
	case !o.HasTotal:
		found.add("#/total_amount", CodeRequired, "is required")
	case total != o.TotalAmount:
		found.add("#/total_amount", CodeSum, "must equal items - discount + freight + tax, which is "+strconv.FormatInt(total, 10))
	}
}

func (o *Order) checkAttributes(found *violations) {
	if len(o.Attributes) > MaxAttributes {
		found.add("#/attributes", CodeCount, "must have at most 64 members")
		return
	}
	bad := false
	for name, value := range o.Attributes {
		bad = bad || !validAttribute(name) || tooLong(value)
	}
	if !bad {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(o.Attributes)) {
		at := "#/attributes/" + fragment(name)
		if !validAttribute(name) {
			found.add(at, CodeFormat, "must have a name of 1 to 64 letters, digits and . _ -")
		}
		if tooLong(o.Attributes[name]) {
			found.add(at, CodeFormat, "must have at most 1024 characters")
		}
	}
}

func tooLong(attribute string) bool {
	return len(attribute) > MaxAttributeChars && utf8.RuneCountInString(attribute) > MaxAttributeChars
}

func (o *Order) checkTimestamp(found *violations, now time.Time) {
	switch {
	case o.Timestamp == 0:
		found.add("#/timestamp", CodeRequired, "is required")
	case o.Timestamp < 0 || o.Timestamp > MaxAmount:
		found.add("#/timestamp", CodeRange, "must be Unix milliseconds, 1 to 9007199254740991")
	case o.Timestamp > now.Add(maxAhead).UnixMilli():
		found.add("#/timestamp", CodeFuture, "must be at most 24 hours in the future")
	}
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

func validOrderID(s string) bool {
	if len(s) > maxIDBytes || !isAlnum(s[0]) {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isAlnum(c) && c != '.' && c != '_' && c != ':' && c != '-' {
			return false
		}
	}
	return true
}

func validUserID(s string) bool {
	for i := range len(s) {
		if s[i] < 0x21 || s[i] > 0x7e {
			return false
		}
	}
	return len(s) <= maxIDBytes
}

func validAttribute(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isAlnum(c) && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return s != "" && len(s) <= maxIDBytes
}

func validProductID(s string) bool {
	n, last := 0, ' '
	for _, r := range s {
		if !unicode.IsGraphic(r) || n == 0 && unicode.IsSpace(r) {
			return false
		}
		n, last = n+1, r
	}
	return n >= 1 && n <= MaxProductChars && utf8.ValidString(s) && !unicode.IsSpace(last)
}
