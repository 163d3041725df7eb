package order

import (
	"slices"
	"strconv"
	"strings"
)

// MaxViolations is how many violations one *Invalid names at most.
const MaxViolations = 20

// Codes of violations: why a member is refused.
const (
	CodeType     = "type"           // a value of another JSON type
	CodeNull     = "null"           // null stands for nothing in an order
	CodeUnknown  = "unknown-member" // no member of that name
	CodeCase     = "member-case"    // a member of that name in another case
	CodeInteger  = "integer"        // a number with fraction or exponent
	CodeRange    = "range"          // too small or too large
	CodeRequired = "required"       // absent or empty
	CodeFormat   = "format"         // characters or length
	CodeCount    = "count"          // too many
	CodeStatus   = "status"         // no status of an order
	CodeCurrency = "currency"       // not an active ISO 4217 code
	CodeSum      = "sum"            // the total does not follow from its parts
	CodeFuture   = "future"         // too far ahead of now
)

// Violation is one rule that an order breaks.
type Violation struct {
	Pointer string // JSON pointer as a URI fragment: "#/items/3/quantity"; "#" is the whole document. ASCII, bounded
	Code    string // one of the codes above
	Detail  string // a sentence for people; ASCII, bounded, without the order's own values
}

// Label returns the pointer with indexes and the sender's own names replaced by "*", so that it is bounded and can label
// a metric.
func (v Violation) Label() string {
	head, rest, deeper := strings.Cut(strings.TrimPrefix(v.Pointer, "#/"), "/")
	switch {
	case v.Pointer == "#":
		return "#"
	case !slices.Contains(members(), head):
		return "#/*"
	case !deeper:
		return "#/" + head
	}
	_, field, deeper := strings.Cut(rest, "/")
	switch {
	case !deeper:
		return "#/" + head + "/*"
	case slices.Contains(itemMembers(), field):
		return "#/" + head + "/*/" + field
	}
	return "#/" + head + "/*/*"
}

// Invalid is the error of a well-formed document that is not a valid order (HTTP 422, class invalid). Its violations are
// in a fixed order, at least one and at most MaxViolations.
type Invalid struct{ Violations []Violation }

// Error implements error: the first violation, and how many more there are.
func (e *Invalid) Error() string {
	if len(e.Violations) == 0 {
		return "not a valid order"
	}
	v := e.Violations[0]
	s := "not a valid order: " + v.Pointer + " " + v.Detail
	if n := len(e.Violations) - 1; n > 0 {
		s += " (and " + strconv.Itoa(n) + " more)"
	}
	return s
}

// Permanent says that no later attempt can succeed.
func (e *Invalid) Permanent() bool { return true }

// Malformed is the error of bytes that are not one well-formed document (HTTP 400, class decode).
type Malformed struct {
	Detail string // a clause for people; ASCII, bounded
	Offset int64  // of the byte where reading ended; below 0: not known
}

// Error implements error.
func (e *Malformed) Error() string {
	if e.Offset < 0 {
		return "malformed order: " + e.Detail
	}
	return "malformed order: " + e.Detail + " at byte " + strconv.FormatInt(e.Offset, 10)
}

// Permanent says that no later attempt can succeed.
func (e *Malformed) Permanent() bool { return true }

// violations gathers what is wrong, at most MaxViolations.
type violations []Violation

func (v *violations) add(pointer, code, detail string) {
	if len(*v) < MaxViolations {
		*v = append(*v, Violation{Pointer: pointer, Code: code, Detail: detail})
	}
}

func (v violations) full() bool { return len(v) >= MaxViolations }

func (v violations) err() error {
	if len(v) == 0 {
		return nil
	}
	return &Invalid{Violations: v}
}

// members are the names of an order's members, in the order of the canonical encoding.
func members() []string {
	return []string{
		"order_id", "user_id", "status", "currency", "items", "discount_amount", "freight_amount", "tax_amount",
		"total_amount", "attributes", "timestamp",
	}
}

func itemMembers() []string { return []string{"product_id", "quantity", "unit_price"} }
