package dlq_test

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"commerce.internal/orderctl/internal/dlq"
	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

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
