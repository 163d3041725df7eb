package admin

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// answering is the other end of a connection: it takes one question and sends back some bytes.
func answering(t *testing.T, answer []byte) (net.Conn, func() []byte) {
	t.Helper()
	ours, theirs := net.Pipe()
	var wg sync.WaitGroup
	var question []byte
	wg.Go(func() {
		defer theirs.Close()
		var size [4]byte
		if _, err := io.ReadFull(theirs, size[:]); err != nil {
			return
		}
		question = make([]byte, binary.BigEndian.Uint32(size[:]))
		if _, err := io.ReadFull(theirs, question); err != nil {
			return
		}
		_, _ = theirs.Write(answer)
	})
	t.Cleanup(func() { _ = ours.Close(); wg.Wait() })
	if err := ours.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return ours, func() []byte { _ = ours.Close(); wg.Wait(); return question }
}

// answer is one of a broker: correlation, code, and for each request its key, oldest and newest version.
func answer(correlation uint32, count uint32, keys ...[3]uint16) []byte {
	b := binary.BigEndian.AppendUint32(nil, correlation)
	b = binary.BigEndian.AppendUint16(b, 0)
	b = binary.BigEndian.AppendUint32(b, count)
	for _, k := range keys {
		for _, n := range k {
			b = binary.BigEndian.AppendUint16(b, n)
		}
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
}

func TestTheOneQuestionBeforeALogin(t *testing.T) {
	t.Parallel()
	conn, question := answering(t, answer(correlation, 2, [3]uint16{keyVersions, 0, 4}, [3]uint16{keyInitProducer, 0, 5}))
	got, err := askVersions(conn)
	if err != nil || len(got) != 2 || got[keyInitProducer] != 5 || got[keyVersions] != 4 {
		t.Errorf("%v, %v", got, err)
	}
	q := question()
	if !bytes.HasPrefix(q, []byte{0, keyVersions, 0, 0}) || !bytes.HasSuffix(q, []byte("\x00\x0forderctl-doctor")) {
		t.Errorf("asked % x", q)
	}
}

func TestWhatIsNoAnswerOfABroker(t *testing.T) {
	t.Parallel()
	size := func(n uint32) []byte {
		return append(binary.BigEndian.AppendUint32(nil, n), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	}
	for name, raw := range map[string][]byte{
		"text":                           []byte("HTTP/1.1 400 Bad Request\r\n\r\n"),
		"an alert of TLS":                {0x15, 3, 3, 0, 2, 2, 0x50, 0, 0, 0, 0, 0},
		"another correlation":            answer(7, 0),
		"a size that is too small":       size(9),
		"a size that is none":            size(0),
		"a size of a gigabyte":           size(1 << 30),
		"a negative size":                size(1<<32 - 1),
		"more requests than it names":    answer(correlation, 3, [3]uint16{18, 0, 4}),
		"a number of requests below 0":   answer(correlation, 1<<32-1, [3]uint16{18, 0, 4}),
		"nothing":                        nil,
		"half of a head":                 {0, 0, 0},
		"half of what the head promises": answer(correlation, 1, [3]uint16{18, 0, 4})[:12],
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, _ := answering(t, raw)
			got, err := askVersions(conn)
			if err == nil || got != nil || !errors.Is(err, errNoKafka) && !closed(err) {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}

func FuzzVersions(f *testing.F) {
	f.Add(answer(correlation, 2, [3]uint16{18, 0, 4}, [3]uint16{22, 0, 5})[8:])
	f.Add(answer(correlation, 1<<32-1)[8:])
	f.Add([]byte{0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) < 6 {
			return // askVersions reads no shorter one
		}
		got, err := versions(raw)
		if err != nil {
			return
		}
		if want := binary.BigEndian.Uint32(raw[2:]); uint32(len(got)) > want || len(raw) < 6+6*int(want) {
			t.Errorf("%d requests in %d bytes", len(got), len(raw))
		}
	})
}
