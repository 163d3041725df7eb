//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"commerce.internal/orderctl/test/kraft"
)

// examined is the answer of doctor -o json.
type examined struct {
	Status   string `json:"status"`
	ExitCode int    `json:"exit_code"`
	Checks   []struct {
		Check   string `json:"check"`
		Status  string `json:"status"`
		Finding string `json:"finding"`
		Fix     string `json:"fix"`
	} `json:"checks"`
}

func examine(t *testing.T, b *box, code int, args ...string) examined {
	t.Helper()
	var e examined
	decode(t, b.must(code, 40*time.Second, append([]string{"doctor", "-o", "json"}, args...)...).stdout, &e)
	if e.ExitCode != code {
		t.Errorf("exit code %d, the document says %d", code, e.ExitCode)
	}
	return e
}

// has returns the fix of a finding; it fails the test where there is none.
func (e examined) has(t *testing.T, check, status, text string) string {
	t.Helper()
	for _, c := range e.Checks {
		if strings.HasPrefix(c.Check, check) && c.Status == status && strings.Contains(c.Finding, text) {
			return c.Fix
		}
	}
	t.Errorf("no %s %s %q in %+v", status, check, text, e.Checks)
	return ""
}

// run runs a command of Kafka as a fix spells it.
func runFix(t *testing.T, k *kraft.Cluster, fix string) {
	t.Helper()
	command, _, _ := strings.Cut(fix, "; ")
	words := strings.Fields(command)
	class := map[string]string{
		"kafka-acls.sh": "org.apache.kafka.tools.AclCommand", "kafka-configs.sh": "kafka.admin.ConfigCommand",
		"kafka-topics.sh": "org.apache.kafka.tools.TopicCommand", "kafka-transactions.sh": "org.apache.kafka.tools.TransactionsCommand",
	}[words[0]]
	if class == "" {
		t.Fatalf("no command of Kafka: %q", fix)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if out, err := k.Tool(ctx, class, words[1:]...); err != nil {
		t.Fatalf("the fix %q does not work: %v\n%s", fix, err, out)
	}
}

// Three nodes, one of them killed: what still works is a warning, with the number of the node to start.
func TestDoctorOfAClusterThatLostABroker(t *testing.T) {
	k := startKafka(t, 3)
	b := newBox(t, "ORDERCTL_KAFKA_BROKERS="+k.Addrs(), "ORDERCTL_TOPICS_REPLICATION_FACTOR=3", "ORDERCTL_TOPICS_MIN_INSYNC_REPLICAS=2",
		"ORDERCTL_TOPICS_PARTITIONS=6")
	fresh := examine(t, b, 1)
	if fix := fresh.has(t, "topics", "FAIL", "missing: orders"); fix != "orderctl topics apply" {
		t.Errorf("fix %q", fix)
	}
	b.must(0, time.Minute, "topics", "apply", "--yes")
	b.must(0, time.Minute, "produce", "--count", "50", "--rate", "max", "-q")
	b.must(0, time.Minute, "consume", "--until-empty")
	well := examine(t, b, 0)
	for _, c := range well.Checks {
		if c.Status == "FAIL" || c.Status == "warn" && c.Check != "group" {
			t.Errorf("%+v", c)
		}
	}

	if err := k.Kill(2); err != nil {
		t.Fatal(err)
	}
	b.env = append(b.env, "ORDERCTL_KAFKA_BROKERS="+k.Addr(1)+","+k.Addr(3))
	var sick examined
	eventually(t, time.Minute, "the dead broker is fenced", func() error {
		r := b.run(40*time.Second, "doctor", "-o", "json")
		decode(t, r.stdout, &sick)
		if r.code != 0 || !strings.Contains(r.stdout, "under-replicated") {
			return fmt.Errorf("exit %d: %s", r.code, r.stdout)
		}
		return nil
	})
	if fix := sick.has(t, "cluster", "warn", "under-replicated: "); fix != "start broker 2" {
		t.Errorf("fix %q", fix)
	}
	sick.has(t, "advertised", "ok", "2 brokers reached")
	sick.has(t, "configs", "ok", "")
	if e := examine(t, b, 5, "--strict"); e.Status != "warn" {
		t.Errorf("strict: %+v", e)
	}
	// The dead one by name: its own line fails, the rest is known from the others.
	e := examine(t, b, 3, "-b", k.Addrs())
	e.has(t, "broker "+k.Addr(2), "FAIL", "connection refused")
	e.has(t, "cluster", "warn", "under-replicated")
	if err := k.StartNode(2); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, "all replicas are in sync", func() error { return k.InSync(t.Context(), "orders") })
	eventually(t, time.Minute, "the fix has helped", func() error {
		if r := b.run(40*time.Second, "doctor"); strings.Contains(r.stdout, "under-replicated") || strings.Contains(r.stdout, "FAIL") {
			return fmt.Errorf("%s", r.stdout)
		}
		return nil
	})
	frozen(t, k, b)
}

