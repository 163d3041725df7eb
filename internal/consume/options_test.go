package consume_test

import (
	"context"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"commerce.internal/orderctl/internal/consume"
)

func TestNewRefusesWhatIsMissingByName(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		set  func(*consume.Options)
	}{
		{"Source", func(o *consume.Options) { o.Source = nil }},
		{"Store", func(o *consume.Options) { o.Store = nil }},
		{"Publisher", func(o *consume.Options) { o.Publisher = nil }},
		{"Names.Source", func(o *consume.Options) { o.Names.Source = "" }},
		{"Names.Group", func(o *consume.Options) { o.Names.Group = "" }},
		{"Concurrency", func(o *consume.Options) { o.Concurrency = 0 }},
		{"Batch", func(o *consume.Options) { o.Batch = 0 }},
		{"Local.Attempts", func(o *consume.Options) { o.Local.Attempts = 0 }},
		{"Local.Base", func(o *consume.Options) { o.Local.Base = 0 }},
		{"Local.Cap", func(o *consume.Options) { o.Local.Cap = 0 }},
		{"Breaker.Failures", func(o *consume.Options) { o.Breaker.Failures = 0 }},
		{"Breaker.Window", func(o *consume.Options) { o.Breaker.Window = 0 }},
		{"Breaker.Ratio", func(o *consume.Options) { o.Breaker.Ratio = 0 }},
		{"Breaker.ProbeMin", func(o *consume.Options) { o.Breaker.ProbeMin = 0 }},
		{"Breaker.ProbeMax", func(o *consume.Options) { o.Breaker.ProbeMax = 0 }},
		{"DrainTimeout", func(o *consume.Options) { o.DrainTimeout = 0 }},
		{"Unknown", func(o *consume.Options) { o.Unknown = "" }},
		{"Log", func(o *consume.Options) { o.Log = nil }},
		{"Reg", func(o *consume.Options) { o.Reg = nil }},
		{"Now", func(o *consume.Options) { o.Now = nil }},
		{"Empty", func(o *consume.Options) { o.Empty = nil }},
		{"Out", func(o *consume.Options) { o.Handler, o.Out = consume.Log, nil }},
		{"Order", func(o *consume.Options) { o.Order = "random" }},
		{"OnDead", func(o *consume.Options) { o.OnDead = "" }},
		{"Handler", func(o *consume.Options) { o.Handler = "pigeon" }},
		{"LoadTest", func(o *consume.Options) { o.LoadTest = "maybe" }},
		{"OnTooLarge", func(o *consume.Options) { o.OnTooLarge = "skip" }},
		{"OnDead", func(o *consume.Options) { o.OnDead, o.Order = consume.Hold, consume.Unordered }},
		{"OnDead", func(o *consume.Options) { o.OnDead, o.Order = consume.Hold, consume.ByPartition }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := newWorld(1).o
			tt.set(&o)
			if _, err := consume.New(o); err == nil || !strings.HasPrefix(err.Error(), "consume: Options."+tt.name+" ") {
				t.Errorf("New: %v", err)
			}
		})
	}
}

func TestTwoWorkersNeedARegistryEach(t *testing.T) {
	t.Parallel()
	o := newWorld(1).o
	o.Reg = prometheus.NewRegistry()
	if _, err := consume.New(o); err != nil {
		t.Fatal(err)
	}
	if _, err := consume.New(o); err == nil {
		t.Error("the second worker would count into the first one's metrics")
	}
}

func TestEmptyIsAskedAgainWhenItFails(t *testing.T) {
	t.Parallel()
	w := newWorld(1)
	asked := 0
	w.o.Empty = func(context.Context) (bool, error) {
		asked++
		switch asked {
		case 1:
			return true, nil
		case 2:
			return false, context.DeadlineExceeded
		}
		return true, nil
	}
	if err := w.run(t); err != nil || asked != 4 {
		t.Errorf("Run: %v, asked %d times, want 4: two looks in a row", err, asked)
	}
}
