package group_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"commerce.internal/orderctl/internal/kafka/group"
)

func quiet() group.Options {
	return group.Options{Group: "g", Topics: []string{"orders"}, Timing: fast(), MaxWait: 20 * time.Millisecond, Log: slog.New(slog.DiscardHandler)}
}

func TestTheOptionsThatCannotHold(t *testing.T) { // pitfall 22
	t.Parallel()
	tests := []struct {
		name   string
		change func(*group.Options)
		want   string
	}{
		{"no group", func(o *group.Options) { o.Group = "" }, "Options.Group is required"},
		{"no topics", func(o *group.Options) { o.Topics = nil }, "Options.Topics is required"},
		{"no log", func(o *group.Options) { o.Log = nil }, "Options.Log is required"},
		{"from nowhere", func(o *group.Options) { o.From = "newest" }, `"newest" is neither earliest nor latest`},
		{"an unknown balance", func(o *group.Options) { o.Balance = []string{"sticky"} }, `"sticky" is neither cooperative-sticky nor range`},
		{"Read below Rebalance: members would join for ever", func(o *group.Options) { o.Timing = group.Timing{Read: 15 * time.Second} }, "Timing.Read 15s must be at least Rebalance + 5s (20s)"},
		{"Heartbeat above a third of Session", func(o *group.Options) { o.Timing = group.Timing{Heartbeat: 4 * time.Second} }, "Timing.Heartbeat 4s must be at most a third of Session"},
		{"the defaults", func(o *group.Options) { o.Timing = group.Timing{} }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := quiet()
			tt.change(&o)
			_, err := group.New(client("127.0.0.1:1", "c"), o)
			if (tt.want == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("err = %v, want %q", err, tt.want)
			}
		})
	}
}

func TestTheDefaultClock(t *testing.T) {
	t.Parallel()
	want := group.Timing{Session: 10 * time.Second, Heartbeat: 500 * time.Millisecond, Rebalance: 15 * time.Second, Read: 20 * time.Second}
	if got := (group.Timing{}).WithDefaults(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestMetricsAreClean(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	o := quiet()
	o.Reg = reg
	if _, err := group.New(client("127.0.0.1:1", "c"), o); err != nil {
		t.Fatal(err)
	}
	problems, err := testutil.GatherAndLint(reg)
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
	if _, err := group.New(client("127.0.0.1:1", "c"), o); err == nil {
		t.Error("two groups in one registry would count as one")
	}
}
