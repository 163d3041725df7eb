package order_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/order/orderpb"
)

// anyOrder draws whatever an Order can hold, valid or not.
func anyOrder() *rapid.Generator[order.Order] {
	text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[A-Za-z0-9._:-]{0,12}`))
	return rapid.Custom(func(t *rapid.T) order.Order {
		o := order.Order{
			OrderID: text.Draw(t, "order_id"), UserID: text.Draw(t, "user_id"), Status: order.Status(text.Draw(t, "status")),
			Currency: text.Draw(t, "currency"), DiscountAmount: rapid.Int64().Draw(t, "discount"),
			FreightAmount: rapid.Int64().Draw(t, "freight"), TaxAmount: rapid.Int64().Draw(t, "tax"),
			HasTotal: rapid.Bool().Draw(t, "has_total"), Timestamp: rapid.Int64().Draw(t, "timestamp"),
		}
		if o.HasTotal {
			o.TotalAmount = rapid.Int64().Draw(t, "total")
		}
		for range rapid.IntRange(0, 4).Draw(t, "items") {
			o.Items = append(o.Items, order.Item{
				ProductID: text.Draw(t, "product"), Quantity: rapid.Int64().Draw(t, "quantity"), UnitPrice: rapid.Int64().Draw(t, "price"),
			})
		}
		if m := rapid.MapOf(text, text).Draw(t, "attributes"); len(m) > 0 {
			o.Attributes = m
		}
		return o
	})
}

func TestBothCodecsRoundTripToTheSameOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		o := anyOrder().Draw(t, "order")
		fromJSON, err := order.ParseJSON(o.AppendJSON(nil), order.RejectUnknown)
		if err != nil || !reflect.DeepEqual(fromJSON, o) {
			t.Fatalf("JSON: %+v, %v", fromJSON, err)
		}
		raw, err := o.MarshalProto()
		if err != nil {
			t.Fatal(err)
		}
		if len(raw) == 0 {
			return // nothing at all is in it, and nothing at all is no order
		}
		fromProto, err := order.ParseProto(raw)
		if err != nil || !reflect.DeepEqual(fromProto, o) {
			t.Fatalf("Protobuf: %+v, %v", fromProto, err)
		}
		if fromProto.Fingerprint() != fromJSON.Fingerprint() {
			t.Fatal("one order, two fingerprints")
		}
	})
}

func TestFingerprintIsOfTheContentWithoutTimestamp(t *testing.T) {
	t.Parallel()
	a, b := fullOrder(), fullOrder()
	b.Timestamp++
	// Computed by sha256sum over the canonical order without its timestamp: consumers of other makes can do the same.
	const want = "c29ce4904edae4229c9d94485f9cfa922c2d093ece4bde394355cc3c177f0d6f"
	if got := a.Fingerprint(); got != want {
		t.Errorf("Fingerprint() = %s, want %s", got, want)
	}
	if a.Fingerprint() != b.Fingerprint() || a.Timestamp != fullOrder().Timestamp {
		t.Error("the timestamp counts, or is gone")
	}
	spaced := strings.ReplaceAll(full, ",", " ,\n")
	if c, err := order.ParseJSON([]byte(spaced), order.RejectUnknown); err != nil || c.Fingerprint() != a.Fingerprint() {
		t.Errorf("white space counts: %v", err)
	}
	for name, change := range map[string]func(*order.Order){
		"order id": func(v *order.Order) { v.OrderID = "B" }, "user": func(v *order.Order) { v.UserID = "B" },
		"status": func(v *order.Order) { v.Status = order.Shipped }, "currency": func(v *order.Order) { v.Currency = "EUR" },
		"items": func(v *order.Order) { v.Items[1].Quantity++ }, "discount": func(v *order.Order) { v.DiscountAmount++ },
		"freight": func(v *order.Order) { v.FreightAmount++ }, "tax": func(v *order.Order) { v.TaxAmount++ },
		"total": func(v *order.Order) { v.TotalAmount++ }, "attributes": func(v *order.Order) { v.Attributes["note"] = "" },
	} {
		v := fullOrder()
		if change(&v); v.Fingerprint() == a.Fingerprint() {
			t.Errorf("%s does not count", name)
		}
	}
}

func TestAppendJSONKeepsWhatIsBeforeIt(t *testing.T) {
	t.Parallel()
	if got := string(fullOrder().AppendJSON([]byte("x,{"))); got != "x,{"+full {
		t.Errorf("AppendJSON = %s", got)
	}
	if got := string(order.Order{}.AppendJSON(nil)); got != "{}" {
		t.Errorf("AppendJSON of nothing = %s", got)
	}
}

func mustProto(t *testing.T, o order.Order) []byte {
	t.Helper()
	raw, err := o.MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestProtobufBytesThatAreNoOrderAreMalformed(t *testing.T) {
	t.Parallel()
	whole := mustProto(t, fullOrder())
	item := func(b []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, 5, protowire.BytesType), b)
	}
	group := func(depth int) (b []byte) {
		for range depth {
			b = protowire.AppendTag(b, 100, protowire.StartGroupType)
		}
		for range depth {
			b = protowire.AppendTag(b, 100, protowire.EndGroupType)
		}
		return b
	}
	for name, raw := range map[string][]byte{
		"null": nil, "empty": {}, "cut": whole[:len(whole)-1], "cut in an item": whole[:24], "JSON": []byte(full),
		"order id as a number":      protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 7),
		"total as a text":           protowire.AppendString(protowire.AppendTag(nil, 9, protowire.BytesType), "7"),
		"total as fixed64":          protowire.AppendFixed64(protowire.AppendTag(nil, 9, protowire.Fixed64Type), 7),
		"items as a number":         protowire.AppendVarint(protowire.AppendTag(nil, 5, protowire.VarintType), 7),
		"items as a group":          {5<<3 | 3, 5<<3 | 4},
		"quantity as a text":        item(protowire.AppendString(protowire.AppendTag(nil, 2, protowire.BytesType), "7")),
		"an item cut":               item([]byte{1<<3 | 2, 9, 'a'}),
		"attribute value, a number": protowire.AppendBytes(protowire.AppendTag(nil, 10, protowire.BytesType), []byte{2 << 3, 7}),
		"varint of 11 bytes":        append([]byte{9 << 3}, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1),
		"field number 0":            {0, 1},
		"end of no group":           {100<<3&0x7f | 4 | 0x80, 6},
		"a group without end":       {0xa3, 6},
		"groups 10,000 deep":        group(10_000),
		"groups 101 deep":           group(101),
		"text that is not UTF-8":    {1<<3 | 2, 1, 0xff},
	} {
		if _, err := order.ParseProto(raw); !malformed(err) {
			t.Errorf("%s: %v, want *Malformed", name, err)
		} else {
			holdsForPeople(t, order.Violation{Pointer: "#", Code: "x", Detail: err.Error()})
		}
	}
}

func TestProtobufFieldsOfALaterVersionAreAccepted(t *testing.T) {
	t.Parallel()
	later := protowire.AppendTag(mustProto(t, fullOrder()), 100, protowire.StartGroupType)
	later = protowire.AppendVarint(protowire.AppendTag(later, 1, protowire.VarintType), 7)
	later = protowire.AppendTag(later, 100, protowire.EndGroupType)
	later = protowire.AppendString(protowire.AppendTag(later, 12, protowire.BytesType), "new")
	later = protowire.AppendFixed32(protowire.AppendTag(later, 13, protowire.Fixed32Type), 1)
	later = protowire.AppendFixed64(protowire.AppendTag(later, 1<<20, protowire.Fixed64Type), 1)
	if o, err := order.ParseProto(later); err != nil || !reflect.DeepEqual(o, fullOrder()) {
		t.Errorf("ParseProto = %+v, %v", o, err)
	}
}

func TestProtobufFieldGivenTwiceTheLastCounts(t *testing.T) {
	t.Parallel()
	twice := protowire.AppendString(protowire.AppendTag(mustProto(t, fullOrder()), 1, protowire.BytesType), "B-2")
	if o, err := order.ParseProto(twice); err != nil || o.OrderID != "B-2" || len(o.Items) != 2 {
		t.Errorf("ParseProto = %+v, %v", o, err)
	}
}

func TestProtobufIntegersBeyondTheRulesAreInvalid(t *testing.T) {
	t.Parallel()
	total := int64(-1)
	raw, err := proto.Marshal(&orderpb.Order{
		OrderId: "A", UserId: "u", Status: "PAID", Currency: "EUR", Timestamp: 1, TotalAmount: &total,
		Items: []*orderpb.Item{{ProductId: "P", Quantity: 1 << 40, UnitPrice: 1 << 53}},
	})
	if err != nil {
		t.Fatal(err)
	}
	o, err := order.ParseProto(raw)
	if err != nil {
		t.Fatal(err)
	}
	wantPointers(t, o.Validate(time.UnixMilli(1)), "#/items/0/quantity", "#/items/0/unit_price", "#/total_amount")
}

func TestMarshalProtoRefusesWhatIsNotText(t *testing.T) {
	t.Parallel()
	if _, err := (order.Order{UserID: "\xff"}).MarshalProto(); err == nil {
		t.Error("text that is not UTF-8 was marshalled")
	}
}
