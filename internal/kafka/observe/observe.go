// Package observe looks at a cluster: groups, what they committed, and where the logs begin and end. It asks every
// broker once for all that it knows, keeps what came when some broker is silent, and says what did not come. It reads no
// record and changes nothing.
package observe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/IBM/sarama"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/kafka"
	"commerce.internal/orderctl/internal/queue"
)

var _ lag.Source = (*Observer)(nil)

// Observer observes one cluster. It connects at the first question and keeps the connections. Its methods may be called
// from several goroutines; they take turns. At the end of the context of a call all connections are cut, so that it
// returns at once; the next call connects anew.
type Observer struct {
	opts   kafka.Options
	turn   chan struct{} // holds one token while nobody is at work
	memory *memory       // owned by whoever has the turn
	conn   *conn         // nil: not connected. Owned by whoever has the turn
}

// New returns an Observer. Nothing is asked yet.
func New(o kafka.Options) *Observer {
	turn := make(chan struct{}, 1)
	turn <- struct{}{}
	return &Observer{opts: o, turn: turn, memory: newMemory()}
}

// Close ends the connections, once the call that is at work has ended.
func (o *Observer) Close() error {
	<-o.turn
	defer func() { o.turn <- struct{}{} }()
	return o.drop()
}

func (o *Observer) drop() error {
	if o.conn == nil {
		return nil
	}
	err := o.conn.close()
	o.conn = nil
	return err
}

// with runs one call: in turn, connected, and cut off at the end of ctx.
func (o *Observer) with(ctx context.Context, call func(*conn) error) error {
	select {
	case <-o.turn:
	case <-ctx.Done():
		return fmt.Errorf("wait for another question: %w", context.Cause(ctx))
	}
	defer func() { o.turn <- struct{}{} }()
	if o.conn == nil {
		c, err := dial(ctx, o.opts, o.memory)
		if err != nil {
			return err
		}
		o.conn = c
	}
	o.conn.begin()
	stop := context.AfterFunc(ctx, o.conn.client.Cut)
	err := call(o.conn)
	if !stop() { // cut, or about to be
		_ = o.drop()
	}
	if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(err, queue.ErrPartial) {
		// What a cut connection says is not why: a dial that was cut off calls itself cancelled.
		err = fmt.Errorf("%w: %s", cause, err.Error())
	}
	return o.opts.Explain(err)
}

// Group is one consumer group as it is listed.
type Group struct {
	Name  string
	Type  string // classic, consumer, share, streams; empty: the broker is too old to tell
	State string // empty: the broker is too old to tell
}

// Groups lists the consumer groups of the cluster by name. Groups of other protocols (connect) are left out. With some
// broker silent it returns the rest and an error that is queue.ErrPartial.
func (o *Observer) Groups(ctx context.Context) ([]Group, error) {
	var groups []Group
	err := o.with(ctx, func(c *conn) error {
		if _, err := c.metadata(nil); err != nil {
			return err
		}
		listed, silent := c.listGroups(c.ids())
		for name, g := range listed {
			groups = append(groups, Group{Name: name, Type: g.kind, State: g.state})
		}
		slices.SortFunc(groups, func(a, b Group) int { return strings.Compare(a.Name, b.Name) })
		return partial(silent)
	})
	return groups, err
}

// Topics lists the topics of the cluster by name, internal ones left out.
func (o *Observer) Topics(ctx context.Context) ([]string, error) {
	found, err := o.Layout(ctx)
	return slices.Sorted(maps.Keys(found)), err
}

// Layout lists the topics of the cluster with the number of their partitions, internal ones left out.
func (o *Observer) Layout(ctx context.Context) (map[string]int, error) {
	found := map[string]int{}
	err := o.with(ctx, func(c *conn) error {
		topics, err := c.metadata(nil)
		for name, t := range topics {
			if !t.IsInternal && t.Err == sarama.ErrNoError {
				found[name] = len(t.Partitions)
			}
		}
		return err
	})
	return found, err
}

// OffsetsAt returns the first offset that is at least as young as the time asked for, for each partition. What no broker
// told is not Known. After a snapshot it costs one request a leader.
func (o *Observer) OffsetsAt(ctx context.Context, at map[lag.TopicPartition]time.Time) (map[lag.TopicPartition]lag.Maybe[lag.OffsetAt], error) {
	found := make(map[lag.TopicPartition]lag.Maybe[lag.OffsetAt], len(at))
	err := o.with(ctx, func(c *conn) error {
		names := map[string]bool{}
		for tp := range at {
			found[tp] = lag.Maybe[lag.OffsetAt]{}
			names[tp.Topic] = true
		}
		topics, atHand := c.memory.leaders(sorted(names), time.Now())
		if !atHand {
			var err error
			if topics, err = c.metadata(sorted(names)); err != nil {
				return err
			}
		}
		l := newLookup(c, topics)
		l.want(sortedPartitions(at))
		l.marks = func(tp lag.TopicPartition) (int64, bool) { return sinceEpoch(at[tp]), true }
		l.run([]question{askMark})
		for tp := range at {
			found[tp] = l.found[tp].Mark
		}
		return nil
	})
	return found, err
}

func sortedPartitions[V any](m map[lag.TopicPartition]V) []lag.TopicPartition {
	tps := make([]lag.TopicPartition, 0, len(m))
	for tp := range m {
		tps = append(tps, tp)
	}
	slices.SortFunc(tps, func(a, b lag.TopicPartition) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return tps
}
