package setup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"commerce.internal/orderctl/internal/queue"
)

const leastLetters = 30 * 24 * time.Hour

const applyTopics = "orderctl topics apply"

// topics compares what is there with what the queue needs: a hop keeps its partition number, so counts must be equal.
func (d *Doctor) topics(ctx context.Context) []Finding {
	want := d.opts.Want
	missing, there := d.sort()
	var found []Finding
	if len(missing) > 0 {
		found = append(found, fail(codeFailed, applyTopics, "missing: %s", few(missing)))
	}
	counts := func(name string) int { return len(d.facts.state.Topics[name].Partitions) }
	if source := counts(want.Names.Source); source > 0 {
		for _, name := range there {
			if n := counts(name); n != source {
				found = append(found, d.moreTopics(name, n, source))
			}
		}
		if source != int(want.Partitions) {
			found = append(found, warn(fmt.Sprintf("set topics.partitions: %d, which new topics of the queue take over", source),
				"%s has %s, topics.partitions says %d", want.Names.Source, plural(source, "partition"), want.Partitions))
		}
	}
	found = append(found, d.replicas(there)...)
	configs, err := d.opts.Configs(ctx, there)
	if err != nil {
		return append(found, failed(err, "see the brokers' logs"))
	}
	d.facts.topics = configs
	found = append(found, d.safety(there)...)
	if len(found) > 0 {
		return found
	}
	return []Finding{ok("%s, %s each", plural(len(there), "topic"), plural(counts(want.Names.Source), "partition"))}
}

// moreTopics is the finding of a topic that has another number of partitions than its source.
func (d *Doctor) moreTopics(name string, have, source int) Finding {
	fix := fmt.Sprintf("kafka-topics.sh --bootstrap-server %s --alter --topic %s --partitions %d; %s makes those that are missing",
		d.opts.Brokers[0], name, source, applyTopics)
	if have > source {
		fix = fmt.Sprintf("stop the workers, empty and delete %s, then %s", name, applyTopics)
	}
	return fail(codeFailed, fix, "%s has %s, %s has %d: a hop keeps the number", name, plural(have, "partition"), d.opts.Want.Names.Source, source)
}

func (d *Doctor) replicas(there []string) []Finding {
	few3 := map[int][]string{}
	for _, name := range there {
		n := 0
		for _, p := range d.facts.state.Topics[name].Partitions {
			n = max(n, len(p.Replicas))
		}
		if n > 0 && n < 3 {
			few3[n] = append(few3[n], name)
		}
	}
	var found []Finding
	for _, n := range []int{1, 2} {
		if len(few3[n]) > 0 {
			found = append(found, warn("set topics.replication_factor: 3 before '"+applyTopics+"'; kafka-reassign-partitions.sh for topics that are there",
				"%s on %s: %s", plural(len(few3[n]), "topic"), plural(n, "broker"), few(few3[n])))
		}
	}
	return found
}

// safety looks at the settings that decide whether an acknowledged order survives a broker.
func (d *Doctor) safety(there []string) []Finding {
	var unclean []string
	odd := map[string][]string{}
	note := func(text, name string) { odd[text] = append(odd[text], name) }
	for _, name := range there {
		t := d.facts.topics[name]
		if t.Configs["unclean.leader.election.enable"] == "true" {
			unclean = append(unclean, name)
		}
		insync, known := t.Configs["min.insync.replicas"]
		switch n, err := strconv.Atoi(insync); {
		case !known || err != nil:
		case n > int(t.ReplicationFactor):
			note(fmt.Sprintf("min.insync.replicas is %d of %d replicas, nothing can be written", n, t.ReplicationFactor), name)
		case n == int(t.ReplicationFactor) && n > 1:
			note(fmt.Sprintf("min.insync.replicas is %d of %d replicas, one broker away stops all writes", n, n), name)
		case n != 2 && t.ReplicationFactor > 2: // with fewer replicas the replicas are what is wrong
			note(fmt.Sprintf("min.insync.replicas is %d, not 2", n), name)
		}
	}
	var found []Finding
	for _, text := range sortedKeys(odd) {
		setting := fmt.Sprintf("min.insync.replicas=%d", min(2, max(1, int(d.facts.topics[odd[text][0]].ReplicationFactor)-1)))
		found = append(found, warn(d.alter(setting, odd[text]), "%s: %s", text, few(odd[text])))
	}
	if len(unclean) > 0 {
		found = append(found, warn(d.alter("unclean.leader.election.enable=false", unclean),
			"unclean leader election is on, a stale replica may become leader and lose orders: %s", few(unclean)))
	}
	return found
}

