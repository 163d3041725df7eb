package dlq_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"commerce.internal/orderctl/internal/dlq"
	"commerce.internal/orderctl/internal/queue"
)

func TestWithoutAStoreTheLedgerAloneDecides(t *testing.T) {
	t.Parallel()
	l := &topicLog{parts: map[int32][]queue.Record{}}
	id := l.add(0, base(), trail(1, queue.ClassInvalid, 1), "A", "{}")
	r := dlq.NewReader(l, nil, topic, "g")
	got, err := r.At(t.Context(), id)
	if err != nil || got.State != dlq.Undecided || got.Ledger != nil {
		t.Errorf("state %q, ledger %v (%v)", got.State, got.Ledger, err)
	}
	for want, states := range map[int][]dlq.State{1: {dlq.Undecided}, 0: {dlq.Resolved, dlq.Discarded}} {
		if list, err := r.List(t.Context(), dlq.Selection{States: states}); err != nil || len(list) != want {
			t.Errorf("%v: %d letters, want %d (%v)", states, len(list), want, err)
		}
	}
}

func TestAnyCopyNamesTheLetter(t *testing.T) {
	t.Parallel()
	l := &topicLog{parts: map[int32][]queue.Record{}}
	tr := trail(1, queue.ClassInvalid, 3)
	first := l.add(0, base(), tr, "A", "{}")
	l.add(0, base().Add(time.Second), trail(2, queue.ClassInvalid, 1), "B", "{}")
	second := l.add(0, base().Add(2*time.Second), tr, "A", "{}")
	third := l.add(0, base().Add(3*time.Second), tr, "A", "{}")
	r := dlq.NewReader(l, nil, topic, "g")

	list, err := r.List(t.Context(), dlq.Selection{IDs: []dlq.ID{third, second, third, first}})
	if err != nil || len(list) != 1 || list[0].ID != first || list[0].Copies != 3 {
		t.Errorf("listed by its copies: %+v (%v), want one row", list, err)
	}
	for _, id := range []dlq.ID{first, second, third} {
		d, err := r.Show(t.Context(), id)
		if err != nil || d.Letter.ID != first || d.Letter.Copies != 3 || len(d.Related) != 0 {
			t.Errorf("Show(%s): letter %s x%d, %d related (%v)", id, d.Letter.ID, d.Letter.Copies, len(d.Related), err)
		}
		n, err := r.Export(t.Context(), dlq.Selection{IDs: []dlq.ID{id}}, func(x dlq.Letter) error {
			if string(x.Value) != "{}" || len(x.Headers) == 0 {
				t.Errorf("exported without its bytes: %+v", x)
			}
			return nil
		})
		if err != nil || n != 1 {
			t.Errorf("exported %d (%v)", n, err)
		}
	}
	all, err := r.List(t.Context(), dlq.Selection{})
	if err != nil || len(all) != 2 || !all[1].Time.Equal(base()) {
		t.Errorf("listed %+v (%v): a letter is as old as its first copy", all, err)
	}
}

func TestALetterWithoutAnOriginHasNoCopies(t *testing.T) {
	t.Parallel()
	l := &topicLog{parts: map[int32][]queue.Record{}}
	for _, tr := range []queue.Trail{
		{Origin: queue.Position{Topic: "orders", Partition: -1, Offset: 3}, Hop: 1},
		{Origin: queue.Position{Topic: "orders", Partition: 0, Offset: -1}, Hop: 1},
		{Origin: queue.Position{Partition: 0, Offset: 3}, Hop: 1},
	} {
		l.add(0, base(), tr, "A", "{}")
		l.add(0, base(), tr, "A", "{}")
	}
	got, err := dlq.NewReader(l, nil, topic, "g").List(t.Context(), dlq.Selection{})
	if err != nil || len(got) != 6 {
		t.Fatalf("%d letters, want 6 (%v)", len(got), err)
	}
	for _, x := range got {
		if x.Exported().Origin != nil {
			t.Errorf("%s has an origin: %+v", x.ID, x.Exported().Origin)
		}
	}
}

// Topic and group come from headers that anybody may write: a space in them must not make two letters one.
func TestOriginsThatOnlyLookAlikeAreNotCopies(t *testing.T) {
	t.Parallel()
	l := &topicLog{parts: map[int32][]queue.Record{}}
	a, b := trail(1, queue.ClassInvalid, 1), trail(1, queue.ClassInvalid, 1)
	a.Origin.Topic, a.Group = "x", "y z"
	b.Origin.Topic, b.Group = "x y", "z"
	l.add(0, base(), a, "A", "{}")
	l.add(0, base(), b, "A", "{}")
	if got, err := dlq.NewReader(l, nil, topic, "g").List(t.Context(), dlq.Selection{}); err != nil || len(got) != 2 {
		t.Errorf("%d letters, want 2 (%v)", len(got), err)
	}
}

