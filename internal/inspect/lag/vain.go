package lag

import (
	"slices"

	"commerce.internal/orderctl/internal/queue"
)

// vain are the partitions and topics that the policy asks for, and that make no row in any group: of them nothing is known,
// not even that it is well. missing topics are told otherwise. Of a group that did not answer nothing follows.
func (e *evaluator) vain(missing []string) (partitions []int32, topics []string) {
	if len(e.policy.Partitions)+len(e.policy.Topics) == 0 {
		return nil, nil
	}
	numbers, names, groups := map[int32]bool{}, map[string]bool{}, 0
	for name, g := range e.now.Groups {
		if g.Missing() {
			continue
		}
		if !g.Commits.Known || !g.Members.Known {
			return nil, nil
		}
		groups++
		v := e.view(name)
		for _, tp := range v.partitions() {
			if role, _ := queue.RoleOf(tp.Topic); role != queue.RoleAudit && v.wantedTopic(tp.Topic) {
				numbers[tp.Partition], names[tp.Topic] = true, true
			}
		}
	}
	if groups == 0 {
		return nil, nil
	}
	for _, p := range e.policy.Partitions {
		if !numbers[p] && !numbers[-1] {
			partitions = append(partitions, p)
		}
	}
	for _, t := range e.policy.Topics {
		if !names[t] && !slices.Contains(missing, t) {
			topics = append(topics, t)
		}
	}
	return partitions, topics
}
