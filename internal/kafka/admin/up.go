package admin

import (
	"context"
	"strconv"
	"sync"

	"github.com/IBM/sarama"

	"commerce.internal/orderctl/internal/kafka"
)

const keyMinInSync = "min.insync.replicas"

// Reach is who answers now, and how many copies an acknowledged record has.
type Reach struct {
	Up        map[int32]bool // by broker: those of the cluster, and those that hold a copy of a topic and are not in it any more
	MinInSync map[string]int // by topic; absent: it may not be read
}

// Reach asks every broker whether it is there. An error means that none is.
func (a *Admin) Reach(ctx context.Context, topics ...string) (Reach, error) {
	state, err := a.State(ctx, topics)
	if err != nil {
		return Reach{}, err
	}
	r := Reach{Up: map[int32]bool{}, MinInSync: map[string]int{}}
	for _, t := range state.Topics {
		for _, p := range t.Partitions {
			for _, id := range p.Replicas {
				r.Up[id] = false
			}
		}
	}
	answers := make([]bool, len(state.Brokers))
	var asked sync.WaitGroup
	for i, b := range state.Brokers {
		asked.Go(func() { answers[i] = a.answers(ctx, b.Addr) })
	}
	found, err := a.Topics(ctx, topics)
	asked.Wait()
	for i, b := range state.Brokers {
		r.Up[b.ID] = answers[i]
	}
	if err != nil {
		return r, nil //nolint:nilerr // who answers is known; the configuration is not, and stays absent
	}
	for name, t := range found {
		if n, err := strconv.Atoi(t.Configs[keyMinInSync]); err == nil {
			r.MinInSync[name] = n
		}
	}
	return r, nil
}

// answers reports whether the broker at addr lets us in and answers.
func (a *Admin) answers(ctx context.Context, addr string) bool {
	at := a.kafka
	at.Brokers = []string{addr}
	_, err := kafka.Ask(ctx, at, func(b *sarama.Broker) (*sarama.ApiVersionsResponse, error) {
		return b.ApiVersions(&sarama.ApiVersionsRequest{})
	})
	return err == nil
}
