package out_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"commerce.internal/orderctl/internal/out"
)

func TestJSONOfATable(t *testing.T) {
	t.Parallel()
	want := `{
  "schema": "orderctl.sample/v1",
  "partitions": [
    {
      "partition": "orders/1",
      "unread": 14210,
      "age_seconds": 9,
      "since": "2026-11-22T14:32:45Z",
      "owner": "w-1",
      "reason": "504 from downstream"
    },
    {
      "partition": "orders/11",
      "unread": null,
      "since": null,
      "reason": ""
    }
  ]
}
`
	if got := printed(t, out.Options{Format: out.FormatJSON}, sample()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestJSONIsTheSameOnATerminal(t *testing.T) {
	t.Parallel()
	for _, f := range []out.Format{out.FormatJSON, out.FormatJSONL, out.FormatCSV} {
		pipe := printed(t, out.Options{Format: f}, sample())
		terminal := printed(t, out.Options{Format: f, Terminal: true, Width: 20, Color: true}, sample())
		if pipe != terminal {
			t.Errorf("%s: %q in a pipe, %q on a terminal", f, pipe, terminal)
		}
	}
}

func TestAnEmptyListInJSONIsAList(t *testing.T) {
	t.Parallel()
	got := printed(t, out.Options{Format: out.FormatJSON}, out.Table{Schema: "orderctl.none/v1"})
	if got != "{\n  \"schema\": \"orderctl.none/v1\",\n  \"rows\": []\n}\n" {
		t.Errorf("got %s", got)
	}
	if got := printed(t, out.Options{Format: out.FormatJSONL}, out.Table{}); got != "" {
		t.Errorf("jsonl: %q", got)
	}
}

func TestIntegersStayIntegers(t *testing.T) {
	t.Parallel()
	tab := out.Table{
		Columns: []out.Column{{JSON: "n", Kind: out.KindInt}, {JSON: "d", Kind: out.KindDuration}},
		Rows:    [][]out.Cell{{out.Int(math.MaxInt64), out.Duration(1500 * time.Millisecond)}},
	}
	if got := printed(t, out.Options{Format: out.FormatJSONL}, tab); !strings.Contains(got, `"n":9223372036854775807,"d":1.5`) {
		t.Errorf("got %s", got)
	}
}

func TestForeignTextInJSONIsEscapedAndReadsBack(t *testing.T) {
	t.Parallel()
	const foreign = "\x1b]0;x\a \u009b \u202e \u200d \U000e0041 \x7f <b>&"
	tab := out.Table{Columns: []out.Column{{JSON: "a"}}, Rows: [][]out.Cell{{out.Text(foreign)}}}
	got := printed(t, out.Options{Format: out.FormatJSONL}, tab)
	if want := `"\u001b]0;x\u0007 \u009b \u202e \u200d \udb40\udc41 \u007f <b>&"`; !strings.Contains(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
	var back struct{ A string }
	if err := json.Unmarshal([]byte(got), &back); err != nil || back.A != foreign {
		t.Errorf("read back %q, %v", back.A, err)
	}
}

func TestBytesThatAreNoTextHaveAMemberOfTheirOwn(t *testing.T) {
	t.Parallel()
	tab := out.Table{Columns: []out.Column{{JSON: "key"}}, Rows: [][]out.Cell{{out.Text("\xff\x00")}}}
	if got := printed(t, out.Options{Format: out.FormatJSONL}, tab); !strings.Contains(got, `"key_base64":"/wA="`) || strings.Contains(got, "\ufffd") {
		t.Errorf("got %s", got)
	}
}

func TestEveryJSONReadsBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tab := anyTable(t)
		var b bytes.Buffer
		if err := out.Print(&b, out.Options{Format: out.FormatJSON}, tab, nil); err != nil {
			t.Fatal(err)
		}
		var back struct {
			Schema string
			Rows   []struct {
				ID     int64
				Key    *string
				Reason *string
			}
		}
		if err := json.Unmarshal(b.Bytes(), &back); err != nil {
			t.Fatal(err)
		}
		if len(back.Rows) != len(tab.Rows) {
			t.Fatalf("%d rows became %d", len(tab.Rows), len(back.Rows))
		}
		for _, row := range back.Rows {
			if row.Key != nil && !utf8.ValidString(*row.Key) {
				t.Fatalf("key %q", *row.Key)
			}
		}
	})
}

type lines struct{ list []any }

func (l lines) Lines() []any { return l.list }

func TestACommandsOwnJSONIsPrinted(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	doc := map[string]any{"schema": "orderctl.own/v1"}
	if err := out.Print(&b, out.Options{Format: out.FormatJSON}, sample(), doc); err != nil || b.String() != "{\n  \"schema\": \"orderctl.own/v1\"\n}\n" {
		t.Errorf("json: %q, %v", b.String(), err)
	}
	b.Reset()
	if err := out.Print(&b, out.Options{Format: out.FormatJSONL}, sample(), lines{[]any{1, 2}}); err != nil || b.String() != "1\n2\n" {
		t.Errorf("jsonl of a Liner: %q, %v", b.String(), err)
	}
	b.Reset()
	if err := out.Print(&b, out.Options{Format: out.FormatJSONL}, sample(), doc); err != nil || b.String() != "{\"schema\":\"orderctl.own/v1\"}\n" {
		t.Errorf("jsonl of one object: %q, %v", b.String(), err)
	}
	if err := out.Print(&b, out.Options{Format: out.FormatJSON}, sample(), make(chan int)); err == nil {
		t.Error("what has no JSON was printed")
	}
}

func TestCSV(t *testing.T) {
	t.Parallel()
	want := `partition,unread,age_seconds,since,owner,reason
orders/1,14210,9,2026-11-22T14:32:45Z,w-1,504 from downstream
orders/11,,,,,
`
	if got := printed(t, out.Options{Format: out.FormatCSV}, sample()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestCSVDoesNotRunInASpreadsheet(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@SUM(A1)": "'@SUM(A1)", "a=1": "a=1", "\t=1": `\t=1`, "a,b\"c": "a,b\"c", "": "",
		"\x1b[2J": `\x1b[2J`,
	} {
		tab := out.Table{
			Columns: []out.Column{{JSON: "t"}, {JSON: "n", Kind: out.KindInt}, {JSON: "f", Kind: out.KindNumber}},
			Rows:    [][]out.Cell{{out.Text(in), out.Int(-1), out.Number(-0.5)}},
		}
		records, err := csv.NewReader(strings.NewReader(printed(t, out.Options{Format: out.FormatCSV}, tab))).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		if got := records[1]; got[0] != want || got[1] != "-1" || got[2] != "-0.5" {
			t.Errorf("%q became %q, want %q, -1, -0.5", in, got, want)
		}
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestAFailedWriteIsAnError(t *testing.T) {
	t.Parallel()
	for _, f := range out.Formats() {
		if err := out.Print(failing{}, out.Options{Format: out.Format(f)}, sample(), nil); err == nil {
			t.Errorf("%s: no error", f)
		}
	}
	if err := out.Print(&bytes.Buffer{}, out.Options{Format: "xml"}, sample(), nil); err == nil {
		t.Error("xml was printed")
	}
}
