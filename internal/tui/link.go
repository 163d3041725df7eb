package tui

import (
	"context"
	"fmt"
	"sync"
	"time"

	"commerce.internal/orderctl/internal/inspect/lag"
)

// link is the client of the moment. It lets ages be looked for every few seconds only.
type link struct {
	dial func() Client
	now  func() time.Time

	mu      sync.Mutex
	client  Client
	agedAt  time.Time
	skipAge bool
}

func (l *link) current() Client {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.client == nil {
		l.client = l.dial()
	}
	return l.client
}

func (l *link) drop() error {
	l.mu.Lock()
	c := l.client
	l.client = nil
	l.mu.Unlock()
	if c == nil {
		return nil
	}
	if err := c.Close(); err != nil {
		return fmt.Errorf("close client: %w", err)
	}
	return nil
}

// Snapshot implements lag.Source.
func (l *link) Snapshot(ctx context.Context, q lag.Query) (lag.Snapshot, error) {
	l.mu.Lock()
	l.skipAge = !l.agedAt.IsZero() && l.now().Sub(l.agedAt) < agesEvery-100*time.Millisecond
	l.mu.Unlock()
	return l.current().Snapshot(ctx, q)
}

// OffsetsAt implements lag.Source.
func (l *link) OffsetsAt(ctx context.Context, at map[lag.TopicPartition]time.Time) (map[lag.TopicPartition]lag.Maybe[lag.OffsetAt], error) {
	if l.skipped() {
		return nil, nil // nobody told; what was known before stays
	}
	return l.current().OffsetsAt(ctx, at)
}

func (l *link) skipped() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.skipAge
}

// aged notes that ages were looked for in this look.
func (l *link) aged() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.skipAge {
		l.agedAt = l.now()
	}
}
