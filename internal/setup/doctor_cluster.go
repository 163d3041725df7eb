package setup

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"commerce.internal/orderctl/internal/queue"
)

// coordinators is the topic on whose partitions the coordinators of groups live.
const coordinators = "__consumer_offsets"

// ClusterState is how a cluster is at one time.
type ClusterState struct {
	Controller int32 // below 0: there is none
	Brokers    []BrokerAt
	Topics     map[string]TopicState
}

// TopicState is how a topic is.
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

// Rights are the operations that we may do on a topic or a group.
type Rights struct {
	Known                             bool
	Describe, Read, Write, DescribeAs bool // DescribeAs: its configuration
}

// cluster looks at brokers, and at the partitions of our topics and of the coordinators.
func (d *Doctor) cluster(ctx context.Context) []Finding {
	var found []Finding
	if len(d.facts.old) > 0 {
		found = append(found, fail(codeFailed, "upgrade to Kafka 2.5 or newer", "%s older than Kafka 2.5", brokersAre(d.facts.old)))
	}
	state, err := d.opts.State(ctx, append(d.opts.Want.Names.All(), coordinators))
	if err != nil {
		return append(found, failed(err, "see the brokers' logs"))
	}
	d.facts.state = state
	if state.Controller < 0 {
		found = append(found, fail(codeFailed, "start the controllers: a quorum of them must run", "there is no controller: no topic can be made, no leader chosen"))
	}
	found = append(found, state.partitions()...)
	if len(found) > 0 {
		return found
	}
	return []Finding{ok("%s, controller %d, all replicas in sync", plural(len(state.Brokers), "broker"), state.Controller)}
}

// partitions tells which have no leader, and which lack a copy.
func (s ClusterState) partitions() []Finding {
	var leaderless, under []string
	gone, behind := map[int32]bool{}, map[int32]bool{}
	for _, topic := range slices.Sorted(maps.Keys(s.Topics)) {
		for _, p := range s.Topics[topic].Partitions {
			switch name := fmt.Sprintf("%s/%d", topic, p.ID); {
			case p.Leader < 0:
				leaderless = append(leaderless, name)
			case len(p.InSync) < len(p.Replicas):
				under = append(under, name)
			default:
				continue
			}
			for _, id := range p.Replicas {
				switch {
				case slices.Contains(p.InSync, id) && p.Leader >= 0:
				case s.lives(id):
					behind[id] = true
				default:
					gone[id] = true
				}
			}
		}
	}
	fix := start(gone, behind)
	var found []Finding
	if len(leaderless) > 0 {
		found = append(found, fail(codeFailed, fix, "%s without a leader: %s", plural(len(leaderless), "partition"), few(leaderless)))
	}
	if len(under) > 0 {
		found = append(found, warn(fix, "%s under-replicated: %s", plural(len(under), "partition"), few(under)))
	}
	return found
}

func (s ClusterState) lives(id int32) bool {
	return slices.ContainsFunc(s.Brokers, func(b BrokerAt) bool { return b.ID == id })
}

func start(gone, behind map[int32]bool) string {
	if len(gone) > 0 {
		return "start broker " + strings.Join(ids(gone), ", ")
	}
	return "broker " + strings.Join(ids(behind), ", ") + " runs but lags behind: see its log and its disk"
}

func ids(set map[int32]bool) []string {
	var list []string
	for _, id := range slices.Sorted(maps.Keys(set)) {
		list = append(list, fmt.Sprint(id))
	}
	return list
}

func brokersAre(list []int32) string {
	set := map[int32]bool{}
	for _, id := range list {
		set[id] = true
	}
	if len(set) == 1 {
		return "broker " + ids(set)[0] + " is"
	}
	return "brokers " + strings.Join(ids(set), ", ") + " are"
}

// missing are our topics that do not exist; there are those that do and may be seen.
func (d *Doctor) sort() (missing, there []string) {
	for _, name := range d.opts.Want.Names.All() {
		switch t, told := d.facts.state.Topics[name]; {
		case !told || errors.Is(t.Err, queue.ErrNotFound):
			missing = append(missing, name)
		case t.Err == nil:
			there = append(there, name)
		}
	}
	return missing, there
}

// access tells what we may not do that orderctl does.
func (d *Doctor) access(ctx context.Context) []Finding {
	var describe, read, write, configs []string
	for _, name := range d.opts.Want.Names.All() {
		t := d.facts.state.Topics[name]
		switch r := t.Rights; {
		case errors.Is(t.Err, queue.ErrDenied):
			describe = append(describe, name)
		case t.Err == nil && r.Known:
			read = appendIf(read, !r.Read, name)
			write = appendIf(write, !r.Write, name)
			configs = appendIf(configs, !r.DescribeAs, name)
		}
	}
	var found []Finding
	refused := func(op string, topics []string) {
		if len(topics) > 0 {
			found = append(found, fail(codeDenied, d.acl(op, "topic", topics...), "%s refused on %s", op, few(topics)))
		}
	}
	refused("Describe", describe)
	refused("Read", read)
	found = append(found, d.groupAccess(ctx)...)
	if len(write) > 0 {
		found = append(found, warn(d.acl("Write", "topic", write...), "Write refused on %s: serve, consume and dlq need it", few(write)))
	}
	if len(configs) > 0 {
		found = append(found, warn(d.acl("DescribeConfigs", "topic", configs...), "DescribeConfigs refused on %s: their configuration is not checked", few(configs)))
	}
	if len(found) > 0 {
		return found
	}
	return []Finding{ok("topics and group %s may be described and read", d.opts.Want.Names.Group)}
}

func (d *Doctor) groupAccess(ctx context.Context) []Finding {
	group := d.opts.Want.Names.Group
	r, err := d.opts.GroupRights(ctx, group)
	switch {
	case err != nil:
		return []Finding{failed(err, "see the brokers' logs")}
	case !r.Known:
		return nil
	case !r.Describe:
		return []Finding{fail(codeDenied, d.acl("Read", "group", group), "Describe and Read refused on group %s", group)}
	case !r.Read:
		return []Finding{fail(codeDenied, d.acl("Read", "group", group), "Read refused on group %s", group)}
	}
	return nil
}

func appendIf(list []string, holds bool, name string) []string {
	if holds {
		return append(list, name)
	}
	return list
}

// acl is the command that grants an operation.
func (d *Doctor) acl(op, kind string, names ...string) string {
	who := d.opts.Principal
	if who == "" {
		who = "User:ANONYMOUS"
	}
	words := []string{"kafka-acls.sh --bootstrap-server", d.opts.Brokers[0], "--add --allow-principal", who, "--operation", op}
	for _, n := range names {
		words = append(words, "--"+kind, n)
	}
	if len(names) == 0 {
		words = append(words, "--"+kind)
	}
	return strings.Join(words, " ")
}