// alter is how a setting of topics that are there is changed: topics apply never does.
func (d *Doctor) alter(setting string, topics []string) string {
	name := topics[0]
	if len(topics) > 1 {
		name = "TOPIC"
	}
	return fmt.Sprintf("kafka-configs.sh --bootstrap-server %s --alter --entity-type topics --entity-name %s --add-config %s; "+
		"%s gives it to new topics only", d.opts.Brokers[0], name, setting, applyTopics)
}

// configs looks at the settings that keep orders, letters and the ledger of letters.
func (d *Doctor) configs(ctx context.Context) []Finding {
	var found []Finding
	for _, name := range d.opts.Want.Names.All() {
		if t, there := d.facts.topics[name]; there {
			found = append(found, d.topicConfigs(name, t)...)
		}
	}
	if d.opts.Idempotent {
		if err := d.opts.Producer(ctx); err != nil {
			found = append(found, d.noProducer(err))
		}
	}
	if len(found) > 0 {
		return found
	}
	return []Finding{ok("cleanup, retention and sizes are safe")}
}

// noProducer is the finding when no idempotent producer can begin. A cluster that has no id to give refuses nothing.
func (d *Doctor) noProducer(err error) Finding {
	f := failed(err, "run it again in a minute; if it stays so, see the brokers' logs")
	if errors.Is(err, queue.ErrUnreachable) {
		f.Text = "the idempotent producer cannot begin: " + err.Error()
		return f
	}
	f.Text = "the idempotent producer is refused: " + err.Error()
	f.Fix = d.acl("IdempotentWrite", "cluster") + "; or kafka.idempotent: false"
	return f
}

func (d *Doctor) topicConfigs(name string, t Topic) []Finding {
	role, _, _ := d.opts.Want.Names.Role(name)
	policy, known := t.Configs["cleanup.policy"]
	var found []Finding
	switch compacted := policy != "delete"; {
	case !known:
	case role == queue.RoleAudit && policy != "compact":
		found = append(found, fail(codeFailed, d.alter("cleanup.policy=compact", []string{name}), "%s is not compacted (cleanup.policy %s): it would forget decisions", name, policy))
	case role != queue.RoleAudit && compacted:
		found = append(found, fail(codeFailed, d.alter("cleanup.policy=delete", []string{name}), "%s is compacted: of an order only the last message would stay", name))
	}
	if role == queue.RoleDLQ {
		found = append(found, d.letterConfigs(name, t)...)
	}
	return found
}

func (d *Doctor) letterConfigs(name string, t Topic) []Finding {
	var found []Finding
	if ms, err := strconv.ParseInt(t.Configs["retention.ms"], 10, 64); err == nil && ms >= 0 && ms < leastLetters.Milliseconds() {
		kept := time.Duration(ms) * time.Millisecond
		found = append(found, fail(codeFailed, d.alter("retention.ms=-1", []string{name}), "%s keeps letters for %s only, they are deleted undecided", name, days(kept)))
	}
	own, err := strconv.Atoi(t.Configs["max.message.bytes"])
	source, err2 := strconv.Atoi(d.facts.topics[d.opts.Want.Names.Source].Configs["max.message.bytes"])
	if err == nil && err2 == nil && own < source+LetterRoom {
		found = append(found, fail(codeFailed, d.alter("max.message.bytes="+strconv.Itoa(source+LetterRoom), []string{name}),
			"%s takes records of %d bytes, %s of %d: a letter with its headers may not fit", name, own, d.opts.Want.Names.Source, source))
	}
	return found
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
