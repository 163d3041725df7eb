package produce

import (
	"bytes"
	"context"
	"errors"
	"hash/maphash"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"time"
)

const (
	dialTimeout  = 5 * time.Second
	probeTimeout = 5 * time.Second
	laneRoom     = 16 // orders that wait for one connection when their order matters
	loadTestName = "Orderctl-Load-Test"
)

// apiTarget posts records over a fixed number of connections. Orders that must not overtake each other share one.
type apiTarget struct {
	o       Options
	url     string
	header  http.Header
	client  *http.Client
	tally   *tally
	timeout time.Duration

	any     chan *shot   // whoever is free
	lanes   []chan *shot // by key
	seed    maphash.Seed
	senders sync.WaitGroup
	cut     context.CancelFunc // ends the requests that are under way
}

// openAPI checks that somebody listens, and starts the connections.
func openAPI(ctx context.Context, o Options, t *tally) (*apiTarget, error) {
	h := *o.HTTP
	fill(&h.Connections, DefaultConnections)
	fill(&h.Timeout, DefaultDrainTimeout)
	where, err := ordersURL(h.URL)
	if err != nil {
		return nil, err
	}
	header, err := requestHeader(h, o.RunID)
	if err != nil {
		return nil, err
	}
	secure, err := tlsConfig(h.CACert)
	if err != nil {
		return nil, err
	}
	if h.Connections < 1 || h.Connections > 10_000 {
		return nil, usage("connections %d: must be 1 to 10000", h.Connections)
	}
	a := &apiTarget{
		o: o, url: where.String(), header: header, tally: t, timeout: h.Timeout, any: make(chan *shot), seed: maphash.MakeSeed(),
		client: &http.Client{
			Transport: &http.Transport{
				MaxIdleConns: h.Connections, MaxIdleConnsPerHost: h.Connections, MaxConnsPerHost: h.Connections,
				IdleConnTimeout: time.Minute, TLSClientConfig: secure, DisableCompression: true,
				DialContext: (&net.Dialer{Timeout: dialTimeout}).DialContext,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	if err := a.probe(ctx, where.Host); err != nil {
		a.client.CloseIdleConnections()
		return nil, err
	}
	// Requests outlive a Ctrl-C: it drains them. drain cuts them off at its bound.
	work, cut := context.WithCancel(context.WithoutCancel(ctx))
	a.cut = cut
	for range h.Connections {
		lane := make(chan *shot, laneRoom)
		a.lanes = append(a.lanes, lane)
		a.senders.Go(func() { a.send(work, lane) })
	}
	return a, nil
}

// fire hands a record to a connection.
func (a *apiTarget) fire(ctx context.Context, s *shot) {
	to := a.any
	if s.ordered {
		to = a.lanes[maphash.String(a.seed, s.key)%uint64(len(a.lanes))]
	}
	a.tally.begin()
	select {
	case to <- s:
	case <-ctx.Done():
		a.tally.retract()
	}
}

// drain lets the connections end what they were given.
func (a *apiTarget) drain(ctx context.Context) {
	stop := context.AfterFunc(ctx, a.cut)
	defer stop()
	for _, lane := range a.lanes {
		close(lane)
	}
	close(a.any)
	a.senders.Wait()
	a.cut()
	a.client.CloseIdleConnections()
}

// send is one connection.
func (a *apiTarget) send(ctx context.Context, own chan *shot) {
	anyone := a.any
	for own != nil || anyone != nil {
		var s *shot
		var ok bool
		select {
		case s, ok = <-own:
			if !ok {
				own = nil
			}
		case s, ok = <-anyone:
			if !ok {
				anyone = nil
			}
		}
		if ok {
			s.handed = time.Now()
			out := a.post(ctx, s)
			a.tally.settle(ctx, s, out)
			if out.kind == notSent {
				a.o.spare(ctx)
			}
		}
	}
}

// post sends one order and reads the answer.
func (a *apiTarget) post(ctx context.Context, s *shot) outcome {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	connected := false
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected = true }})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.url, bytes.NewReader(s.value))
	if err != nil {
		return outcome{kind: notSent, code: "request", err: err}
	}
	req.Header = a.header.Clone()
	req.Header.Set("Content-Type", s.content)
	req.Header.Set("X-Request-Id", requestID(a.o.RunID, s.number))
	resp, err := a.client.Do(req)
	if err != nil {
		return failed(err, connected)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return answered(resp.StatusCode, body, err)
}

// failed judges a request without an answer: what never got a connection was certainly not written.
func failed(err error, connected bool) outcome {
	var wrapped *url.Error // its text repeats the address
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	out := outcome{kind: unknown, code: "no-answer", err: err}
	if errors.Is(err, context.DeadlineExceeded) {
		out.code = "timeout"
	}
	if !connected {
		out.kind, out.code = notSent, "connect"
	}
	return out
}
