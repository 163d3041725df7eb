// Package setup holds what a cluster should look like against what it looks like. Here: the topics. It plans, and creates
// what is missing; it never changes or deletes what is there, for that may hold orders.
package setup

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"commerce.internal/orderctl/internal/queue"
)

// LetterRoom is how much larger a record of the dead-letter topic may be than one of the source: the letter carries the
// original bytes and our headers.
const LetterRoom = 64 << 10

// TopicSpec is a topic as it should be.
type TopicSpec struct {
	Name              string
	Role              queue.Role
	Partitions        int32
	ReplicationFactor int16
	Configs           map[string]string
}

// Topic is a topic as it is.
type Topic struct {
	Partitions        int32
	ReplicationFactor int16
	Configs           map[string]string // effective values; a key that may not be read is absent
}

// Admin reads and creates topics.
type Admin interface {
	// Topics returns those of the names that exist.
	Topics(ctx context.Context, names []string) (map[string]Topic, error)
	// Create makes the topics. One that exists by then is no error: two operators may start at once.
	Create(ctx context.Context, specs []TopicSpec) error
}

// Want is what the configuration asks for.
type Want struct {
	Names             queue.Names
	Partitions        int32
	ReplicationFactor int16
	MinInSyncReplicas int
	Retention         time.Duration
	DLQRetention      time.Duration // 0: for ever
	MaxMessageBytes   int           // of the source
}

// Action is what a step of the plan does.
type Action string

// The actions of a plan.
const (
	ActionCreate Action = "create"
	ActionOK     Action = "ok"
	ActionDiffer Action = "differs" // shown, never changed
)

// Drift is one property of an existing topic that is not as configured.
type Drift struct {
	Key  string `json:"key"`
	Have string `json:"have"`
	Want string `json:"want"`
}

// Step is what the plan says of one topic.
type Step struct {
	Spec   TopicSpec
	Action Action
	Drift  []Drift
}

// Plan compares what is wanted with what the cluster has. All topics of a group have the partition count of the source,
// for a hop keeps the partition number: where the source exists, its count is the measure for the others.
func Plan(ctx context.Context, admin Admin, want Want) ([]Step, error) {
	found, err := admin.Topics(ctx, want.Names.All())
	if err != nil {
		return nil, fmt.Errorf("read topics of %s: %w", want.Names.Source, err)
	}
	partitions := want.Partitions
	if src, ok := found[want.Names.Source]; ok {
		partitions = src.Partitions
	}
	steps := make([]Step, 0, len(want.Names.All()))
	for _, name := range want.Names.All() {
		spec := want.spec(name, partitions)
		if name == want.Names.Source {
			spec.Partitions = want.Partitions
		}
		steps = append(steps, compare(spec, found))
	}
	return steps, nil
}

// Apply creates what the plan says is missing and returns how many topics that were.
func Apply(ctx context.Context, admin Admin, steps []Step) (int, error) {
	var missing []TopicSpec
	for _, s := range steps {
		if s.Action == ActionCreate {
			missing = append(missing, s.Spec)
		}
	}
	if len(missing) == 0 {
		return 0, nil
	}
	if err := admin.Create(ctx, missing); err != nil {
		return 0, fmt.Errorf("create topics: %w", err)
	}
	return len(missing), nil
}

func (w Want) spec(name string, partitions int32) TopicSpec {
	role, _, _ := w.Names.Role(name)
	s := TopicSpec{Name: name, Role: role, Partitions: partitions, ReplicationFactor: w.ReplicationFactor, Configs: map[string]string{
		"cleanup.policy":      "delete",
		"min.insync.replicas": strconv.Itoa(w.MinInSyncReplicas),
		"retention.ms":        retention(w.Retention),
	}}
	switch role {
	case queue.RoleDLQ:
		s.Configs["retention.ms"] = retention(w.DLQRetention)
		s.Configs["max.message.bytes"] = strconv.Itoa(w.MaxMessageBytes + LetterRoom)
	case queue.RoleAudit:
		s.Configs["cleanup.policy"] = "compact"
		delete(s.Configs, "retention.ms")
	case queue.RoleSource, queue.RoleRetry, queue.RoleReplay:
		s.Configs["max.message.bytes"] = strconv.Itoa(w.MaxMessageBytes)
		if role != queue.RoleSource {
			s.Configs["max.message.bytes"] = strconv.Itoa(w.MaxMessageBytes + LetterRoom)
		}
	}
	return s
}

func retention(d time.Duration) string {
	if d == 0 {
		return "-1"
	}
	return strconv.FormatInt(d.Milliseconds(), 10)
}

func compare(spec TopicSpec, found map[string]Topic) Step {
	have, ok := found[spec.Name]
	if !ok {
		return Step{Spec: spec, Action: ActionCreate}
	}
	step := Step{Spec: spec, Action: ActionOK}
	differ := func(key, is, want string) {
		if is != want {
			step.Action = ActionDiffer
			step.Drift = append(step.Drift, Drift{Key: key, Have: is, Want: want})
		}
	}
	differ("partitions", strconv.Itoa(int(have.Partitions)), strconv.Itoa(int(spec.Partitions)))
	differ("replication.factor", strconv.Itoa(int(have.ReplicationFactor)), strconv.Itoa(int(spec.ReplicationFactor)))
	for _, key := range slices.Sorted(maps.Keys(spec.Configs)) {
		if is, known := have.Configs[key]; known { // a value that may not be read is no drift
			differ(key, is, spec.Configs[key])
		}
	}
	return step
}
