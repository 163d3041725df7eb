package dbtest

import (
	"net"
	"sync"
	"testing"
)

// Proxy stands between a client and a server, counts round trips and loses answers.
type Proxy struct {
	listener net.Listener
	target   string
	wg       sync.WaitGroup

	mu     sync.Mutex
	open   map[net.Conn]bool
	trips  int
	lose   bool // the next answer is lost, and the connection with it
	silent bool // nothing comes back any more
}

// StartProxy forwards to a server until the test ends.
func StartProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listener: l, target: target, open: map[net.Conn]bool{}}
	p.wg.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// Addr is where clients connect.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Port is that of Addr.
func (p *Proxy) Port() int { return p.listener.Addr().(*net.TCPAddr).Port }

// Trips returns how often a client has spoken and was answered since it was asked last.
func (p *Proxy) Trips() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.trips
	p.trips = 0
	return n
}

// LoseAnswer makes the next answer disappear, with its connection. The server has done what it was asked for by then.
func (p *Proxy) LoseAnswer() { p.set(true, false) }

// Silence makes the server look dead: nothing comes back, no connection ends.
func (p *Proxy) Silence() { p.set(false, true) }

// Heal ends what LoseAnswer and Silence began.
func (p *Proxy) Heal() { p.set(false, false) }

func (p *Proxy) set(lose, silent bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lose, p.silent = lose, silent
}

// Cut ends all connections.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		_ = c.Close()
	}
}

func (p *Proxy) close() {
	_ = p.listener.Close()
	p.Cut()
	p.wg.Wait()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target) //nolint:noctx // it ends with the listener
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.open[client], p.open[server] = true, true
		p.mu.Unlock()
		x := &exchange{proxy: p, client: client, server: server}
		p.wg.Go(x.ask)
		p.wg.Go(x.answer)
	}
}

// exchange is one connection of a client.
type exchange struct {
	proxy          *Proxy
	client, server net.Conn
	asked          bool // the client spoke last
}

func (x *exchange) ask() {
	defer x.end()
	buf := make([]byte, 1<<16)
	for {
		n, err := x.client.Read(buf)
		if err != nil {
			return
		}
		x.proxy.mu.Lock()
		if !x.asked {
			x.proxy.trips++
		}
		x.asked = true
		x.proxy.mu.Unlock()
		if _, err := x.server.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (x *exchange) answer() {
	defer x.end()
	buf := make([]byte, 1<<16)
	for {
		n, err := x.server.Read(buf)
		if err != nil {
			return
		}
		x.proxy.mu.Lock()
		x.asked = false
		lose, silent := x.proxy.lose, x.proxy.silent
		x.proxy.lose = false
		x.proxy.mu.Unlock()
		if lose {
			return
		}
		if silent {
			continue
		}
		if _, err := x.client.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (x *exchange) end() {
	_, _ = x.client.Close(), x.server.Close()
	x.proxy.mu.Lock()
	defer x.proxy.mu.Unlock()
	delete(x.proxy.open, x.client)
	delete(x.proxy.open, x.server)
}
