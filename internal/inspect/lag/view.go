package lag

import (
	"maps"
	"slices"

	"commerce.internal/orderctl/internal/queue"
)

// view is one group in the window of an evaluator.
type view struct {
	*evaluator
	name   string
	obs    GroupObs                    // in the newest snapshot
	owners []map[TopicPartition]*Owner // by snapshot; nil: not yet looked at
	groups []GroupObs                  // by snapshot
	sights []*sights                   // by snapshot; nil: nothing is kept
	line   []*sight                    // what the window says of the row in hand, by snapshot
	spare  []sight                     // of it, what is not kept
	points []point                     // room for those of the row in hand
}

func (e *evaluator) view(name string) *view {
	n := len(e.window)
	v := &view{
		evaluator: e, name: name, obs: e.now.Groups[name], owners: make([]map[TopicPartition]*Owner, n), groups: make([]GroupObs, n),
		sights: make([]*sights, n), line: make([]*sight, n), spare: make([]sight, n),
	}
	for i, s := range e.window {
		v.groups[i] = s.Groups[name]
	}
	return v
}

// owner returns the member that a partition is assigned to in the i-th snapshot, nil if there is none.
func (v *view) owner(i int, tp TopicPartition) *Owner {
	if v.owners[i] == nil {
		v.owners[i] = map[TopicPartition]*Owner{}
		for _, m := range v.groups[i].Members.V {
			o := &Owner{MemberID: m.ID, ClientID: m.ClientID, Host: m.Host, InstanceID: word(m.InstanceID)}
			for _, assigned := range m.Assigned {
				v.owners[i][assigned] = o
			}
		}
	}
	return v.owners[i][tp]
}

// partitions are those that make a row of the group: committed, assigned, and all of every topic that it subscribes to,
// has any commit in, that was asked for, or whose tiers it has. Topics named after another group are no concern of this one.
func (v *view) partitions() []TopicPartition {
	topics := map[string]bool{}
	for tp := range v.obs.Commits.V {
		topics[tp.Topic] = true
	}
	for _, m := range v.obs.Members.V {
		for _, t := range m.Subscribed {
			topics[t] = true
		}
	}
	for _, t := range v.now.Asked {
		if role, _ := queue.RoleOf(t); role == queue.RoleSource || Belongs(t, v.name) {
			topics[t] = true
		}
	}
	var rows []TopicPartition
	for t := range v.now.Topics {
		if Belongs(t, v.name) {
			topics[t] = true
		}
		if source, ok := SourceOf(t, v.name); ok && v.now.Topics[t].Exists.V {
			topics[source] = true
			if found := v.now.Topics[source].Exists; found.Known && !found.V && len(v.topics[source]) == 0 {
				rows = append(rows, TopicPartition{source, -1}) // it is gone, and its commits with it
			}
		}
	}
	rows = append(rows, v.strays(topics)...)
	if len(rows) == 0 { // in order they stand already
		for _, t := range slices.Sorted(maps.Keys(topics)) {
			rows = append(rows, v.topics[t]...)
		}
		return rows
	}
	for t := range topics {
		rows = append(rows, v.topics[t]...)
	}
	slices.SortFunc(rows, byName)
	return slices.Compact(rows)
}

// strays are the partitions that a group committed in or has, and that are not seen in any of its topics.
func (v *view) strays(topics map[string]bool) []TopicPartition {
	var found []TopicPartition
	add := func(tp TopicPartition) {
		if _, seen := v.now.Partitions[tp]; !seen || !topics[tp.Topic] {
			found = append(found, tp)
		}
	}
	for tp := range v.obs.Commits.V {
		add(tp)
	}
	for _, m := range v.obs.Members.V {
		for _, tp := range m.Assigned {
			add(tp)
		}
	}
	return found
}

// wanted reports whether the policy asks for the partition. Where nobody tells the partitions of a topic, any may be among
// them.
func (v *view) wanted(tp TopicPartition) bool {
	return v.wantedTopic(tp.Topic) && (len(v.policy.Partitions) == 0 || tp.Partition < 0 || slices.Contains(v.policy.Partitions, tp.Partition))
}

func (v *view) wantedTopic(topic string) bool {
	return len(v.policy.Topics) == 0 || slices.Contains(v.policy.Topics, topic)
}