func TestTheOrderOfALetter(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, key, msgID, want string }{
		{"its key", "A-1", "B-2:CREATED", "A-1"},
		{"its message id where there is no key", "", "B-2:CREATED", "B-2"},
		{"an order id with colons", "", "B:2:PAID", "B:2"},
		{"a position is no order", "", "orders/3@5", ""},
		{"a hash is no order", "", "sha256:abcd", ""},
		{"nothing", "", "", ""},
	} {
		x := dlq.Letter{Key: []byte(tt.key), Trail: queue.Trail{MsgID: tt.msgID}}
		if got := x.OrderID(); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	l := &topicLog{parts: map[int32][]queue.Record{}}
	l.add(0, base(), queue.Trail{MsgID: "B-2:CREATED"}, "customer-7", "{}") // a foreign producer keys otherwise
	for _, id := range []string{"customer-7", "B-2"} {
		if got, err := dlq.NewReader(l, nil, topic, "g").List(t.Context(), dlq.Selection{OrderIDs: []string{id}}); err != nil || len(got) != 1 {
			t.Errorf("--order-id %s: %d letters (%v)", id, len(got), err)
		}
	}
}

func TestAStoreThatFailsIsAnError(t *testing.T) {
	t.Parallel()
	l := &topicLog{parts: map[int32][]queue.Record{}}
	id := l.add(0, base(), trail(1, queue.ClassInvalid, 1), "A", "{}")
	r := dlq.NewReader(l, broken{}, topic, "g")
	_, list := r.List(t.Context(), dlq.Selection{})
	_, show := r.Show(t.Context(), id)
	_, named := r.List(t.Context(), dlq.Selection{IDs: []dlq.ID{id}})
	_, export := r.Export(t.Context(), dlq.Selection{}, func(dlq.Letter) error { return nil })
	for what, err := range map[string]error{"list": list, "show": show, "named": named, "export": export} {
		if !errors.Is(err, queue.ErrUnreachable) {
			t.Errorf("%s: %v: a guess would be worse", what, err)
		}
	}
}

type broken struct{}

func (broken) Rows(context.Context, string, []queue.RowKey) (map[queue.RowKey]queue.Row, error) {
	return nil, fmt.Errorf("select: %w", queue.ErrUnreachable)
}

// A list by --since must find what lies between newer and older letters although the clocks of workers differ a little.
func TestSinceReadsPastSmallSkew(t *testing.T) {
	t.Parallel()
	l := &topicLog{parts: map[int32][]queue.Record{}}
	for i := range 2_000 {
		at := base().Add(time.Duration(i) * time.Second)
		if i%300 == 299 {
			at = at.Add(-30 * time.Second) // another worker's clock is behind
		}
		l.add(0, at, trail(i, queue.ClassInvalid, 1), "A", "{}")
	}
	since := base().Add(500 * time.Second)
	want := 0
	for _, rec := range l.parts[0] {
		if !rec.Time.Before(since) {
			want++
		}
	}
	got, err := dlq.NewReader(l, nil, topic, "g").List(t.Context(), dlq.Selection{Since: since})
	if err != nil || len(got) != want {
		t.Errorf("%d letters since, want %d (%v)", len(got), want, err)
	}
	if l.scanned == len(l.parts[0]) {
		t.Error("the whole log was read")
	}
}

// However the letters lie, a list is what sorting all of them would give.
func TestListIsTheModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := &topicLog{parts: map[int32][]queue.Record{}}
		var all []dlq.Letter
		classes := []queue.Class{queue.ClassInvalid, queue.ClassDecode}
		n := rapid.SampledFrom([]int{0, 1, 40, 700, 2_000}).Draw(t, "n")
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		gap, parts := rapid.SampledFrom([]time.Duration{time.Millisecond, time.Second, time.Hour}).Draw(t, "gap"), 1+rng.IntN(4)
		for i := range n {
			at := base().Add(time.Duration(i) * gap).Add(-time.Duration(rng.IntN(55)) * time.Second) // clocks of workers
			tr := trail(i, classes[rng.IntN(2)], 1)
			id := l.add(int32(rng.IntN(parts)), at.Truncate(time.Millisecond), tr, "A", "{}")
			all = append(all, dlq.Letter{ID: id, Time: at.Truncate(time.Millisecond), Trail: tr})
		}
		sel := dlq.Selection{Limit: rapid.IntRange(0, 60).Draw(t, "limit")}
		if rng.IntN(2) == 0 {
			sel.Classes = []string{"decode"}
		}
		if rng.IntN(2) == 0 {
			sel.Since = base().Add(time.Duration(rng.IntN(n+1)) * gap)
		}
		got, err := dlq.NewReader(l, nil, topic, "g").List(context.Background(), sel)
		if err != nil {
			t.Fatal(err)
		}
		if want := idsOf(sorted(all, sel)); idsOf(got) != want {
			t.Fatalf("listed %s\nwant   %s", idsOf(got), want)
		}
	})
}

func sorted(all []dlq.Letter, sel dlq.Selection) []dlq.Letter {
	kept := slices.DeleteFunc(all, func(x dlq.Letter) bool {
		return x.Time.Before(sel.Since) || len(sel.Classes) > 0 && string(x.Trail.Class) != sel.Classes[0]
	})
	slices.SortStableFunc(kept, func(a, b dlq.Letter) int {
		return cmp.Or(b.Time.Compare(a.Time), cmp.Compare(a.ID.Partition, b.ID.Partition), cmp.Compare(b.ID.Offset, a.ID.Offset))
	})
	if sel.Limit > 0 {
		kept = kept[:min(len(kept), sel.Limit)]
	}
	return kept
}
