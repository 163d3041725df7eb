package lag

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"commerce.internal/orderctl/internal/queue"
)

// ErrOutdated says that the newest observation is too old to be shown as the present.
var ErrOutdated = errors.New("lag data is out of date")

const (
	defaultEvery = 5 * time.Second
	maxMissed    = 3 // refreshes that may fail before the data is out of date
	// SlowChange is how old what seldom changes may be where a cluster is looked at again and again.
	SlowChange = 30 * time.Second
)

// CacheOptions are the parts of a Cache. Source and Log are required.
type CacheOptions struct {
	Source Source
	Query  Query
	Policy Policy
	Ages   Ages          // empty: AgeAuto
	Every  time.Duration // between refreshes; zero: 5 s
	Log    *slog.Logger
}

// Cache observes again and again while it runs and keeps the newest verdict, so that any number of readers cost the
// brokers one question each few seconds.
type Cache struct {
	opts   CacheOptions
	window *Window

	mu     sync.Mutex
	report Report
	at     time.Time // of the newest snapshot; zero: none yet
	err    error     // of the newest refresh
}

// NewCache returns a Cache that knows nothing yet.
func NewCache(o CacheOptions) (*Cache, error) {
	switch {
	case o.Source == nil:
		return nil, errors.New("lag: CacheOptions.Source is required")
	case o.Log == nil:
		return nil, errors.New("lag: CacheOptions.Log is required")
	}
	if o.Every <= 0 {
		o.Every = defaultEvery
	}
	if o.Query.Reuse == 0 {
		o.Query.Reuse = SlowChange
	}
	w, err := NewWindow(o.Source, o.Query, o.Policy, o.Ages)
	return &Cache{opts: o, window: w}, err
}

// Run refreshes until ctx ends, then returns nil.
func (c *Cache) Run(ctx context.Context) error {
	tick := time.NewTicker(c.opts.Every)
	defer tick.Stop()
	for {
		c.refresh(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// refresh observes once. A refresh that hangs ends before the next but one is due.
func (c *Cache) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*c.opts.Every)
	defer cancel()
	s, err := c.window.Observe(ctx)
	if errors.Is(ctx.Err(), context.Canceled) {
		return // the end of Run says nothing about the cluster
	}
	var report Report
	if err == nil {
		c.window.Add(s)
		report = c.window.Report()
	}
	c.mu.Lock()
	before := c.err
	c.err = err
	if err == nil {
		c.report, c.at = report, time.Now()
	}
	c.mu.Unlock()
	switch {
	case err != nil && before == nil:
		c.opts.Log.WarnContext(ctx, "lag cannot be observed", slog.String("error", err.Error()))
	case err == nil && before != nil:
		c.opts.Log.InfoContext(ctx, "lag is observed again")
	}
}

// Consumer returns the lag of a group on a topic by the newest verdict. queue.ErrNotFound: there is no such group, or it has
// nothing to do with the topic.
func (c *Cache) Consumer(_ context.Context, group, topic string) (ConsumerLag, error) {
	r, err := c.Report()
	if err != nil {
		return ConsumerLag{}, err
	}
	found, ok := r.Consumer(group, topic)
	if !ok {
		return ConsumerLag{}, fmt.Errorf("group %q, topic %q: %w", group, topic, queue.ErrNotFound)
	}
	return found, nil
}

// Report returns the newest verdict. Before the first one, and when three refreshes have brought nothing, the error is
// ErrOutdated with the reason.
func (c *Cache) Report() (Report, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch age := time.Since(c.at); {
	case c.at.IsZero() && c.err == nil:
		return Report{}, fmt.Errorf("%w: nothing observed yet", ErrOutdated)
	case c.at.IsZero():
		return Report{}, fmt.Errorf("%w: %w", ErrOutdated, c.err)
	case age > maxMissed*c.opts.Every && c.err != nil:
		return Report{}, fmt.Errorf("%w, %s old: %w", ErrOutdated, age.Round(time.Second), c.err)
	case age > maxMissed*c.opts.Every:
		return Report{}, fmt.Errorf("%w, %s old", ErrOutdated, age.Round(time.Second))
	}
	return c.report, nil
}
