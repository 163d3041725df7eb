package dlq_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"

	"commerce.internal/orderctl/internal/dlq"
	"commerce.internal/orderctl/internal/queue"
)

// pointTo adds a letter of ours without a value that points to a source record.
func (l *topicLog) pointTo(n int, key, digest string) dlq.ID {
	tr := trail(n, queue.ClassInvalid, 1)
	tr.Pointer = digest
	id := l.add(0, base(), tr, key, "")
	l.parts[0][id.Offset].Value = nil
	return id
}

// pointKIP adds one of Kafka 4.4: neither key nor value.
func (l *topicLog) pointKIP(n int) dlq.ID {
	id := l.add(0, base(), queue.Trail{}, "", "")
	rec := &l.parts[0][id.Offset]
	rec.Key, rec.Value = nil, nil
	rec.Headers = []queue.Header{
		text("__dlq.errors.topic", "orders"), text("__dlq.errors.partition", "0"), text("__dlq.errors.offset", fmt.Sprint(n)), text("__dlq.errors.group", "g"),
	}
	return id
}

func sum(value string) string {
	s := sha256.Sum256([]byte(value))
	return hex.EncodeToString(s[:])
}

// sources is a source topic of which offsets 0 to 2 are deleted and 5 is compacted away.
func sources(l *topicLog) {
	l.starts = map[string]int64{"orders": 3}
	for _, off := range []int64{3, 4, 6, 700} {
		l.put(queue.Record{Topic: "orders", Offset: off, Key: fmt.Appendf(nil, "K-%d", off), Value: fmt.Appendf(nil, `{"order_id":"K-%d"}`, off), Time: base()})
	}
}

func TestPointersAreFollowed(t *testing.T) {
	t.Parallel()
	value := func(n int) string { return fmt.Sprintf(`{"order_id":"K-%d"}`, n) }
	tests := []struct {
		name string
		add  func(*topicLog) dlq.ID
		want dlq.State
		body string
	}{
		{"ours, still there", func(l *topicLog) dlq.ID { return l.pointTo(4, "K-4", sum(value(4))) }, dlq.Undecided, value(4)},
		{"ours, the first that is left", func(l *topicLog) dlq.ID { return l.pointTo(3, "K-3", sum(value(3))) }, dlq.Undecided, value(3)},
		{"ours, far away", func(l *topicLog) dlq.ID { return l.pointTo(700, "K-700", sum(value(700))) }, dlq.Undecided, value(700)},
		{"deleted by retention", func(l *topicLog) dlq.ID { return l.pointTo(1, "K-1", sum(value(1))) }, dlq.Lost, ""},
		{"compacted away", func(l *topicLog) dlq.ID { return l.pointTo(5, "K-5", sum(value(5))) }, dlq.Lost, ""},
		{"behind the end", func(l *topicLog) dlq.ID { return l.pointTo(701, "K-701", sum(value(701))) }, dlq.Lost, ""},
		{"another key", func(l *topicLog) dlq.ID { return l.pointTo(4, "K-9", sum(value(4))) }, dlq.Lost, ""},
		{"other bytes: the topic was made anew", func(l *topicLog) dlq.ID { return l.pointTo(4, "K-4", sum("x")) }, dlq.Lost, ""},
		{"no digest", func(l *topicLog) dlq.ID { return l.pointTo(4, "K-4", "nonsense") }, dlq.Lost, ""},
		{"a range that nobody can read is no pointer", func(l *topicLog) dlq.ID { return l.pointTo(4, "K-4", "4-9") }, dlq.Undecided, ""},
		{"KIP-1191, still there", func(l *topicLog) dlq.ID { return l.pointKIP(6) }, dlq.Undecided, value(6)},
		{"KIP-1191, gone", func(l *topicLog) dlq.ID { return l.pointKIP(2) }, dlq.Lost, ""},
		{"an origin that does not tell", func(l *topicLog) dlq.ID {
			id := l.pointKIP(6)
			l.parts[0][id.Offset].Headers = l.parts[0][id.Offset].Headers[:2]
			return id
		}, dlq.Lost, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := &topicLog{parts: map[int32][]queue.Record{}}
			sources(l)
			id := tt.add(l)
			r := dlq.NewReader(l, nil, topic, "g")
			got, err := r.At(t.Context(), id)
			if err != nil || got.State != tt.want || string(got.Value) != tt.body || got.Lost != (tt.want == dlq.Lost) {
				t.Errorf("state %q, lost %v, value %q (%v)", got.State, got.Lost, got.Value, err)
			}
			n := 0
			err = r.Select(t.Context(), dlq.Selection{States: []dlq.State{tt.want}}, func(x dlq.Letter) error {
				n++
				if string(x.Value) != tt.body {
					t.Errorf("selected with value %q", x.Value)
				}
				return nil
			})
			list, err2 := r.List(t.Context(), dlq.Selection{States: []dlq.State{tt.want}})
			if err != nil || err2 != nil || n != 1 || len(list) != 1 || list[0].Value != nil {
				t.Errorf("selected %d, listed %d (%v, %v)", n, len(list), err, err2)
			}
		})
	}
}

