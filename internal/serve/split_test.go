package serve

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"commerce.internal/orderctl/internal/order"
)

// An element is the very bytes between its neighbours, whatever white space stands around.
func TestElementsAreSlicesOfTheBody(t *testing.T) {
	t.Parallel()
	space := rapid.SampledFrom([]string{"", " ", "\n", "\t \r\n"})
	element := rapid.SampledFrom([]string{`{}`, `{"a": [1, {"b":"]"}]}`, `"x,y"`, `1`, `true`, `null`, `[[],{}]`, `{"ä":"\u00e4,"}`})
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(element, 1, 30).Draw(t, "elements")
		var b strings.Builder
		b.WriteString(space.Draw(t, "s") + "[")
		for i, e := range want {
			if i > 0 {
				b.WriteString(",")
			}
			b.WriteString(space.Draw(t, "s") + e + space.Draw(t, "s"))
		}
		b.WriteString("]" + space.Draw(t, "s"))
		body := []byte(b.String())
		got, err := splitArray(body, 30)
		if err != nil || len(got) != len(want) {
			t.Fatalf("%d elements of %s: %v", len(got), body, err)
		}
		for i := range got {
			if string(got[i]) != want[i] || cap(got[i]) != len(got[i]) {
				t.Fatalf("element %d is %q, want %q", i, got[i], want[i])
			}
		}
		if _, err := splitArray(body, len(want)-1); !errors.Is(err, errBatchSize) {
			t.Fatalf("one more than allowed: %v", err)
		}
	})
}

func TestLinesAreSlicesOfTheBody(t *testing.T) {
	t.Parallel()
	body := []byte("{} \r\n\n  [1]\t\nx")
	got, err := splitLines(body, 3)
	if err != nil || string(bytes.Join(got, []byte("|"))) != "{}|[1]|x" {
		t.Errorf("%q %v", got, err)
	}
	if _, err := splitLines(body, 2); !errors.Is(err, errBatchSize) {
		t.Errorf("%v", err)
	}
	if _, err := splitLines(nil, 2); !errors.Is(err, errBatchSize) {
		t.Errorf("nothing: %v", err)
	}
}

// The error of an array says whether it is broken (400) or only wrong (422).
func FuzzSplitArray(f *testing.F) {
	for _, s := range []string{"", "[", "[]", "[1,]", "[1]2", "{}", "null", "[{\"a\":1,\"a\":2}]", "[\"\xff\"]", "[[[[", "[1 2]", " [ 1 ] "} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		raws, err := splitArray(body, 5)
		var elements []json.RawMessage
		plain := json.Unmarshal(body, &elements)
		var invalid *order.Invalid
		var malformed *order.Malformed
		switch {
		case err == nil:
			if plain != nil || len(raws) != len(elements) {
				t.Fatalf("%q: %d elements, encoding/json %d, %v", body, len(raws), len(elements), plain)
			}
			for i := range raws {
				if !bytes.Equal(raws[i], bytes.TrimSpace(elements[i])) {
					t.Fatalf("%q: element %d is %q, not %q", body, i, raws[i], elements[i])
				}
			}
		case errors.Is(err, errBatchSize), errors.As(err, &invalid):
			if !json.Valid(body) {
				t.Fatalf("%q is not JSON, and the error is %v", body, err)
			}
		case !errors.As(err, &malformed):
			t.Fatalf("%q: %v", body, err)
		}
	})
}
