package dlq_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"commerce.internal/orderctl/internal/dlq"
	"commerce.internal/orderctl/internal/queue"
)

const topic = "orders.g.dlq"

// topicLog is a hand-made Log: records by partition; scanned counts what was read.
type topicLog struct {
	parts   map[int32][]queue.Record
	others  map[string]map[int32][]queue.Record // of other topics: the ledger, sources
	starts  map[string]int64                    // of their logs
	scanned int
	err     error
}

func (l *topicLog) of(name string) (map[int32][]queue.Record, bool) {
	if name == topic {
		return l.parts, true
	}
	parts, ok := l.others[name]
	return parts, ok
}

func (l *topicLog) Bounds(_ context.Context, name string) (map[int32]dlq.Span, error) {
	parts, ok := l.of(name)
	if !ok {
		return nil, fmt.Errorf("topic %s: %w", name, queue.ErrNotFound)
	}
	b := map[int32]dlq.Span{}
	for p, recs := range parts {
		end := int64(0)
		if len(recs) > 0 {
			end = recs[len(recs)-1].Offset + 1
		}
		b[p] = dlq.Span{Start: l.starts[name], End: end}
	}
	return b, l.err
}

func (l *topicLog) Scan(_ context.Context, name string, p int32, from, end int64, fn func(queue.Record) error) error {
	parts, _ := l.of(name)
	if from < l.starts[name] {
		return fmt.Errorf("offset %d of %s is out of range", from, name)
	}
	for _, r := range parts[p] {
		if r.Offset < from || r.Offset >= end {
			continue
		}
		l.scanned++
		if err := fn(r); err != nil {
			return err
		}
	}
	return l.err
}

func (l *topicLog) add(p int32, at time.Time, tr queue.Trail, key, value string) dlq.ID {
	off := int64(len(l.parts[p]))
	l.parts[p] = append(l.parts[p], queue.Record{
		Topic: topic, Partition: p, Offset: off, Key: []byte(key), Value: []byte(value), Time: at,
		Headers: tr.Append([]queue.Header{{Name: "x-user", Value: []byte("\x1b[2J")}}),
	})
	return dlq.ID{Partition: p, Offset: off}
}

// put writes a record to another topic.
func (l *topicLog) put(r queue.Record) {
	if l.others == nil {
		l.others = map[string]map[int32][]queue.Record{}
	}
	if l.others[r.Topic] == nil {
		l.others[r.Topic] = map[int32][]queue.Record{}
	}
	l.others[r.Topic][r.Partition] = append(l.others[r.Topic][r.Partition], r)
}

// rows is a hand-made store.
type rows map[queue.RowKey]queue.Row

func (r rows) Rows(_ context.Context, _ string, keys []queue.RowKey) (map[queue.RowKey]queue.Row, error) {
	found := map[queue.RowKey]queue.Row{}
	for _, k := range keys {
		if row, ok := r[k]; ok {
			found[k] = row
		}
	}
	return found, nil
}

func trail(n int, class queue.Class, hop int) queue.Trail {
	return queue.Trail{
		MsgID: fmt.Sprintf("A-%d:CREATED", n), Fingerprint: fmt.Sprintf("f%d", n), Hop: hop, Class: class, Code: "#/user_id",
		Origin: queue.Position{Topic: "orders", Partition: 0, Offset: int64(n)}, Group: "g", Message: "m",
	}
}

func base() time.Time { return time.UnixMilli(1_764_000_000_000) }

func TestListIsNewestFirstAndReadsNoFurtherThanItMust(t *testing.T) {
	t.Parallel()
	l := &topicLog{parts: map[int32][]queue.Record{}}
	for i := range 20_000 {
		l.add(int32(i%4), base().Add(time.Duration(i)*time.Second), trail(i, queue.ClassInvalid, 1), "A", "{}")
	}
	got, err := dlq.NewReader(l, nil, topic, "g").List(t.Context(), dlq.Selection{Limit: 50})
	if err != nil || len(got) != 50 {
		t.Fatalf("%d letters, %v", len(got), err)
	}
	for i, x := range got {
		if want := base().Add(time.Duration(19_999-i) * time.Second); !x.Time.Equal(want) {
			t.Fatalf("letter %d is of %v, want %v", i, x.Time, want)
		}
		if x.Value != nil || x.Headers != nil {
			t.Fatal("a list holds bodies: its memory is not bounded")
		}
	}
	if l.scanned > 4*600 {
		t.Errorf("read %d of 20,000 records for the newest 50", l.scanned)
	}
}

