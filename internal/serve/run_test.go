package serve_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/obs"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/serve"
)

// site is a server on a listener.
type site struct {
	*world
	addr   string
	client *http.Client
	stop   context.CancelFunc
	ended  chan error
}

func startSite(t *testing.T, change ...func(*serve.Options)) *site {
	t.Helper()
	s := &site{world: newWorld(t, change...), client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 50}}, ended: make(chan error, 1)}
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = ln.Addr().String()
	var ctx context.Context
	ctx, s.stop = context.WithCancel(context.WithoutCancel(t.Context()))
	var wg sync.WaitGroup
	wg.Go(func() { s.ended <- s.srv.Run(ctx, ln) })
	t.Cleanup(func() {
		s.stop()
		s.client.CloseIdleConnections()
		wg.Wait()
	})
	return s
}

// call sends one request and returns the answer; an error is a request without one.
func (s *site) call(body string) (answer, error) {
	r, err := http.NewRequest(http.MethodPost, "http://"+s.addr+"/orders", strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := s.client.Do(r)
	if err != nil {
		return answer{}, err
	}
	return read(s.t, res), nil
}

func (s *site) waitEnd(within time.Duration) {
	s.t.Helper()
	select {
	case err := <-s.ended:
		if err != nil {
			s.t.Errorf("Run: %v", err)
		}
	case <-time.After(within):
		s.t.Fatalf("Run is not back after %v", within)
	}
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never happened: %s", what)
		}
	}
}

func ready(t *testing.T, s *site) bool { return check(t, s.world, "draining").Status == obs.Pass }

// A balancer that watches readiness loses no request when the server is told to stop under load.
func TestNoRequestFailsInADrain(t *testing.T) {
	t.Parallel()
	for range 20 {
		s := startSite(t, func(o *serve.Options) { o.Drain.Delay = 50 * time.Millisecond })
		s.pub.set(func(n int, m queue.Message, d done) error {
			time.AfterFunc(time.Millisecond, func() { d(ack(m, int64(n)), nil) })
			return nil
		})
		var failed, ok atomic.Int64
		var clients sync.WaitGroup
		for range 8 {
			clients.Go(func() {
				for ready(t, s) {
					if a, err := s.call(good); err != nil || a.code != 202 {
						failed.Add(1)
						t.Errorf("%v %d %s", err, a.code, a.raw)
						return
					}
					ok.Add(1)
				}
			})
		}
		eventually(t, "load", func() bool { return ok.Load() > 20 })
		s.stop()
		clients.Wait()
		s.waitEnd(10 * time.Second)
		s.unused()
		if failed.Load() > 0 {
			return
		}
	}
}

func TestTheStepsOfADrain(t *testing.T) {
	t.Parallel()
	var ends held
	s := startSite(t, func(o *serve.Options) { o.Drain.Delay = 200 * time.Millisecond })
	s.pub.set(ends.script)
	slow := make(chan answer, 1)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		a, err := s.call(good)
		if err != nil {
			t.Error(err)
		}
		slow <- a
	})
	eventually(t, "the order is under way", func() bool { return len(s.pub.messages()) == 1 })
	s.pub.set(nil)
	s.stop()
	eventually(t, "not ready", func() bool { return !ready(t, s) })
	select {
	case <-s.srv.Draining():
		t.Error("new orders are refused before the delay is over")
	default:
	}
	a, err := s.call(goodOrder("B-1"))
	if err != nil || a.code != 202 || !a.closed {
		t.Errorf("while leaving: %v %d, connection kept: %v", err, a.code, !a.closed)
	}
	<-s.srv.Draining()
	if a := s.post(good); a.code != 503 || a.str("code") != "draining" || a.str("outcome") != "not_sent" {
		t.Errorf("while draining: %d %s", a.code, a.raw)
	}
	ends.end(0)
	if a := <-slow; a.code != 202 {
		t.Errorf("the order under way: %d %s", a.code, a.raw)
	}
	s.waitEnd(5 * time.Second)
}

func TestADrainIsBounded(t *testing.T) {
	t.Parallel()
	s := startSite(t, func(o *serve.Options) { o.Drain.HTTP, o.Timeouts.Publish = 100*time.Millisecond, 2*time.Second })
	var ends held
	s.pub.set(ends.script)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { _, _ = s.call(good) }) // cut off, or told 504
	eventually(t, "the order is under way", func() bool { return len(s.pub.messages()) == 1 })
	began := time.Now()
	s.stop()
	s.waitEnd(5 * time.Second)
	if took := time.Since(began); took > 1500*time.Millisecond {
		t.Errorf("the drain took %v", took)
	}
	if len(s.lines("requests cut off by the end of the drain")) != 1 {
		t.Error("nothing says that requests were cut off")
	}
}

func TestAListenerThatFailsEndsRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *serve.Options) { o.Drain.Delay = time.Hour })
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if err := w.srv.Run(t.Context(), ln); err == nil || !strings.Contains(err.Error(), "serve 127.0.0.1:") {
		t.Errorf("Run = %v", err)
	}
}

