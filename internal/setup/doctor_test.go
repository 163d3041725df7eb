package setup_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/setup"
)

func TestAHealthyWorldHasNoFinding(t *testing.T) {
	t.Parallel()
	w := healthy(t)
	d := w.examine(t)
	for _, f := range d.Findings {
		if f.Level != setup.LevelOK || f.Fix != "" || f.Text == "" {
			t.Errorf("%+v", f)
		}
	}
	var names []string
	for _, f := range d.Findings {
		names = append(names, f.Check)
	}
	want := []string{"config", "broker k1:9092", "broker k2:9092", "advertised", "cluster", "topics", "configs", "group", "transactions", "access", "database", "serve", "dev"}
	if !slices.Equal(names, want) {
		t.Errorf("checks %v, want %v", names, want)
	}
	if d.ExitCode(true) != 0 || d.Worst() != setup.LevelOK {
		t.Errorf("exit %d, %s", d.ExitCode(true), d.Worst())
	}
	if !slices.Equal(w.asked, w.Want.Names.All()) {
		t.Errorf("configs of %v were asked for", w.asked)
	}
}

func TestTheConfigurationOfThisHost(t *testing.T) {
	t.Parallel()
	for _, s := range []sick{
		{name: "a secret that others may read", level: setup.LevelWarn, check: "config", text: "can be read by others", fix: "chmod 600 it", make: func(w *world) {
			w.Warnings = []string{"kafka.sasl.password_file: /run/pw can be read by others (mode 0644); chmod 600 it"}
		}},
		{name: "few open files", level: setup.LevelWarn, check: "config", text: "may open 1024 files", fix: "ulimit -n", make: func(w *world) { w.OpenFiles = 1024 }},
	} {
		t.Run(s.name, func(t *testing.T) { s.run(t) })
	}
}

func TestAConfigurationThatDoesNotLoadEndsTheDiagnosis(t *testing.T) {
	t.Parallel()
	d := setup.SickConfig([]error{
		coded{"orderctl.yaml:7: unknown key kafka.brokrs", "did you mean kafka.brokers?", 2},
		errors.New("kafka.timeout: \"5\" has no unit"),
	})
	if f := d.Findings[0]; f.Level != setup.LevelFail || f.Check != "config" || f.Fix != "did you mean kafka.brokers?" {
		t.Errorf("%+v", f)
	}
	if f := d.Findings[1]; f.Level != setup.LevelFail || !strings.Contains(f.Fix, "orderctl config check") {
		t.Errorf("%+v", f)
	}
	for _, f := range d.Findings[2:] {
		if f.Level != setup.LevelSkip {
			t.Errorf("%+v", f)
		}
	}
	if d.ExitCode(false) != 2 || len(d.Findings) < 10 {
		t.Errorf("exit %d, %d findings", d.ExitCode(false), len(d.Findings))
	}
}

