// Package serve is the order intake over HTTP: it reads an order, judges it, publishes it and answers 202 once the order is
// on all in-sync replicas. It promises nothing that it does not know: 503 means certainly not written, 504 means perhaps.
// It does not apply orders (package consume does), and how records reach Kafka is the publisher's business.
package serve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

// Publisher puts messages on their way.
type Publisher interface {
	// Publish: an error means certainly not written. Else done is called exactly once, perhaps after the request was
	// answered; it does not block.
	Publish(m queue.Message, done func(queue.Ack, error)) error
	// Health tells what is known already.
	Health() queue.PublisherHealth
}

// OrderReader reads what the database knows of one order.
type OrderReader interface {
	Order(ctx context.Context, group, orderID string) (queue.OrderView, error)
}

// Timeouts bound every wait.
type Timeouts struct {
	ReadHeader, Read, Write, Idle time.Duration
	Publish                       time.Duration // from the hand-over to the answer 504
}

// Drain is how long each step of a stop may take.
type Drain struct {
	Delay time.Duration // not ready, but serving on: balancers need time to notice
	HTTP  time.Duration // for answers under way
}

// Limits are fixed: above any of them an order is refused at once, so that those inside are answered in time.
type Limits struct {
	Body, BatchBody int64 // bytes, decompressed
	Batch           int   // orders
	Header          int   // bytes
	Connections     int
	InFlight        int // orders between their admission and the end of their publication
	PerPartition    int
	InFlightBytes   int64
}

// Breaker says when a partition is given up for a while.
type Breaker struct {
	Failures int           // unknown outcomes in a row
	Probe    time.Duration // until one order may try
}

// Options are what a server is made of.
type Options struct {
	Publisher  Publisher
	Partition  queue.PartitionFunc
	Partitions int32 // of Topic, pinned at start: with another number the partition of a key would move
	Topic      string
	Group      string // whose rows GET /orders/{order_id} and /metrics/consumer_lag show
	Log        *slog.Logger
	Audit      *slog.Logger // one line an order, never sampled
	Reg        prometheus.Registerer
	Tracer     trace.Tracer

	Timeouts Timeouts
	Drain    Drain
	Limits   Limits
	Breaker  Breaker
	Unknown  order.Unknown
	Currency string // of orders that name none

	Orders         OrderReader                            // nil: no store
	Lag            LagSource                              // nil: nothing is known about lag
	PartitionsNow  func() (int32, error)                  // what the client knows now, without asking; nil: growth goes unnoticed
	Cluster        func(context.Context) (Cluster, error) // asked every ClusterEvery while the server runs; nil: not known
	ClusterEvery   time.Duration                          // 0: 15s
	Ops            http.Handler                           // probes and metrics on the API's port; nil: not there
	TestRoutes     bool
	ProblemBase    string // in front of /problems/<code>
	ReadyNeedKafka bool   // not ready while Kafka is away
}

func (o Options) validate() error {
	for _, required := range []struct {
		name  string
		given bool
	}{
		{"Publisher", o.Publisher != nil},
		{"Partition", o.Partition != nil},
		{"Partitions", o.Partitions > 0},
		{"Topic", o.Topic != ""},
		{"Group", o.Group != ""},
		{"Log", o.Log != nil},
		{"Audit", o.Audit != nil},
		{"Reg", o.Reg != nil},
		{"Tracer", o.Tracer != nil},
		{"Timeouts.Publish", o.Timeouts.Publish > 0},
		{"Limits.Body", o.Limits.Body > 0},
		{"Limits.BatchBody", o.Limits.BatchBody > 0},
		{"Limits.Batch", o.Limits.Batch > 0},
		{"Limits.Connections", o.Limits.Connections > 0},
		{"Limits.InFlight", o.Limits.InFlight > 0},
		{"Limits.PerPartition", o.Limits.PerPartition > 0},
		{"Limits.InFlightBytes", o.Limits.InFlightBytes > 0},
		{"Breaker.Failures", o.Breaker.Failures > 0},
		{"Breaker.Probe", o.Breaker.Probe > 0},
		{"Unknown", o.Unknown != ""},
		{"Currency", o.Currency != ""},
	} {
		if !required.given {
			return fmt.Errorf("serve: Options.%s is required", required.name)
		}
	}
	if o.Limits.InFlightBytes < max(o.Limits.Body, o.Limits.BatchBody) {
		return errors.New("serve: Options.Limits.InFlightBytes has no room for one body")
	}
	return nil
}

// phase is where a server stands in its life.
type phase int32

const (
	serving  phase = iota
	leaving        // not ready, serving on
	draining       // refuses new orders
)

// Server takes orders in.
type Server struct {
	o        Options
	engine   *gin.Engine
	load     *load
	breakers []*breaker
	metrics  *metrics
	recent   *recent
	statics  statics
	cluster  *clusterWatch // nil: nobody tells

	phase    atomic.Int32
	left     atomic.Int64  // when the stop began, Unix ms
	drained  chan struct{} // closed when new orders are refused
	cut      chan struct{} // closed when the drain is over: what still waits for an outcome is told that it is not known
	stopOnce sync.Once
	storeErr atomic.Pointer[storeTrouble]
	grown    atomic.Bool // the topic has more partitions than at start, and it was said
	inflate  sync.Pool   // of *gzip.Reader
}

// New checks the options and builds the routes.
func New(o Options) (*Server, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	s := &Server{o: o, recent: newRecent(recentOrders), drained: make(chan struct{}), cut: make(chan struct{}), statics: newStatics()}
	s.load = newLoad(o.Limits, o.Partitions)
	for range o.Partitions {
		s.breakers = append(s.breakers, newBreaker(o.Breaker))
	}
	var err error
	if s.metrics, err = newMetrics(o.Reg, o.Topic); err == nil {
		err = o.Reg.Register(&liveMetrics{s})
	}
	if err == nil && o.Cluster != nil {
		s.cluster = &clusterWatch{ask: o.Cluster, every: cmp.Or(o.ClusterEvery, 15*time.Second), log: o.Log}
		err = o.Reg.Register(newClusterMetrics(s.cluster))
	}
	if err != nil {
		return nil, fmt.Errorf("register metrics of serve: %w", err)
	}
	s.engine = s.routes()
	return s, nil
}

// Handler serves the API without a listener.
func (s *Server) Handler() http.Handler { return s.engine }

// InFlight returns how many orders are admitted and not yet known to be written or not.
func (s *Server) InFlight() int { return int(s.load.orders.Load()) }
