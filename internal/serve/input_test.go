package serve_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/serve"
)

func zipped(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func swap(member, value string) string { return strings.Replace(good, member, value, 1) }

func TestBodiesThatAreNotOneDocument(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, body := range map[string]string{
		"nothing": "", "white space": " \n", "an open object": "{", "two documents": "{} {}", "trailing letters": good + "x", "a byte order mark": "\ufeff" + good,
		"NaN": swap(`"total_amount":300`, `"total_amount":NaN`), "a leading zero": swap(`"quantity":2`, `"quantity":02`),
		"a hexadecimal number": swap(`"quantity":2`, `"quantity":0x10`), "an underscore": swap(`"quantity":2`, `"quantity":1_000`),
		"bad UTF-8": swap(`"u1"`, "\"\xff\""), "a lone surrogate": swap(`"u1"`, `"\ud800"`), "a member twice": swap(`"user_id":"u1"`, `"user_id":"u1","user_id":"u2"`),
		"10,001 deep": strings.Repeat("[", 10_001),
	} {
		if a := w.post(body); a.code != 400 || a.str("code") != "malformed-json" {
			t.Errorf("%s: %d %s", name, a.code, a.raw)
		}
	}
	if n := len(w.pub.messages()); n != 0 {
		t.Errorf("%d records", n)
	}
	w.unused()
}

func TestDocumentsThatAreNoValidOrder(t *testing.T) {
	t.Parallel()
	items := `"items":[{"product_id":"p","quantity":2,"unit_price":150}]`
	item := `{"product_id":"p","quantity":1,"unit_price":0}`
	w := newWorld(t)
	for name, tt := range map[string]struct{ body, pointer string }{
		"null":                     {"null", "#"},
		"an array":                 {"[]", "#"},
		"a null member":            {swap(`"u1"`, "null"), "#/user_id"},
		"another case":             {swap(`"user_id"`, `"User_ID"`), "#/User_ID"},
		"a member nobody knows":    {swap(`"user_id"`, `"who":1,"user_id"`), "#/who"},
		"quantity 1.0":             {swap(`"quantity":2`, `"quantity":1.0`), "#/items/0/quantity"},
		"quantity 1e3":             {swap(`"quantity":2`, `"quantity":1e3`), "#/items/0/quantity"},
		"quantity as a string":     {swap(`"quantity":2`, `"quantity":"1"`), "#/items/0/quantity"},
		"quantity 0":               {swap(`"quantity":2`, `"quantity":0`), "#/items/0/quantity"},
		"quantity 1000001":         {swap(`"quantity":2`, `"quantity":1000001`), "#/items/0/quantity"},
		"price -1":                 {swap(`"unit_price":150`, `"unit_price":-1`), "#/items/0/unit_price"},
		"price 2^53":               {swap(`"unit_price":150`, `"unit_price":9007199254740992`), "#/items/0/unit_price"},
		"price 2^63":               {swap(`"unit_price":150`, `"unit_price":9223372036854775808`), "#/items/0/unit_price"},
		"price 1e400":              {swap(`"unit_price":150`, `"unit_price":1e400`), "#/items/0/unit_price"},
		"400 KB of digits":         {swap(`"unit_price":150`, `"unit_price":`+strings.Repeat("9", 400<<10)), "#/items/0/unit_price"},
		"2,001 items":              {swap(items, `"items":[`+strings.Repeat(item+",", 2000)+item+"]"), "#/items"},
		"no items":                 {swap(items, `"items":[]`), "#/items"},
		"a sum that does not hold": {swap(`"total_amount":300`, `"total_amount":301`), "#/total_amount"},
		"a currency without money": {swap(`"EUR"`, `"XXX"`), "#/currency"},
		"an order id of 65":        {goodOrder(strings.Repeat("a", 65)), "#/order_id"},
		"an order id as a path":    {goodOrder("../x"), "#/order_id"},
		"an order id with a slash": {goodOrder("a/b"), "#/order_id"},
		"an order id as SQL":       {goodOrder("'; DROP"), "#/order_id"},
		"an order id with ESC":     {goodOrder(`\u001b[31m`), "#/order_id"},
		"an order id with CR LF":   {goodOrder(`a\r\nb`), "#/order_id"},
		"a product turned around":  {swap(`"p"`, `"p\u202e"`), "#/items/0/product_id"},
		"a status nobody knows":    {swap("CREATED", "LOST"), "#/status"},
		"no user":                  {swap(`"u1"`, `""`), "#/user_id"},
	} {
		a := w.post(tt.body)
		if a.code != 422 || a.str("code") != "validation-failed" || !slices.Contains(a.pointers(), tt.pointer) {
			t.Errorf("%s: %d %.300s; want 422 at %s", name, a.code, a.raw, tt.pointer)
		}
		if len(a.raw) > 16<<10 || strings.ContainsAny(a.raw, "\x1b\u202e") {
			t.Errorf("%s: answer of %d bytes", name, len(a.raw))
		}
	}
	many := swap(items, `"items":[`+strings.Repeat(`{"product_id":"p","quantity":0,"unit_price":0},`, 1999)+item+"]")
	if a := w.post(many); len(a.pointers()) != 20 {
		t.Errorf("%d errors, want 20", len(a.pointers()))
	}
	overflow := swap(items, `"items":[`+strings.Repeat(`{"product_id":"p","quantity":1000000,"unit_price":9007199254740991},`, 3)+item+"]")
	if a := w.post(overflow); a.code != 422 {
		t.Errorf("a sum that overflows: %d", a.code)
	}
	if n := len(w.pub.messages()); n != 0 {
		t.Errorf("%d records", n)
	}
	w.unused()
}

// Places that the sender invents never become labels.
func TestValidationErrorsAreCountedByBoundedPlaces(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 30 {
		w.post(swap(`"user_id"`, fmt.Sprintf(`"x%d":1,"user_id"`, i)))
		w.post(swap(`"quantity":2`, fmt.Sprintf(`"y%d":2`, i)))
	}
	w.do(post("/orders/batch", `[`+swap(`"u1"`, `""`)+`]`))
	if n := w.metric("orderctl_validation_errors_total", "pointer=#/user_id"); n != 1 {
		t.Errorf("#/user_id: %v", n)
	}
	if n := w.metric("orderctl_validation_errors_total", "pointer=#/*"); n != 30 {
		t.Errorf("#/*: %v", n)
	}
	families, err := w.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if len(f.GetMetric()) > 20 {
			t.Errorf("%s has %d series", f.GetName(), len(f.GetMetric()))
		}
	}
}

func TestUnknownMembersAreKeptWhereAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *serve.Options) { o.Unknown = order.KeepUnknown })
	body := swap(`"user_id"`, `"who":{"a":1},"user_id"`)
	if a := w.post(body); a.code != 202 || string(w.pub.messages()[0].Value) != body {
		t.Errorf("%d %s", a.code, a.raw)
	}
}

func TestContentTypesAndEncodings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, tt := range map[string]struct {
		header string
		values []string
		code   int
	}{
		"XML":                   {"Content-Type", []string{"text/xml"}, 415},
		"none":                  {"Content-Type", nil, 415},
		"empty":                 {"Content-Type", []string{""}, 415},
		"twice":                 {"Content-Type", []string{"application/json", "application/json"}, 415},
		"UTF-8 by name":         {"Content-Type", []string{"application/json; charset=UTF-8"}, 202},
		"another case":          {"Content-Type", []string{"Application/JSON"}, 202},
		"another charset":       {"Content-Type", []string{"application/json; charset=latin1"}, 415},
		"lines, not a batch":    {"Content-Type", []string{"application/x-ndjson"}, 415},
		"Brotli":                {"Content-Encoding", []string{"br"}, 415},
		"twice zipped":          {"Content-Encoding", []string{"gzip, gzip"}, 415},
		"identity":              {"Content-Encoding", []string{"identity"}, 202},
		"said to be zipped":     {"Content-Encoding", []string{"gzip"}, 400},
		"what it accepts":       {"Accept", []string{"text/html"}, 202},
		"a client behind a lie": {"X-Forwarded-For", []string{"10.0.0.1"}, 202},
	} {
		r := post("/orders", good)
		r.Header[tt.header] = tt.values
		a := w.do(r)
		if a.code != tt.code {
			t.Errorf("%s: %d %s, want %d", name, a.code, a.raw, tt.code)
		}
		if a.code == 415 && tt.header == "Content-Type" && a.header.Get("Accept-Post") != "application/json, application/x-protobuf" {
			t.Errorf("%s: Accept-Post %q", name, a.header.Get("Accept-Post"))
		}
		if a.code == 415 && tt.header == "Content-Encoding" && a.header.Get("Accept-Encoding") != "gzip, identity" {
			t.Errorf("%s: Accept-Encoding %q", name, a.header.Get("Accept-Encoding"))
		}
	}
	w.unused()
}

// untouched fails the test when a byte of the body is read.
type untouched struct{ t *testing.T }

func (u untouched) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

// padded is a valid order of exactly n bytes.
func padded(n int) string { return good + strings.Repeat(" ", n-len(good)) }