func TestTheWayToTheBrokers(t *testing.T) {
	t.Parallel()
	rest := []string{"advertised", "cluster", "topics", "configs", "group", "transactions", "access"}
	away := func(step string, err error) func(*world) {
		return func(w *world) {
			w.Brokers = w.Brokers[:1]
			w.reach["k1:9092"] = setup.Reach{Step: step, Err: err}
			w.Origin = "flag --brokers"
		}
	}
	advertised := func(step string, err error) func(*world) {
		return func(w *world) { w.reach["k3:9092"] = setup.Reach{Step: step, Err: err} }
	}
	for _, s := range []sick{
		{name: "name", level: setup.LevelFail, check: "broker k1:9092", text: "name: ", fix: "now from: flag --brokers", code: 3, skipped: rest, make: away("name", errors.New("no such host k1"))},
		{name: "TCP", level: setup.LevelFail, check: "broker k1:9092", text: "TCP: refused", fix: "--brokers", code: 3, skipped: rest, make: away("TCP", coded{"refused", "ask 'orderctl doctor'", 3})},
		{name: "TLS", level: setup.LevelFail, check: "broker k1:9092", text: "TLS: it is not trusted", fix: "kafka.tls.ca_file", code: 3, skipped: rest, make: away("TLS", coded{"it is not trusted", "check kafka.tls.ca_file", 3})},
		{name: "a plaintext connection to a TLS port", level: setup.LevelFail, check: "broker k1:9092", text: "protocol: ", fix: "--tls", code: 3, skipped: rest, make: away("protocol", coded{"is a TLS port", "add --tls", 3})},
		{name: "login", level: setup.LevelFail, check: "broker k1:9092", text: "login: refused", fix: "kafka.sasl.password_file", code: 4, skipped: rest, make: away("login", coded{"refused", "check kafka.sasl.password_file", 4})},
		{name: "no answer", level: setup.LevelFail, check: "broker k1:9092", text: "did not answer", fix: "kafka.brokers", code: 3, skipped: rest, make: away("protocol", fmt.Errorf("did not answer: %w", context.DeadlineExceeded))},
		{name: "one of two is away, the other tells the rest", level: setup.LevelFail, check: "broker k1:9092", text: "TCP", fix: "start the broker", code: 3, make: func(w *world) {
			w.reach["k1:9092"] = setup.Reach{Step: "TCP", Err: errors.New("connection refused")}
		}},
		{name: "a certificate that ends soon", level: setup.LevelWarn, check: "broker k2:9092", text: "ends in 9 d, 2026-12-05", fix: "renew", make: func(w *world) {
			r := w.reach["k2:9092"]
			r.CertificateEnds = now.Add(9*24*time.Hour + 13*time.Hour)
			w.reach["k2:9092"] = r
		}},
		{name: "a certificate of a broker that nobody named ends soon", level: setup.LevelWarn, check: "advertised", text: "k3:9092 ends in 9 h", fix: "renew", make: func(w *world) {
			w.reach["k3:9092"] = setup.Reach{CertificateEnds: now.Add(9 * time.Hour)}
		}},
		{name: "an advertised name that is not known here", level: setup.LevelFail, check: "advertised", text: "broker 3 calls itself k3:9092: name: no such host", fix: "advertised.listeners of broker 3", code: 1, make: advertised("name", errors.New("no such host"))},
		{name: "an advertised address that does not let us in", level: setup.LevelFail, check: "advertised", text: "login: refused", fix: "kafka.sasl", code: 4, make: advertised("login", coded{"refused", "check kafka.sasl", 4})},
	} {
		t.Run(s.name, func(t *testing.T) { s.run(t) })
	}
}

func TestTheCluster(t *testing.T) {
	t.Parallel()
	rest := []string{"topics", "configs", "group", "transactions", "access"}
	for _, s := range []sick{
		{name: "an old broker", level: setup.LevelFail, check: "cluster", text: "broker 3 is older than Kafka 2.5", fix: "upgrade", code: 1, skipped: rest, make: func(w *world) {
			w.reach["k3:9092"] = setup.Reach{TooOld: true}
		}},
		{name: "no controller", level: setup.LevelFail, check: "cluster", text: "no controller", fix: "start the controllers", code: 1, skipped: rest, make: func(w *world) { w.state.Controller = -1 }},
		{name: "a leaderless partition", level: setup.LevelFail, check: "cluster", text: "1 partition without a leader: orders/1", fix: "start broker 4", code: 1, skipped: rest, make: func(w *world) {
			w.worse("orders", func(s *setup.TopicState) {
				s.Partitions[1] = setup.PartitionState{ID: 1, Leader: -1, Replicas: []int32{4}, InSync: []int32{4}}
			})
		}},
		{name: "a copy on a broker that is gone", level: setup.LevelWarn, check: "cluster", text: "2 partitions under-replicated: orders/0, orders.g.dlq/0", fix: "start broker 4", make: func(w *world) {
			for _, topic := range []string{"orders", "orders.g.dlq"} {
				w.worse(topic, func(s *setup.TopicState) {
					s.Partitions[0].Replicas, s.Partitions[0].InSync = []int32{1, 2, 4}, []int32{1, 2}
				})
			}
		}},
		{name: "a copy that lags behind", level: setup.LevelWarn, check: "cluster", text: "under-replicated: orders/0", fix: "broker 3 runs but lags behind", make: func(w *world) {
			w.worse("orders", func(s *setup.TopicState) { s.Partitions[0].InSync = []int32{1, 2} })
		}},
		{name: "no answer", level: setup.LevelFail, check: "cluster", text: "did not answer", fix: "logs", code: 3, skipped: rest, make: func(w *world) {
			w.State = func(context.Context, []string) (setup.ClusterState, error) {
				return setup.ClusterState{}, fmt.Errorf("it did not answer: %w", queue.ErrUnreachable)
			}
		}},
	} {
		t.Run(s.name, func(t *testing.T) { s.run(t) })
	}
}

