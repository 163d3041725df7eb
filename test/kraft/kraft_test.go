//go:build e2e

package kraft_test

import (
	"context"
	"testing"
	"time"

	"commerce.internal/orderctl/test/kraft"
)

func TestThreeNodesLoseALeaderAndGoOn(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	c, err := kraft.Start(ctx, t.TempDir(), 3)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.CreateTopic(ctx, "orders", 3); err != nil {
		t.Fatal(err)
	}
	old, err := c.Leader(ctx, "orders", 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Kill(old); err != nil {
		t.Fatal(err)
	}
	for {
		id, err := c.Leader(ctx, "orders", 0)
		if err == nil && id != old {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("no new leader: %v\n%s", err, c.LogTail())
		}
	}
}
