package main

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/twmb/franz-go/pkg/kgo"

	"commerce.internal/orderctl/internal/broker"
	"commerce.internal/orderctl/internal/setup"
)

// member joins a group and stays in it until the script ends: member GROUP TOPIC.
func member(ts *testscript.TestScript, _ bool, args []string) {
	b, _ := ts.Value(brokerKey{}).(*broker.Broker)
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.ClientID("script-member"), kgo.ConsumerGroup(args[0]), kgo.ConsumeTopics(args[1]))
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	var polls sync.WaitGroup
	polls.Go(func() {
		for ctx.Err() == nil {
			cl.PollFetches(ctx)
		}
	})
	ts.Defer(func() { cancel(); polls.Wait(); cl.Close() })
	_, err = b.Cluster().WaitGroupStable(ctx, args[0], 1)
	ts.Check(err)
}

func TestWhatStandsBehindTo(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]setup.Target{
		"earliest":             {Kind: setup.ToEarliest},
		"latest":               {Kind: setup.ToLatest},
		"0":                    {Kind: setup.ToOffset},
		"884120":               {Kind: setup.ToOffset, Offset: 884120},
		"+5":                   {Kind: setup.ToShift, Offset: 5},
		"-5":                   {Kind: setup.ToShift, Offset: -5},
		"-0":                   {Kind: setup.ToShift},
		"-2h":                  {Kind: setup.ToTime, Time: now.Add(-2 * time.Hour)},
		"-1m30s":               {Kind: setup.ToTime, Time: now.Add(-90 * time.Second)},
		"2026-11-22T03:12:07Z": {Kind: setup.ToTime, Time: time.Date(2026, 11, 22, 3, 12, 7, 0, time.UTC)},
	} {
		got, err := parseTarget(text, now)
		if err != nil || got.Kind != want.Kind || got.Offset != want.Offset || !got.Time.Equal(want.Time) {
			t.Errorf("%s: %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "Latest", "+", "-", "--5", "+-5", "1.5", "1e3", "0x10", "+2h", "2h", "-2d", "2026-11-22", "2026-11-26T00:00:00Z", "99999999999999999999", "١",
	} {
		if got, err := parseTarget(text, now); err == nil {
			t.Errorf("%q is taken as %+v", text, got)
		}
	}
}
