package broker_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"commerce.internal/orderctl/internal/broker"
)

// frame is a frame of the given size field, whatever the body is.
func frame(size int32, key, version int16, body []byte) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(size))
	out = binary.BigEndian.AppendUint16(out, uint16(key))
	out = binary.BigEndian.AppendUint16(out, uint16(version))
	return append(out, body...)
}

// syncBuffer is a log that many goroutines write.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func TestWhatIsNotKafkaIsCutOff(t *testing.T) {
	t.Parallel()
	var out syncBuffer
	b := open(t, func(o *broker.Options) { o.Log = slog.New(slog.NewTextHandler(&out, nil)) })
	if err := b.CreateTopic("orders", 1, nil); err != nil {
		t.Fatal(err)
	}
	c := client(t, b.Addr())
	put(t, c, "orders", "before", time.Now())
	four := []byte{0, 0, 0, 1}
	tests := []struct {
		name  string
		bytes []byte
	}{
		{"an HTTP request", []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")},
		{"an unknown api key", frame(8, 9999, 0, four)},
		{"an unknown api key, negative", frame(8, -7, 0, four)},
		{"a version of the future", frame(8, int16(kmsg.Produce), 99, four)},
		{"a negative version", frame(8, int16(kmsg.Produce), -1, four)},
		{"a size of -1", frame(-1, 18, 0, four)},
		{"a size of 0", frame(0, 18, 0, four)},
		{"a size of 1", frame(1, 18, 0, four)},
		{"a size of 7", frame(7, 18, 0, four)},
		{"100 MiB and a byte", frame(100<<20+1, 18, 0, four)},
		{"a good frame and then a bad one", append(kmsg.NewRequestFormatter().AppendRequest(nil, kmsg.NewPtrApiVersionsRequest(), 1), frame(8, 9999, 0, four)...)},
	}
	for _, tt := range tests {
		w := dial(t, b.Addr())
		if _, err := w.c.Write(tt.bytes); err != nil {
			t.Fatal(err)
		}
		if !w.gone() {
			t.Errorf("%s: the connection is open after two seconds", tt.name)
		}
	}
	w := dial(t, b.Addr())
	_ = w.c.SetDeadline(time.Now().Add(2 * time.Second))
	if err := tls.Client(w.c, &tls.Config{InsecureSkipVerify: true}).Handshake(); err == nil {
		t.Error("a TLS handshake with a plain listener")
	} else if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("a TLS hello: the connection is open after two seconds")
	}
	if at := put(t, c, "orders", "after", time.Now()); at != 1 {
		t.Errorf("a client of before writes at %d", at)
	}
	if n := strings.Count(out.String(), "does not speak Kafka"); n != 1 {
		t.Errorf("%d warnings of %d strangers in a minute, want 1:\n%s", n, len(tests)+1, out.String())
	}
}

// A client that probes with a version of ApiVersions from the future is told which there are.
func TestAProbeWithTooNewAVersionIsAnswered(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	w := dial(t, b.Addr())
	newest := kmsg.NewPtrApiVersionsRequest()
	newest.SetVersion(newest.MaxVersion())
	raw := kmsg.NewRequestFormatter().AppendRequest(nil, newest, 7)
	binary.BigEndian.PutUint16(raw[6:], 99)
	if _, err := w.c.Write(raw); err != nil {
		t.Fatal(err)
	}
	probe := kmsg.NewPtrApiVersionsRequest() // the answer has version 0
	resp := w.read(probe).(*kmsg.ApiVersionsResponse)
	if resp.ErrorCode != 35 {
		t.Errorf("error code %d, want UNSUPPORTED_VERSION", resp.ErrorCode)
	}
}

func TestRandomFramesDoNotKillTheProcess(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	if err := b.CreateTopic("orders", 1, nil); err != nil {
		t.Fatal(err)
	}
	c := client(t, b.Addr())
	put(t, c, "orders", "before", time.Now())
	rng := rand.New(rand.NewPCG(1, 2))
	for range 5_000 {
		conn, err := net.Dial("tcp", b.Addr())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write(randomFrame(rng))
		_ = conn.SetReadDeadline(time.Now().Add(time.Millisecond))
		_, _ = conn.Read(make([]byte, 64))
		_ = conn.Close()
	}
	if at := put(t, c, "orders", "after", time.Now()); at < 1 {
		t.Errorf("a client of before writes at %d", at)
	}
}

// randomFrame is a well-formed head with a body of noise, or a good request with some bytes changed.
func randomFrame(rng *rand.Rand) []byte {
	key := int16(rng.IntN(100))
	req := kmsg.RequestForKey(key)
	if req == nil || rng.IntN(4) == 0 {
		body := make([]byte, rng.IntN(200)+4)
		for i := range body {
			body[i] = byte(rng.Uint32())
		}
		return frame(int32(len(body)+4), key, int16(rng.IntN(12)), body)
	}
	req.SetVersion(int16(rng.IntN(int(req.MaxVersion()) + 1)))
	out := kmsg.NewRequestFormatter().AppendRequest(nil, req, 3)
	for range rng.IntN(4) {
		if len(out) > 12 {
			out[12+rng.IntN(len(out)-12)] = byte(rng.Uint32())
		}
	}
	return out
}
