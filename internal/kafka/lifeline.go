package kafka

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// lifeline opens the connections of one client and can cut them all. sarama takes no context: what waits for an answer
// ends only with its connection.
type lifeline struct {
	dial func(network, addr string) (net.Conn, error)
	stop context.CancelFunc

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	isCut bool
}

// newLifeline returns a lifeline that outlives ctx: the connections end with cut alone.
func newLifeline(ctx context.Context, timeout time.Duration) *lifeline {
	// The client lives on after the call that made it has ended.
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	dialer := &net.Dialer{Timeout: timeout}
	return &lifeline{
		stop:  stop,
		conns: map[net.Conn]struct{}{},
		dial:  func(network, addr string) (net.Conn, error) { return dialer.DialContext(ctx, network, addr) },
	}
}

// Dial implements the dialer that sarama asks for.
func (l *lifeline) Dial(network, addr string) (net.Conn, error) {
	conn, err := l.dial(network, addr)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isCut {
		_ = conn.Close()
		return nil, fmt.Errorf("dial %s: %w", addr, net.ErrClosed)
	}
	l.prune()
	l.conns[conn] = struct{}{}
	return conn, nil
}

// prune forgets connections that sarama has closed. sarama looks for *net.TCPConn, so they cannot be wrapped to be told.
func (l *lifeline) prune() {
	for conn := range l.conns {
		tcp, ok := conn.(*net.TCPConn)
		if !ok {
			continue
		}
		raw, err := tcp.SyscallConn()
		if err == nil {
			err = raw.Control(func(uintptr) {})
		}
		if err != nil {
			delete(l.conns, conn)
		}
	}
}

// cut closes all connections and refuses new ones.
func (l *lifeline) cut() {
	l.stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isCut = true
	for conn := range l.conns {
		_ = conn.Close()
	}
	clear(l.conns)
}

// wait gives sarama the pause between two attempts: none once the line is cut, for then there is nothing to wait for.
func (l *lifeline) wait(pause time.Duration) func(int, int) time.Duration {
	return func(int, int) time.Duration {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.isCut {
			return 0
		}
		return pause
	}
}
