package dlq_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"commerce.internal/orderctl/internal/dlq"
	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

func TestWithoutAStoreTheStateIsNotKnown(t *testing.T) {
	t.Parallel()
	l := &topicLog{parts: map[int32][]queue.Record{}}
	id := l.add(0, base(), trail(1, queue.ClassInvalid, 1), "A", "{}")
	r := dlq.NewReader(l, nil, topic, "g")
	got, err := r.At(t.Context(), id)
	if err != nil || got.State != dlq.Unknown || got.Exported().State != nil {
		t.Errorf("state %q, exported %v (%v)", got.State, got.Exported().State, err)
	}
	for want, states := range map[int][]dlq.State{1: {dlq.Undecided}, 0: {dlq.Resolved, dlq.Discarded}} {
		if list, err := r.List(t.Context(), dlq.Selection{States: states}); err != nil || len(list) != want {
			t.Errorf("%v: %d letters, want %d: what is not known may be undecided (%v)", states, len(list), want, err)
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

func TestShowMarksWhatIsMissingAtItsParent(t *testing.T) {
	t.Parallel()
	const doc = `{"order_id":"A","items":[{"quantity":1},{"a/b":{}}]}`
	for _, tt := range []struct{ code, want string }{
		{"#/items/0/quantity", `"quantity": 1`},
		{"/items/0/quantity", `"quantity": 1`},
		{"#/items/1/a~1b", `"a/b": {}`},
		{"#/items/1/quantity", `{`},
		{"#/user_id", `{`},
		{"#", `{`},
		{"#/items", `"items": [`},
		{"payment-timeout", ""},
		{"", ""},
	} {
		l := &topicLog{parts: map[int32][]queue.Record{}}
		tr := trail(1, queue.ClassInvalid, 1)
		tr.Code = tt.code
		d, err := dlq.NewReader(l, nil, topic, "g").Show(t.Context(), l.add(0, base(), tr, "A", doc))
		if err != nil {
			t.Fatal(err)
		}
		marked := ""
		for _, line := range d.Lines {
			if line.Failing {
				marked += strings.TrimSpace(line.Text)
			}
		}
		if marked != tt.want {
			t.Errorf("%q marks %q, want %q", tt.code, marked, tt.want)
		}
	}
}

func TestShowReadsProtobuf(t *testing.T) {
	t.Parallel()
	raw, err := order.Sample(rand.New(rand.NewPCG(1, 2)), "A-1", base()).MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	l := &topicLog{parts: map[int32][]queue.Record{}}
	tr := trail(1, queue.ClassInvalid, 1)
	tr.Code = "#/order_id"
	id := l.add(0, base(), tr, "A-1", string(raw))
	bad := l.add(0, base(), trail(2, queue.ClassDecode, 1), "A-2", "\xff\xff{")
	for p := range l.parts[0] {
		l.parts[0][p].Headers = append(l.parts[0][p].Headers, queue.Header{Name: queue.HeaderContentType, Value: []byte(queue.ContentProtobuf)})
	}
	r := dlq.NewReader(l, nil, topic, "g")
	d, err := r.Show(t.Context(), id)
	if err != nil || len(d.Lines) < 5 || !d.Lines[1].Failing || !strings.Contains(d.Lines[1].Text, "A-1") || !bytes.Equal(d.Letter.Value, raw) {
		t.Errorf("%+v (%v)", d.Lines, err)
	}
	if d, err = r.Show(t.Context(), bad); err != nil || d.Lines != nil || string(d.Letter.Value) != "\xff\xff{" {
		t.Errorf("undecodable: %+v (%v)", d, err)
	}
}

func TestShowTellsTheRowAndTheOtherLettersInOrder(t *testing.T) {
	t.Parallel()
	l := &topicLog{parts: map[int32][]queue.Record{}}
	later := l.add(0, base(), trail(9, queue.ClassBlocked, 1), "A", "{}")
	tr := trail(5, queue.ClassInvalid, 2)
	id := l.add(0, base(), tr, "A", "{}")
	sooner := l.add(0, base(), trail(3, queue.ClassInvalid, 1), "A", "{}")
	l.add(0, base(), trail(3, queue.ClassInvalid, 1), "A", "{}") // its copy
	l.add(0, base(), trail(4, queue.ClassInvalid, 1), "B", "{}")
	known := rows{
		{MsgID: tr.MsgID, Fingerprint: tr.Fingerprint}: {State: queue.StateDone, Outcome: queue.Applied, Hop: 3},
		{MsgID: "A-9:CREATED", Fingerprint: "f9"}:      {State: queue.StateDead, Hop: 1},
	}
	d, err := dlq.NewReader(l, known, topic, "g").Show(t.Context(), id)
	if err != nil || !d.Store || d.Row == nil || d.Row.Outcome != queue.Applied || d.Letter.State != dlq.Resolved || d.Partial {
		t.Fatalf("%+v (%v)", d, err)
	}
	if len(d.Related) != 2 || d.Related[0].ID != sooner || d.Related[1].ID != later || d.Related[0].Copies != 2 || d.Related[1].State != dlq.Undecided {
		t.Errorf("related: %+v", d.Related)
	}
}

func TestTheLookAroundALetterIsBounded(t *testing.T) {
	t.Parallel()
	l := &topicLog{parts: map[int32][]queue.Record{}}
	for i := range 30 {
		l.add(0, base(), trail(i, queue.ClassInvalid, 1), "A", "{}")
	}
	d, err := dlq.NewReader(l, nil, topic, "g").Show(t.Context(), dlq.ID{Offset: 29})
	if err != nil || len(d.Related) != 20 || !d.Partial {
		t.Errorf("%d related, partial %v (%v)", len(d.Related), d.Partial, err)
	}
}

func TestALimitedExportIsTheNewest(t *testing.T) {
	t.Parallel()
	l := &topicLog{parts: map[int32][]queue.Record{}}
	for i := range 40 {
		l.add(int32(i%3), base().Add(time.Duration(i)*time.Second), trail(i, queue.ClassInvalid, 1), "A", "{}")
	}
	var got []string
	n, err := dlq.NewReader(l, nil, topic, "g").Export(t.Context(), dlq.Selection{Limit: 4}, func(x dlq.Letter) error {
		got = append(got, x.ID.String())
		return nil
	})
	if err != nil || n != 4 || strings.Join(got, " ") != "0/12 0/13 1/12 2/12" {
		t.Errorf("exported %v (%v)", got, err)
	}
}

// endless is a log of n letters that exist only while they are read.
type endless struct {
	n     int64
	value []byte
}

func (e endless) Bounds(context.Context, string) (map[int32]dlq.Span, error) {
	return map[int32]dlq.Span{0: {End: e.n}}, nil
}

func (e endless) Scan(_ context.Context, _ string, p int32, from, end int64, fn func(queue.Record) error) error {
	for o := from; o < end; o++ {
		hs := trail(int(o), queue.ClassInvalid, 1).Append(nil)
		if err := fn(queue.Record{Topic: topic, Partition: p, Offset: o, Key: []byte("A"), Value: bytes.Clone(e.value), Headers: hs, Time: base()}); err != nil {
			return err
		}
	}
	return nil
}

func TestExportHasFlatMemory(t *testing.T) {
	t.Parallel()
	log := endless{n: 20_000, value: make([]byte, 100_000)} // 2 GB in all
	var peak uint64
	given := 0
	n, err := dlq.NewReader(log, rows{}, topic, "g").Export(t.Context(), dlq.Selection{}, func(dlq.Letter) error {
		if given++; given%2_000 == 0 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapAlloc)
		}
		return nil
	})
	if err != nil || n != 20_000 {
		t.Fatalf("exported %d (%v)", n, err)
	}
	if peak > 128<<20 {
		t.Errorf("%d MB are held of 2 GB", peak>>20)
	}
}

func TestAnExportEndsWhenItsReaderDoes(t *testing.T) {
	t.Parallel()
	closed := errors.New("closed pipe")
	n, err := dlq.NewReader(endless{n: 1_000_000}, nil, topic, "g").Export(t.Context(), dlq.Selection{}, func(dlq.Letter) error { return closed })
	if !errors.Is(err, closed) || n != 0 {
		t.Errorf("exported %d (%v)", n, err)
	}
}

func TestExportedTextIsUTF8AndBytesAreKept(t *testing.T) {
	t.Parallel()
	x := dlq.Letter{Trail: queue.Trail{Message: "a\xff\u00e9", Class: "c\xfe", Code: "\xc3", MsgID: "m\x80"}, Headers: []queue.Header{
		{Name: "n\xff", Value: []byte("\xff")}, {Name: "plain", Value: []byte("v")},
	}}
	raw, err := json.Marshal(x.Exported())
	if err != nil || strings.Contains(string(raw), "\ufffd") || strings.Contains(string(raw), `\ufffd`) {
		t.Fatalf("%s (%v)", raw, err)
	}
	var back struct {
		Message, Class, Code string
		MsgID                string     `json:"msg_id"`
		Headers              [][]string `json:"headers"`
		Names                [][]byte   `json:"header_names_base64"`
	}
	if err := json.Unmarshal(raw, &back); err != nil {
		t.Fatal(err)
	}
	if back.Message != "a\\xff\u00e9" || back.Class != `c\xfe` || back.Code != `\xc3` || back.MsgID != `m\x80` {
		t.Errorf("texts %+v", back)
	}
	if value, _ := base64.StdEncoding.DecodeString(back.Headers[0][1]); string(value) != "\xff" || back.Headers[0][0] != `n\xff` {
		t.Errorf("headers %v", back.Headers)
	}
	if len(back.Names) != 2 || string(back.Names[0]) != "n\xff" || string(back.Names[1]) != "plain" {
		t.Errorf("names %q", back.Names)
	}
	raw, _ = json.Marshal(dlq.Letter{Headers: []queue.Header{{Name: "plain"}}}.Exported())
	if strings.Contains(string(raw), "header_names") || !strings.Contains(string(raw), `"class":null`) || !strings.Contains(string(raw), `"origin":null`) {
		t.Errorf("a plain letter: %s", raw)
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
