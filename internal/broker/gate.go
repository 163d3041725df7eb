package broker

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	minFrame  = 8 // api key, version, correlation id
	maxFrame  = 100 << 20
	apiKeyVer = 4 // bytes of api key and version
	warnEvery = time.Minute
)

var errNotKafka = errors.New("not a Kafka request")

// gate is every listener of the cluster and every connection on them. It lets only frames through that kfake survives:
// kfake dereferences nil at an unknown api key and allocates whatever size it is told.
type gate struct {
	log       *slog.Logger
	ask       string // host:port of the first listener
	advertise string
	tls       *tls.Config

	mu        sync.Mutex
	listeners []*listener
	conns     map[*conn]struct{}
	warnedAt  time.Time
	muted     int // refusals since the last warning
	open      sync.WaitGroup
}

func newGate(log *slog.Logger, addr, advertise string, tc *tls.Config) (*gate, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("broker: Options.Addr %q: %w", addr, err)
	}
	if ip := net.ParseIP(host); advertise == "" && (host == "" || ip != nil && ip.IsUnspecified()) {
		return nil, fmt.Errorf("broker: Options.Advertise is required: nobody can dial %s", addr)
	}
	return &gate{log: log, ask: addr, advertise: advertise, tls: tc, conns: map[*conn]struct{}{}}, nil
}

// listen is how kfake opens a listener. The first one is ours to place; further nodes, in tests, get what kfake asks.
func (g *gate) listen(network, address string) (net.Listener, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	first := len(g.listeners) == 0
	if first {
		address = g.ask
	}
	at, err := net.ResolveTCPAddr(network, address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	inner, err := net.ListenTCP(network, at)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	l := &listener{Listener: inner, gate: g, shown: inner.Addr()}
	if first && g.advertise != "" {
		l.shown = advertised(g.advertise, inner.Addr())
	}
	g.listeners = append(g.listeners, l)
	return l, nil
}

// addr is what clients of the first node dial.
func (g *gate) addr() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.listeners[0].shown.String()
}

// real returns where the nodes really listen.
func (g *gate) real() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var at []string
	for _, l := range g.listeners {
		at = append(at, l.Listener.Addr().String())
	}
	return at
}

// cut closes every connection.
func (g *gate) cut() {
	g.mu.Lock()
	all := make([]*conn, 0, len(g.conns))
	for c := range g.conns {
		all = append(all, c)
	}
	g.mu.Unlock()
	for _, c := range all {
		_ = c.Close()
	}
}

// close closes all listeners and connections and waits until every connection is gone.
func (g *gate) close() error {
	g.mu.Lock()
	listeners := g.listeners
	g.mu.Unlock()
	for _, l := range listeners {
		_ = l.Close() // kfake may have closed it
	}
	g.cut()
	g.open.Wait()
	return nil
}

// refuse says once a minute that somebody speaks another protocol.
func (g *gate) refuse(from net.Addr, why string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if now.Sub(g.warnedAt) < warnEvery {
		g.muted++
		return errNotKafka
	}
	g.log.Warn("refused a connection that does not speak Kafka",
		slog.String("client", from.String()), slog.String("reason", why), slog.Int("unreported", g.muted))
	g.warnedAt, g.muted = now, 0
	return errNotKafka
}

// advertised is the address that kfake tells to clients.
func advertised(name string, real net.Addr) net.Addr {
	if _, _, err := net.SplitHostPort(name); err == nil {
		return named(name)
	}
	_, port, _ := net.SplitHostPort(real.String())
	return named(net.JoinHostPort(name, port))
}

type named string

func (named) Network() string  { return "tcp" }
func (n named) String() string { return string(n) }

type listener struct {
	net.Listener
	gate  *gate
	shown net.Addr
}

// Addr returns the advertised address.
func (l *listener) Addr() net.Addr { return l.shown }

// Accept ends TLS, which kfake would wrap around the gate, and sets the gate before the connection.
func (l *listener) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if l.gate.tls != nil {
		inner = tls.Server(inner, l.gate.tls)
	}
	c := &conn{Conn: inner, gate: l.gate}
	l.gate.mu.Lock()
	defer l.gate.mu.Unlock()
	l.gate.open.Add(1)
	l.gate.conns[c] = struct{}{}
	return c, nil
}

// conn reads the head of each frame before kfake sees it. Only one goroutine reads at a time.
type conn struct {
	net.Conn
	gate *gate
	head [4 + apiKeyVer]byte
	held []byte // of head, not yet handed on
	left int    // of the frame, not yet read
	once sync.Once
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	if len(c.held) == 0 && c.left == 0 {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	if len(c.held) > 0 {
		n := copy(p, c.held)
		c.held = c.held[n:]
		return n, nil
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

// next reads and judges the head of the next frame.
func (c *conn) next() error {
	if _, err := io.ReadFull(c.Conn, c.head[:4]); err != nil {
		return err
	}
	size := int32(binary.BigEndian.Uint32(c.head[:4])) //nolint:gosec // the sign is what is judged
	if size < minFrame || size > maxFrame {
		return c.gate.refuse(c.RemoteAddr(), "frame of "+fmt.Sprint(size)+" bytes")
	}
	if _, err := io.ReadFull(c.Conn, c.head[4:]); err != nil {
		return err
	}
	key := int16(binary.BigEndian.Uint16(c.head[4:6]))     //nolint:gosec // signed on the wire
	version := int16(binary.BigEndian.Uint16(c.head[6:8])) //nolint:gosec // signed on the wire
	if why := unknownRequest(key, version); why != "" {
		return c.gate.refuse(c.RemoteAddr(), why)
	}
	c.held, c.left = c.head[:], int(size)-apiKeyVer
	return nil
}

// unknownRequest says why kfake must not see a request. Clients probe with versions of ApiVersions that the broker does
// not know, and are answered.
func unknownRequest(key, version int16) string {
	req := kmsg.RequestForKey(key)
	switch {
	case req == nil:
		return fmt.Sprintf("api key %d", key)
	case version < 0, version > req.MaxVersion() && kmsg.Key(key) != kmsg.ApiVersions:
		return fmt.Sprintf("version %d of api key %d", version, key)
	}
	return ""
}

// Close implements net.Conn; kfake closes twice.
func (c *conn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		err = c.Conn.Close()
		c.gate.mu.Lock()
		delete(c.gate.conns, c)
		c.gate.mu.Unlock()
		c.gate.open.Done()
	})
	return err
}