func TestTheTopics(t *testing.T) {
	t.Parallel()
	rest := []string{"configs", "group", "transactions"}
	absent := setup.TopicState{Err: queue.ErrNotFound}
	all := func(w *world, change func(*setup.Topic)) {
		for name, topic := range w.configs {
			change(&topic)
			w.configs[name] = topic
		}
	}
	for _, s := range []sick{
		{name: "missing", level: setup.LevelFail, check: "topics", text: "missing: orders.g.replay, orders.g.dlq", fix: "orderctl topics apply", code: 1, skipped: rest, make: func(w *world) {
			w.state.Topics["orders.g.replay"], w.state.Topics["orders.g.dlq"] = absent, absent
		}},
		{name: "fewer partitions than the source", level: setup.LevelFail, check: "topics", text: "orders.g.dlq has 1 partition, orders has 2: a hop keeps the number", fix: "--topic orders.g.dlq --partitions 2", code: 1, skipped: rest, make: func(w *world) {
			w.worse("orders.g.dlq", func(s *setup.TopicState) { s.Partitions = s.Partitions[:1] })
		}},
		{name: "more partitions than the source", level: setup.LevelFail, check: "topics", text: "orders.g.dlq has 3 partitions", fix: "orderctl topics apply", code: 1, skipped: rest, make: func(w *world) {
			w.worse("orders.g.dlq", func(s *setup.TopicState) { s.Partitions = append(s.Partitions, s.Partitions[0]) })
		}},
		{name: "another count than configured", level: setup.LevelWarn, check: "topics", text: "topics.partitions says 12", fix: "topics.partitions: 2", make: func(w *world) { w.Want.Partitions = 12 }},
		{name: "too few copies", level: setup.LevelWarn, check: "topics", text: "1 topic on 2 brokers: orders", fix: "topics.replication_factor: 3", make: func(w *world) {
			w.worse("orders", func(s *setup.TopicState) {
				for i := range s.Partitions {
					s.Partitions[i].Replicas, s.Partitions[i].InSync = []int32{1, 2}, []int32{1, 2}
				}
			})
		}},
		{name: "min.insync.replicas 1", level: setup.LevelWarn, check: "topics", text: "min.insync.replicas is 1, not 2: orders", fix: "min.insync.replicas=2", make: func(w *world) { w.set("orders", "min.insync.replicas", "1") }},
		{name: "min.insync.replicas of all copies", level: setup.LevelWarn, check: "topics", text: "3 of 3 replicas, one broker away stops all writes", fix: "min.insync.replicas=2", make: func(w *world) {
			all(w, func(topic *setup.Topic) { topic.Configs["min.insync.replicas"] = "3" })
		}},
		{name: "min.insync.replicas above the copies", level: setup.LevelWarn, check: "topics", text: "2 of 1 replicas, nothing can be written", fix: "min.insync.replicas=1", make: func(w *world) {
			all(w, func(topic *setup.Topic) { topic.ReplicationFactor = 1 })
		}},
		{name: "unclean election", level: setup.LevelWarn, check: "topics", text: "unclean leader election", fix: "unclean.leader.election.enable=false", make: func(w *world) {
			w.set("orders", "unclean.leader.election.enable", "true")
		}},
		{name: "configs that do not come", level: setup.LevelFail, check: "topics", text: "did not answer", fix: "logs", code: 3, skipped: rest, make: func(w *world) {
			w.Configs = func(context.Context, []string) (map[string]setup.Topic, error) {
				return nil, fmt.Errorf("it did not answer: %w", queue.ErrUnreachable)
			}
		}},
	} {
		t.Run(s.name, func(t *testing.T) { s.run(t) })
	}
}

