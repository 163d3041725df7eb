package serve

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"
)

func loaded(t *testing.T, orders int, bytes int64) *Server {
	t.Helper()
	m, err := newMetrics(prometheus.NewRegistry(), "orders")
	if err != nil {
		t.Fatal(err)
	}
	return &Server{metrics: m, load: newLoad(Limits{InFlight: orders, InFlightBytes: bytes, PerPartition: 3}, 2)}
}

// However many take at once, a limit is never crossed and nobody is turned away while there is room.
func TestALimitIsExactUnderConcurrency(t *testing.T) {
	t.Parallel()
	var n, got atomic.Int64
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			for range 100 {
				if take(&n, 1, 777) {
					got.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if n.Load() != 777 || got.Load() != 777 {
		t.Errorf("%d counted, %d let in, want 777", n.Load(), got.Load())
	}
}

func TestARefusedAdmissionTakesNothing(t *testing.T) {
	t.Parallel()
	s := loaded(t, 2, 100)
	if _, p := s.admit(101); p == nil || p.code != codeOverloaded {
		t.Errorf("more bytes than there are: %+v", p)
	}
	if s.load.orders.Load() != 0 || s.load.bytes.Load() != 0 {
		t.Error("a refused order is counted")
	}
	l, p := s.admit(100)
	if p != nil {
		t.Fatal(p)
	}
	if p := s.more(&l, 2); p == nil || l.orders != 1 {
		t.Errorf("more orders than there are: %+v, %d", p, l.orders)
	}
	l.release()
	l.release()
	if s.load.orders.Load() != 0 || s.load.bytes.Load() != 0 {
		t.Errorf("released twice: %d orders, %d bytes", s.load.orders.Load(), s.load.bytes.Load())
	}
}

// Whatever is taken, split, shrunk and given back in whatever order: the sum is what the leases hold, and at last nothing.
func TestLeasesAddUp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		s := loaded(t, 50, 10_000)
		var open []lease
		rt.Repeat(map[string]func(*rapid.T){
			"admit": func(t *rapid.T) {
				if l, p := s.admit(rapid.Int64Range(0, 3000).Draw(t, "bytes")); p == nil {
					open = append(open, l)
				}
			},
			"more": func(t *rapid.T) {
				if len(open) > 0 {
					_ = s.more(&open[0], rapid.Int64Range(0, 20).Draw(t, "orders"))
				}
			},
			"shrink": func(*rapid.T) {
				if len(open) > 0 {
					open[0].shrink(open[0].bytes / 2)
				}
			},
			"split": func(t *rapid.T) {
				if len(open) > 0 && open[0].orders > 0 {
					open = append(open, open[0].split(rapid.Int64Range(0, 5000).Draw(t, "part")))
				}
			},
			"release": func(*rapid.T) {
				if len(open) > 0 {
					open[0].release()
					open = open[1:]
				}
			},
			"": func(t *rapid.T) {
				var orders, bytes int64
				for _, l := range open {
					orders, bytes = orders+l.orders, bytes+l.bytes
				}
				if s.load.orders.Load() != orders || s.load.bytes.Load() != bytes || orders > 50 || bytes > 10_000 || orders < 0 || bytes < 0 {
					t.Fatalf("counted %d orders, %d bytes; held %d, %d", s.load.orders.Load(), s.load.bytes.Load(), orders, bytes)
				}
			},
		})
		for i := range open {
			open[i].release()
		}
		if s.load.orders.Load() != 0 || s.load.bytes.Load() != 0 {
			rt.Fatalf("left: %d orders, %d bytes", s.load.orders.Load(), s.load.bytes.Load())
		}
	})
}

func TestPermitsArePerPartition(t *testing.T) {
	t.Parallel()
	l := loaded(t, 1, 1).load
	for i := range 4 {
		if got := l.permit(0); got != (i < 3) {
			t.Errorf("permit %d of 3: %v", i+1, got)
		}
	}
	if !l.permit(1) {
		t.Error("a full partition shut another one")
	}
}
