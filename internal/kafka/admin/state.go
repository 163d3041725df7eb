package admin

import (
	"context"
	"fmt"
	"slices"

	"github.com/IBM/sarama"

	"commerce.internal/orderctl/internal/kafka"
)

// State is how a cluster is at one time.
type State struct {
	Controller int32 // below 0: there is none
	Brokers    []Broker
	Topics     map[string]TopicState
}

// TopicState is how a topic is: where its partitions lie, and what we may do with it.
type TopicState struct {
	Err        error // why it is not known: queue.ErrNotFound, queue.ErrDenied
	Partitions []PartitionState
	Rights     Rights
}

// PartitionState is where the copies of a partition are.
type PartitionState struct {
	ID       int32
	Leader   int32 // below 0: there is none
	Replicas []int32
	InSync   []int32
}

// Rights are the operations that we may do on something.
type Rights struct {
	Known                             bool
	Describe, Read, Write, DescribeAs bool // DescribeAs: its configuration
}

// State asks about brokers and some topics.
func (a *Admin) State(ctx context.Context, topics []string) (State, error) {
	req := sarama.NewMetadataRequest(sarama.V3_6_0_0, topics)
	req.IncludeTopicAuthorizedOperations = true
	meta, err := kafka.Ask(ctx, a.kafka, func(b *sarama.Broker) (*sarama.MetadataResponse, error) { return b.GetMetadata(req) })
	if err != nil {
		return State{}, fmt.Errorf("describe cluster: %w", err)
	}
	s := State{Controller: meta.ControllerID, Brokers: brokersOf(meta), Topics: map[string]TopicState{}}
	alive := func(id int32) bool { return slices.ContainsFunc(s.Brokers, func(b Broker) bool { return b.ID == id }) }
	if !alive(s.Controller) {
		s.Controller = -1
	}
	for _, t := range meta.Topics {
		s.Topics[t.Name] = a.topicState(t, alive)
	}
	return s, nil
}

func (a *Admin) topicState(t *sarama.TopicMetadata, alive func(int32) bool) TopicState {
	out := TopicState{Rights: rightsOf(t.TopicAuthorizedOperations)}
	if t.Err != sarama.ErrNoError && t.Err != sarama.ErrLeaderNotAvailable {
		out.Err = a.kafka.Explain(t.Err)
	}
	for _, p := range t.Partitions {
		s := PartitionState{ID: p.ID, Leader: p.Leader, Replicas: p.Replicas, InSync: p.Isr}
		if !alive(s.Leader) {
			s.Leader = -1
		}
		out.Partitions = append(out.Partitions, s)
	}
	slices.SortFunc(out.Partitions, func(x, y PartitionState) int { return int(x.ID) - int(y.ID) })
	return out
}

// rightsOf reads the bits that Kafka sets, one for each operation. A negative number, or none at all, is "not told".
func rightsOf(bits int32) Rights {
	if bits <= 0 {
		return Rights{}
	}
	may := func(op sarama.AclOperation) bool { return bits&(1<<op) != 0 }
	return Rights{
		Known: true, Describe: may(sarama.AclOperationDescribe), Read: may(sarama.AclOperationRead),
		Write: may(sarama.AclOperationWrite), DescribeAs: may(sarama.AclOperationDescribeConfigs),
	}
}

// GroupRights finds out whether the group may be described and read, by two questions that change nothing: who its
// coordinator is, and whether a member that does not exist is still alive.
func (a *Admin) GroupRights(ctx context.Context, group string) (Rights, error) {
	r := Rights{Known: true, Describe: true, Read: true}
	at, err := a.coordinator(ctx, group)
	if isDenied(err) {
		return Rights{Known: true}, nil
	}
	if err != nil {
		return Rights{}, err
	}
	res, err := kafka.Ask(ctx, at, func(b *sarama.Broker) (*sarama.HeartbeatResponse, error) {
		return b.Heartbeat(&sarama.HeartbeatRequest{GroupId: group, MemberId: "orderctl-doctor"})
	})
	if err != nil {
		return Rights{}, fmt.Errorf("ask for rights on group %s: %w", group, err)
	}
	r.Read = res.Err != sarama.ErrGroupAuthorizationFailed
	return r, nil
}

// Idempotent asks for the id of an idempotent producer, as such a producer does first. Nothing is written. A cluster that has
// just started has no ids to give yet: it is asked again until ctx ends.
func (a *Admin) Idempotent(ctx context.Context) error {
	for {
		res, err := kafka.Ask(ctx, a.kafka, func(b *sarama.Broker) (*sarama.InitProducerIDResponse, error) {
			return b.InitProducerID(&sarama.InitProducerIDRequest{Version: 1})
		})
		if err != nil {
			return fmt.Errorf("ask for a producer id: %w", err)
		}
		switch res.Err {
		case sarama.ErrNoError:
			return nil
		case sarama.ErrOffsetsLoadInProgress, sarama.ErrConsumerCoordinatorNotAvailable, sarama.ErrNotCoordinatorForConsumer:
			if pause(ctx) {
				continue
			}
		}
		return fmt.Errorf("ask for a producer id: %w", a.kafka.Explain(res.Err))
	}
}
