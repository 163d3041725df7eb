package order_test

import (
	"errors"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/order"
)

func TestEachRuleNamesThePlaceThatBreaksIt(t *testing.T) {
	t.Parallel()
	type o = order.Order
	for name, row := range map[string]struct {
		change        func(*o)
		pointer, code string
	}{
		"no order id":              {func(v *o) { v.OrderID = "" }, "#/order_id", order.CodeRequired},
		"order id of 65":           {func(v *o) { v.OrderID = strings.Repeat("a", 65) }, "#/order_id", order.CodeFormat},
		"order id that climbs":     {func(v *o) { v.OrderID = "../x" }, "#/order_id", order.CodeFormat},
		"order id with a percent":  {func(v *o) { v.OrderID = "%2e" }, "#/order_id", order.CodeFormat},
		"order id with a slash":    {func(v *o) { v.OrderID = "a/b" }, "#/order_id", order.CodeFormat},
		"order id like a flag":     {func(v *o) { v.OrderID = "-x" }, "#/order_id", order.CodeFormat},
		"order id like SQL":        {func(v *o) { v.OrderID = "'; DROP" }, "#/order_id", order.CodeFormat},
		"order id with a newline":  {func(v *o) { v.OrderID = "a\r\n" }, "#/order_id", order.CodeFormat},
		"order id with ESC":        {func(v *o) { v.OrderID = "a\x1b" }, "#/order_id", order.CodeFormat},
		"order id not ASCII":       {func(v *o) { v.OrderID = "订" }, "#/order_id", order.CodeFormat},
		"no user":                  {func(v *o) { v.UserID = "" }, "#/user_id", order.CodeRequired},
		"user with a space":        {func(v *o) { v.UserID = "a b" }, "#/user_id", order.CodeFormat},
		"user of 65":               {func(v *o) { v.UserID = strings.Repeat("a", 65) }, "#/user_id", order.CodeFormat},
		"no status":                {func(v *o) { v.Status = "" }, "#/status", order.CodeRequired},
		"status in small letters":  {func(v *o) { v.Status = "paid" }, "#/status", order.CodeStatus},
		"no currency":              {func(v *o) { v.Currency = "" }, "#/currency", order.CodeRequired},
		"no currency at all":       {func(v *o) { v.Currency = "XXX" }, "#/currency", order.CodeCurrency},
		"test currency":            {func(v *o) { v.Currency = "XTS" }, "#/currency", order.CodeCurrency},
		"historic currency":        {func(v *o) { v.Currency = "DEM" }, "#/currency", order.CodeCurrency},
		"currency, small letters":  {func(v *o) { v.Currency = "cny" }, "#/currency", order.CodeCurrency},
		"no items":                 {func(v *o) { v.Items = nil }, "#/items", order.CodeRequired},
		"2,001 items":              {func(v *o) { v.Items = make([]order.Item, 2_001) }, "#/items", order.CodeCount},
		"no product":               {func(v *o) { v.Items[1].ProductID = "" }, "#/items/1/product_id", order.CodeRequired},
		"product of 65":            {func(v *o) { v.Items[1].ProductID = strings.Repeat("é", 65) }, "#/items/1/product_id", order.CodeFormat},
		"product, space in front":  {func(v *o) { v.Items[1].ProductID = " a" }, "#/items/1/product_id", order.CodeFormat},
		"product, space behind":    {func(v *o) { v.Items[1].ProductID = "a\u3000" }, "#/items/1/product_id", order.CodeFormat},
		"product of a space":       {func(v *o) { v.Items[1].ProductID = " " }, "#/items/1/product_id", order.CodeFormat},
		"product with ESC":         {func(v *o) { v.Items[1].ProductID = "a\x1b" }, "#/items/1/product_id", order.CodeFormat},
		"product turned round":     {func(v *o) { v.Items[1].ProductID = "a\u202eb" }, "#/items/1/product_id", order.CodeFormat},
		"product not UTF-8":        {func(v *o) { v.Items[1].ProductID = "a\xff" }, "#/items/1/product_id", order.CodeFormat},
		"quantity 0":               {func(v *o) { v.Items[0].Quantity = 0 }, "#/items/0/quantity", order.CodeRange},
		"quantity -6":              {func(v *o) { v.Items[0].Quantity = -6 }, "#/items/0/quantity", order.CodeRange},
		"quantity 1,000,001":       {func(v *o) { v.Items[0].Quantity = 1_000_001 }, "#/items/0/quantity", order.CodeRange},
		"price -1":                 {func(v *o) { v.Items[0].UnitPrice = -1 }, "#/items/0/unit_price", order.CodeRange},
		"price 2^53":               {func(v *o) { v.Items[0].UnitPrice = 1 << 53 }, "#/items/0/unit_price", order.CodeRange},
		"discount -1":              {func(v *o) { v.DiscountAmount = -1 }, "#/discount_amount", order.CodeRange},
		"freight 2^53":             {func(v *o) { v.FreightAmount = 1 << 53 }, "#/freight_amount", order.CodeRange},
		"tax -1":                   {func(v *o) { v.TaxAmount = -1 }, "#/tax_amount", order.CodeRange},
		"no total":                 {func(v *o) { v.TotalAmount, v.HasTotal = 0, false }, "#/total_amount", order.CodeRequired},
		"total -1":                 {func(v *o) { v.TotalAmount = -1 }, "#/total_amount", order.CodeRange},
		"total 2^53":               {func(v *o) { v.TotalAmount = 1 << 53 }, "#/total_amount", order.CodeRange},
		"wrong total":              {func(v *o) { v.TotalAmount++ }, "#/total_amount", order.CodeSum},
		"more discount than price": {func(v *o) { v.DiscountAmount = 400 }, "#/total_amount", order.CodeSum},
		"a sum above 2^53-1":       {func(v *o) { v.FreightAmount = order.MaxAmount }, "#/total_amount", order.CodeSum},
		"a sum above 2^64": {
			func(v *o) { v.Items[0].Quantity, v.Items[0].UnitPrice = order.MaxQuantity, order.MaxAmount },
			"#/total_amount", order.CodeSum,
		},
		"65 attributes":           {func(v *o) { v.Attributes = attributes(65) }, "#/attributes", order.CodeCount},
		"attribute without name":  {func(v *o) { v.Attributes = map[string]string{"": "1"} }, "#/attributes/", order.CodeFormat},
		"attribute name, slash":   {func(v *o) { v.Attributes = map[string]string{"a/b": "1"} }, "#/attributes/a~1b", order.CodeFormat},
		"attribute name of 65":    {func(v *o) { v.Attributes = map[string]string{strings.Repeat("a", 65): "1"} }, "#/attributes/" + strings.Repeat("a", 64), order.CodeFormat},
		"attribute of 1,025":      {func(v *o) { v.Attributes["note"] = strings.Repeat("订", 1_025) }, "#/attributes/note", order.CodeFormat},
		"no timestamp":            {func(v *o) { v.Timestamp = 0 }, "#/timestamp", order.CodeRequired},
		"timestamp -1":            {func(v *o) { v.Timestamp = -1 }, "#/timestamp", order.CodeRange},
		"timestamp 2^53":          {func(v *o) { v.Timestamp = 1 << 53 }, "#/timestamp", order.CodeRange},
		"timestamp a day and 1ms": {func(v *o) { v.Timestamp += (24 * time.Hour).Milliseconds() + 1 }, "#/timestamp", order.CodeFuture},
	} {
		v := fullOrder()
		row.change(&v)
		err := v.Validate(fullTime())
		wantPointers(t, err, row.pointer)
		var invalid *order.Invalid
		if errors.As(err, &invalid) && invalid.Violations[0].Code != row.code {
			t.Errorf("%s: code %s, want %s", name, invalid.Violations[0].Code, row.code)
		}
	}
}