func TestSelectionIsAndedAndValuesAreOred(t *testing.T) {
	t.Parallel()
	l := &topicLog{parts: map[int32][]queue.Record{}}
	for i, class := range []queue.Class{queue.ClassInvalid, queue.ClassDecode, queue.ClassExhausted, queue.ClassInvalid} {
		l.add(0, base().Add(time.Duration(i)*time.Hour), trail(i, class, 1), fmt.Sprintf("A-%d", i), "{}")
	}
	tests := []struct {
		name string
		sel  dlq.Selection
		want string
	}{
		{"nothing asked: all", dlq.Selection{}, "0/3 0/2 0/1 0/0"},
		{"one class", dlq.Selection{Classes: []string{"invalid"}}, "0/3 0/0"},
		{"two classes", dlq.Selection{Classes: []string{"decode", "exhausted"}}, "0/2 0/1"},
		{"a class and an order", dlq.Selection{Classes: []string{"invalid"}, OrderIDs: []string{"A-0"}}, "0/0"},
		{"a code that none has", dlq.Selection{Codes: []string{"x"}}, ""},
		{"since is inclusive, until is not", dlq.Selection{Since: base().Add(time.Hour), Until: base().Add(3 * time.Hour)}, "0/2 0/1"},
		{"by id", dlq.Selection{IDs: []dlq.ID{{Offset: 1}, {Offset: 2}}}, "0/2 0/1"},
		{"the newest two", dlq.Selection{Limit: 2}, "0/3 0/2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			own := &topicLog{parts: l.parts}
			got, err := dlq.NewReader(own, nil, topic, "g").List(t.Context(), tt.sel)
			if ids := idsOf(got); err != nil || ids != tt.want {
				t.Errorf("listed %q, want %q (%v)", ids, tt.want, err)
			}
			exported := 0
			if _, err := dlq.NewReader(own, nil, topic, "g").Export(t.Context(), tt.sel, func(dlq.Letter) error { exported++; return nil }); err != nil || exported != len(got) {
				t.Errorf("exported %d, listed %d (%v)", exported, len(got), err)
			}
		})
	}
}

func TestTheRowOfAMessageDecidesItsLetter(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		row  *queue.Row
		want dlq.State
	}{
		{"dead at this hop", &queue.Row{State: queue.StateDead, Hop: 4}, dlq.Undecided},
		{"done", &queue.Row{State: queue.StateDone, Hop: 5}, dlq.Resolved},
		{"dead at a higher hop", &queue.Row{State: queue.StateDead, Hop: 6}, dlq.DeadAgain},
		{"on its way at a higher hop", &queue.Row{State: queue.StateRetry, Hop: 5}, dlq.InWork},
		{"parked at a higher hop", &queue.Row{State: queue.StateParked, Hop: 5}, dlq.InWork},
		{"discarded at this hop", &queue.Row{State: queue.StateDiscarded, Hop: 4}, dlq.Discarded},
		{"no row", nil, dlq.Undecided},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := &topicLog{parts: map[int32][]queue.Record{}}
			tr := trail(1, queue.ClassInvalid, 4)
			id := l.add(0, base(), tr, "A", "{}")
			r := rows{}
			if tt.row != nil {
				r[queue.RowKey{MsgID: tr.MsgID, Fingerprint: tr.Fingerprint}] = *tt.row
			}
			got, err := dlq.NewReader(l, r, topic, "g").At(t.Context(), id)
			if err != nil || got.State != tt.want {
				t.Errorf("state %q, want %q (%v)", got.State, tt.want, err)
			}
			list, err := dlq.NewReader(l, r, topic, "g").List(t.Context(), dlq.Selection{States: []dlq.State{dlq.Undecided}})
			if err != nil || (len(list) == 1) != (tt.want == dlq.Undecided) {
				t.Errorf("%d letters are listed as undecided (%v)", len(list), err)
			}
		})
	}
}

func TestCopiesAreOneLetter(t *testing.T) {
	t.Parallel()
	l := &topicLog{parts: map[int32][]queue.Record{}}
	first := l.add(0, base(), trail(1, queue.ClassInvalid, 3), "A", "{}")
	for i := range 400 { // so that copies lie in different chunks of the backward read
		l.add(0, base().Add(time.Second), trail(100+i, queue.ClassInvalid, 1), "B", "{}")
	}
	l.add(0, base().Add(2*time.Second), trail(1, queue.ClassInvalid, 3), "A", "{}")
	l.add(0, base().Add(2*time.Second), trail(1, queue.ClassInvalid, 3), "A", "{}")
	again := l.add(0, base().Add(3*time.Second), trail(1, queue.ClassInvalid, 7), "A", "{}")

	got, err := dlq.NewReader(l, nil, topic, "g").List(t.Context(), dlq.Selection{OrderIDs: []string{"A"}})
	if err != nil || len(got) != 2 {
		t.Fatalf("%d letters of order A, want one with copies and one that died again (%v)", len(got), err)
	}
	if got[0].ID != again || got[0].Copies != 1 {
		t.Errorf("the newer letter is %s x%d", got[0].ID, got[0].Copies)
	}
	if got[1].ID != first || got[1].Copies != 3 {
		t.Errorf("the letter with copies is %s x%d, want %s x3: the lowest id names it", got[1].ID, got[1].Copies, first)
	}
	n, err := dlq.NewReader(l, nil, topic, "g").Export(t.Context(), dlq.Selection{}, func(dlq.Letter) error { return nil })
	if err != nil || n != 402 {
		t.Errorf("exported %d letters, want 402 (%v)", n, err)
	}
}