func TestBodyLimits(t *testing.T) {
	t.Parallel()
	const limit = 512 << 10
	w := newWorld(t)
	chunked := func(body io.Reader) *http.Request {
		r := httptest.NewRequest(http.MethodPost, "/orders", io.MultiReader(body)) // hides the length
		r.Header.Set("Content-Type", "application/json")
		r.ContentLength = -1
		return r
	}
	gz := func(b []byte) *http.Request {
		r := post("/orders", string(b))
		r.Header.Set("Content-Encoding", "gzip")
		return r
	}
	early := httptest.NewRequest(http.MethodPost, "/orders", untouched{t})
	early.Header.Set("Content-Type", "application/json")
	early.ContentLength = limit + 1
	cut := zipped(t, []byte(good))
	nothings := chunked(bytes.NewReader(bytes.Repeat(zipped(t, nil), limit/20)))
	nothings.Header.Set("Content-Encoding", "gzip")
	for name, tt := range map[string]struct {
		r    *http.Request
		code int
	}{
		"the limit":                      {post("/orders", padded(limit)), 202},
		"announced longer":               {early, 413},
		"chunked, the limit":             {chunked(strings.NewReader(padded(limit))), 202},
		"chunked, one more":              {chunked(strings.NewReader(padded(limit + 1))), 413},
		"zipped":                         {gz(zipped(t, []byte(good))), 202},
		"zipped, the limit":              {gz(zipped(t, []byte(padded(limit)))), 202},
		"zipped, one more":               {gz(zipped(t, []byte(padded(limit+1)))), 413},
		"zipped, cut short":              {gz(cut[:len(cut)-6]), 400},
		"zipped, with a tail":            {gz(append(bytes.Clone(cut), "tail"...)), 400},
		"chunks of zipped nothings":      {nothings, 413},
		"zipped nothings without an end": {gz(bytes.Repeat(zipped(t, nil), limit/20)), 413},
	} {
		a := w.do(tt.r)
		if a.code != tt.code {
			t.Errorf("%s: %d %.200s, want %d", name, a.code, a.raw, tt.code)
		}
		if a.code == 413 && (a.str("code") != "body-too-large" || a.body["limit_bytes"] != float64(limit) || a.header.Get("Connection") != "close") {
			t.Errorf("%s: %v %s", name, a.header, a.raw)
		}
		if a.code == 400 && a.str("code") != "malformed-encoding" {
			t.Errorf("%s: %s", name, a.raw)
		}
	}
	w.unused()
}

func TestABombCostsNoMemory(t *testing.T) { //nolint:paralleltest // it measures the heap of the process
	w := newWorld(t)
	bomb := zipped(t, make([]byte, 64<<20))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 8 {
		r := post("/orders", string(bomb))
		r.Header.Set("Content-Encoding", "gzip")
		if a := w.do(r); a.code != 413 {
			t.Fatalf("%d %s", a.code, a.raw)
		}
	}
	runtime.ReadMemStats(&after)
	if got := (after.TotalAlloc - before.TotalAlloc) / 8; got > 6<<20 {
		t.Errorf("%d bytes allocated for a bomb of 64 MiB", got)
	}
}

func FuzzPostOrder(f *testing.F) {
	for _, body := range []string{good, "", "{", "null", "[]", swap(`"u1"`, "null"), swap("300", "1e3"), "{} {}", swap(`"user_id"`, `"User_ID"`)} {
		f.Add("application/json", []byte(body), "k", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	}
	f.Add("application/x-protobuf", []byte("\x0a\x03A-1"), `"k"`, "")
	f.Add("application/json;charset=utf-8", []byte(good), "\x80", "00-0")
	f.Fuzz(func(t *testing.T, content string, body []byte, key, parent string) {
		w := newWorld(t)
		r := post("/orders", string(body))
		r.Header.Set("Content-Type", content)
		r.Header.Set("Idempotency-Key", key)
		r.Header.Set("Traceparent", parent)
		a := w.do(r)
		sent := w.pub.messages()
		if (a.code == 202) != (len(sent) == 1) || a.code >= 500 || len(a.raw) > 16<<10 {
			t.Fatalf("%d %s with %d records", a.code, a.raw, len(sent))
		}
		if len(sent) == 1 {
			content, _ := queue.First(sent[0].Headers, queue.HeaderContentType)
			o, err := order.Parse(content, sent[0].Value, order.RejectUnknown)
			if err != nil || o.OrderID != string(sent[0].Key) || o.OrderID != a.str("order_id") {
				t.Fatalf("record %q: %v", sent[0].Value, err)
			}
		}
		w.unused()
	})
}
