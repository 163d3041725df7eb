package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"

	"commerce.internal/orderctl/internal/consume"
	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/kafka/group"
	"commerce.internal/orderctl/internal/kafka/observe"
	"commerce.internal/orderctl/internal/kafka/read"
	"commerce.internal/orderctl/internal/obs"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/store"
)

var (
	_ consume.Runs   = (*store.Store)(nil)
	_ consume.Keeper = (*store.Store)(nil)
	_ consume.Peeker = peeker{}
)

// guards returns what keeps the worker from doing harm, and from doing nothing.
func (p *plant) guards(ctx context.Context, b *base, command string, g *group.Group) (consume.Guards, error) {
	c := p.s.cfg.Consume
	reader, err := read.New(ctx, p.s.kafka(command+"-look", b.logs.Log))
	if err != nil {
		return consume.Guards{}, err
	}
	p.closers = append(p.closers, func(context.Context) error { return reader.Close() })
	return consume.Guards{
		Flood:  consume.FloodOptions{InRow: c.Flood.InRow, Ratio: float64(c.Flood.Ratio), Window: c.Flood.Window, Probe: c.Flood.Probe},
		Rejoin: g.Rejoin, Runs: p.store, Slot: p.s.slot(command), Peek: peeker{reader}, OnBadBatch: c.OnBadBatch,
		Keeper: p.store, KeepDone: c.KeepDone,
		Committed: func(ctx context.Context) ([]queue.Position, error) { return committed(ctx, p.observer, c.Group) },
	}, nil
}

// slot is the name of this process among those of its group, the same after a restart: the instance id, or the host with
// the port that no other worker there can have. A process with neither is one of its kind, so its end is nobody's.
func (s *session) slot(command string) string {
	if id := s.cfg.Consume.InstanceID; id != "" {
		return id
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	admin := map[string]string{"consume": s.cfg.Consume.Admin.Addr, "serve": s.cfg.Serve.Admin.Addr}[command]
	if _, port, err := net.SplitHostPort(admin); err == nil && port != "0" {
		return host + ":" + port
	}
	return fmt.Sprintf("%s#%d", host, os.Getpid())
}

// peeker looks into one partition alone.
type peeker struct{ *read.Reader }

// End implements consume.Peeker.
func (p peeker) End(ctx context.Context, topic string, partition int32) (int64, error) {
	spans, err := p.Bounds(ctx, topic)
	if err != nil {
		return 0, err
	}
	span, ok := spans[partition]
	if !ok {
		return 0, fmt.Errorf("find end of %s/%d: %w", topic, partition, queue.ErrNotFound)
	}
	return span.End, nil
}

// Unreadable implements consume.Peeker.
func (p peeker) Unreadable(ctx context.Context, at queue.Position) (*queue.Failure, error) {
	_, err := p.At(ctx, at)
	var bad *read.BatchError
	switch {
	case errors.As(err, &bad):
		return &queue.Failure{Class: queue.ClassDecode, Code: bad.Code(), Message: bad.Err.Error()}, nil
	case err == nil, errors.Is(err, queue.ErrNotFound), errors.Is(err, queue.ErrPartial): // it was unpacked, whatever was in it
		return nil, nil //nolint:nilnil // it can be read
	}
	return nil, err
}

// committed returns what a group has committed. What is not known of a partition is left out.
func committed(ctx context.Context, o *observe.Observer, name string) ([]queue.Position, error) {
	snapshot, err := o.Snapshot(ctx, lag.Query{Groups: []string{name}})
	if err != nil {
		return nil, err
	}
	commits := snapshot.Groups[name].Commits
	if !commits.Known {
		return nil, fmt.Errorf("read commits of %s: %w", name, queue.ErrPartial)
	}
	var all []queue.Position
	for tp, c := range commits.V {
		if c.Problem == "" && c.Offset >= 0 {
			all = append(all, queue.Position{Topic: tp.Topic, Partition: tp.Partition, Offset: c.Offset})
		}
	}
	return all, nil
}

// subscription is what the group reads: what the configuration says, and tiers that have left it but are still there. What
// waits in them must not be forgotten; nothing is written there any more.
func (p *plant) subscription(ctx context.Context, b *base) ([]string, error) {
	names := p.s.names()
	topics := names.Consumed()
	there, err := ask(ctx, p.s, p.observer.Topics)
	if err != nil {
		return nil, err
	}
	for _, topic := range there {
		if role, _, ours := names.Role(topic); ours && role == queue.RoleRetry && !slices.Contains(topics, topic) {
			topics = append(topics, topic)
			b.logs.Log.InfoContext(ctx, "a retry topic that is not configured any more is still consumed", slog.String(obs.KeyTopic, topic))
		}
	}
	return topics, nil
}