func TestTheConfigsOfTopics(t *testing.T) {
	t.Parallel()
	for _, s := range []sick{
		{name: "a ledger that forgets", text: "orders.g.dlq.audit is not compacted", fix: "--entity-name orders.g.dlq.audit --add-config cleanup.policy=compact", make: func(w *world) { w.set("orders.g.dlq.audit", "cleanup.policy", "delete") }},
		{name: "a ledger that is compacted and deleted", text: "orders.g.dlq.audit is not compacted", fix: "cleanup.policy=compact", make: func(w *world) { w.set("orders.g.dlq.audit", "cleanup.policy", "compact,delete") }},
		{name: "compacted orders", text: "orders is compacted", fix: "cleanup.policy=delete", make: func(w *world) { w.set("orders", "cleanup.policy", "compact") }},
		{name: "letters kept for a week", text: "keeps letters for 7 d only", fix: "retention.ms=-1", make: func(w *world) {
			w.set("orders.g.dlq", "retention.ms", strconv.FormatInt((7*24*time.Hour).Milliseconds(), 10))
		}},
		{name: "letters that do not fit", text: "a letter with its headers may not fit", fix: "max.message.bytes=1065536", make: func(w *world) { w.set("orders.g.dlq", "max.message.bytes", "1065535") }},
	} {
		s.level, s.check, s.code = setup.LevelFail, "configs", 1
		t.Run(s.name, func(t *testing.T) { s.run(t) })
	}
	refused := sick{
		level: setup.LevelFail, check: "configs", code: 4, text: "the idempotent producer is refused", fix: "--operation IdempotentWrite --cluster; or kafka.idempotent: false",
		make: func(w *world) { w.producer = fmt.Errorf("cluster authorization failed: %w", queue.ErrDenied) },
	}
	t.Run("the idempotent producer is refused", refused.run)
	slow := sick{
		level: setup.LevelFail, check: "configs", code: 3, text: "the idempotent producer cannot begin", fix: "run it again in a minute",
		make: func(w *world) { w.producer = fmt.Errorf("coordinator is loading: %w", queue.ErrUnreachable) },
	}
	t.Run("there is no producer id yet", slow.run)
	t.Run("it is not wanted, and not asked for", func(t *testing.T) {
		t.Parallel()
		w := healthy(t)
		w.Idempotent, w.producer = false, queue.ErrDenied
		if d := w.examine(t); d.Worst() != setup.LevelOK {
			t.Error(lines(d))
		}
	})
	t.Run("thirty days are enough, for ever too, and what may not be read is no finding", func(t *testing.T) {
		t.Parallel()
		w := healthy(t)
		w.set("orders.g.dlq", "retention.ms", strconv.FormatInt((30*24*time.Hour).Milliseconds(), 10))
		w.configs["orders"] = setup.Topic{Partitions: 2, ReplicationFactor: 3}
		if d := w.examine(t); d.Worst() != setup.LevelOK {
			t.Error(lines(d))
		}
	})
}

