package order_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/order"
)

// full is an order with every member, in the canonical encoding.
const full = `{"order_id":"A-1","user_id":"u1","status":"PAID","currency":"CNY","items":[` +
	`{"product_id":"BANK CHARGES","quantity":2,"unit_price":150},{"product_id":"茶 🍵","quantity":1,"unit_price":0}],` +
	`"discount_amount":100,"freight_amount":20,"tax_amount":3,"total_amount":223,` +
	`"attributes":{"channel":"app","note":"say \"hi\"\n"},"timestamp":1766000000000}`

func fullOrder() order.Order {
	return order.Order{
		OrderID: "A-1", UserID: "u1", Status: order.Paid, Currency: "CNY",
		Items: []order.Item{
			{ProductID: "BANK CHARGES", Quantity: 2, UnitPrice: 150},
			{ProductID: "茶 🍵", Quantity: 1},
		},
		DiscountAmount: 100, FreightAmount: 20, TaxAmount: 3, TotalAmount: 223, HasTotal: true,
		Attributes: map[string]string{"channel": "app", "note": "say \"hi\"\n"},
		Timestamp:  1_766_000_000_000,
	}
}

func fullTime() time.Time { return time.UnixMilli(1_766_000_000_000) }

func TestEveryMemberIsRead(t *testing.T) {
	t.Parallel()
	got, err := order.ParseJSON([]byte(full), order.RejectUnknown)
	if err != nil {
		t.Fatal(err)
	}
	if want := fullOrder(); !reflect.DeepEqual(got, want) {
		t.Errorf("ParseJSON = %+v\nwant %+v", got, want)
	}
	if err := got.Validate(fullTime()); err != nil {
		t.Errorf("Validate = %v", err)
	}
	if again := string(got.AppendJSON(nil)); again != full {
		t.Errorf("AppendJSON = %s\nwant %s", again, full)
	}
}

func TestAbsentMembersAreNoMatterOfParsing(t *testing.T) {
	t.Parallel()
	for _, doc := range []string{`{}`, ` {"items":[]} `, `{"attributes":{}}`, `{"items":[{}]}`, `{"user_id":""}`} {
		o, err := order.ParseJSON([]byte(doc), order.RejectUnknown)
		if err != nil || o.HasTotal || o.Attributes != nil {
			t.Errorf("ParseJSON(%s) = %+v, %v", doc, o, err)
		}
	}
	if o, _ := order.ParseJSON([]byte(`{"total_amount":0}`), order.RejectUnknown); !o.HasTotal {
		t.Error("a total of 0 was named, so it is there")
	}
}

func TestEscapedNamesAreTheNamesTheyStandFor(t *testing.T) {
	t.Parallel()
	o, err := order.ParseJSON([]byte(`{"order\u005fid":"\u0041-1","attributes":{"a\u002eb":"1"}}`), order.RejectUnknown)
	if err != nil || o.OrderID != "A-1" || o.Attributes["a.b"] != "1" {
		t.Errorf("ParseJSON = %+v, %v", o, err)
	}
	if _, err := order.ParseJSON([]byte(`{"order\u005fid":"a","order_id":"b"}`), order.RejectUnknown); !malformed(err) {
		t.Errorf("the same name in two spellings: %v", err)
	}
	_, err = order.ParseJSON([]byte(`{"order_id\"":"a"}`), order.RejectUnknown)
	wantPointers(t, err, "#/order_id%22")
}

func malformed(err error) bool {
	var m *order.Malformed
	return errors.As(err, &m)
}

// wantPointers checks that err is *Invalid with exactly these pointers, in this order.
func wantPointers(t *testing.T, err error, want ...string) {
	t.Helper()
	var invalid *order.Invalid
	if !errors.As(err, &invalid) {
		t.Errorf("got %v, want *Invalid at %v", err, want)
		return
	}
	var got []string
	for _, v := range invalid.Violations {
		got = append(got, v.Pointer)
		holdsForPeople(t, v)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("violations at %v, want %v", got, want)
	}
}

