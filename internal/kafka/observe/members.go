package observe

import (
	"net"
	"slices"
	"strings"

	"github.com/IBM/sarama"

	"commerce.internal/orderctl/internal/inspect/lag"
)

// classic describes groups of the classic protocol. Version 5 is the last that sarama can read.
func (c *conn) classic(id int32, names []string, found map[string]lag.GroupObs) {
	if len(names) == 0 {
		return
	}
	res, err := ask(c, id, func(b *sarama.Broker) (*sarama.DescribeGroupsResponse, error) {
		return b.DescribeGroups(&sarama.DescribeGroupsRequest{Version: 5, Groups: names})
	})
	if err != nil {
		return // members stay unknown
	}
	for _, d := range res.Groups {
		obs, asked := found[d.GroupId]
		if !asked {
			continue
		}
		switch {
		case d.Err == sarama.ErrGroupIDNotFound:
			obs.State, obs.Members = lag.StateDead, lag.Know([]lag.MemberObs{})
		case d.Err != sarama.ErrNoError:
			if p := problemOf(d.Err); p == lag.NoAccess {
				obs.Problem = p
			}
		default:
			obs.State, obs.Protocol = d.State, d.Protocol
			obs.Members = lag.Know(classicMembers(d.Members))
		}
		found[d.GroupId] = obs
	}
}

func classicMembers(described map[string]*sarama.GroupMemberDescription) []lag.MemberObs {
	members := make([]lag.MemberObs, 0, len(described))
	for _, d := range described {
		m := lag.MemberObs{ID: d.MemberId, ClientID: d.ClientId, Host: host(d.ClientHost)}
		if d.GroupInstanceId != nil {
			m.InstanceID = *d.GroupInstanceId
		}
		if meta, err := d.GetMemberMetadata(); err == nil && meta != nil {
			m.Subscribed = meta.Topics
		}
		if a, err := d.GetMemberAssignment(); err == nil && a != nil {
			for topic, parts := range a.Topics {
				for _, p := range parts {
					m.Assigned = append(m.Assigned, lag.TopicPartition{Topic: topic, Partition: p})
				}
			}
		}
		members = append(members, m)
	}
	return byID(members)
}

func byID(members []lag.MemberObs) []lag.MemberObs {
	slices.SortFunc(members, func(a, b lag.MemberObs) int { return strings.Compare(a.ID, b.ID) })
	return members
}

// host strips what brokers put around an address: Kafka a slash in front, the embedded broker a port behind.
func host(s string) string {
	s = strings.TrimPrefix(s, "/")
	if name, _, err := net.SplitHostPort(s); err == nil {
		return name
	}
	return s
}

// modern describes groups of KIP-848. Where the broker cannot tell (before 3.7), state and members are unknown: such a
// group looks dead to the old request while it works.
func (c *conn) modern(id int32, names []string, found map[string]lag.GroupObs) {
	if len(names) == 0 {
		return
	}
	for _, name := range names {
		obs := found[name]
		obs.Members = lag.Maybe[[]lag.MemberObs]{}
		if obs.Type == "" { // a suspect: what DescribeGroups said means nothing
			obs.State = ""
		}
		found[name] = obs
	}
	res, err := ask(c, id, func(b *sarama.Broker) (*sarama.ConsumerGroupDescribeResponse, error) {
		req := sarama.NewConsumerGroupDescribeRequest(sarama.MaxVersion)
		req.GroupIDs = names
		return b.ConsumerGroupDescribe(req)
	})
	if err != nil {
		return
	}
	for i := range res.Groups {
		d := &res.Groups[i]
		obs, asked := found[d.GroupID]
		if !asked {
			continue
		}
		switch d.ErrorCode {
		case sarama.ErrNoError:
			obs.Type, obs.State, obs.Protocol = kindConsumer, d.GroupState, d.AssignorName
			obs.Members = lag.Know(modernMembers(d.Members))
		case sarama.ErrGroupIDNotFound: // really dead
			obs.State, obs.Members = lag.StateDead, lag.Know([]lag.MemberObs{})
		case sarama.ErrGroupAuthorizationFailed:
			obs.Problem = lag.NoAccess
		}
		found[d.GroupID] = obs
	}
}

func modernMembers(described []sarama.ConsumerGroupMemberDescription) []lag.MemberObs {
	members := make([]lag.MemberObs, 0, len(described))
	for i := range described {
		d := &described[i]
		m := lag.MemberObs{ID: d.MemberID, ClientID: d.ClientID, Host: host(d.ClientHost)}
		if d.InstanceID != nil {
			m.InstanceID = *d.InstanceID
		}
		if d.SubscribedTopicRegex == nil || *d.SubscribedTopicRegex == "" {
			m.Subscribed = append([]string{}, d.SubscribedTopicNames...)
		}
		for _, t := range d.Assignment.TopicPartitions {
			for _, p := range t.Partitions {
				m.Assigned = append(m.Assigned, lag.TopicPartition{Topic: t.TopicName, Partition: p})
			}
		}
		members = append(members, m)
	}
	return byID(members)
}
