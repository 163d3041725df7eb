package ops

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
	"golang.org/x/sync/errgroup"
)

// Limits of the admin listener. A profile may take a minute, so the write timeout is generous.
const (
	readTimeout     = 5 * time.Second
	writeTimeout    = 2 * time.Minute
	idleTimeout     = time.Minute
	shutdownTimeout = 2 * time.Second
	maxHeader       = 16 << 10
	maxConns        = 256
)

// Run serves the admin listener until ctx ends. It stays up while the other parts drain, so end its ctx last. A requested
// revert of the log level that is still due is forgotten.
func (p *Ops) Run(ctx context.Context, ln net.Listener) error {
	defer p.level.stop()
	srv := &http.Server{
		Handler:           p.Admin(loopback(ln.Addr())),
		ReadHeaderTimeout: readTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader,
		ErrorLog:       slog.NewLogLogger(p.o.Log.Handler(), slog.LevelDebug),
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		if err := srv.Serve(netutil.LimitListener(ln, maxConns)); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve admin listener %s: %w", ln.Addr(), err)
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		// The context has ended, the answers under way have not.
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		if srv.Shutdown(end) != nil {
			return srv.Close() // a profile or a slow reader: nothing is lost
		}
		return nil
	})
	return g.Wait()
}

// loopback reports whether a listener can be reached from this host alone.
func loopback(a net.Addr) bool {
	switch a := a.(type) {
	case *net.TCPAddr:
		return a.IP.IsLoopback()
	case *net.UnixAddr:
		return true
	}
	return false
}
