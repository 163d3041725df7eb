package brokertest

import (
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// anyKey stands for requests of every kind.
const anyKey = -1

// Fault fails requests from now on, see Fault: Count 0 is once, -1 until Remove. Wait and Hits tell what it met.
func (b *Broker) Fault(faults ...Fault) *Faults { return b.broker.Fault(faults...) }

// ControlKey answers the next request of a kind; KeepControl inside of it makes it last. It comes before faults.
func (b *Broker) ControlKey(key kmsg.Key, fn Control) { b.broker.ControlKey(int16(key), fn) }

// Control is ControlKey for requests of every kind.
func (b *Broker) Control(fn Control) { b.broker.ControlKey(anyKey, fn) }

// KeepControl keeps the control that is running for further requests. Call it inside the control.
func (b *Broker) KeepControl() { b.cluster.KeepControl() }

// DropControl drops the control that is running although it did not answer. Call it inside the control.
func (b *Broker) DropControl() { b.cluster.DropControl() }

// SleepControl lets the control that is running sleep until wakeup returns, while other connections go on. Call it
// inside the control.
func (b *Broker) SleepControl(wakeup func()) { b.cluster.SleepControl(wakeup) }

// CurrentNode is the node that got the request. Call it inside a control.
func (b *Broker) CurrentNode() int32 { return b.cluster.CurrentNode() }

// Mute lets requests of the given kinds, or all without a kind, go unanswered until the function that it returns is
// called. A connection that was muted once stays silent: clients must dial again.
func (b *Broker) Mute(keys ...kmsg.Key) (unmute func()) {
	var over atomic.Bool
	control := func(kmsg.Request) (kmsg.Response, error, bool) {
		if over.Load() {
			return nil, nil, false
		}
		b.cluster.KeepControl()
		return nil, nil, true
	}
	if len(keys) == 0 {
		b.Control(control)
	}
	for _, k := range keys {
		b.ControlKey(k, control)
	}
	return func() { over.Store(true) }
}

// CutConnections closes every connection of every client.
func (b *Broker) CutConnections() { b.broker.CutConnections() }

// MoveTopicPartition makes a node the leader of a partition.
func (b *Broker) MoveTopicPartition(topic string, partition, node int32) {
	b.t.Helper()
	if err := b.cluster.MoveTopicPartition(topic, partition, node); err != nil {
		b.t.Fatalf("brokertest: move %s/%d to node %d: %v", topic, partition, node, err)
	}
}

// LeaderFor returns the node that leads a partition; -1: there is none.
func (b *Broker) LeaderFor(topic string, partition int32) int32 {
	return b.cluster.LeaderFor(topic, partition)
}

// CoordinatorFor returns the node that coordinates a group.
func (b *Broker) CoordinatorFor(group string) int32 { return b.cluster.CoordinatorFor(group) }

// ShufflePartitionLeaders gives every partition a random leader.
func (b *Broker) ShufflePartitionLeaders() { b.cluster.ShufflePartitionLeaders() }

// RehashCoordinators moves groups to other coordinators.
func (b *Broker) RehashCoordinators() { b.cluster.RehashCoordinators() }

// AddNode adds a node and returns its id.
func (b *Broker) AddNode() int32 {
	b.t.Helper()
	id, _, err := b.cluster.AddNode(-1, 0)
	if err != nil {
		b.t.Fatalf("brokertest: add node: %v", err)
	}
	return id
}

// RemoveNode removes a node. Connections to it stay open: see CutConnections.
func (b *Broker) RemoveNode(id int32) {
	b.t.Helper()
	if err := b.cluster.RemoveNode(id); err != nil {
		b.t.Fatalf("brokertest: remove node %d: %v", id, err)
	}
}

// DeleteRecords makes the log of a partition start at an offset, as retention does.
func (b *Broker) DeleteRecords(topic string, partition int32, offset int64) {
	b.t.Helper()
	if err := b.cluster.DeleteRecords(topic, partition, offset); err != nil {
		b.t.Fatalf("brokertest: delete records of %s/%d: %v", topic, partition, err)
	}
}

// ApplyRetention applies kfake's own retention, which may empty a log.
func (b *Broker) ApplyRetention() { b.cluster.ApplyRetention() }

// Compact compacts the topics that ask for it: it leaves holes.
func (b *Broker) Compact() { b.cluster.Compact() }

// PartitionInfo returns the ends of a partition; nil: there is none.
func (b *Broker) PartitionInfo(topic string, partition int32) *PartitionInfo {
	return b.cluster.PartitionInfo(topic, partition)
}

// GroupInfo returns a group; nil: there is none.
func (b *Broker) GroupInfo(group string) *GroupInfo { return b.cluster.GroupInfo(group) }

// WaitGroupStable waits until a group is stable with so many members; -1: with any number.
func (b *Broker) WaitGroupStable(group string, members int) *GroupInfo {
	b.t.Helper()
	ctx, cancel := b.within()
	defer cancel()
	info, err := b.cluster.WaitGroupStable(ctx, group, members)
	if err != nil {
		b.t.Fatalf("brokertest: group %s is not stable with %d members: %v; last seen: %+v", group, members, err, info)
	}
	return info
}

// WaitGroup waits until fn is true for a group, nil while it does not exist.
func (b *Broker) WaitGroup(group string, fn func(*GroupInfo) bool) *GroupInfo {
	b.t.Helper()
	ctx, cancel := b.within()
	defer cancel()
	info, err := b.cluster.WaitGroupInfo(ctx, group, fn)
	if err != nil {
		b.t.Fatalf("brokertest: group %s: %v; last seen: %+v", group, err, info)
	}
	return info
}
