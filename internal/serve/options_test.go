package serve_test

import (
	"io"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"commerce.internal/orderctl/internal/serve"
)

func TestOptionsAreRefusedByName(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*serve.Options){
		"Options.Publisher is required":           func(o *serve.Options) { o.Publisher = nil },
		"Options.Partitions is required":          func(o *serve.Options) { o.Partitions = 0 },
		"Options.Tracer is required":              func(o *serve.Options) { o.Tracer = nil },
		"Options.Timeouts.Publish is required":    func(o *serve.Options) { o.Timeouts.Publish = 0 },
		"Options.Limits.PerPartition is required": func(o *serve.Options) { o.Limits.PerPartition = 0 },
		"InFlightBytes has no room for one body":  func(o *serve.Options) { o.Limits.InFlightBytes = 100 },
	} {
		o := options(t, &publisher{}, prometheus.NewRegistry(), io.Discard)
		change(&o)
		if _, err := serve.New(o); err == nil || !strings.HasPrefix(err.Error(), "serve: ") || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("New = %v, want %s", err, want)
		}
	}
	o := options(t, &publisher{}, prometheus.NewRegistry(), io.Discard)
	if _, err := serve.New(o); err != nil {
		t.Fatal(err)
	}
	if _, err := serve.New(o); err == nil || !strings.Contains(err.Error(), "register metrics") {
		t.Errorf("a registry used twice: %v", err)
	}
}
