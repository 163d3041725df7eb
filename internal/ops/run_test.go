package ops_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"commerce.internal/orderctl/internal/obs"
	"commerce.internal/orderctl/internal/ops"
)

// A profile under way and a client that says nothing do not hold up the end of the process.
func TestTheEndDoesNotWaitForSlowAskers(t *testing.T) {
	t.Parallel()
	d := newDesk(t, full)
	d.ops.Started()
	entered := make(chan struct{})
	d.ops.Add(obs.Check{Name: "slow", Probes: obs.Live, Report: func() obs.Health {
		close(entered)
		<-t.Context().Done() // far longer than the end may take
		return obs.Health{Status: obs.Pass}
	}})
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() { ended <- d.ops.Run(ctx, ln) })
	for _, send := range []string{"", "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"} {
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprint(c, send)
	}
	<-entered
	began := time.Now()
	cancel()
	select {
	case err := <-ended:
		if took := time.Since(began); err != nil || took > 5*time.Second {
			t.Errorf("%v after %v", err, took)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Run is not back")
	}
	wg.Wait()
}

func TestASlowHeaderIsCutOff(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		if err := d.ops.Run(ctx, ln); err != nil {
			t.Error(err)
		}
	})
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "GET /livez HTTP/1.1\r\nHost: localhost\r\nX-A: ")
	if err := c.SetReadDeadline(time.Now().Add(7 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(c); err != nil {
		t.Errorf("still open after 7 s: %q %v", got, err)
	}
}

func TestTheRegistryIsClean(t *testing.T) {
	t.Parallel()
	reg, err := ops.NewRegistry(ops.Build{Version: "v", Commit: "c"})
	if err != nil {
		t.Fatal(err)
	}
	problems, err := testutil.GatherAndLint(reg, "orderctl_build_info")
	if err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v %v", problems, err)
	}
	if err := testutil.GatherAndCompare(reg, strings.NewReader(""), "orderctl_no_such"); err != nil {
		t.Error(err)
	}
}
