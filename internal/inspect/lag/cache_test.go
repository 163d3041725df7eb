package lag_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/queue"
)

// script answers with what its function returns for the n-th call, counted from 1.
type script struct {
	calls atomic.Int64
	do    func(ctx context.Context, n int64) (lag.Snapshot, error)
}

func (s *script) Snapshot(ctx context.Context, _ lag.Query) (lag.Snapshot, error) {
	return s.do(ctx, s.calls.Add(1))
}

func (s *script) OffsetsAt(context.Context, map[lag.TopicPartition]time.Time) (map[lag.TopicPartition]lag.Maybe[lag.OffsetAt], error) {
	return nil, errors.ErrUnsupported
}

func running(t *testing.T, src lag.Source, log *slog.Logger, test func(c *lag.Cache)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c, err := lag.NewCache(lag.CacheOptions{Source: src, Log: log})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.Run(ctx) }()
		test(c)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
}

// wait lets the fake clock run.
func wait(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestCacheAsksOnceEachFiveSeconds(t *testing.T) {
	t.Parallel()
	src := &script{do: func(context.Context, int64) (lag.Snapshot, error) { return golden(), nil }}
	running(t, src, slog.New(slog.DiscardHandler), func(c *lag.Cache) {
		wait(time.Second)
		for range 1000 {
			if r, err := c.Report(); err != nil || len(r.Groups) != 2 {
				t.Fatalf("Report = %d groups, %v", len(r.Groups), err)
			}
		}
		wait(time.Minute)
		if n := src.calls.Load(); n != 13 {
			t.Errorf("%d questions in 61 s and 1,000 readers, want 13", n)
		}
	})
}

func TestCacheBeforeTheFirstAnswer(t *testing.T) {
	t.Parallel()
	src := &script{do: func(ctx context.Context, _ int64) (lag.Snapshot, error) {
		<-ctx.Done()
		return lag.Snapshot{}, ctx.Err()
	}}
	running(t, src, slog.New(slog.DiscardHandler), func(c *lag.Cache) {
		if _, err := c.Report(); !errors.Is(err, lag.ErrOutdated) {
			t.Errorf("Report = %v", err)
		}
		wait(11 * time.Second) // a refresh that hangs is given up after 10 s
		if _, err := c.Report(); !errors.Is(err, lag.ErrOutdated) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Report = %v", err)
		}
	})
}

func TestCacheGoesOutOfDateAndRecovers(t *testing.T) {
	t.Parallel()
	down := errors.New("no broker answers")
	src := &script{do: func(_ context.Context, n int64) (lag.Snapshot, error) {
		if n >= 3 && n < 8 { // 10 s to 30 s
			return lag.Snapshot{}, down
		}
		return golden(), nil
	}}
	var log bytes.Buffer
	running(t, src, slog.New(slog.NewTextHandler(&log, nil)), func(c *lag.Cache) {
		wait(19 * time.Second)
		if _, err := c.Report(); err != nil {
			t.Errorf("14 s old: %v", err)
		}
		wait(2 * time.Second)
		if r, err := c.Report(); !errors.Is(err, lag.ErrOutdated) || !errors.Is(err, down) || r.Groups != nil {
			t.Errorf("16 s old: %v with %d groups", err, len(r.Groups))
		}
		wait(16 * time.Second)
		if _, err := c.Report(); err != nil {
			t.Errorf("after the brokers came back: %v", err)
		}
	})
	if lines := strings.Count(log.String(), "\n"); lines != 2 {
		t.Errorf("one line for the failure and one for its end, got:\n%s", log.String())
	}
}

func TestCacheTellsTheLagOfOneTopic(t *testing.T) {
	t.Parallel()
	src := &script{do: func(context.Context, int64) (lag.Snapshot, error) { return golden(), nil }}
	running(t, src, slog.New(slog.DiscardHandler), func(c *lag.Cache) {
		wait(time.Second)
		if l, err := c.Consumer(t.Context(), "workers", "orders"); err != nil || l.TotalLag != lag.Know[int64](170) {
			t.Errorf("Consumer = %+v, %v", l, err)
		}
		if _, err := c.Consumer(t.Context(), "nobody", "orders"); !errors.Is(err, queue.ErrNotFound) {
			t.Errorf("no such group: %v", err)
		}
	})
}

func TestCacheTellsRates(t *testing.T) {
	t.Parallel()
	owned := []lag.MemberObs{member("m1", []string{"orders"}, tp("orders", 0))}
	w := over(owned, func(int) int64 { return 10 }, func(int) int64 { return 50 }, 20)
	src := &script{do: func(_ context.Context, n int64) (lag.Snapshot, error) { return w[n-1], nil }}
	running(t, src, slog.New(slog.DiscardHandler), func(c *lag.Cache) {
		wait(time.Minute)
		r, err := c.Report()
		if err != nil || r.Groups[0].Partitions[0].Status != lag.Stalled {
			t.Errorf("Report = %+v, %v: want STALLED, seen over a window", r, err)
		}
	})
}

func TestCacheNamesWhatItLacks(t *testing.T) {
	t.Parallel()
	if _, err := lag.NewCache(lag.CacheOptions{Log: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), "CacheOptions.Source") {
		t.Errorf("NewCache = %v", err)
	}
	if _, err := lag.NewCache(lag.CacheOptions{Source: &script{}}); err == nil || !strings.Contains(err.Error(), "CacheOptions.Log") {
		t.Errorf("NewCache = %v", err)
	}
}
