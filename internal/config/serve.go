package config

import "time"

// Serve is order intake over HTTP.
type Serve struct {
	Addr         string        `key:"addr" doc:"where the API listens"`
	Admin        Admin         `key:"admin" doc:"probes, metrics, log level"`
	PublicOps    bool          `key:"public_ops" doc:"probes, /health and /metrics on the API listener too; false in production"`
	TestRoutes   bool          `key:"test_routes" doc:"POST /test/order publishes a sample order"`
	WithConsumer bool          `key:"with_consumer" doc:"run the worker in the same process"`
	ProblemBase  string        `key:"problem_base" doc:"base URL of problem types; empty: the server itself"`
	Timeouts     ServeTimeouts `key:"timeouts" doc:"of one request"`
	Drain        ServeDrain    `key:"drain" doc:"how a stop goes"`
	Limits       Limits        `key:"limits" doc:"above them: 413, 431, 503"`
	Breaker      ServeBreaker  `key:"breaker" doc:"one for each partition"`
	Ready        Ready         `key:"ready" doc:"readiness"`
	Startup      Startup       `key:"startup" doc:"start"`
}

// Admin is a listener for probes, metrics and the log level.
type Admin struct {
	Addr  string `key:"addr" doc:"where it listens; keep it off public networks"`
	Pprof bool   `key:"pprof" doc:"profiles under /debug/pprof/"`
	Token Secret `key:"token" secret:"token_file" doc:"opens /admin/* and profiles off loopback"`

	TokenFile string `key:"token_file" doc:"file with the bearer token that opens /admin/* and profiles off loopback; empty: nothing does"`
}

// ServeTimeouts bounds one request.
type ServeTimeouts struct {
	ReadHeader time.Duration `key:"read_header" min:"10ms" max:"10m" doc:"to read the headers"`
	Read       time.Duration `key:"read" min:"10ms" max:"10m" doc:"to read the whole request"`
	Write      time.Duration `key:"write" min:"10ms" max:"10m" doc:"to write the answer; longer than publish"`
	Idle       time.Duration `key:"idle" min:"10ms" max:"1h" doc:"between two requests of a connection"`
	Publish    time.Duration `key:"publish" min:"10ms" max:"10m" doc:"to be acknowledged by Kafka; later: 504"`
	Enqueue    time.Duration `key:"enqueue" min:"1ms" max:"1m" doc:"to be handed to the producer; later: 503"`
}

// ServeDrain bounds the steps of a stop.
type ServeDrain struct {
	Delay    time.Duration `key:"delay" max:"10m" doc:"not ready, but still serving, so that load balancers notice"`
	HTTP     time.Duration `key:"http" min:"10ms" max:"10m" doc:"for requests in hand"`
	Producer time.Duration `key:"producer" min:"10ms" max:"10m" doc:"for records on their way"`
}

// Limits are the fixed limits of order intake.
type Limits struct {
	Body          Size `key:"body" min:"1KiB" max:"64MiB" doc:"one order"`
	BatchBody     Size `key:"batch_body" min:"1KiB" max:"256MiB" doc:"one batch"`
	Batch         int  `key:"batch" min:"1" max:"100000" doc:"orders in a batch"`
	Header        Size `key:"header" min:"1KiB" max:"1MiB" doc:"headers of a request"`
	Connections   int  `key:"connections" min:"1" max:"1000000" doc:"open connections"`
	InFlight      int  `key:"in_flight" min:"1" max:"1000000" doc:"orders between admission and acknowledgement"`
	PerPartition  int  `key:"per_partition" min:"1" max:"32768" doc:"of these on one partition; at most half of producer.channel_buffer"`
	InFlightBytes Size `key:"in_flight_bytes" min:"1MiB" max:"16GiB" doc:"their bodies together"`
}

// ServeBreaker is the breaker of a partition.
type ServeBreaker struct {
	Failures int           `key:"failures" min:"1" max:"10000" doc:"unknown outcomes in a row that open it"`
	Probe    time.Duration `key:"probe" min:"10ms" max:"10m" doc:"pause before one order tries again"`
}

// Ready is what readiness depends on.
type Ready struct {
	RequireKafka bool `key:"require_kafka" doc:"not ready while Kafka is away (all replicas then leave at once)"`
}

// Startup is what the start depends on.
type Startup struct {
	Grace time.Duration `key:"grace" min:"100ms" max:"1h" doc:"how long to wait for Kafka before giving up (exit 3)"`
}

// Order is what an order may look like.
type Order struct {
	Unknown  string `key:"unknown" enum:"|reject|keep" doc:"unknown members: reject or keep; empty: reject in serve, keep in consume"`
	Currency string `key:"currency" doc:"where an order names none"`
}
