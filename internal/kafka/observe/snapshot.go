package observe

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/queue"
)

// Snapshot observes groups and the partitions that they have to do with: metadata, then what the groups committed, then
// the ends of the logs, so that a lag cannot be negative. At the end of ctx it returns what came. An error means that
// nothing did.
func (o *Observer) Snapshot(ctx context.Context, q lag.Query) (lag.Snapshot, error) {
	var s lag.Snapshot
	err := o.with(ctx, func(c *conn) (err error) {
		s, err = c.snapshot(ctx, q)
		return err
	})
	return s, err
}

func (c *conn) snapshot(ctx context.Context, q lag.Query) (lag.Snapshot, error) {
	start := time.Now()
	s := lag.Snapshot{
		Isolation: cmp.Or(q.Isolation, lag.ReadCommitted), SLO: q.SLO, Asked: slices.Clone(q.Topics),
		Topics: map[string]lag.TopicObs{}, Partitions: map[lag.TopicPartition]lag.PartitionObs{},
	}
	last := c.memory.recall(q, start)
	topics, err := c.observeGroups(ctx, q, &s, &last)
	if err != nil {
		return s, err
	}
	every := len(q.Topics) == 0
	c.complete(topics, needed(s, topics, every), dead(s))
	l := newLookup(c, topics)
	names := needed(s, topics, every)
	l.found = make(map[lag.TopicPartition]lag.PartitionObs, partitionsIn(topics, names))
	for name := range names {
		obs, parts := describe(name, topics[name], c.alive)
		s.Topics[name] = obs
		maps.Copy(l.found, parts)
	}
	for _, name := range dead(s) {
		if obs, parts := describe(name, topics[name], c.alive); obs.Exists.V {
			s.Topics[name] = obs
			maps.Copy(l.found, parts)
		}
	}
	l.want(committed(s, l.found))
	l.marks = func(tp lag.TopicPartition) (int64, bool) {
		age, ok := lag.MarkAge(tp.Topic, q.SLO)
		return sinceEpoch(start.Add(-age)), ok
	}
	if last != nil {
		l.starts = last.starts
	}
	c.withConfigs(q, &s, func() { l.run([]question{askStable, askHigh, askStart, askMark}) })
	s.Partitions = l.found
	s.AsOf = time.Now()
	s.Took = s.AsOf.Sub(start)
	c.memory.topics, c.memory.topicsAt = topics, start
	if last == nil {
		c.memory.remember(q, s, start)
	} else if !whole(s) {
		c.memory.last = nil // look at all of it the next time
	}
	return s, nil
}

// observeGroups fills in the groups and returns the metadata. Where last is at hand, only commits are asked for; if that
// turns out not to do any more, last becomes nil.
func (c *conn) observeGroups(ctx context.Context, q lag.Query, s *lag.Snapshot, last **picture) (map[string]*sarama.TopicMetadata, error) {
	if *last != nil {
		groups, moved := c.commitsOf((*last).groups)
		if !moved {
			s.Groups = groups
			return c.memory.topics, nil
		}
		*last = nil
	}
	topics, err := c.metadata(q.Topics)
	if err != nil {
		return nil, err
	}
	s.Groups, s.Unlisted = c.groups(ctx, q)
	return topics, nil
}

// partitionsIn is how many partitions the topics have.
func partitionsIn(topics map[string]*sarama.TopicMetadata, names map[string]bool) int {
	n := 0
	for name := range names {
		if t := topics[name]; t != nil {
			n += len(t.Partitions)
		}
	}
	return n
}

// withConfigs asks for the configuration of the topics while ask is at work.
func (c *conn) withConfigs(q lag.Query, s *lag.Snapshot, ask func()) {
	var names []string
	for name, t := range s.Topics {
		if t.Exists.V && q.SLO > 0 { // without an SLO nobody judges
			names = append(names, name)
		}
	}
	now := time.Now()
	var found map[string]config
	var wg sync.WaitGroup
	wg.Go(func() { found = c.describeConfigs(c.memory.stale(names, now), now) })
	ask()
	wg.Wait()
	maps.Copy(c.memory.configs, found)
	for _, name := range names {
		s.Topics[name] = c.memory.apply(name, s.Topics[name])
	}
}

// topicsOf are the topics that a group committed in, is assigned or subscribes to.
func topicsOf(g lag.GroupObs) map[string]bool {
	names := map[string]bool{}
	for tp := range g.Commits.V {
		names[tp.Topic] = true
	}
	for _, m := range g.Members.V {
		for _, tp := range m.Assigned {
			names[tp.Topic] = true
		}
		for _, t := range m.Subscribed {
			names[t] = true
		}
	}
	return names
}

// needed are the topics that were asked for, that some group has to do with, or that are named after one. The last can be
// told only where metadata has the whole cluster.
func needed(s lag.Snapshot, topics map[string]*sarama.TopicMetadata, whole bool) map[string]bool {
	names := map[string]bool{}
	for _, t := range s.Asked {
		names[t] = true
	}
	for group, g := range s.Groups {
		maps.Copy(names, topicsOf(g))
		for t := range topics {
			if !whole || !lag.Belongs(t, group) {
				continue
			}
			names[t] = true
			if source, ok := lag.SourceOf(t, group); ok {
				names[source] = true
			}
		}
	}
	return names
}

// dead are the dead-letter topics that the groups would have, by the topics that they read.
func dead(s lag.Snapshot) []string {
	names := map[string]bool{}
	for group, g := range s.Groups {
		for t := range topicsOf(g) {
			if role, _ := queue.RoleOf(t); role == queue.RoleSource {
				names[queue.Names{Source: t, Group: group}.DLQ()] = true
			}
		}
	}
	return sorted(names)
}

// complete asks for the topics that metadata lacks: those asked for came first, before it was known what else groups
// read; and of a whole cluster those are missing that are gone, or that we may not see.
func (c *conn) complete(topics map[string]*sarama.TopicMetadata, names map[string]bool, optional []string) {
	missing := map[string]bool{}
	for name := range names {
		missing[name] = topics[name] == nil
	}
	for _, name := range optional {
		missing[name] = topics[name] == nil
	}
	ask := slices.DeleteFunc(sorted(missing), func(name string) bool { return !missing[name] })
	if len(ask) == 0 {
		return
	}
	more, err := c.metadata(ask)
	if err != nil {
		return // unknown they stay
	}
	for name, t := range more {
		topics[name] = t
	}
}

// committed are the partitions that some group committed in or owns and that metadata does not name.
func committed(s lag.Snapshot, found map[lag.TopicPartition]lag.PartitionObs) []lag.TopicPartition {
	missing := map[lag.TopicPartition]bool{}
	for _, g := range s.Groups {
		for tp := range g.Commits.V {
			if _, ok := found[tp]; !ok {
				missing[tp] = true
			}
		}
		for _, m := range g.Members.V {
			for _, tp := range m.Assigned {
				if _, ok := found[tp]; !ok {
					missing[tp] = true
				}
			}
		}
	}
	return sortedPartitions(missing)
}
