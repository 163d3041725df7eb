package obs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// shutdownTimeout bounds what a dead collector may hold up at the end.
const shutdownTimeout = 3 * time.Second

// TraceOptions says who traces and where spans go.
type TraceOptions struct {
	Service  string
	Version  string
	Endpoint string // base URL of an OTLP/HTTP collector; "": trace ids only, nothing is exported
	Log      *slog.Logger
}

// Tracing gives every request and record a trace id, and exports spans where a collector was named.
type Tracing struct {
	Provider trace.TracerProvider
	shutdown func(context.Context) error
}

// NewTracing builds the tracing of a process. With a collector it also takes over the error handler of OpenTelemetry,
// which would write to stderr past the log.
func NewTracing(ctx context.Context, o TraceOptions) (*Tracing, error) {
	if o.Endpoint == "" {
		// Nobody records spans: roots are not sampled, and say so in their flags. Ids are made all the same.
		p := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.NeverSample())))
		return &Tracing{Provider: p, shutdown: p.Shutdown}, nil
	}
	if o.Log == nil {
		return nil, errors.New("obs: TraceOptions.Log is required")
	}
	url := strings.TrimRight(o.Endpoint, "/") + "/v1/traces"
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(url))
	if err != nil {
		return nil, fmt.Errorf("open trace exporter to %s: %w", url, err)
	}
	later := context.WithoutCancel(ctx) // exports fail long after this call
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		o.Log.WarnContext(later, "traces not exported", slog.Any(KeyError, err))
	}))
	p := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(resource.NewSchemaless(
		attribute.String("service.name", o.Service), attribute.String("service.version", o.Version))))
	return &Tracing{Provider: p, shutdown: func(ctx context.Context) error {
		if err := p.Shutdown(ctx); err != nil {
			o.Log.WarnContext(ctx, "traces not exported", slog.Any(KeyError, err))
		}
		return nil
	}}, nil
}

// Shutdown exports what is left, for at most three seconds. That a collector does not take it is a line in the log, never
// the failure of a process that did its work.
func (t *Tracing) Shutdown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, shutdownTimeout)
	defer cancel()
	if err := t.shutdown(ctx); err != nil {
		return fmt.Errorf("shut tracing down: %w", err)
	}
	return nil
}

// TraceID returns the trace id of ctx in hex, "" without one.
func TraceID(ctx context.Context) string {
	sc := trace.SpanContextFromContext(ctx)
	if !sc.HasTraceID() {
		return ""
	}
	return sc.TraceID().String()
}

// Traceparent returns the W3C header of the span in ctx, "" without one.
func Traceparent(ctx context.Context) string {
	var c one
	propagation.TraceContext{}.Inject(ctx, &c)
	return c.value
}

// WithTraceparent returns ctx as a child of the span that a W3C traceparent names. One that is not well-formed changes
// nothing.
func WithTraceparent(ctx context.Context, traceparent string) context.Context {
	if traceparent == "" {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, &one{value: traceparent})
}

// one carries the traceparent and nothing else: no tracestate, no baggage.
type one struct{ value string }

// Get implements propagation.TextMapCarrier.
func (o *one) Get(key string) string {
	if key == "traceparent" {
		return o.value
	}
	return ""
}

// Set implements propagation.TextMapCarrier.
func (o *one) Set(key, value string) {
	if key == "traceparent" {
		o.value = value
	}
}

// Keys implements propagation.TextMapCarrier.
func (o *one) Keys() []string { return []string{"traceparent"} }
