package broker_test

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// wire is one connection that speaks the protocol by hand.
type wire struct {
	t *testing.T
	c net.Conn
}

func dial(t *testing.T, addr string) *wire {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return &wire{t: t, c: c}
}

func (w *wire) send(req kmsg.Request) {
	w.t.Helper()
	if _, err := w.c.Write(kmsg.NewRequestFormatter().AppendRequest(nil, req, 7)); err != nil {
		w.t.Fatal(err)
	}
}

// read reads the answer to a request.
func (w *wire) read(req kmsg.Request) kmsg.Response {
	w.t.Helper()
	head := make([]byte, 4)
	if _, err := io.ReadFull(w.c, head); err != nil {
		w.t.Fatalf("no answer to request %d: %v", req.Key(), err)
	}
	body := make([]byte, binary.BigEndian.Uint32(head))
	if _, err := io.ReadFull(w.c, body); err != nil {
		w.t.Fatal(err)
	}
	body = body[4:]
	resp := req.ResponseKind()
	resp.SetVersion(req.GetVersion())
	if resp.IsFlexible() && kmsg.Key(req.Key()) != kmsg.ApiVersions {
		body = body[1:]
	}
	if err := resp.ReadFrom(body); err != nil {
		w.t.Fatal(err)
	}
	return resp
}

func (w *wire) ask(req kmsg.Request) kmsg.Response {
	w.t.Helper()
	w.send(req)
	return w.read(req)
}

// gone reports whether the other side closes the connection within two seconds.
func (w *wire) gone() bool {
	_ = w.c.SetReadDeadline(time.Now().Add(2 * time.Second))
	_, err := io.Copy(io.Discard, w.c)
	return !errors.Is(err, os.ErrDeadlineExceeded)
}
