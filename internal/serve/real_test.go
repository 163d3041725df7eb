package serve_test

import (
	"bytes"
	"os"
	"testing"
)

// The real orders of a shop: every one is accepted as it is or refused with a place, none else.
func TestRealOrders(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../produce/sample/online-retail-2010-12.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	codes := map[int]int{}
	var accepted [][]byte
	for line := range bytes.Lines(raw) {
		a := w.post(string(line))
		codes[a.code]++
		switch {
		case a.code == 202:
			accepted = append(accepted, line)
		case len(a.pointers()) == 0:
			t.Errorf("refused without a place: %s", a.raw)
		}
	}
	if codes[202] != 1550 || codes[422] != 253 || len(codes) != 2 {
		t.Errorf("answers %v, want 1,550 times 202 and 253 times 422", codes)
	}
	for i, m := range w.pub.messages() {
		if !bytes.Equal(m.Value, accepted[i]) {
			t.Fatalf("record %d is not what was received", i)
		}
	}
	w.unused()
}
