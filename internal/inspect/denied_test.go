package inspect_test

import (
	"context"
	"errors"
	"testing"

	"commerce.internal/orderctl/internal/inspect"
	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/queue"
)

// changed is a world that is observed in another way.
type changed struct {
	*world
	change func(*lag.Snapshot)
}

// Snapshot implements lag.Source.
func (c changed) Snapshot(ctx context.Context, q lag.Query) (lag.Snapshot, error) {
	s, err := c.world.Snapshot(ctx, q)
	c.change(&s)
	return s, err
}

// What this login may not describe is refused by name, and what nobody tells is not taken for refused.
func TestWhatMayNotBeDescribed(t *testing.T) {
	t.Parallel()
	whole := func(problem lag.Problem) func(*lag.Snapshot) {
		return func(s *lag.Snapshot) {
			s.Topics[source] = lag.TopicObs{}
			s.Partitions = map[lag.TopicPartition]lag.PartitionObs{{Topic: source, Partition: -1}: {Problem: problem}}
		}
	}
	theGroup := func(s *lag.Snapshot) { s.Groups[group] = lag.GroupObs{Problem: lag.NoAccess} }
	for _, tt := range []struct {
		name         string
		change       func(*lag.Snapshot)
		trace, audit error
		text         string // of audit
	}{
		{"the topic", whole(lag.NoAccess), queue.ErrDenied, queue.ErrDenied, `topic "` + source + `" may not be described by this login`},
		{"the group", theGroup, nil, queue.ErrDenied, `consumer group "` + group + `" may not be described by this login`},
		{"nobody answers", whole(lag.NoAnswer), queue.ErrPartial, queue.ErrPartial, "observe " + source + ": nobody tells its partitions: incomplete answer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := drained()
			a, o := options(w), tracing(w)
			a.Source, o.Source = changed{w, tt.change}, changed{w, tt.change}
			if _, err := inspect.Trace(t.Context(), "A", o); !errors.Is(err, tt.trace) {
				t.Errorf("trace: %v", err)
			}
			if _, err := inspect.Audit(t.Context(), a); !errors.Is(err, tt.audit) || err.Error() != tt.text {
				t.Errorf("audit: %v", err)
			}
		})
	}
}
