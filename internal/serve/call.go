package serve

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"

	"commerce.internal/orderctl/internal/obs"
)

// Header names in the form net/http keeps them.
const (
	hdrRequestID      = "X-Request-Id"
	hdrTraceparent    = "Traceparent"
	hdrTraceresponse  = "Traceresponse"
	hdrIdempotencyKey = "Idempotency-Key"
	hdrLoadTest       = "Orderctl-Load-Test"
	hdrContentType    = "Content-Type"
	hdrEncoding       = "Content-Encoding"
)

// anonymous is the client of requests that nobody authenticated; testClient that of sample orders.
const (
	anonymous  = "anonymous"
	testClient = "test"
)

var plainID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// call is one request on its way through the server.
type call struct {
	s      *Server
	w      gin.ResponseWriter
	r      *http.Request
	params gin.Params

	start       time.Time
	id          string
	client      string
	traceID     string
	traceparent string
	span        trace.Span
	enqueued    bool // an order of this request was handed to the publisher
}

// handle wraps the handler of a route in what every request passes: trace, id, recovery, metrics.
func (s *Server) handle(route string, h handler) gin.HandlerFunc {
	return func(c *gin.Context) {
		k := s.begin(c, route)
		defer k.end(route)
		if p := h(k); p != nil {
			k.problem(p)
		}
	}
}

func (s *Server) begin(c *gin.Context, route string) *call {
	s.metrics.active.Inc()
	k := &call{s: s, w: c.Writer, r: c.Request, params: c.Params, start: time.Now(), client: anonymous}
	k.trace(route)
	if k.id = k.r.Header.Get(hdrRequestID); !plainID.MatchString(k.id) {
		k.id = newID()
	}
	k.headers()
	return k
}

// trace starts the span of the request: a child of the caller's, or a new root.
func (k *call) trace(route string) {
	parent := obs.WithTraceparent(k.r.Context(), k.r.Header.Get(hdrTraceparent))
	ctx, span := k.s.o.Tracer.Start(parent, route, trace.WithSpanKind(trace.SpanKindServer))
	k.span, k.traceID, k.traceparent = span, obs.TraceID(ctx), obs.Traceparent(ctx)
}

// headers sets what every answer carries.
func (k *call) headers() {
	h, st := k.w.Header(), &k.s.statics
	h["X-Content-Type-Options"], h["Cache-Control"], h["Content-Security-Policy"] = st.nosniff, st.noStore, st.csp
	if k.r.TLS != nil {
		h["Strict-Transport-Security"] = st.hsts
	}
	if phase(k.s.phase.Load()) != serving {
		h["Connection"] = st.closing
	}
	own := make([]string, 2)
	own[0], own[1] = k.id, k.traceparent
	h[hdrRequestID], h[hdrTraceresponse] = own[:1:1], own[1:]
}

// end recovers from a panic of the handler, and counts.
func (k *call) end(route string) {
	if v := recover(); v != nil {
		k.s.o.Log.ErrorContext(k.r.Context(), "request panicked", slog.String(obs.KeyRequestID, k.id),
			slog.String(obs.KeyTraceID, k.traceID), slog.String(obs.KeyPanic, fmt.Sprint(v)), slog.String(obs.KeyStack, string(debug.Stack())))
		if !k.w.Written() {
			p := fail(codeInternal, "The server failed; the request id names the log line.")
			if k.enqueued {
				p.outcome = outcomeUnknown
			}
			k.problem(p)
		}
	}
	k.span.End()
	k.s.metrics.active.Dec()
	k.s.metrics.request(k.r.Method, route, k.w.Status(), time.Since(k.start))
}

// ctx is the context of the request.
func (k *call) ctx() context.Context { return k.r.Context() }

// stopping answers draining once new orders are refused.
func (k *call) stopping() *problem {
	if phase(k.s.phase.Load()) == draining {
		return fail(codeDraining, "This server is stopping; another one takes the order.")
	}
	return nil
}

func newID() string {
	id, err := uuid.NewV7()
	if err != nil { // no randomness: the ids of the trace still tell requests apart
		return uuid.Nil.String()
	}
	return id.String()
}

// statics are header values shared by all answers; nobody changes them.
type statics struct {
	nosniff, noStore, csp, hsts, closing, json, problem []string
}

func newStatics() statics {
	return statics{
		nosniff: []string{"nosniff"}, noStore: []string{"no-store"}, csp: []string{"default-src 'none'"},
		hsts: []string{"max-age=31536000"}, closing: []string{"close"},
		json: []string{"application/json"}, problem: []string{"application/problem+json"},
	}
}