// frozen stops all nodes with SIGSTOP: their ports take connections and never answer.
func frozen(t *testing.T, k *kraft.Cluster, b *box) {
	t.Helper()
	for id := 1; id <= 3; id++ {
		if err := k.Freeze(id); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = k.Thaw(id) }()
	}
	r := b.must(3, 30*time.Second, "doctor")
	if !strings.Contains(r.stdout, "FAIL  broker") || r.took > 15*time.Second {
		t.Errorf("after %v:\n%s", r.took, r.stdout)
	}
}

// A broken topic, and each fix as it is printed: it must be a command that works.
func TestTheFixesOfTheDoctorWork(t *testing.T) {
	k := startKafka(t, 1)
	b := newBox(t, "ORDERCTL_KAFKA_BROKERS="+k.Addrs(), "ORDERCTL_TOPICS_PARTITIONS=3", "ORDERCTL_LAG_SLO=1s")
	b.must(0, time.Minute, "topics", "apply", "--yes")
	alter := func(topic, setting string) {
		t.Helper()
		runFix(t, k, "kafka-configs.sh --bootstrap-server "+k.Addrs()+" --alter --entity-type topics --entity-name "+topic+" --add-config "+setting)
	}
	alter("orders", "cleanup.policy=compact")
	alter("orders.orders-worker.dlq", "retention.ms=3600000")
	alter("orders.orders-worker.dlq.audit", "cleanup.policy=delete")
	alter("orders.orders-worker.replay", "unclean.leader.election.enable=true")

	// The same drift, as topics plan has it.
	r := b.must(0, time.Minute, "topics", "plan")
	for _, want := range []string{"cleanup.policy is compact, not delete", "retention.ms is 3600000, not -1", "cleanup.policy is delete, not compact"} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("topics plan does not show %q:\n%s", want, r.stdout)
		}
	}
	e := examine(t, b, 1)
	runFix(t, k, e.has(t, "configs", "FAIL", "orders is compacted"))
	runFix(t, k, e.has(t, "configs", "FAIL", "keeps letters for 1 h only"))
	runFix(t, k, e.has(t, "configs", "FAIL", "orders.orders-worker.dlq.audit is not compacted"))
	runFix(t, k, e.has(t, "topics", "warn", "unclean leader election"))
	if r := b.must(0, time.Minute, "topics", "plan"); strings.Contains(r.stdout, "differs") {
		t.Errorf("after the fixes:\n%s", r.stdout)
	}
	e = examine(t, b, 0)
	e.has(t, "configs", "ok", "")

	// A transaction that nobody ends hides orders; the fix ends it.
	b.must(0, time.Minute, "consume", "--until-empty")
	foreign, err := kgo.NewClient(kgo.SeedBrokers(k.Addrs()), kgo.TransactionalID("foreign"), kgo.TransactionTimeout(10*time.Minute), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	if err := foreign.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := foreign.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Partition: 1, Value: []byte("x")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	id, _, err := foreign.ProducerID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fix := ""
	eventually(t, time.Minute, "the transaction is older than the SLO", func() error {
		r := b.run(40*time.Second, "doctor", "-o", "json")
		if !strings.Contains(r.stdout, "HUNG-TXN") {
			return fmt.Errorf("%d %s", r.code, r.stdout)
		}
		var e examined
		decode(t, r.stdout, &e)
		fix = e.has(t, "transactions", "FAIL", fmt.Sprintf("from orders/1@0 on hides 1 record (producer id %d,", id))
		return nil
	})
	runFix(t, k, fix)
	eventually(t, time.Minute, "the fix has helped", func() error {
		if r := b.run(40*time.Second, "doctor"); strings.Contains(r.stdout, "HUNG-TXN") {
			return fmt.Errorf("%s", r.stdout)
		}
		return nil
	})
}