func TestAHostileTrailIsALetterAllTheSame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom([]string{
			queue.HeaderOriginTopic, queue.HeaderOriginPartition, queue.HeaderOriginOffset, queue.HeaderHop, queue.HeaderClass,
			queue.HeaderAttempts, queue.HeaderMsgID, queue.HeaderNotBefore,
		})
		rec := queue.Record{Topic: topic, Time: base(), Value: rapid.SliceOf(rapid.Byte()).Draw(t, "value")}
		for range rapid.IntRange(0, 10).Draw(t, "n") {
			rec.Headers = append(rec.Headers, queue.Header{Name: name.Draw(t, "name"), Value: rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")})
		}
		l := &topicLog{parts: map[int32][]queue.Record{0: {rec}}}
		d, err := dlq.NewReader(l, rows{}, topic, "g").Show(context.Background(), dlq.ID{})
		if err != nil || len(d.Letter.Exported().Headers) != len(rec.Headers) {
			t.Fatalf("%+v %v", d, err)
		}
	})
}

func TestExportKeepsTheBytes(t *testing.T) {
	t.Parallel()
	l := &topicLog{parts: map[int32][]queue.Record{0: {{Topic: topic, Time: base(), Value: nil, Headers: []queue.Header{{Name: "nil"}, {Name: "empty", Value: []byte{}}}}}}}
	id := l.add(0, base(), trail(1, queue.ClassDecode, 1), "k\xff", "\xff{")
	_, err := dlq.NewReader(l, nil, topic, "g").Export(t.Context(), dlq.Selection{}, func(x dlq.Letter) error {
		e := x.Exported()
		if x.ID == id {
			if string(*e.ValueBase64) != "\xff{" || string(*e.KeyBase64) != "k\xff" || e.Origin == nil || e.Origin.Offset != 1 {
				t.Errorf("exported %+v", e)
			}
			return nil
		}
		if e.ValueBase64 != nil || e.KeyBase64 != nil || e.Origin != nil || e.Headers[0][1] != nil || *e.Headers[1][1] != "" {
			t.Errorf("null and empty are not told apart: %+v", e)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestShowMarksTheLineOfThePointer(t *testing.T) {
	t.Parallel()
	l := &topicLog{parts: map[int32][]queue.Record{}}
	tr := trail(1, queue.ClassInvalid, 1)
	tr.Code = "#/items/1/quantity"
	id := l.add(0, base(), tr, "A", `{"order_id":"A","items":[{"quantity":1},{"quantity":0}]}`)
	l.add(0, base(), trail(9, queue.ClassInvalid, 1), "A", "{}")
	d, err := dlq.NewReader(l, nil, topic, "g").Show(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	var marked []string
	for _, line := range d.Lines {
		if line.Failing {
			marked = append(marked, strings.TrimSpace(line.Text))
		}
	}
	if len(marked) != 1 || marked[0] != `"quantity": 0` {
		t.Errorf("marked %q in %v", marked, d.Lines)
	}
	if len(d.Related) != 1 || d.Related[0].ID.Offset != 1 {
		t.Errorf("related: %v", d.Related)
	}
}

func TestALetterThatIsNotThere(t *testing.T) {
	t.Parallel()
	l := &topicLog{parts: map[int32][]queue.Record{0: nil}}
	for _, id := range []dlq.ID{{Partition: 0, Offset: 0}, {Partition: 9, Offset: 0}} {
		if _, err := dlq.NewReader(l, nil, topic, "g").Show(t.Context(), id); !errors.Is(err, queue.ErrNotFound) {
			t.Errorf("Show(%s): %v", id, err)
		}
	}
	l.err = queue.ErrUnreachable
	if _, err := dlq.NewReader(l, nil, topic, "g").List(t.Context(), dlq.Selection{}); !errors.Is(err, queue.ErrUnreachable) {
		t.Errorf("List: %v", err)
	}
}

func TestParseID(t *testing.T) {
	t.Parallel()
	if id, err := dlq.ParseID("7/31"); err != nil || id != (dlq.ID{Partition: 7, Offset: 31}) {
		t.Errorf("ParseID(7/31) = %v, %v", id, err)
	}
	for _, bad := range []string{"", "7", "7/", "/3", "a/b", "-1/3", "1/-3", "2147483648/1", "1/9223372036854775808", "1/2/3", " 1/2"} {
		if _, err := dlq.ParseID(bad); err == nil {
			t.Errorf("ParseID(%q) is accepted", bad)
		}
	}
}

func idsOf(ls []dlq.Letter) string {
	var ids []string
	for _, l := range ls {
		ids = append(ids, l.ID.String())
	}
	return strings.Join(ids, " ")
}
