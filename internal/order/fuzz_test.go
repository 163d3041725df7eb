package order_test

import (
	"errors"
	"reflect"
	"testing"

	"commerce.internal/orderctl/internal/order"
)

// checkRejection: whatever was refused says why, in one of two ways.
func checkRejection(t *testing.T, err error) {
	t.Helper()
	var invalid *order.Invalid
	switch {
	case malformed(err):
		holdsForPeople(t, order.Violation{Pointer: "#", Code: "x", Detail: err.Error()})
	case errors.As(err, &invalid):
		if n := len(invalid.Violations); n < 1 || n > order.MaxViolations {
			t.Errorf("%d violations", n)
		}
		for _, v := range invalid.Violations {
			holdsForPeople(t, v)
		}
	default:
		t.Errorf("an error of another kind: %v", err)
	}
}

// checkAccepted: whatever was accepted comes back the same from both codecs, and Validate has an opinion on it.
func checkAccepted(t *testing.T, o order.Order) {
	t.Helper()
	again, err := order.ParseJSON(o.AppendJSON(nil), order.RejectUnknown)
	if err != nil || !reflect.DeepEqual(again, o) {
		t.Errorf("JSON round trip: %+v, %v\nof %+v", again, err, o)
	}
	raw := mustProto(t, o)
	if again, err = order.ParseProto(raw); len(raw) > 0 && (err != nil || !reflect.DeepEqual(again, o)) {
		t.Errorf("Protobuf round trip: %+v, %v\nof %+v", again, err, o)
	}
	if err := o.Validate(fullTime()); err != nil {
		checkRejection(t, err)
	}
	o.Fill(order.Defaults{OrderID: "A", Currency: "CNY", Now: fullTime()})
	if again, err := order.ParseJSON(o.AppendJSON(nil), order.RejectUnknown); err != nil || again.Fingerprint() != o.Fingerprint() {
		t.Errorf("filled: %v", err)
	}
}

func FuzzParseJSON(f *testing.F) {
	for _, s := range []string{
		"", "{}", full, full[:99], "null", "[]", `{"User_ID":"a"}`, `{"items":[null,{"quantity":1.0},{"unit_price":9007199254740993}]}`,
		`{"attributes":{"a":"\u0000"}}`, `{"zzz":{"a":[null]}}`, "{\"\u212a\":1}", `{"order\u005fid":"a","order_id":"b"}`,
		`{"timestamp":0}`, `{"total_amount":-0}`, "\xef\xbb\xbf{}", `{"user_id":"\ud800"}`,
	} {
		f.Add([]byte(s), false)
		f.Add([]byte(s), true)
	}
	f.Fuzz(func(t *testing.T, b []byte, keep bool) {
		unknown := order.RejectUnknown
		if keep {
			unknown = order.KeepUnknown
		}
		o, err := order.ParseJSON(b, unknown)
		if err != nil {
			checkRejection(t, err)
			return
		}
		checkAccepted(t, o)
	})
}

func FuzzParseProto(f *testing.F) {
	raw, err := fullOrder().MarshalProto()
	if err != nil {
		f.Fatal(err)
	}
	for _, b := range [][]byte{raw, raw[:20], nil, {0x0a, 1, 0xff}, {0xa3, 6, 0xa4, 6}, {72, 1}, {0x52, 0}, {0x2a, 0}, []byte(full)} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := order.ParseProto(b)
		if err != nil {
			checkRejection(t, err)
			return
		}
		checkAccepted(t, o)
	})
}

func BenchmarkParseJSON(b *testing.B) {
	line := realOrders(b)[0]
	b.ReportAllocs()
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		_, _ = order.ParseJSON(line, order.RejectUnknown)
	}
}

func BenchmarkValidate(b *testing.B) {
	o := fullOrder()
	b.ReportAllocs()
	for b.Loop() {
		_ = o.Validate(fullTime())
	}
}

func BenchmarkAppendJSON(b *testing.B) {
	o, dst := fullOrder(), make([]byte, 0, 1_024)
	b.ReportAllocs()
	for b.Loop() {
		dst = o.AppendJSON(dst[:0])
	}
}

func BenchmarkFingerprint(b *testing.B) {
	o := fullOrder()
	b.ReportAllocs()
	for b.Loop() {
		_ = o.Fingerprint()
	}
}
