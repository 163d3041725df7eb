package setup

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

// Records reads a bounded piece of a log.
type Records interface {
	Scan(ctx context.Context, topic string, partition int32, from, end int64, fn func(queue.Record) error) error
}

// Rows tells what the database remembers about messages.
type Rows interface {
	Messages(ctx context.Context, group string, ids []string) ([]queue.Row, error)
}

// Controls lets the messages of a replay partition forget which discard they obeyed last.
type Controls interface {
	ForgetControls(ctx context.Context, group string, topics []string, partition int32) (int64, error)
}

// Logs lets the commit of a partition belong to whatever log is there: an operator has said where to go on.
type Logs interface {
	ForgetLog(ctx context.Context, group, topic string, partition int32) error
}

// Commit sets the committed offsets of a group without members. An offset below 0 takes the commit away.
type Commit func(ctx context.Context, group string, offsets map[lag.TopicPartition]int64) error

// OffsetsOptions says whose offsets are moved, and with what.
type OffsetsOptions struct {
	Group    string     // required
	Source   lag.Source // required
	Records  Records    // required
	Commit   Commit     // required
	Rows     Rows       // nil: no database at hand, so no row knows anything
	Controls Controls   // nil: the same
	Logs     Logs       // nil: nothing is remembered of logs
	Tiers    []time.Duration
	Unknown  order.Unknown // how the worker reads orders
	Latest   bool          // a partition without a commit is read from its end, not from its start
}

// Offsets moves the offsets of a stopped group, with a plan first.
type Offsets struct{ opts OffsetsOptions }

// NewOffsets returns an Offsets.
func NewOffsets(o OffsetsOptions) (*Offsets, error) {
	for _, required := range []struct {
		name    string
		missing bool
	}{{"Group", o.Group == ""}, {"Source", o.Source == nil}, {"Records", o.Records == nil}, {"Commit", o.Commit == nil}} {
		if required.missing {
			return nil, errors.New("setup: OffsetsOptions." + required.name + " is required")
		}
	}
	return &Offsets{opts: o}, nil
}

// Refusal is a reset that is not done, and why. It carries its exit code.
type Refusal struct {
	Text string
	Help string
	Code int
	Kind error // nil: none
}

// Error implements error.
func (r *Refusal) Error() string { return r.Text }

// ExitCode is the code of the process.
func (r *Refusal) ExitCode() int { return r.Code }

// Hint says what to do.
func (r *Refusal) Hint() string { return r.Help }

// Unwrap returns the kind.
func (r *Refusal) Unwrap() error { return r.Kind }

// The kinds of a refusal that a caller may want to tell more of.
var (
	// ErrNoGroup: there is no such group.
	ErrNoGroup = errors.New("no such group")
	// ErrNoTopic: there is no such topic.
	ErrNoTopic = errors.New("no such topic")
)

// stopped is what was seen of the group, which must be there and have no members.
func (o *Offsets) stopped(ctx context.Context, topics []string) (lag.Snapshot, error) {
	s, err := o.opts.Source.Snapshot(ctx, lag.Query{Groups: []string{o.opts.Group}, Topics: topics})
	if err != nil && len(s.Groups) == 0 {
		return s, err
	}
	g := s.Groups[o.opts.Group]
	switch {
	case g.Problem == lag.NoAccess:
		return s, fmt.Errorf("describe group %s: %w", o.opts.Group, queue.ErrDenied)
	case g.Problem == lag.Unsupported:
		return s, &Refusal{Text: fmt.Sprintf("%s is a %s group, its offsets are not committed like those of consumers", o.opts.Group, g.Type), Code: codeFailed}
	case g.Problem != "" || !g.Commits.Known || !g.Members.Known:
		return s, fmt.Errorf("the coordinator of group %s did not answer: %w", o.opts.Group, queue.ErrUnreachable)
	case g.Missing():
		return s, fmt.Errorf("%w: %s", ErrNoGroup, o.opts.Group)
	case len(g.Members.V) > 0 || g.State != lag.StateEmpty && g.State != lag.StateDead:
		return s, hasMembers(o.opts.Group, g)
	}
	return s, nil
}

// hasMembers is the refusal of a group that is not empty: its members commit over whatever is set.
func hasMembers(group string, g lag.GroupObs) error {
	var names []string
	for _, m := range g.Members.V {
		name := m.ClientID
		if m.InstanceID != "" {
			name = m.InstanceID
		}
		names = append(names, fmt.Sprintf("%s on %s (%s)", name, m.Host, m.ID))
	}
	text := fmt.Sprintf("group %s is %s, not Empty", group, g.State)
	if len(names) > 0 {
		text += ": " + strings.Join(names, ", ")
	}
	return &Refusal{Text: text, Help: "stop its workers first: they would commit over what is set", Code: codeFailed}
}

// sourceOf is the source topic that a topic of a group belongs to; of any other topic it is itself.
func sourceOf(topic, group string) string {
	for i := range topic {
		if topic[i] != '.' {
			continue
		}
		if _, _, ok := (queue.Names{Source: topic[:i], Group: group}).Role(topic); ok {
			return topic[:i]
		}
	}
	return topic
}
