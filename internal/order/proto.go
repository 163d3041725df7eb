package order

import (
	"google.golang.org/protobuf/proto"

	"commerce.internal/orderctl/internal/order/orderpb"
)

// ParseProto reads one order.v1.Order. Its error is *Malformed: there is no well-formed Protobuf order of a wrong type,
// and what a member may hold is for Validate to say. Unknown fields are accepted and ignored, and of a field given twice
// the last counts, as everywhere in Protobuf.
func ParseProto(b []byte) (Order, error) {
	if len(b) == 0 {
		return Order{}, &Malformed{Detail: "the document is empty", Offset: 0}
	}
	if at := checkWire(b); at >= 0 {
		return Order{}, &Malformed{Detail: "not an order.v1.Order: cut short, or a field of another type", Offset: int64(at)}
	}
	var m orderpb.Order
	if err := proto.Unmarshal(b, &m); err != nil {
		return Order{}, &Malformed{Detail: "not an order.v1.Order: a text that is not UTF-8", Offset: -1}
	}
	return fromProto(&m), nil
}

// MarshalProto returns the order as order.v1.Order, attributes sorted by name. It fails for text that is not UTF-8,
// which no parsed order holds.
func (o Order) MarshalProto() ([]byte, error) {
	m := &orderpb.Order{
		OrderId: o.OrderID, UserId: o.UserID, Status: string(o.Status), Currency: o.Currency,
		DiscountAmount: o.DiscountAmount, FreightAmount: o.FreightAmount, TaxAmount: o.TaxAmount,
		Attributes: o.Attributes, Timestamp: o.Timestamp,
	}
	if o.HasTotal {
		m.TotalAmount = &o.TotalAmount
	}
	items := make([]orderpb.Item, len(o.Items))
	m.Items = make([]*orderpb.Item, len(o.Items))
	for i, item := range o.Items {
		items[i].ProductId, items[i].Quantity, items[i].UnitPrice = item.ProductID, item.Quantity, item.UnitPrice
		m.Items[i] = &items[i]
	}
	return proto.MarshalOptions{Deterministic: true}.Marshal(m)
}

func fromProto(m *orderpb.Order) Order {
	o := Order{
		OrderID: m.GetOrderId(), UserID: m.GetUserId(), Status: Status(m.GetStatus()), Currency: m.GetCurrency(),
		DiscountAmount: m.GetDiscountAmount(), FreightAmount: m.GetFreightAmount(), TaxAmount: m.GetTaxAmount(),
		TotalAmount: m.GetTotalAmount(), HasTotal: m.TotalAmount != nil,
		Attributes: m.GetAttributes(), Timestamp: m.GetTimestamp(),
	}
	if n := len(m.GetItems()); n > 0 {
		o.Items = make([]Item, n)
	}
	for i, item := range m.GetItems() {
		o.Items[i] = Item{ProductID: item.GetProductId(), Quantity: item.GetQuantity(), UnitPrice: item.GetUnitPrice()}
	}
	return o
}