// Clients that are slow on purpose are cut off, and others are answered meanwhile.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	const limit = 300 * time.Millisecond
	s := startSite(t, func(o *serve.Options) {
		o.Timeouts.ReadHeader, o.Timeouts.Read, o.Timeouts.Write, o.Timeouts.Idle = limit, limit, 2*limit, limit
		o.Ops = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "alive") })
	})
	head := "POST /orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	for name, tt := range map[string]struct{ send, want string }{
		"a header that never ends": {"GET /orders/A HTTP/1.1\r\nHost: x\r\nX-A: ", ""},
		"a body that never ends":   {head + "Content-Length: 400\r\n\r\n{", "HTTP/1.1 408 "},
		"chunks that never end":    {head + "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", "HTTP/1.1 408 "},
		"a connection left alone":  {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := dial(t, s.addr)
			began := time.Now()
			fmt.Fprint(c, tt.send)
			got, err := io.ReadAll(c)
			if took := time.Since(began); err != nil || took > limit+2*time.Second {
				t.Errorf("cut off after %v, %v", took, err)
			}
			if !strings.HasPrefix(string(got), tt.want) || tt.want != "" && !strings.Contains(string(got), "body-read-timeout") {
				t.Errorf("answer %q, want %q", got, tt.want)
			}
		})
	}
	if n := len(s.pub.messages()); n != 0 {
		t.Errorf("%d records", n)
	}
	res, err := s.client.Get("http://" + s.addr + "/livez")
	if err != nil || read(t, res).raw != "alive" {
		t.Errorf("/livez: %v", err)
	}
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestHostileRequests(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	head := "POST /orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	for name, tt := range map[string]struct {
		send string
		code int
	}{
		"a length and chunks":       {head + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		"two lengths":               {head + "Content-Length: 3\r\nContent-Length: 4\r\n\r\n{}{}", 400},
		"1 MB of header":            {head + "X-A: " + strings.Repeat("a", 1<<20) + "\r\n\r\n", 431},
		"a trace":                   {"TRACE /orders HTTP/1.1\r\nHost: x\r\n\r\n", 405},
		"two slashes":               {"POST //orders HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 404},
		"longer than allowed":       {head + "Content-Length: 99999999\r\n\r\n", 413},
		"asked first, and too long": {head + "Expect: 100-continue\r\nContent-Length: 99999999\r\n\r\n", 413},
		"10 MB of chunks":           {head + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("10000\r\n"+strings.Repeat("a", 1<<16)+"\r\n", 160), 413},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := dial(t, s.addr)
			var wg sync.WaitGroup
			defer wg.Wait()
			wg.Go(func() { _, _ = io.WriteString(c, tt.send) }) // the server may stop reading
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if res.StatusCode != tt.code {
				t.Errorf("%d, want %d", res.StatusCode, tt.code)
			}
			c.Close()
		})
	}
}

func TestAClientThatLeavesMidwaySendsNothing(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	c := dial(t, s.addr)
	fmt.Fprintf(c, "POST /orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(good)+1, good)
	c.Close()
	eventually(t, "the request has ended", func() bool { return len(s.lines("order rejected")) == 1 })
	if n := len(s.pub.messages()); n != 0 {
		t.Errorf("%d records of a body that never came whole", n)
	}
}

// A client that leaves after its order was handed over does not stop the publication.
func TestAClientThatLeavesLaterHasItsOrderPublished(t *testing.T) {
	t.Parallel()
	var ends held
	s := startSite(t)
	s.pub.set(ends.script)
	c := dial(t, s.addr)
	fmt.Fprintf(c, "POST /orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(good), good)
	eventually(t, "the order is under way", func() bool { return len(s.pub.messages()) == 1 })
	c.Close()
	ends.end(0)
	eventually(t, "the outcome is logged", func() bool { return len(s.lines("order accepted")) == 1 })
	eventually(t, "nothing is counted", func() bool { return s.srv.InFlight() == 0 })
}

func TestConnectionsAreLimited(t *testing.T) {
	t.Parallel()
	s := startSite(t, func(o *serve.Options) { o.Limits.Connections = 2 })
	request := "GET /orders/A HTTP/1.1\r\nHost: x\r\n\r\n"
	first := dial(t, s.addr)
	dial(t, s.addr)
	fmt.Fprint(first, request)
	if code := status(t, first); code != 404 {
		t.Fatalf("%d", code)
	}
	third := dial(t, s.addr)
	fmt.Fprint(third, request)
	if err := third.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := third.Read(make([]byte, 1)); err == nil {
		t.Error("a third connection was served beside two")
	}
	first.Close()
	if err := third.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if code := status(t, third); code != 404 {
		t.Errorf("after one has left: %d", code)
	}
}

// status reads the status of one answer.
func status(t *testing.T, c net.Conn) int {
	t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode
}

// A client that reads its answer at a crawl holds a connection, not a server.
func TestASlowReaderIsLetGo(t *testing.T) {
	t.Parallel()
	const limit = 300 * time.Millisecond
	s := startSite(t, func(o *serve.Options) {
		o.Timeouts.Write, o.Timeouts.Read = limit, limit
		o.Ops = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			chunk := make([]byte, 1<<20)
			for range 64 { // more than the sockets hold
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		})
	})
	c := dial(t, s.addr)
	fmt.Fprint(c, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
	eventually(t, "the request has begun", func() bool { return s.metric("http_server_active_requests") == 1 })
	eventually(t, "the request has ended", func() bool { return s.metric("http_server_active_requests") == 0 })
	if a, err := s.call(good); err != nil || a.code != 202 {
		t.Errorf("another client meanwhile: %v %d", err, a.code)
	}
}

// A refused order leaves the connection usable, unless its body is not worth reading.
func TestConnectionsSurviveRefusals(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	c := dial(t, s.addr)
	in := bufio.NewReader(c)
	for i, tt := range []struct{ content, body string }{
		{"text/xml", good},
		{"application/json", "{"},
		{"application/json", "[]"},
		{"application/json", good},
	} {
		fmt.Fprintf(c, "POST /orders HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", tt.content, len(tt.body), tt.body)
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		if a := read(t, res); a.closed || a.code != []int{415, 400, 422, 202}[i] {
			t.Errorf("request %d: %d, closed %v", i, a.code, a.closed)
		}
	}
}