// Each way to come to the wrong door of a real broker: doctor says which of them it is, and what to do.
func TestDoctorTellsTheDoorsApart(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "orderctl-kafka")
	if err != nil {
		t.Fatal(err)
	}
	k, doors, err := kraft.StartSecure(ctx, dir, map[string]string{"shop": "shop-secret"})
	if err != nil {
		t.Fatalf("start Kafka: %v", err)
	}
	t.Cleanup(func() {
		_ = k.Close()
		_ = os.RemoveAll(dir)
	})
	open := newBox(t, "ORDERCTL_KAFKA_BROKERS="+k.Addrs(), "ORDERCTL_TOPICS_PARTITIONS=3")
	open.must(0, time.Minute, "topics", "apply", "--yes")
	open.must(0, time.Minute, "produce", "--count", "5", "--rate", "max", "-q")
	open.must(0, time.Minute, "consume", "--until-empty")

	login := []string{"ORDERCTL_KAFKA_SASL_MECHANISM=SCRAM-SHA-512", "ORDERCTL_KAFKA_SASL_USERNAME=shop", "ORDERCTL_KAFKA_SASL_ALLOW_PLAINTEXT=true"}
	right, wrong := append(login, "ORDERCTL_KAFKA_SASL_PASSWORD=shop-secret"), append(append([]string{}, login...), "ORDERCTL_KAFKA_SASL_PASSWORD=wrong")
	secure := []string{"ORDERCTL_KAFKA_TLS_ENABLED=true", "ORDERCTL_KAFKA_TLS_CA_FILE=" + doors.CA}
	for _, tt := range []struct {
		name, door, text, fix string
		env                   []string
		code                  int
	}{
		{name: "plaintext to a TLS port", door: doors.TLS, text: "is a TLS port", fix: "add --tls", code: 3},
		{name: "plaintext to a TLS port with a login", door: doors.LoginTLS, env: right, text: "is a TLS port", fix: "add --tls", code: 3},
		{name: "TLS to a plaintext port", door: k.Addrs(), env: secure, text: "is a plaintext port", fix: "leave out --tls", code: 3},
		{name: "TLS to a plaintext port with a login", door: doors.Login, env: secure, text: "is a plaintext port", fix: "leave out --tls", code: 3},
		{name: "a CA that is not known", door: doors.TLS, env: []string{"ORDERCTL_KAFKA_TLS_ENABLED=true"}, text: "is not trusted", fix: "kafka.tls.ca_file", code: 3},
		{name: "no login", door: doors.Login, text: "wants a login", fix: "kafka.sasl.mechanism", code: 4},
		{name: "no login over TLS", door: doors.LoginTLS, env: secure, text: "wants a login", fix: "kafka.sasl.mechanism", code: 4},
		{name: "a wrong password", door: doors.Login, env: wrong, text: `Kafka refused the login of "shop"`, fix: "kafka.sasl.password_file", code: 4},
		{name: "a mechanism that is not offered", door: doors.Login, env: append(append([]string{}, right...), "ORDERCTL_KAFKA_SASL_MECHANISM=PLAIN"), text: "does not offer a login by PLAIN", fix: "kafka.sasl.mechanism", code: 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBox(t, append([]string{"ORDERCTL_KAFKA_BROKERS=" + tt.door}, tt.env...)...)
			if fix := examine(t, b, tt.code).has(t, "broker", "FAIL", tt.text); !strings.Contains(fix, tt.fix) {
				t.Errorf("fix %q, want %q", fix, tt.fix)
			}
			if tt.name == "a wrong password" {
				b.must(4, 20*time.Second, "lag")
				b.must(4, 20*time.Second, "consume", "--admin-addr", "127.0.0.1:0")
				b.must(4, 20*time.Second, "serve", "--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0")
				b.must(3, 20*time.Second, "lag", "--check") // Nagios: unknown
			}
		})
	}

	t.Run("rights, each granted by the fix", func(t *testing.T) {
		b := newBox(t, append(append([]string{"ORDERCTL_KAFKA_BROKERS=" + doors.LoginTLS, "ORDERCTL_TOPICS_PARTITIONS=3"}, right...), secure...)...)
		b.env = append(b.env, "ORDERCTL_STORE_DSN="+filepath.Join(open.home, ".local", "state", "orderctl", "orders.db"))
		e := examine(t, b, 4)
		e.has(t, "broker", "ok", "logged in as shop")
		for _, tt := range []struct {
			args []string
			code int
			said string
		}{
			{[]string{"lag"}, 4, "access refused: orders-worker"},
			{[]string{"lag", "-t", "orders"}, 4, "access refused: orders-worker"},
			{[]string{"lag", "--check"}, 3, "LAG UNKNOWN - NO-ACCESS"},
			{[]string{"lag", "-A", "--check"}, 3, "LAG UNKNOWN - no groups"},
			{[]string{"lag", "-A"}, 0, "no consumer groups at "},
			{[]string{"trace", "A-1"}, 4, `topic "orders" may not be described by this login`},
			{[]string{"audit", "-q"}, 4, `may not be described by this login`},
			{[]string{"offsets", "show"}, 4, "group orders-worker"},
		} {
			if r := b.must(tt.code, 40*time.Second, tt.args...); !strings.Contains(r.stdout+r.stderr, tt.said) {
				t.Errorf("%v does not say %q:\n%s%s", tt.args, tt.said, r.stdout, r.stderr)
			}
		}
		for _, step := range []struct{ status, text string }{
			{"FAIL", "Describe refused on"},
			{"FAIL", "Read refused on"},
			{"FAIL", "Read refused on group orders-worker"},
			{"warn", "Write refused on"},
			{"warn", "DescribeConfigs refused on"},
		} {
			found := false
			for _, c := range e.Checks {
				if c.Check == "access" && c.Status == step.status && strings.Contains(c.Finding, step.text) {
					// The super user grants it, at the door that lets him in.
					runFix(t, k, strings.Replace(c.Fix, doors.LoginTLS, k.Addrs(), 1))
					found = true
				}
			}
			if found {
				e = settled(t, b, step.text)
			}
		}
		e.has(t, "access", "ok", "may be described and read")
		e.has(t, "configs", "ok", "")
		e.has(t, "group", "warn", "nothing waits")
	})
}

// settled examines until a finding is gone: a grant takes a moment.
func settled(t *testing.T, b *box, text string) examined {
	t.Helper()
	var e examined
	eventually(t, 30*time.Second, text+" is granted", func() error {
		r := b.run(40*time.Second, "doctor", "-o", "json")
		e = examined{}
		decode(t, r.stdout, &e)
		for _, c := range e.Checks {
			if c.Check == "access" && strings.HasPrefix(c.Finding, text) {
				return fmt.Errorf("%+v", c)
			}
		}
		return nil
	})
	return e
}
