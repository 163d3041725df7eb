package serve

import (
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
)

// handler answers a request, or returns the problem to answer with.
type handler func(*call) *problem

// unmatched is the route label of requests to no route: their paths are the sender's invention.
const unmatched = "unmatched"

func (s *Server) routes() *gin.Engine {
	gin.SetMode(gin.ReleaseMode) // its debug mode prints to stdout
	e := gin.New()
	e.HandleMethodNotAllowed = true
	e.RedirectTrailingSlash, e.RedirectFixedPath = false, false
	_ = e.SetTrustedProxies(nil) // nil cannot fail: nobody is believed about the peer's address
	for _, prefix := range []string{"", "/v1"} {
		s.add(e, http.MethodPost, prefix+"/orders", s.postOrder)
		s.add(e, http.MethodPost, prefix+"/orders/batch", s.postBatch)
		s.add(e, http.MethodGet, prefix+"/orders/:order_id", s.getOrder)
	}
	if s.o.TestRoutes {
		s.add(e, http.MethodPost, "/test/order", s.postTestOrder)
	}
	if s.o.Ops != nil {
		for _, path := range []string{"/livez", "/readyz", "/startupz", "/health", "/metrics", "/metrics/consumer_lag"} {
			s.add(e, http.MethodGet, path, s.ops)
		}
	}
	e.NoRoute(s.handle(unmatched, notFound))
	e.NoMethod(s.handle(unmatched, methodNotAllowed))
	return e
}

// add adds a route; HEAD is a GET whose body net/http leaves out.
func (s *Server) add(e *gin.Engine, method, path string, h handler) {
	route := strings.Replace(path, ":order_id", "{order_id}", 1) // as documents write it
	e.Handle(method, path, s.handle(route, h))
	if method == http.MethodGet {
		e.Handle(http.MethodHead, path, s.handle(route, h))
	}
}

func (s *Server) ops(k *call) *problem {
	s.o.Ops.ServeHTTP(k.w, k.r)
	return nil
}

func notFound(*call) *problem { return fail(codeNotFound, "There is nothing at this path.") }

// methodNotAllowed answers for paths that exist under other methods. The router has put those into Allow.
func methodNotAllowed(k *call) *problem {
	k.w.Header().Set("Allow", k.w.Header().Get("Allow")+", "+http.MethodOptions)
	if k.r.Method == http.MethodOptions {
		k.w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return fail(codeMethodNotAllowed, "This path knows the methods in the Allow header.")
}