func TestTheGroup(t *testing.T) {
	t.Parallel()
	nobody := func(g *lag.GroupObs) { g.State, g.Members = lag.StateEmpty, lag.Know([]lag.MemberObs{}) }
	for _, s := range []sick{
		{name: "nobody, and orders wait", level: setup.LevelFail, check: "group", text: "NO-MEMBERS: nobody is in group g, and orders wait in orders/1", fix: "orderctl consume -g g", code: 1, make: func(w *world) {
			w.group(nobody)
			w.commit("orders", 1, 90)
		}},
		{name: "nobody, and nothing waits", level: setup.LevelWarn, check: "group", text: "nothing waits", fix: "orderctl consume", make: func(w *world) { w.group(nobody) }},
		{name: "a group that never was", level: setup.LevelFail, check: "group", text: "orders wait in orders/0, orders/1", fix: "orderctl consume", code: 1, make: func(w *world) {
			w.snapshot.Groups["g"] = lag.GroupObs{State: lag.StateDead, Members: lag.Know([]lag.MemberObs{}), Commits: lag.Know(map[lag.TopicPartition]lag.CommitObs{})}
		}},
		{name: "AHEAD", level: setup.LevelFail, check: "group", text: "orders/1 (by 20)", fix: "orderctl lag g", code: 1, make: func(w *world) { w.commit("orders", 1, 120) }},
		{name: "LOST", level: setup.LevelFail, check: "group", text: "orders/0 (35)", fix: "orderctl lag g", code: 1, make: func(w *world) {
			w.commit("orders", 0, 5)
			w.partition("orders", 0, func(o *lag.PartitionObs) { o.Start = lag.Know[int64](40) })
		}},
		{name: "a topic that nobody reads", level: setup.LevelFail, check: "group", text: "nobody subscribes to orders.g.replay", fix: "orderctl consume -g g", code: 1, make: func(w *world) {
			for i := range w.snapshot.Groups["g"].Members.V {
				w.snapshot.Groups["g"].Members.V[i].Subscribed = []string{"orders", "orders.g.retry.5s"}
			}
		}},
		{name: "SQLite and two hosts", level: setup.LevelFail, check: "group", text: "the members are on 2 hosts (10.0.0.1, 10.0.0.2)", fix: "store.driver", code: 1, make: func(w *world) {
			w.snapshot.Groups["g"].Members.V[1].Host = "10.0.0.2"
		}},
		{name: "more members than partitions", level: setup.LevelWarn, check: "group", text: "3 members for 2 partitions", fix: "stop 1 worker", make: func(w *world) {
			w.group(func(g *lag.GroupObs) { g.Members.V = append(g.Members.V, g.Members.V[0]) })
		}},
		{name: "members that are not told", level: setup.LevelWarn, check: "group", text: "are not known", fix: "orderctl lag", make: func(w *world) {
			w.group(func(g *lag.GroupObs) { g.Members = lag.Maybe[[]lag.MemberObs]{} })
		}},
		{name: "a coordinator that does not answer", level: setup.LevelFail, check: "group", text: "did not answer", fix: "orderctl lag", code: 3, make: func(w *world) {
			w.group(func(g *lag.GroupObs) { *g = lag.GroupObs{Problem: lag.NoAnswer} })
		}},
		{name: "a share group", level: setup.LevelFail, check: "group", text: "is a share group", fix: "consume.group", code: 1, make: func(w *world) {
			w.group(func(g *lag.GroupObs) { *g = lag.GroupObs{Type: "share", Problem: lag.Unsupported} })
		}},
		{name: "a group that may not be seen is the matter of access", level: setup.LevelFail, check: "access", text: "Describe and Read refused on group g", fix: "--operation Read --group g", code: 4, skipped: []string{"group"}, make: func(w *world) {
			w.group(func(g *lag.GroupObs) { *g = lag.GroupObs{Problem: lag.NoAccess} })
			w.rights = setup.Rights{Known: true}
		}},
	} {
		t.Run(s.name, func(t *testing.T) { s.run(t) })
	}
}

func TestSeveralHostsAreRightForADatabaseServer(t *testing.T) {
	t.Parallel()
	w := healthy(t)
	w.LocalDB = false
	w.snapshot.Groups["g"].Members.V[1].Host = "10.0.0.2"
	if d := w.examine(t); d.Worst() != setup.LevelOK {
		t.Error(lines(d))
	}
}

func TestAHungTransactionNamesItsProducer(t *testing.T) {
	t.Parallel()
	hang := func(w *world) {
		w.partition("orders", 1, func(o *lag.PartitionObs) { o.Stable, o.Mark = lag.Know[int64](93), lag.Know(lag.OffsetAt{Offset: 99}) })
		w.commit("orders", 1, 93)
	}
	abort := "kafka-transactions.sh --bootstrap-server k1:9092 abort --topic orders --partition 1 --start-offset 93"
	for _, s := range []sick{
		{name: "with its producer", text: "from orders/1@93 on hides 7 records (producer id 4711, epoch 3, silent for 14m0s)", make: func(w *world) {
			hang(w)
			w.open = []setup.OpenTransaction{
				{Partition: 0, Producer: 1, Start: 93},
				{Partition: 1, Producer: 4711, Epoch: 3, Start: 93, Last: now.Add(-14 * time.Minute)},
				{Partition: 1, Producer: 4712, Epoch: 1, Start: 95},
			}
		}},
		{name: "of a broker that cannot tell", text: "hides 7 records (producer id not told: unsupported)", make: func(w *world) {
			hang(w)
			w.openErr = errors.New("unsupported")
		}},
	} {
		s.level, s.check, s.fix, s.code = setup.LevelFail, "transactions", abort, 1
		t.Run(s.name, func(t *testing.T) { s.run(t) })
	}
}