// holdsForPeople checks what every violation promises: ASCII, short, in our own words.
func holdsForPeople(t *testing.T, v order.Violation) {
	t.Helper()
	if v.Code == "" || v.Detail == "" {
		t.Errorf("%+v says nothing", v)
	}
	for _, s := range []string{v.Pointer, v.Code, v.Detail, v.Label()} {
		if strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) >= 0 || len(s) > 1_000 {
			t.Errorf("%.80q is not short ASCII", s)
		}
		for _, leak := range []string{"int64", "Go ", "struct", "order.Order", "jsontext", "json:", "proto:"} {
			if strings.Contains(s, leak) {
				t.Errorf("%q shows our inside: %s", s, leak)
			}
		}
	}
}

func TestBytesThatAreNotOneDocumentAreMalformed(t *testing.T) {
	t.Parallel()
	for name, doc := range map[string]string{
		"empty":                            "",
		"blank":                            " \n",
		"cut":                              "{",
		"cut in the middle":                full[:100],
		"two documents":                    "{} {}",
		"data behind":                      full + "x",
		"byte order mark":                  "\xef\xbb\xbf{}",
		"NaN":                              `{"tax_amount":NaN}`,
		"leading zero":                     `{"tax_amount":01}`,
		"hexadecimal":                      `{"tax_amount":0x10}`,
		"underscores":                      `{"tax_amount":1_000}`,
		"plus sign":                        `{"tax_amount":+1}`,
		"bad UTF-8 in a value":             "{\"user_id\":\"\xff\"}",
		"bad UTF-8 in an ignored value":    "{\"zzz\":\"\xff\"}",
		"lone surrogate":                   `{"user_id":"\ud800"}`,
		"bad escape":                       `{"user_id":"\x41"}`,
		"raw control character":            "{\"user_id\":\"a\x01\"}",
		"duplicate member":                 `{"user_id":"a","user_id":"a"}`,
		"duplicate in an item":             `{"items":[{"quantity":1,"quantity":1}]}`,
		"duplicate attribute":              `{"attributes":{"a":"1","a":"1"}}`,
		"duplicate in an ignored value":    `{"zzz":{"a":1,"a":1}}`,
		"duplicate behind a violation":     `{"user_id":null,"items":[{"quantity":1,"quantity":1}]}`,
		"cut behind a violation":           `{"user_id":null,"x`,
		"trailing comma":                   `{"user_id":"a",}`,
		"comment":                          `{"user_id":"a"/**/}`,
		"single quotes":                    `{'user_id':'a'}`,
		"10,001 arrays":                    `{"zzz":` + strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001) + `}`,
		"not JSON at all":                  "order_id=1",
		"behind a document of other types": `[] []`,
	} {
		for _, u := range []order.Unknown{order.RejectUnknown, order.KeepUnknown} {
			_, err := order.ParseJSON([]byte(doc), u)
			if !malformed(err) {
				t.Errorf("%s, unknown %s: %v, want *Malformed", name, u, err)
				continue
			}
			holdsForPeople(t, order.Violation{Pointer: "#", Code: "x", Detail: err.Error()})
		}
	}
}

func TestMalformedSaysWhereAndWhy(t *testing.T) {
	t.Parallel()
	for doc, want := range map[string]string{
		"":                                    "malformed order: the document is empty at byte 0",
		`{"user_id":`:                         "malformed order: the document ends too early at byte 11",
		`{} {}`:                               "malformed order: there is more behind the document at byte 3",
		`{"user_id":"a","user_id":"b"}`:       "malformed order: the member #/user_id is given twice at byte 15",
		`{"items":[{"quantity":0x10}]}`:       "malformed order: not JSON: unexpected character 'x' at byte 23",
		"{\"user_id\":\"\x1b\"}":              `malformed order: not JSON: unexpected character '\x1b' at byte 12`,
		"{\"user_id\":\"ok\",\"a\":\"\xff\"}": "malformed order: the document is not UTF-8 at byte 21",
	} {
		_, err := order.ParseJSON([]byte(doc), order.RejectUnknown)
		if err == nil || err.Error() != want {
			t.Errorf("ParseJSON(%q) = %v, want %s", doc, err, want)
		}
	}
}

