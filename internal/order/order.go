// Package order says what an order is, when it is valid and which status may follow which. It reads and
// writes the two encodings of an order, JSON and Protobuf. It knows nothing of HTTP, Kafka or SQL.
package order

// Limits of an order (DESIGN.md section 4).
const (
	MaxItems          = 2_000
	MaxQuantity       = 1_000_000
	MaxAmount         = 1<<53 - 1 // the largest integer that every JSON reader keeps
	MaxAttributes     = 64
	MaxAttributeChars = 1_024
	MaxProductChars   = 64
)

// Status is where an order stands in its life.
type Status string

// The statuses of an order.
const (
	Created   Status = "CREATED"
	Paid      Status = "PAID"
	Shipped   Status = "SHIPPED"
	Completed Status = "COMPLETED"
	Cancelled Status = "CANCELLED"
	Refunded  Status = "REFUNDED"
)

// Item is one line of an order.
type Item struct {
	ProductID string
	Quantity  int64 // 1 to MaxQuantity
	UnitPrice int64 // minor units (cents, fen), 0 to MaxAmount
}

// Order is one message of an order's life: the order as it is when it takes Status.
// Amounts are in minor units of Currency. The zero value of an optional member means that it was absent; for
// the amounts absent and 0 are the same, but for TotalAmount, see HasTotal.
type Order struct {
	OrderID        string
	UserID         string
	Status         Status
	Currency       string
	Items          []Item
	DiscountAmount int64
	FreightAmount  int64
	TaxAmount      int64
	TotalAmount    int64
	HasTotal       bool // the sender named TotalAmount; without it Fill computes it
	Attributes     map[string]string
	Timestamp      int64 // creation time, Unix milliseconds; 0: absent
}

// MessageID is the stable id of this message of the order: "<order_id>:<status>". A repeated send has the same one.
func (o Order) MessageID() string { return o.OrderID + ":" + string(o.Status) }
