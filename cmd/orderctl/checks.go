package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"commerce.internal/orderctl/internal/kafka/group"
	"commerce.internal/orderctl/internal/obs"
	"commerce.internal/orderctl/internal/queue"
)

const (
	commitPatience = 3 * time.Second  // commits that are refused for longer are told
	resultPatience = 60 * time.Second // a loop of outcomes that stands still for longer is broken: only a new process helps
)

// resultsCheck says whether the outcomes of what was published reach those who wait for them. That Kafka is silent is no
// reason to restart: then there are none.
func resultsCheck(health func() queue.PublisherHealth, now func() time.Time) obs.Check {
	return obs.Check{Name: "results", Probes: obs.Live, Report: func() obs.Health {
		since := health().Stuck
		if since.IsZero() || now().Sub(since) < resultPatience {
			return obs.Health{Status: obs.Pass}
		}
		return obs.Health{Status: obs.Fail, Since: since, Err: errors.New("the loop that takes the outcomes of published records is stuck")}
	}}
}

// drainCheck takes a process that was told to stop out of service. A server has a check of its own, which knows more.
func drainCheck(ctx context.Context) obs.Check {
	return obs.Check{Name: "draining", Probes: obs.Ready, Report: func() obs.Health {
		if ctx.Err() == nil {
			return obs.Health{Status: obs.Pass}
		}
		return obs.Health{Status: obs.Fail, Err: errors.New("draining")}
	}}
}

// groupChecks says how the member of the consumer group is. A worker whose commits are refused does its work in vain: alone
// it is not ready then. Beside a server it only warns, for orders are taken on.
func groupChecks(g *group.Group, alone bool) []obs.Check {
	bad, probes := obs.Warn, obs.Probe(0)
	if alone {
		bad, probes = obs.Fail, obs.Ready
	}
	return []obs.Check{
		{Name: "commits", Probes: probes, Report: func() obs.Health {
			since, failing := g.CommitFailing()
			if failing && time.Since(since) > commitPatience {
				return obs.Health{Status: bad, Since: since, Err: errors.New("commits are refused or not answered")}
			}
			return obs.Health{Status: obs.Pass}
		}},
		{Name: "halted", Report: func() obs.Health {
			for topic, partitions := range g.Halted() {
				for partition, why := range partitions {
					return obs.Health{Status: obs.Warn, Err: fmt.Errorf("%s/%d is not read: %s", topic, partition, why)}
				}
			}
			return obs.Health{Status: obs.Pass}
		}},
	}
}