func TestWellFormedDocumentsOfWrongShapeAreInvalid(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, doc, pointer, code string }{
		{"null", `null`, "#", order.CodeNull},
		{"an array", `[]`, "#", order.CodeType},
		{"a text", `"A-1"`, "#", order.CodeType},
		{"a null member", `{"user_id":null}`, "#/user_id", order.CodeNull},
		{"a null array", `{"items":null}`, "#/items", order.CodeNull},
		{"a null item", `{"items":[{},null]}`, "#/items/1", order.CodeNull},
		{"a null number", `{"items":[{"quantity":null}]}`, "#/items/0/quantity", order.CodeNull},
		{"a null attribute", `{"attributes":{"a":null}}`, "#/attributes/a", order.CodeNull},
		{"another case", `{"User_ID":"a"}`, "#/User_ID", order.CodeCase},
		{"another case in an item", `{"items":[{"Quantity":1}]}`, "#/items/0/Quantity", order.CodeCase},
		{"unknown", `{"colour":1}`, "#/colour", order.CodeUnknown},
		{"unknown in an item", `{"items":[{},{"colour":1}]}`, "#/items/1/colour", order.CodeUnknown},
		{"a name to escape", `{"a/b~c":1}`, "#/a~1b~0c", order.CodeUnknown},
		{"a name with the Kelvin sign", "{\"to\u212aen\":1}", "#/to%E2%84%AAen", order.CodeUnknown},
		{"a name with an escape sequence", `{"\u001b[2J":1}`, "#/%1B%5B2J", order.CodeUnknown},
		{"a number for a text", `{"order_id":536365}`, "#/order_id", order.CodeType},
		{"a text for a number", `{"items":[{"quantity":"1"}]}`, "#/items/0/quantity", order.CodeType},
		{"a boolean for a number", `{"tax_amount":true}`, "#/tax_amount", order.CodeType},
		{"an object for an array", `{"items":{"0":{}}}`, "#/items", order.CodeType},
		{"a number for an attribute", `{"attributes":{"a":1}}`, "#/attributes/a", order.CodeType},
		{"an array for attributes", `{"attributes":["a"]}`, "#/attributes", order.CodeType},
		{"a fraction of nothing", `{"items":[{"quantity":1.0}]}`, "#/items/0/quantity", order.CodeInteger},
		{"an exponent", `{"items":[{"quantity":1e3}]}`, "#/items/0/quantity", order.CodeInteger},
		{"half a penny", `{"items":[{"unit_price":0.5}]}`, "#/items/0/unit_price", order.CodeInteger},
		{"1e400", `{"tax_amount":1e400}`, "#/tax_amount", order.CodeInteger},
		{"2^63", `{"tax_amount":9223372036854775808}`, "#/tax_amount", order.CodeRange},
		{"400 KB of digits", `{"tax_amount":` + strings.Repeat("9", 400_000) + `}`, "#/tax_amount", order.CodeRange},
		{"an empty order id", `{"order_id":""}`, "#/order_id", order.CodeFormat},
		{"an empty status", `{"status":""}`, "#/status", order.CodeFormat},
		{"an empty currency", `{"currency":""}`, "#/currency", order.CodeFormat},
		{"timestamp 0", `{"timestamp":0}`, "#/timestamp", order.CodeRange},
	} {
		_, err := order.ParseJSON([]byte(row.doc), order.RejectUnknown)
		wantPointers(t, err, row.pointer)
		var invalid *order.Invalid
		if errors.As(err, &invalid) && invalid.Violations[0].Code != row.code {
			t.Errorf("%s: code %s, want %s", row.name, invalid.Violations[0].Code, row.code)
		}
	}
}

func TestKeepLiftsTheRefusalOfUnknownMembersOnly(t *testing.T) {
	t.Parallel()
	o, err := order.ParseJSON([]byte(`{"order_id":"A","colour":{"null":[1.5,"null"]},"items":[{"size":1}]}`), order.KeepUnknown)
	if err != nil || o.OrderID != "A" || len(o.Items) != 1 {
		t.Errorf("ParseJSON = %+v, %v", o, err)
	}
	for doc, at := range map[string]string{
		`{"User_ID":"a"}`:              "#/User_ID",
		`{"items":[{"QUANTITY":1}]}`:   "#/items/0/QUANTITY",
		"{\"\u017ftatus\":\"PAID\"}":   "#/%C5%BFtatus",
		`{"colour":null}`:              "#/colour",
		`{"colour":{"a":[0,null]}}`:    "#/colour/a/1",
		`{"items":[{"size":[null]}]}`:  "#/items/0/size/0",
		`{"colour":1,"user_id":[null]`: "",
	} {
		_, err := order.ParseJSON([]byte(doc), order.KeepUnknown)
		if at == "" {
			if !malformed(err) {
				t.Errorf("ParseJSON(%s) = %v", doc, err)
			}
			continue
		}
		wantPointers(t, err, at)
	}
}

