package serve

import (
	"strings"
	"testing"
)

func TestOrderIDsFromAKey(t *testing.T) {
	t.Parallel()
	if got := orderID("shop-eu", "k-1", -1); got != "dec0f49a-3c51-8d42-961b-1c643ed10f68" {
		t.Errorf("orderID = %s", got)
	}
	seen := map[string]string{}
	for _, c := range []struct {
		client, key string
		index       int
	}{{"a", "b", -1}, {"a", "b", 0}, {"a", "b", 1}, {"a", "b", 10}, {"ab", "", 0}, {"", "ab", -1}, {"b", "a", -1}} {
		id := orderID(c.client, c.key, c.index)
		if other, twice := seen[id]; twice {
			t.Errorf("%+v and %s are the same order", c, other)
		}
		seen[id] = c.client + "/" + c.key
	}
	if one, two := orderID("a", "", -1), orderID("a", "", -1); one == two {
		t.Error("two orders without a key are one")
	}
}

func FuzzIdempotencyKey(f *testing.F) {
	for _, s := range []string{"", "k", `"k"`, `"a\"b"`, `"`, `"\`, "\x7f", strings.Repeat("k", 300)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		key, p := idempotencyKey(map[string][]string{hdrIdempotencyKey: {s}})
		if (p == nil) == (key == "") || len(key) > 255 || p == nil && !printable(key) {
			t.Fatalf("key %q of %q, problem %v", key, s, p)
		}
	})
}

func TestRecentOrdersAreBounded(t *testing.T) {
	t.Parallel()
	r := newRecent(10)
	for i := range 1000 {
		r.add(strings.Repeat("x", i))
	}
	if n := len(r.young) + len(r.elder); n > 20 {
		t.Errorf("%d remembered", n)
	}
	for i := 990; i < 1000; i++ {
		if !r.has(strings.Repeat("x", i)) {
			t.Errorf("order %d of the last ten is forgotten", i)
		}
	}
	if r.has("") {
		t.Error("the first is still remembered")
	}
}
