package dlq_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/dlq"
	"commerce.internal/orderctl/internal/queue"
)

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