func TestViolationsOfTypesAreGatheredInTheOrderOfTheDocument(t *testing.T) {
	t.Parallel()
	doc := `{"timestamp":"x","items":[{"quantity":1.5},7],"user_id":null}`
	o, err := order.ParseJSON([]byte(doc), order.RejectUnknown)
	wantPointers(t, err, "#/timestamp", "#/items/0/quantity", "#/items/1", "#/user_id")
	if len(o.Items) != 2 {
		t.Errorf("the order holds what could be read: %+v", o)
	}
	bad := `{"order_id":"A-9","items":[` + strings.TrimSuffix(strings.Repeat(`{"quantity":"1"},`, 2_000), ",") + `]}`
	o, err = order.ParseJSON([]byte(bad), order.RejectUnknown)
	var invalid *order.Invalid
	if !errors.As(err, &invalid) || len(invalid.Violations) != order.MaxViolations || o.OrderID != "A-9" {
		t.Errorf("2,000 bad items: %v", err)
	}
	if !strings.Contains(err.Error(), "(and 19 more)") {
		t.Errorf("Error() = %s", err)
	}
}

func TestAnswersToEndlessNamesStayShort(t *testing.T) {
	t.Parallel()
	name := strings.Repeat("\u212a", 5_000)
	_, err := order.ParseJSON([]byte(`{"`+name+`":1}`), order.RejectUnknown)
	wantPointers(t, err, "#/"+strings.Repeat("%E2%84%AA", 64))
	deep := `{"zzz":` + strings.Repeat(`{"abcdefgh":`, 5_000) + `null` + strings.Repeat(`}`, 5_000) + `}`
	_, err = order.ParseJSON([]byte(deep), order.KeepUnknown)
	var invalid *order.Invalid
	if !errors.As(err, &invalid) || len(invalid.Violations[0].Pointer) > 1_200 {
		t.Errorf("a null 5,000 deep: %.100v", err)
	}
}

func TestLabelsAreBounded(t *testing.T) {
	t.Parallel()
	for pointer, want := range map[string]string{
		"#": "#", "#/user_id": "#/user_id", "#/items": "#/items", "#/items/3": "#/items/*",
		"#/items/3/quantity": "#/items/*/quantity", "#/items/3/colour": "#/items/*/*", "#/attributes/a": "#/attributes/*",
		"#/colour": "#/*", "#/colour/a/1": "#/*", "#/User_ID": "#/*", "#/items/3/x/y": "#/items/*/*",
	} {
		if got := (order.Violation{Pointer: pointer}).Label(); got != want {
			t.Errorf("Label of %s = %s, want %s", pointer, got, want)
		}
	}
}

func TestParseFollowsTheContentType(t *testing.T) {
	t.Parallel()
	raw, err := fullOrder().MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		contentType string
		body        []byte
	}{
		{"", []byte(full)},
		{"application/json", []byte(full)},
		{"Application/JSON; charset=utf-8", []byte(full)},
		{"application/x-protobuf", raw},
		{" application/x-protobuf ;a=b", raw},
	} {
		if got, err := order.Parse(row.contentType, row.body, order.RejectUnknown); err != nil || !reflect.DeepEqual(got, fullOrder()) {
			t.Errorf("Parse(%q) = %+v, %v", row.contentType, got, err)
		}
	}
	for _, wrong := range []string{"text/xml", "application/jsonx", "json"} {
		if _, err := order.Parse(wrong, []byte(full), order.RejectUnknown); !malformed(err) {
			t.Errorf("Parse(%q) = %v, want *Malformed", wrong, err)
		}
	}
	if _, err := order.Parse("", raw, order.KeepUnknown); !malformed(err) {
		t.Errorf("Protobuf without a content type: %v", err)
	}
}