func TestManyPointersAreReadTogether(t *testing.T) {
	t.Parallel()
	l := &topicLog{parts: map[int32][]queue.Record{}}
	for i := range 1000 {
		l.put(queue.Record{Topic: "orders", Offset: int64(i), Key: []byte("k"), Value: fmt.Appendf(nil, "v%d", i)})
		l.pointKIP(i)
	}
	scans := 0
	r := dlq.NewReader(counting{l, &scans}, nil, topic, "")
	n, err := r.Export(t.Context(), dlq.Selection{}, func(x dlq.Letter) error {
		if want := fmt.Sprintf("v%d", x.ID.Offset); string(x.Value) != want {
			t.Errorf("letter %s has %q, want %q", x.ID, x.Value, want)
		}
		return nil
	})
	if err != nil || n != 1000 || scans > 10 {
		t.Errorf("%d letters by %d scans (%v)", n, scans, err)
	}
}

func TestASourceThatCannotBeReadIsAnErrorNotALoss(t *testing.T) {
	t.Parallel()
	l := &topicLog{parts: map[int32][]queue.Record{}}
	id := l.pointKIP(0)
	down := errors.New("no broker")
	if _, err := dlq.NewReader(deaf{l, down}, nil, topic, "").At(t.Context(), id); !errors.Is(err, down) {
		t.Errorf("%v, want %v", err, down)
	}
}

func TestShowComparesALetterWithItsSource(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		add  func(*topicLog) dlq.ID
		want dlq.Source
	}{
		{"the same", func(l *topicLog) dlq.ID { return l.add(0, base(), trail(4, "invalid", 1), "K-4", `{"order_id":"K-4"}`) }, dlq.SourceSame},
		{"edited", func(l *topicLog) dlq.ID { return l.add(0, base(), trail(4, "invalid", 1), "K-4", `{}`) }, dlq.SourceChanged},
		{"another key", func(l *topicLog) dlq.ID { return l.add(0, base(), trail(4, "invalid", 1), "X", `{"order_id":"K-4"}`) }, dlq.SourceChanged},
		{"compacted away", func(l *topicLog) dlq.ID { return l.add(0, base(), trail(5, "invalid", 1), "K-5", `{}`) }, dlq.SourceGone},
		{"deleted", func(l *topicLog) dlq.ID { return l.add(0, base(), trail(0, "invalid", 1), "K-0", `{}`) }, dlq.SourceGone},
		{"no origin", func(l *topicLog) dlq.ID { return l.add(0, base(), queue.Trail{}, "K-4", `{}`) }, dlq.SourceUnknown},
		{"a pointer that leads there", func(l *topicLog) dlq.ID { return l.pointTo(4, "K-4", sum(`{"order_id":"K-4"}`)) }, dlq.SourceSame},
		{"a pointer to what is another record now", func(l *topicLog) dlq.ID { return l.pointTo(4, "K-4", sum(`x`)) }, dlq.SourceChanged},
		{"a pointer to nothing", func(l *topicLog) dlq.ID { return l.pointKIP(5) }, dlq.SourceGone},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := &topicLog{parts: map[int32][]queue.Record{}}
			sources(l)
			d, err := dlq.NewReader(l, nil, topic, "g").Show(t.Context(), tt.add(l))
			if err != nil || d.Source != tt.want {
				t.Errorf("source %q (%v), want %q", d.Source, err, tt.want)
			}
		})
	}
	l := &topicLog{parts: map[int32][]queue.Record{}}
	id := l.add(0, base(), trail(4, "invalid", 1), "K-4", `{}`)
	d, err := dlq.NewReader(deaf{l, queue.ErrDenied}, nil, topic, "g").Show(t.Context(), id)
	if err != nil || d.Source != dlq.SourceUnknown {
		t.Errorf("a source that may not be read: %q (%v)", d.Source, err)
	}
}