// A group that never was has no rows of its own, and a partition that nobody describes no ends: neither is well for that.
func TestAHungTransactionBesideWhatIsNotThere(t *testing.T) {
	t.Parallel()
	w := healthy(t)
	w.group(func(g *lag.GroupObs) {
		*g = lag.GroupObs{State: lag.StateDead, Members: lag.Know([]lag.MemberObs{}), Commits: lag.Know(map[lag.TopicPartition]lag.CommitObs{})}
	})
	for topic := range w.snapshot.Topics {
		for p := range int32(2) {
			w.partition(topic, p, func(o *lag.PartitionObs) { o.High, o.Stable = lag.Know[int64](0), lag.Know[int64](0) })
		}
	}
	w.partition("orders", 1, func(o *lag.PartitionObs) {
		o.High, o.Mark = lag.Know[int64](7), lag.Know(lag.OffsetAt{Offset: 6})
	})
	w.partition("orders", 0, func(o *lag.PartitionObs) { *o = lag.PartitionObs{Leader: 1, Problem: lag.NoAnswer} })
	d := lines(w.examine(t))
	for _, want := range []string{
		"FAIL transactions  HUNG-TXN: an open transaction from orders/1@0 on hides 7 records",
		"warn transactions  whether one hides records is not known of orders/0  fix: orderctl lag g",
		"warn group  nobody is in group g; whether orders wait is not known of orders/0",
	} {
		if !strings.Contains(d, want) {
			t.Errorf("no %q in\n%s", want, d)
		}
	}
}

func TestAccess(t *testing.T) {
	t.Parallel()
	grant := func(op, kind, name string) string {
		return "kafka-acls.sh --bootstrap-server k1:9092 --add --allow-principal User:orders --operation " + op + " --" + kind + " " + name
	}
	for _, s := range []sick{
		{name: "a topic that may not be seen", level: setup.LevelFail, text: "Describe refused on orders.g.dlq", fix: grant("Describe", "topic", "orders.g.dlq"), code: 4, make: func(w *world) {
			w.state.Topics["orders.g.dlq"] = setup.TopicState{Err: fmt.Errorf("no: %w", queue.ErrDenied)}
		}},
		{name: "a topic that may not be read", level: setup.LevelFail, text: "Read refused on orders", fix: grant("Read", "topic", "orders"), code: 4, make: func(w *world) {
			w.worse("orders", func(s *setup.TopicState) { s.Rights.Read = false })
		}},
		{name: "a group that may not be read", level: setup.LevelFail, text: "Read refused on group g", fix: grant("Read", "group", "g"), code: 4, make: func(w *world) { w.rights.Read = false }},
		{name: "a topic that may not be written", level: setup.LevelWarn, text: "Write refused on orders", fix: grant("Write", "topic", "orders"), make: func(w *world) {
			w.worse("orders", func(s *setup.TopicState) { s.Rights.Write = false })
		}},
		{name: "configs that may not be read", level: setup.LevelWarn, text: "their configuration is not checked", fix: grant("DescribeConfigs", "topic", "orders"), make: func(w *world) {
			w.worse("orders", func(s *setup.TopicState) { s.Rights.DescribeAs = false })
		}},
		{name: "nobody is logged in", level: setup.LevelFail, text: "Read refused on orders", fix: "--allow-principal User:ANONYMOUS", code: 4, make: func(w *world) {
			w.Principal = ""
			w.worse("orders", func(s *setup.TopicState) { s.Rights.Read = false })
		}},
		{name: "no answer", level: setup.LevelFail, text: "did not answer", fix: "logs", code: 3, make: func(w *world) {
			w.GroupRights = func(context.Context, string) (setup.Rights, error) {
				return setup.Rights{}, fmt.Errorf("it did not answer: %w", queue.ErrUnreachable)
			}
		}},
	} {
		s.check = "access"
		t.Run(s.name, func(t *testing.T) { s.run(t) })
	}
}

