package setup

import (
	"context"
	"fmt"
	"strings"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/queue"
)

// Apply does what the plan says, if nothing has moved since, and reads it back. The messages of a replay partition forget
// which discard they obeyed last, before it is moved: what is read again lies below that.
func (o *Offsets) Apply(ctx context.Context, p OffsetsPlan) error {
	set, topics := map[lag.TopicPartition]int64{}, map[string]bool{}
	for _, m := range p.Moves {
		topics[m.Topic] = true
		if m.Changes() {
			set[m.TopicPartition()] = m.To
		}
	}
	if len(set) == 0 {
		return nil
	}
	s, err := o.stopped(ctx, sortedKeys(topics))
	if err != nil {
		return err
	}
	if list := o.differing(s, p, func(m Move) int64 { return m.From }); len(list) > 0 {
		return &Refusal{Text: "the group has moved meanwhile: " + few(list), Help: "nothing was changed; plan again", Code: codeFailed}
	}
	if err := o.forget(ctx, p); err != nil {
		return err
	}
	if err := o.opts.Commit(ctx, o.opts.Group, set); err != nil {
		return fmt.Errorf("move offsets of %s: %w", o.opts.Group, err)
	}
	if s, err = o.stopped(ctx, sortedKeys(topics)); err != nil {
		return fmt.Errorf("the offsets are set, but not read back: %w", err)
	}
	if list := o.differing(s, p, func(m Move) int64 { return m.To }); len(list) > 0 {
		return &Refusal{Text: "read back, some offsets are others: " + few(list), Help: "see 'orderctl offsets show'", Code: codeFailed}
	}
	return nil
}

// differing names the partitions of the plan whose commit is not what it should be.
func (o *Offsets) differing(s lag.Snapshot, p OffsetsPlan, want func(Move) int64) []string {
	var list []string
	for _, m := range p.Moves {
		have := int64(-1)
		c, ok := s.Groups[o.opts.Group].Commits.V[m.TopicPartition()]
		if ok {
			have = max(c.Offset, -1)
		}
		switch should := max(want(m), -1); {
		case c.Problem != "":
			list = append(list, fmt.Sprintf("%s is not known (%s)", m.TopicPartition(), c.Problem))
		case have != should:
			list = append(list, fmt.Sprintf("%s stands at %s, not %s", m.TopicPartition(), word(have), word(should)))
		}
	}
	return list
}

func word(offset int64) string {
	if offset < 0 {
		return "no offset"
	}
	return fmt.Sprint(offset)
}

// forget lets go of what is remembered by offset: which log the commits belong to, and, of the moved replay partitions, which
// discard the rows obeyed last.
func (o *Offsets) forget(ctx context.Context, p OffsetsPlan) error {
	for _, m := range p.Moves {
		if m.Changes() && o.opts.Logs != nil {
			if err := o.opts.Logs.ForgetLog(ctx, o.opts.Group, m.Topic, m.Partition); err != nil {
				return fmt.Errorf("prepare to move %s: %w", m.TopicPartition(), err)
			}
		}
		names := queue.Names{Source: sourceOf(m.Topic, o.opts.Group), Group: o.opts.Group, Tiers: o.opts.Tiers}
		if !m.Changes() || m.Topic != names.Replay() {
			continue
		}
		if o.opts.Controls == nil {
			return &Refusal{
				Text: fmt.Sprintf("%s cannot be moved without the database: its messages remember discards by offset", m.TopicPartition()),
				Help: "check store.dsn", Code: codeUnreachable, Kind: queue.ErrUnreachable,
			}
		}
		if _, err := o.opts.Controls.ForgetControls(ctx, o.opts.Group, names.Consumed(), m.Partition); err != nil {
			return fmt.Errorf("prepare to move %s: %w", m.TopicPartition(), err)
		}
	}
	return nil
}

// Describe says what a plan does, in one clause.
func (p OffsetsPlan) Describe(group string) string {
	t, changed := p.Totals()
	text := fmt.Sprintf("move %s of %s", plural(changed, "partition"), group)
	var parts []string
	if t.Skips > 0 {
		parts = append(parts, fmt.Sprintf("skips %d", t.Skips))
	}
	if t.Repeats > 0 {
		parts = append(parts, fmt.Sprintf("repeats %d", t.Repeats))
	}
	if len(parts) > 0 {
		text += " (" + strings.Join(parts, ", ") + " orders)"
	}
	return text
}
