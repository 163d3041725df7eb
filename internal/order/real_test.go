package order_test

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"reflect"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/order"
)

// realOrders returns the lines of the shared real orders.
func realOrders(t testing.TB) [][]byte {
	t.Helper()
	f, err := os.Open("../produce/sample/online-retail-2010-12.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	var all [][]byte
	for lines.Scan() {
		all = append(all, bytes.Clone(lines.Bytes()))
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestRealOrders(t *testing.T) {
	t.Parallel()
	valid, noCustomer, also := 0, 0, 0
	for _, line := range realOrders(t) {
		o, err := order.ParseJSON(line, order.RejectUnknown)
		if err != nil {
			t.Fatalf("ParseJSON(%.80s): %v", line, err)
		}
		if again, err := order.ParseProto(mustProto(t, o)); err != nil || !reflect.DeepEqual(again, o) {
			t.Fatalf("order %s by Protobuf: %v", o.OrderID, err)
		}
		if o.Fill(order.Defaults{Currency: "CNY", Now: time.Now()}) {
			t.Errorf("order %s is whole, yet something was filled", o.OrderID)
		}
		err = o.Validate(time.Now())
		var invalid *order.Invalid
		switch {
		case err == nil:
			valid++
			if got := o.AppendJSON(nil); !bytes.Equal(got, line) {
				t.Fatalf("AppendJSON = %.200s\nwant %.200s", got, line)
			}
		case !errors.As(err, &invalid) || invalid.Violations[0].Pointer != "#/user_id":
			t.Errorf("order %s: %v", o.OrderID, err)
		default:
			noCustomer++
			if len(invalid.Violations) > 1 {
				also++
			}
		}
	}
	if valid != 1_550 || noCustomer != 253 || also != 69 {
		t.Errorf("%d valid, %d without a customer, %d of these with more; want 1550, 253, 69", valid, noCustomer, also)
	}
}
