package queue_test

import (
	"errors"
	"fmt"
	"testing"

	"commerce.internal/orderctl/internal/queue"
)

func TestKindOfAFailedPublication(t *testing.T) {
	t.Parallel()
	cause := errors.New("no leader")
	err := fmt.Errorf("publish order A: %w", &queue.PublishError{Kind: queue.NotSent, Reason: "no-leader", Err: cause})
	if queue.KindOf(err) != queue.NotSent || !errors.Is(err, cause) {
		t.Errorf("KindOf(%v) = %v", err, queue.KindOf(err))
	}
	if queue.KindOf(cause) != queue.Unknown {
		t.Error("an error that does not say so must never count as not sent")
	}
}

func TestPositionShowsAnUnknownOffset(t *testing.T) {
	t.Parallel()
	p := queue.Position{Topic: "orders", Partition: 3, Offset: -1}
	if p.String() != "orders/3@?" {
		t.Errorf("String() = %q", p)
	}
	p.Offset = 0
	if p.String() != "orders/3@0" {
		t.Errorf("String() = %q", p)
	}
}
