package webhook_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/queue"
)

// raw is a service that reads one request and then does what it likes with the connection.
func raw(t testing.TB, answer func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				r := bufio.NewReader(c)
				for {
					req, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, req.Body)
					answer(c)
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

func write(c net.Conn, s string) error {
	_, err := io.WriteString(c, s)
	return err
}

func TestAHostileOrBrokenService(t *testing.T) {
	t.Parallel()
	drip := func(c net.Conn) {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for range tick.C {
			if write(c, "x") != nil {
				return
			}
		}
	}
	for _, tt := range []struct {
		name   string
		answer func(net.Conn)
		class  queue.Class // "": delivered
		code   string
	}{
		{"says nothing", func(net.Conn) { <-t.Context().Done() }, queue.ClassTimeout, "deadline"},
		{"drips its header", drip, queue.ClassTimeout, "deadline"},
		{"drips the body of a refusal", func(c net.Conn) {
			_ = write(c, "HTTP/1.1 422 No\r\nContent-Length: 100000\r\n\r\n")
			drip(c)
		}, queue.ClassFatal, "422"},
		{"drips the body of a yes", func(c net.Conn) {
			_ = write(c, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
			drip(c)
		}, "", ""},
		{"a yes whose body never ends", func(c net.Conn) {
			_ = write(c, "HTTP/1.1 200 OK\r\n\r\n")
			for block := strings.Repeat("y", 1<<16); write(c, block) == nil; {
				continue
			}
		}, "", ""},
		{"a yes that is cut", func(c net.Conn) {
			_ = write(c, "HTTP/1.1 202 OK\r\nContent-Length: 10\r\n\r\nab")
			_ = c.Close()
		}, "", ""},
		{"resets the connection", func(c net.Conn) {
			_ = c.(*net.TCPConn).SetLinger(0)
			_ = c.Close()
		}, queue.ClassOutage, "connection"},
		{"closes the connection", func(c net.Conn) { _ = c.Close() }, queue.ClassOutage, "connection"},
		{"closes it in the middle of the header", func(c net.Conn) {
			_ = write(c, "HTTP/1.1 200 OK\r\nX: y\r\n")
			_ = c.Close()
		}, queue.ClassOutage, "connection"},
		{"does not speak HTTP", func(c net.Conn) { _ = write(c, "220 mail ESMTP ready\r\n\r\n") }, queue.ClassRetryable, "answer"},
		{"a header of a megabyte", func(c net.Conn) {
			_ = write(c, "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("h", 1<<20)+"\r\n\r\n")
		}, queue.ClassRetryable, "answer"},
		{"goes on continuing for ever", func(c net.Conn) {
			for write(c, "HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n") == nil {
				continue
			}
		}, queue.ClassRetryable, "answer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := options(raw(t, tt.answer))
			o.Timeout = 1500 * time.Millisecond
			begin := time.Now()
			err := client(t, o).Deliver(t.Context(), "m", []byte(`{}`))
			if took := time.Since(begin); took > 4*time.Second {
				t.Errorf("it took %v", took)
			}
			if tt.class == "" {
				if err != nil {
					t.Errorf("it was delivered, yet %v", err)
				}
				return
			}
			if f := failure(t, err); f.Class != tt.class || f.Code != tt.code || len(f.Message) > 1_000 {
				t.Errorf("%s %s, want %s %s (%s)", f.Class, f.Code, tt.class, tt.code, f.Message)
			}
		})
	}
}

// A small answer that grows to hundreds of megabytes stays small.
func TestACompressedBombIsNotUnpacked(t *testing.T) {
	t.Parallel()
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	block := make([]byte, 1<<20)
	for range 200 {
		_, _ = z.Write(block)
	}
	_ = z.Close()
	s := newStub(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = w.Write(bomb.Bytes())
	})
	c := client(t, options(s.URL))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if f := failure(t, c.Deliver(t.Context(), "m", nil)); f.Code != "422" {
		t.Errorf("code %s", f.Code)
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 100<<20 {
		t.Errorf("%d MB were allocated", grown>>20)
	}
}

// Signature and body belong to the service that was named, and to no other.
func TestARedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	other := newStub(t, status(http.StatusOK))
	for _, code := range []int{301, 302, 303, 307, 308} {
		s := newStub(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, code) })
		if f := failure(t, client(t, options(s.URL)).Deliver(t.Context(), "m", []byte(`{}`))); f.Class != queue.ClassOutage {
			t.Errorf("%d: class %s", code, f.Class)
		}
	}
	if n := other.requests(); n != 0 {
		t.Errorf("the second host got %d requests", n)
	}
}

func TestNoConnectionIsAnOutage(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	for name, url := range map[string]string{"refused": "http://" + l.Addr().String(), "no such host": "http://nowhere.invalid/"} {
		if f := failure(t, client(t, options(url+"?token=hidden")).Deliver(t.Context(), "m", nil)); f.Class != queue.ClassOutage || f.Code != "connection" {
			t.Errorf("%s: %s %s", name, f.Class, f.Code)
		} else if strings.Contains(f.Message, "hidden") {
			t.Errorf("%s: the message shows the query: %s", name, f.Message)
		}
	}
}

