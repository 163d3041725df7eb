package queue_test

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"commerce.internal/orderctl/internal/queue"
)

func TestNamesOfHeaders(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"ce_id", "CE_ID", "content-type", "shop", "", "ce_i\x00", "orderctl-load-test"} {
		if got := queue.HeaderName([]byte(name)); got != name {
			t.Errorf("%q becomes %q", name, got)
		}
	}
}

func TestANameOfOursIsFree(t *testing.T) {
	known := []byte(queue.HeaderLoadTest)
	if n := testing.AllocsPerRun(100, func() { _ = queue.HeaderName(known) }); n != 0 {
		t.Errorf("a name of ours allocates %v times", n)
	}
}

func TestATrailIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(1_764_000_000_123).UTC()
	want := queue.Trail{
		Hop: 3, Origin: queue.Position{Topic: "orders", Partition: 7, Offset: 884_120}, Group: "orders-worker", OrigTime: at,
		MsgID: "A-1:CREATED", Fingerprint: strings.Repeat("ab", 32), Class: queue.ClassExhausted, Code: "payment-timeout",
		Message: "504 from downstream", Attempts: 6, NotBefore: at, FirstFailure: at, LastFailure: at, Worker: "w1",
		ReplayID: "r-1", ReplayCount: 2, ReplayOf: "7/31", BlockedBy: "A-1:PAID", Edited: "e", Discard: "undo", Pointer: "p",
	}
	if got := queue.ReadTrail(want.Append(nil)); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestAForgedTrailIsBounded(t *testing.T) {
	t.Parallel()
	h := func(name, value string) queue.Header { return queue.Header{Name: name, Value: []byte(value)} }
	tests := []struct {
		name string
		hs   []queue.Header
		ok   func(queue.Trail) bool
	}{
		{"no origin at all", nil, func(tr queue.Trail) bool { return tr.Origin.Partition == -1 && tr.Origin.Offset == -1 }},
		{"partition below 0", []queue.Header{h(queue.HeaderOriginPartition, "-1")}, func(tr queue.Trail) bool { return tr.Origin.Partition == -1 }},
		{"partition 2^31", []queue.Header{h(queue.HeaderOriginPartition, "2147483648")}, func(tr queue.Trail) bool { return tr.Origin.Partition == -1 }},
		{"offset 2^63", []queue.Header{h(queue.HeaderOriginOffset, "9223372036854775808")}, func(tr queue.Trail) bool { return tr.Origin.Offset == -1 }},
		{"offset abc", []queue.Header{h(queue.HeaderOriginOffset, "abc")}, func(tr queue.Trail) bool { return tr.Origin.Offset == -1 }},
		{"attempts below 0", []queue.Header{h(queue.HeaderAttempts, "-1")}, func(tr queue.Trail) bool { return tr.Attempts == 0 }},
		{"attempts 10^12", []queue.Header{h(queue.HeaderAttempts, "1000000000000")}, func(tr queue.Trail) bool { return tr.Attempts == 1000 }},
		{"origin given twice: the first", []queue.Header{h(queue.HeaderOriginTopic, "a"), h(queue.HeaderOriginTopic, "b")}, func(tr queue.Trail) bool { return tr.Origin.Topic == "a" }},
		{"error given twice: the last", []queue.Header{h(queue.HeaderClass, "a"), h(queue.HeaderClass, "b")}, func(tr queue.Trail) bool { return tr.Class == "b" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tr := queue.ReadTrail(tt.hs); !tt.ok(tr) {
				t.Errorf("ReadTrail = %+v", tr)
			}
		})
	}
}

// User headers come through any number of hops byte for byte and in order, and our own never grow.
func TestHeadersAcrossHops(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var user []queue.Header
		for range rapid.IntRange(0, 12).Draw(t, "n") {
			h := queue.Header{Name: "x-" + rapid.StringN(0, 8, -1).Draw(t, "name"), Value: rapid.SliceOf(rapid.Byte()).Draw(t, "value")}
			if rapid.Bool().Draw(t, "nil") {
				h.Value = nil
			}
			user = append(user, h)
		}
		trail := queue.Trail{Fingerprint: "f", Origin: queue.Position{Topic: "orders"}, MsgID: "m"}
		hs := user
		for hop := 1; hop <= 20; hop++ {
			trail.Hop = hop
			hs = trail.Append(hs)
		}
		if len(hs) > len(user)+20 {
			t.Fatalf("%d headers after 20 hops of %d", len(hs), len(user))
		}
		for i, h := range user {
			if hs[i].Name != h.Name || !bytes.Equal(hs[i].Value, h.Value) || (hs[i].Value == nil) != (h.Value == nil) {
				t.Fatalf("header %d: %q, was %q", i, hs[i], h)
			}
		}
		if got := queue.ReadTrail(hs); got.Hop != 20 || got.Fingerprint != "f" {
			t.Fatalf("ReadTrail = %+v", got)
		}
	})
}

func TestCutNeverSplitsARune(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, n := rapid.String().Draw(t, "s"), rapid.IntRange(0, 40).Draw(t, "n")
		if c := queue.Cut(s, n); len(c) > n || !utf8.ValidString(c) || !strings.HasPrefix(s, c) {
			t.Fatalf("Cut(%q, %d) = %q", s, n, c)
		}
	})
}

func FuzzReadTrail(f *testing.F) {
	f.Add(queue.HeaderHop, []byte("3"))
	f.Add(queue.HeaderOriginOffset, []byte("-9"))
	f.Fuzz(func(t *testing.T, name string, value []byte) {
		tr := queue.ReadTrail([]queue.Header{{Name: name, Value: value}})
		if tr.Hop < 0 || tr.Attempts < 0 || tr.ReplayCount < 0 || tr.Origin.Offset < -1 || tr.Origin.Partition < -1 {
			t.Fatalf("out of bounds: %+v", tr)
		}
	})
}
