package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/net/netutil"
	"golang.org/x/sync/errgroup"

	"commerce.internal/orderctl/internal/obs"
)

// Run serves until ctx ends, then leaves in steps: not ready but serving on, so that balancers notice; then new orders are
// refused while those under way are answered. When Run is back no handler runs; the publisher may still hold orders whose
// clients were told 504, so close it afterwards.
func (s *Server) Run(ctx context.Context, ln net.Listener) error {
	// Requests outlive ctx: it ends when the drain begins, they when they are answered.
	base := context.WithoutCancel(ctx)
	var running handlers
	srv := &http.Server{
		Handler:           running.watch(s.engine),
		ReadHeaderTimeout: s.o.Timeouts.ReadHeader, ReadTimeout: s.o.Timeouts.Read,
		WriteTimeout: s.o.Timeouts.Write, IdleTimeout: s.o.Timeouts.Idle,
		MaxHeaderBytes: s.o.Limits.Header,
		ErrorLog:       slog.NewLogLogger(s.o.Log.Handler(), slog.LevelDebug),
		BaseContext:    func(net.Listener) context.Context { return base },
	}
	g, ended := errgroup.WithContext(ctx)
	g.Go(func() error {
		if err := srv.Serve(netutil.LimitListener(ln, s.o.Limits.Connections)); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve %s: %w", ln.Addr(), err)
		}
		return nil
	})
	if s.cluster != nil {
		g.Go(func() error {
			s.cluster.run(ended)
			return nil
		})
	}
	g.Go(func() error {
		<-ended.Done()
		delay := s.o.Drain.Delay
		if ctx.Err() == nil { // the listener failed: nobody can be served on
			delay = 0
		}
		return s.leave(base, srv, delay)
	})
	err := g.Wait()
	running.wg.Wait() // of a drain that was cut off
	return err
}

// handlers counts the handlers that run: a server that was closed does not wait for them.
type handlers struct{ wg sync.WaitGroup }

func (h *handlers) watch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.wg.Add(1)
		defer h.wg.Done()
		next.ServeHTTP(w, r)
	})
}

// leave is the drain, each step bounded.
func (s *Server) leave(ctx context.Context, srv *http.Server, delay time.Duration) error {
	s.stop(leaving)
	s.o.Log.InfoContext(ctx, "draining", slog.Int(obs.KeyCount, s.InFlight()))
	timer := time.NewTimer(delay)
	defer timer.Stop()
	<-timer.C // a second signal ends the process; nothing else cuts this short
	s.stop(draining)
	end, cancel := context.WithTimeout(ctx, s.o.Drain.HTTP)
	defer cancel()
	if err := srv.Shutdown(end); err != nil {
		s.o.Log.WarnContext(ctx, "requests cut off by the end of the drain", slog.Any(obs.KeyError, err))
		close(s.cut)
		return srv.Close()
	}
	return nil
}

// stop moves to a later phase.
func (s *Server) stop(to phase) {
	if s.phase.Swap(int32(to)) == int32(serving) {
		s.left.Store(time.Now().UnixMilli())
	}
	if to == draining {
		s.stopOnce.Do(func() { close(s.drained) })
	}
}

// Draining is closed when new orders are refused: the moment for an embedded worker to begin its own drain.
func (s *Server) Draining() <-chan struct{} { return s.drained }
