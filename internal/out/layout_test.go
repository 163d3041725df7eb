package out_test

import (
	"bytes"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/out"
)

func TestX(t *testing.T) {
	tab := out.Table{Schema: "orderctl.x/v1", Columns: []out.Column{{Name: "Part.id", JSON: "part"}, {Name: "UNREAD", JSON: "unread", Kind: out.KindInt}, {Name: "AGE", JSON: "age_seconds", Kind: out.KindDuration, Drop: 1}, {Name: "REASON", JSON: "reason", Flex: true}},
		Rows: [][]out.Cell{
			{out.Text("orders/1"), out.Int(14210), out.Duration(9 * time.Second), out.Text("订单 \x1b[2J hello world this is long, very long indeed and longer")},
			{out.Text(""), out.Unknown().With(out.Bad), out.NA(), out.Text("=1+1")},
		}}
	for _, o := range []out.Options{{}, {Terminal: true, Width: 60, Color: true}, {Terminal: true, Width: 30}, {Format: out.FormatJSON}, {Format: out.FormatJSONL}, {Format: out.FormatCSV}} {
		var b bytes.Buffer
		if err := out.Print(&b, o, tab, nil); err != nil {
			t.Fatal(err)
		}
		t.Logf("%+v\n%s", o, b.String())
	}
}