func attributes(n int) map[string]string {
	m := make(map[string]string)
	for i := range n {
		m["a"+strconv.Itoa(i)] = "1"
	}
	return m
}

func TestTheEdgesOfTheRulesAreValid(t *testing.T) {
	t.Parallel()
	type o = order.Order
	for name, change := range map[string]func(*o){
		"order id of 64":           func(v *o) { v.OrderID = "A._:-" + strings.Repeat("9", 59) },
		"order id of 1":            func(v *o) { v.OrderID = "0" },
		"user id of signs":         func(v *o) { v.UserID = "!~" + strings.Repeat("/", 62) },
		"product of 64":            func(v *o) { v.Items[0].ProductID = strings.Repeat("é", 64) },
		"product with inner space": func(v *o) { v.Items[0].ProductID = "a \u3000 b" },
		"1,000,000 of one":         func(v *o) { v.Items[1].Quantity = order.MaxQuantity },
		"free of charge":           func(v *o) { v.Items[0].UnitPrice, v.DiscountAmount, v.TotalAmount = 0, 0, 23 },
		"discounted to nothing":    func(v *o) { v.DiscountAmount, v.TotalAmount = 323, 0 },
		"the largest total": func(v *o) {
			v.FreightAmount, v.DiscountAmount, v.TaxAmount, v.TotalAmount = order.MaxAmount, 300, 0, order.MaxAmount
		},
		"parts above 2^53-1, total not": func(v *o) {
			v.Items[1].UnitPrice, v.DiscountAmount, v.TotalAmount = order.MaxAmount, order.MaxAmount, 323
		},
		"64 attributes":           func(v *o) { v.Attributes = attributes(64) },
		"no attributes":           func(v *o) { v.Attributes = nil },
		"an empty attribute":      func(v *o) { v.Attributes = map[string]string{"a": ""} },
		"attribute of 1,024":      func(v *o) { v.Attributes["note"] = strings.Repeat("订", 1_024) },
		"timestamp of 1970":       func(v *o) { v.Timestamp = 1 },
		"timestamp a day ahead":   func(v *o) { v.Timestamp += (24 * time.Hour).Milliseconds() },
		"currency without digits": func(v *o) { v.Currency = "JPY" },
	} {
		v := fullOrder()
		change(&v)
		if err := v.Validate(fullTime()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	v := fullOrder()
	v.Items = make([]order.Item, order.MaxItems)
	for i := range v.Items {
		v.Items[i] = order.Item{ProductID: "P", Quantity: 1, UnitPrice: 1}
	}
	v.TotalAmount = 2_000 - 100 + 20 + 3
	if err := v.Validate(fullTime()); err != nil {
		t.Errorf("2,000 items: %v", err)
	}
}

func TestViolationsComeInTheOrderOfTheMembers(t *testing.T) {
	t.Parallel()
	wantPointers(t, order.Order{}.Validate(fullTime()),
		"#/order_id", "#/user_id", "#/status", "#/currency", "#/items", "#/timestamp")
	bad := order.Order{
		OrderID: "-", Status: "x", Currency: "EUR", Items: []order.Item{{ProductID: "\x00", UnitPrice: -1}},
		DiscountAmount: -1, FreightAmount: -1, TaxAmount: -1, TotalAmount: 1, HasTotal: true,
		Attributes: map[string]string{"z z": "", "a a": ""}, Timestamp: -1,
	}
	want := []string{
		"#/order_id", "#/user_id", "#/status", "#/items/0/product_id", "#/items/0/quantity", "#/items/0/unit_price",
		"#/discount_amount", "#/freight_amount", "#/tax_amount", "#/attributes/a%20a", "#/attributes/z%20z", "#/timestamp",
	}
	for range 20 { // maps have no order of their own
		wantPointers(t, bad.Validate(fullTime()), want...)
	}
	if err := bad.Validate(fullTime()); !strings.HasSuffix(err.Error(), "(and 11 more)") {
		t.Errorf("Error() = %v", err)
	}
}

func TestAtMostTwentyViolations(t *testing.T) {
	t.Parallel()
	v := fullOrder()
	v.OrderID, v.Items, v.Timestamp = "", make([]order.Item, order.MaxItems), 0
	var invalid *order.Invalid
	if err := v.Validate(fullTime()); !errors.As(err, &invalid) || len(invalid.Violations) != order.MaxViolations {
		t.Fatalf("Validate = %v", err)
	}
	if first, last := invalid.Violations[0].Pointer, invalid.Violations[19].Pointer; first != "#/order_id" || last != "#/items/9/product_id" {
		t.Errorf("first %s, last %s", first, last)
	}
}

func TestErrorsArePermanent(t *testing.T) {
	t.Parallel()
	for _, err := range []error{&order.Invalid{}, &order.Malformed{Offset: -1, Detail: "x"}} {
		var p interface{ Permanent() bool }
		if !errors.As(err, &p) || !p.Permanent() || err.Error() == "" {
			t.Errorf("%T: %v", err, err)
		}
	}
}

func TestFillFillsOnlyWhatIsAbsent(t *testing.T) {
	t.Parallel()
	d := order.Defaults{OrderID: "new", Currency: "CNY", Now: fullTime()}
	whole := fullOrder()
	if whole.Fill(d) || !reflect.DeepEqual(whole, fullOrder()) {
		t.Errorf("a whole order was changed: %+v", whole)
	}
	bare := order.Order{UserID: "u1", Items: []order.Item{{ProductID: "P", Quantity: 2, UnitPrice: 150}}, TaxAmount: 3}
	if !bare.Fill(d) {
		t.Error("Fill filled nothing")
	}
	want := order.Order{
		OrderID: "new", UserID: "u1", Status: order.Created, Currency: "CNY", Items: bare.Items, TaxAmount: 3,
		TotalAmount: 303, HasTotal: true, Timestamp: fullTime().UnixMilli(),
	}
	if !reflect.DeepEqual(bare, want) || bare.Validate(fullTime()) != nil {
		t.Errorf("Fill gave %+v\nwant %+v", bare, want)
	}
	if bare.Fill(d) {
		t.Error("the second Fill filled something")
	}
	for name, change := range map[string]func(*order.Order){
		"order id": func(v *order.Order) { v.OrderID = "" }, "status": func(v *order.Order) { v.Status = "" },
		"currency": func(v *order.Order) { v.Currency = "" }, "total": func(v *order.Order) { v.HasTotal = false },
		"timestamp": func(v *order.Order) { v.Timestamp = 0 },
	} {
		v := fullOrder()
		change(&v)
		if !v.Fill(d) || v.Validate(fullTime()) != nil {
			t.Errorf("absent %s: not filled", name)
		}
	}
}

func TestFillLeavesToValidateWhatItCannotKnow(t *testing.T) {
	t.Parallel()
	v := fullOrder()
	v.OrderID, v.Currency, v.Timestamp, v.HasTotal = "", "", 0, false
	v.Items[0].Quantity = -1
	if v.Fill(order.Defaults{}) {
		t.Errorf("nothing to fill with, yet %+v", v)
	}
	wantPointers(t, v.Validate(fullTime()), "#/order_id", "#/currency", "#/items/0/quantity", "#/timestamp")
	v = fullOrder()
	v.HasTotal, v.FreightAmount = false, order.MaxAmount
	v.Fill(order.Defaults{})
	wantPointers(t, v.Validate(fullTime()), "#/total_amount")
}