func TestTheCertificateIsChecked(t *testing.T) {
	t.Parallel()
	s := httptest.NewTLSServer(status(http.StatusOK))
	t.Cleanup(s.Close)
	trusted := x509.NewCertPool()
	trusted.AddCert(s.Certificate())

	o := options(s.URL)
	o.AllowHTTP = false
	if f := failure(t, client(t, o).Deliver(t.Context(), "m", nil)); f.Class != queue.ClassOutage || f.Code != "tls" {
		t.Errorf("an unknown issuer: %s %s", f.Class, f.Code)
	}
	o.Roots = trusted
	if err := client(t, o).Deliver(t.Context(), "m", nil); err != nil {
		t.Errorf("a known issuer: %v", err)
	}
	o.URL = strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
	if f := failure(t, client(t, o).Deliver(t.Context(), "m", nil)); f.Class != queue.ClassOutage || f.Code != "tls" {
		t.Errorf("the certificate of another name: %s %s (%s)", f.Class, f.Code, f.Message)
	}
	plain := newStub(t, status(http.StatusOK))
	o.URL = strings.Replace(plain.URL, "http:", "https:", 1)
	if f := failure(t, client(t, o).Deliver(t.Context(), "m", nil)); f.Class != queue.ClassOutage || f.Code != "tls" {
		t.Errorf("no TLS at all: %s %s (%s)", f.Class, f.Code, f.Message)
	}
	old := httptest.NewUnstartedServer(status(http.StatusOK))
	old.TLS = &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
	old.StartTLS()
	t.Cleanup(old.Close)
	o.URL = old.URL
	if f := failure(t, client(t, o).Deliver(t.Context(), "m", nil)); f.Class != queue.ClassOutage {
		t.Errorf("TLS 1.1: %s %s", f.Class, f.Code)
	}
}

// What is judged is the address that is connected to: whatever a name promised before, and however it is written.
func TestOnlyAllowedAddressesAreConnectedTo(t *testing.T) {
	t.Parallel()
	s := newStub(t, status(http.StatusOK))
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	for _, tt := range []struct {
		name, host string
		allow      []string
		code       string // "": delivered
	}{
		{"loopback", "127.0.0.1", nil, "address"},
		{"a name that leads to loopback", "localhost", nil, "address"},
		{"loopback, mapped into IPv6", "[::ffff:127.0.0.1]", nil, "address"},
		{"loopback of IPv6", "[::1]", nil, "address"},
		{"nothing", "0.0.0.0", nil, "address"},
		{"private", "10.1.2.3", nil, "address"},
		{"private, mapped into IPv6", "[::ffff:192.168.0.1]", nil, "address"},
		{"private behind NAT64", "[64:ff9b::a01:203]", nil, "address"},
		{"metadata of a cloud, link-local", "169.254.169.254", nil, "address"},
		{"link-local of IPv6", "[fe80::1]", nil, "address"},
		{"carrier-grade NAT", "100.64.0.1", nil, "address"},
		{"unique local", "[fd00::1]", nil, "address"},
		{"multicast", "224.0.0.1", nil, "address"},
		{"another network is allowed", "127.0.0.1", []string{"10.0.0.0/8"}, "address"},
		{"it is allowed", "127.0.0.1", loopback, ""},
		{"it is allowed, by a name", "localhost", loopback, ""},
		{"only one host is allowed", "127.0.0.1", []string{"127.0.0.1/32"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := options("http://" + net.JoinHostPort(strings.Trim(tt.host, "[]"), port))
			o.AllowCIDRs = tt.allow
			err := client(t, o).Deliver(t.Context(), "m", nil)
			if tt.code == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if f := failure(t, err); f.Class != queue.ClassOutage || f.Code != tt.code {
				t.Errorf("%s %s (%s)", f.Class, f.Code, f.Message)
			}
		})
	}
}

// A proxy in the environment would see every order, and the guard would judge the proxy.
func TestTheEnvironmentNamesNoProxy(t *testing.T) {
	var asked atomic.Int32
	proxy := newStub(t, func(w http.ResponseWriter, _ *http.Request) { asked.Add(1) })
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"} {
		t.Setenv(name, proxy.URL)
	}
	_ = client(t, options("http://nowhere.invalid/")).Deliver(t.Context(), "m", nil)
	if asked.Load() != 0 {
		t.Error("the proxy was asked")
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 204 No Content\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 503 x\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nno"))
	f.Add([]byte("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 404 \x1b[2J\r\n\r\n"))
	f.Add([]byte("\x16\x03\x01"))
	answer := make(chan []byte, 1)
	o := options(raw(f, func(c net.Conn) {
		_, _ = c.Write(<-answer)
		_ = c.Close()
	}))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := client(t, o)
		select {
		case <-answer:
		default:
		}
		answer <- b
		err := c.Deliver(t.Context(), "m", []byte(`{}`))
		if err == nil {
			if !bytes.Contains(b, []byte(" 2")) {
				t.Fatalf("%q is a yes", b)
			}
			return
		}
		var fail *queue.Failure
		if !errors.As(err, &fail) || fail.Code == "" || fail.RetryAfter < 0 || fail.RetryAfter > time.Hour || len(fail.Message) > 2_000 {
			t.Fatalf("%q: %+v", b, err)
		}
		switch fail.Class {
		case queue.ClassFatal, queue.ClassOutage, queue.ClassRetryable, queue.ClassTimeout:
		default:
			t.Fatalf("%q: class %s", b, fail.Class)
		}
		if strings.ContainsAny(fail.Message, "\x1b\x07\r\n") {
			t.Fatalf("raw control bytes: %q", fail.Message)
		}
	})
}
