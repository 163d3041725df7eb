package broker

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// answerUnknownGroups makes an OffsetFetch of a group that does not exist say "nothing committed", as Kafka does. kfake
// says GROUP_ID_NOT_FOUND, which clients take for a failure.
func (b *Broker) answerUnknownGroups() { b.answerAt(int16(kmsg.OffsetFetch)) }

// answerAt places the control at the end of a key's list and retires the one before.
func (b *Broker) answerAt(key int16) {
	mine := b.hooks.turn.Add(1)
	b.cluster.ControlKey(key, func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		req, ok := kreq.(*kmsg.OffsetFetchRequest)
		if !ok || b.hooks.turn.Load() != mine {
			return nil, nil, false
		}
		resp := b.offsetsOf(req)
		if resp == nil {
			return nil, nil, false
		}
		b.cluster.KeepControl()
		return resp, nil, true
	})
}

// offsetsOf answers a request that asks for a group that does not exist; nil: kfake answers.
func (b *Broker) offsetsOf(req *kmsg.OffsetFetchRequest) kmsg.Response {
	asked := req.Groups
	if req.Version <= 7 {
		asked = []kmsg.OffsetFetchRequestGroup{oldForm(req)}
	}
	known := make([]*kfake.GroupInfo, len(asked))
	for i, g := range asked {
		if b.notOurs(g.Group) {
			return nil
		}
		known[i] = b.cluster.GroupInfo(g.Group)
	}
	if !slices.Contains(known, nil) {
		return nil
	}
	resp := req.ResponseKind().(*kmsg.OffsetFetchResponse)
	for i, g := range asked {
		resp.Groups = append(resp.Groups, b.groupOffsets(g, known[i]))
	}
	if req.Version <= 7 {
		resp.Topics = oldTopics(resp.Groups[0].Topics)
	}
	return resp
}

// notOurs reports whether a group has another coordinator than the node that was asked, or a fault to meet.
func (b *Broker) notOurs(group string) bool {
	if b.cluster.CurrentNode() != b.cluster.CoordinatorFor(group) {
		return true
	}
	b.hooks.mu.Lock()
	defer b.hooks.mu.Unlock()
	return slices.ContainsFunc(b.hooks.faults, func(f *Faults) bool { return f.concerns(group) })
}

// groupOffsets is the answer for one group; one that exists may stand beside one that does not.
func (b *Broker) groupOffsets(asked kmsg.OffsetFetchRequestGroup, info *kfake.GroupInfo) kmsg.OffsetFetchResponseGroup {
	out := kmsg.NewOffsetFetchResponseGroup()
	out.Group = asked.Group
	commits := map[string]map[int32]kfake.GroupCommit{}
	if info != nil {
		commits = info.Commits
	}
	if asked.Topics == nil { // all that is committed
		for topic, ps := range commits {
			t := kmsg.OffsetFetchRequestGroupTopic{Topic: topic}
			for p := range ps {
				t.Partitions = append(t.Partitions, p)
			}
			asked.Topics = append(asked.Topics, t)
		}
	}
	for _, t := range asked.Topics {
		name := t.Topic
		if by := b.cluster.TopicIDInfo(t.TopicID); name == "" && by != nil {
			name = by.Topic
		}
		rt := kmsg.NewOffsetFetchResponseGroupTopic()
		rt.Topic, rt.TopicID = name, t.TopicID
		for _, p := range t.Partitions {
			rp := kmsg.NewOffsetFetchResponseGroupTopicPartition()
			rp.Partition, rp.Offset, rp.LeaderEpoch, rp.Metadata = p, -1, -1, kmsg.StringPtr("")
			if c, ok := commits[name][p]; ok {
				rp.Offset, rp.LeaderEpoch, rp.Metadata = c.Offset, c.LeaderEpoch, kmsg.StringPtr(c.Metadata)
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		out.Topics = append(out.Topics, rt)
	}
	return out
}

func oldForm(req *kmsg.OffsetFetchRequest) kmsg.OffsetFetchRequestGroup {
	g := kmsg.OffsetFetchRequestGroup{Group: req.Group}
	for _, t := range req.Topics {
		g.Topics = append(g.Topics, kmsg.OffsetFetchRequestGroupTopic{Topic: t.Topic, Partitions: t.Partitions})
	}
	return g
}

func oldTopics(topics []kmsg.OffsetFetchResponseGroupTopic) []kmsg.OffsetFetchResponseTopic {
	out := []kmsg.OffsetFetchResponseTopic{}
	for _, t := range topics {
		old := kmsg.NewOffsetFetchResponseTopic()
		old.Topic = t.Topic
		for _, p := range t.Partitions {
			op := kmsg.NewOffsetFetchResponseTopicPartition()
			op.Partition, op.Offset, op.LeaderEpoch, op.Metadata = p.Partition, p.Offset, p.LeaderEpoch, p.Metadata
			old.Partitions = append(old.Partitions, op)
		}
		out = append(out, old)
	}
	return out
}