func TestTheDatabase(t *testing.T) {
	t.Parallel()
	for _, s := range []sick{
		{name: "no connection", level: setup.LevelFail, text: "cannot open", fix: "store.dsn", code: 1, make: func(w *world) { w.dbErr = errors.New("cannot open /data/orders.db") }},
		{name: "a server that is away", level: setup.LevelFail, text: "refused", fix: "store.dsn", code: 3, make: func(w *world) { w.dbErr = coded{"refused", "", 3} }},
		{name: "an effect file with a mistake", level: setup.LevelFail, text: "effect.sql:3: no such table: stock", fix: "its parameters are", code: 2, make: func(w *world) {
			w.dbErr = coded{"effect.sql:3: no such table: stock", "an effect file holds INSERT; its parameters are :order_id", 2}
		}},
		{name: "an old schema", level: setup.LevelFail, text: "schema is at 2, this binary needs 3", fix: "orderctl db migrate", code: 2, make: func(w *world) { w.db.Have = 2 }},
		{name: "a schema of the future", level: setup.LevelFail, text: "schema is at 4, this binary knows 3", fix: "newer orderctl", code: 2, make: func(w *world) { w.db.Have, w.db.Migrates = 4, true }},
		{name: "it forgets what is done too soon", level: setup.LevelWarn, text: "remembered for 3 d, orders are kept for 7 d", fix: "keep_done", make: func(w *world) { w.KeepDone = 72 * time.Hour }},
		{name: "a clock that is off", level: setup.LevelWarn, text: "off by 2.5s", fix: "NTP", make: func(w *world) { w.db.Clock = now.Add(-2500 * time.Millisecond) }},
		{name: "a full disk", level: setup.LevelWarn, text: "9% of the disk of /data is free", fix: "make room", make: func(w *world) { w.disks["/data"] = setup.Space{Free: 9, Total: 100} }},
	} {
		s.check = "database"
		t.Run(s.name, func(t *testing.T) { s.run(t) })
	}
	t.Run("no hint sends back to here", func(t *testing.T) {
		t.Parallel()
		w := healthy(t)
		w.dbErr = coded{"refused", "store.dsn names it; 'orderctl doctor' checks it", 3}
		if d := w.examine(t); !strings.Contains(lines(d), "refused  fix: store.dsn names it") || strings.Contains(lines(d), "'orderctl doctor'") {
			t.Error(lines(d))
		}
	})
	t.Run("a new database is made by the worker", func(t *testing.T) {
		t.Parallel()
		w := healthy(t)
		w.db = setup.Database{Where: "/data/orders.db", Want: 3, Migrates: true, Dir: "/not/there"}
		if d := w.examine(t); d.Worst() != setup.LevelOK || !strings.Contains(lines(d), "the worker brings it to 3") {
			t.Error(lines(d))
		}
	})
}

func TestWhatRunsBeside(t *testing.T) {
	t.Parallel()
	answering := func(code int, body string) func(*world) {
		return func(w *world) {
			srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				rw.WriteHeader(code)
				if r.URL.Query().Has("verbose") {
					_, _ = rw.Write([]byte(body))
				}
			}))
			t.Cleanup(srv.Close)
			w.Serve.Addr = strings.TrimPrefix(srv.URL, "http://")
		}
	}
	gone := gonePort(t)
	held := func(w *world) { w.Dev.Holder = func() (int, bool) { return 4711, true } }
	for _, s := range []sick{
		{name: "serve is not ready", level: setup.LevelFail, check: "serve", text: "is not ready: kafka: no answer", fix: "/health", code: 1, make: answering(503, "+ store\n- kafka: no answer\n")},
		{name: "something else listens", level: setup.LevelFail, check: "serve", text: "answers 404 to /readyz", fix: "serve.admin.addr", code: 1, make: answering(404, "")},
		{name: "serve is not where it should be", level: setup.LevelFail, check: "serve", text: "does not answer: connect: connection refused", fix: "orderctl serve", code: 3, make: func(w *world) { w.Serve.Addr = gone }},
		{name: "no serve on this host, and nobody said so", level: setup.LevelSkip, check: "serve", text: "no 'orderctl serve' on this host", make: func(w *world) { w.Serve = setup.Serve{Addr: gone} }},
		{name: "no address of serve", level: setup.LevelSkip, check: "serve", text: "is not set", make: func(w *world) { w.Serve = setup.Serve{} }},
		{name: "a webhook that refuses", level: setup.LevelFail, check: "webhook", text: "cannot be reached: connect: connection refused", fix: "url", code: 3, make: func(w *world) { w.Webhook = "http://" + gone + "/orders" }},
		{name: "a webhook that is no TLS", level: setup.LevelFail, check: "webhook", text: "does not shake hands over TLS", fix: "certificate", code: 3, make: func(w *world) { w.Webhook = "https://" + w.Serve.Addr }},
		{name: "a webhook without a host", level: setup.LevelFail, check: "webhook", text: "is not one", fix: "url", code: 2, make: func(w *world) { w.Webhook = "orders" }},
		{name: "a full disk under dev", level: setup.LevelFail, check: "dev", text: "512 MiB of the disk", fix: "--reset", code: 1, make: func(w *world) { w.disks["/dev-data"] = setup.Space{Free: 512 << 20, Total: 100 << 30} }},
	} {
		t.Run(s.name, func(t *testing.T) { s.run(t) })
	}
	t.Run("the folder of dev is held, and nobody answers", func(t *testing.T) {
		t.Parallel()
		w := healthy(t)
		held(w)
		w.Brokers = w.Brokers[:1]
		w.reach["k1:9092"] = setup.Reach{Step: "TCP", Err: errors.New("connection refused")}
		if d := w.examine(t); !strings.Contains(lines(d), "FAIL dev  /dev-data is held by pid 4711, and no broker answers  fix: stop pid 4711") {
			t.Error(lines(d))
		}
	})
	t.Run("the folder of a dev that works is in use", func(t *testing.T) {
		t.Parallel()
		w := healthy(t)
		held(w)
		if d := w.examine(t); d.Worst() != setup.LevelOK || !strings.Contains(lines(d), "in use by pid 4711") {
			t.Error(lines(d))
		}
	})
	t.Run("a webhook is not sent anything", func(t *testing.T) {
		t.Parallel()
		w := healthy(t)
		hook := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the webhook was called") }))
		defer hook.Close()
		w.Webhook = hook.URL
		if d := w.examine(t); d.Worst() != setup.LevelOK || !strings.Contains(lines(d), "reached, nothing was sent") {
			t.Error(lines(d))
		}
	})
}

func gonePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// What never answers is given up after five seconds; all of it takes less than thirty.
func TestADoctorAlwaysAnswers(t *testing.T) {
	t.Parallel()
	w := healthy(t)
	w.Serve.Addr = ""
	synctest.Test(t, func(t *testing.T) {
		mute := func(ctx context.Context) error { <-ctx.Done(); return fmt.Errorf("no answer: %w", ctx.Err()) }
		began := time.Now()
		w.Database = func(ctx context.Context) (setup.Database, error) { return setup.Database{}, mute(ctx) }
		w.State = func(ctx context.Context, _ []string) (setup.ClusterState, error) {
			return setup.ClusterState{}, mute(ctx)
		}
		probe := w.Probe
		w.Probe = func(ctx context.Context, addr string) setup.Reach {
			if addr == "k1:9092" {
				return probe(ctx, addr)
			}
			return setup.Reach{Step: "protocol", Err: mute(ctx)}
		}
		d := w.examine(t)
		if took := time.Since(began); took != 15*time.Second {
			t.Errorf("took %v", took)
		}
		if d.ExitCode(false) != 3 || !strings.Contains(lines(d), "FAIL database  no answer") {
			t.Error(lines(d))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		w.Each = 20 * time.Second
		began := time.Now()
		if d := w.examine(t); time.Since(began) != setup.DoctorTimeout || d.ExitCode(false) != 3 {
			t.Errorf("took %v\n%s", time.Since(began), lines(d))
		}
	})
}

func TestADoctorNeedsItsTools(t *testing.T) {
	t.Parallel()
	for name, take := range map[string]func(*setup.DoctorOptions){
		"Want": func(o *setup.DoctorOptions) { o.Want = setup.Want{} }, "Brokers": func(o *setup.DoctorOptions) { o.Brokers = nil },
		"Probe": func(o *setup.DoctorOptions) { o.Probe = nil }, "State": func(o *setup.DoctorOptions) { o.State = nil },
		"Configs": func(o *setup.DoctorOptions) { o.Configs = nil }, "Producer": func(o *setup.DoctorOptions) { o.Producer = nil },
		"GroupRights": func(o *setup.DoctorOptions) { o.GroupRights = nil }, "Transactions": func(o *setup.DoctorOptions) { o.Transactions = nil },
		"Lag": func(o *setup.DoctorOptions) { o.Lag = nil }, "Database": func(o *setup.DoctorOptions) { o.Database = nil },
		"Disk": func(o *setup.DoctorOptions) { o.Disk = nil },
	} {
		o := healthy(t).DoctorOptions
		take(&o)
		if _, err := setup.NewDoctor(o); err == nil || err.Error() != "setup: DoctorOptions."+name+" is required" {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

func TestThisHostTells(t *testing.T) {
	t.Parallel()
	if setup.OpenFiles() == 0 {
		t.Error("the number of open files is not known")
	}
	s, err := setup.DiskSpace(t.TempDir())
	if err != nil || s.Free == 0 || s.Free > s.Total {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := setup.DiskSpace("/not/there"); err == nil {
		t.Error("a folder that is not there has a disk")
	}
}
