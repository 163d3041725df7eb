package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"commerce.internal/orderctl/internal/broker/brokertest"
)

// What a login may not do ends with 4 and names what is missing, and nothing is decided by halves.
func TestDeadLettersOfWhoMayNotDecide(t *testing.T) {
	t.Parallel()
	right := func(topic string, op kmsg.ACLOperation) brokertest.ACL {
		return brokertest.ACL{Resource: kmsg.ACLResourceTypeTopic, Name: topic, Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: op, Allow: true}
	}
	var reads []brokertest.ACL
	for _, topic := range []string{"orders", "orders.orders-worker.dlq", "orders.orders-worker.dlq.audit", "orders.orders-worker.replay"} {
		reads = append(reads, right(topic, kmsg.ACLOperationRead))
	}
	idempotent := brokertest.ACL{Resource: kmsg.ACLResourceTypeCluster, Name: "kafka-cluster", Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: kmsg.ACLOperationIdempotentWrite, Allow: true}
	ledger := append([]brokertest.ACL{right("orders.orders-worker.dlq.audit", kmsg.ACLOperationWrite), idempotent}, reads...)
	b := brokertest.Start(t, brokertest.SASL("PLAIN", "admin", "a"), brokertest.User("PLAIN", "reader", "r", reads...),
		brokertest.User("PLAIN", "clerk", "c", ledger...))
	home := t.TempDir()
	as := func(user, password string, args ...string) *exec.Cmd {
		return orderctl(t, []string{
			"HOME=" + home, "ORDERCTL_KAFKA_BROKERS=" + b.Addr(), "ORDERCTL_CONSUME_ADMIN_ADDR=127.0.0.1:0",
			"ORDERCTL_TOPICS_PARTITIONS=1", "ORDERCTL_TOPICS_REPLICATION_FACTOR=1", "ORDERCTL_TOPICS_MIN_INSYNC_REPLICAS=1",
			"ORDERCTL_KAFKA_SASL_MECHANISM=PLAIN", "ORDERCTL_KAFKA_SASL_ALLOW_PLAINTEXT=true",
			"ORDERCTL_KAFKA_SASL_USERNAME=" + user, "ORDERCTL_KAFKA_SASL_PASSWORD=" + password,
		}, args...)
	}
	for _, args := range [][]string{{"topics", "apply", "--yes"}, {"produce", "--count", "1", "--via", "kafka", "-q"}} {
		if raw, err := as("admin", "a", args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, raw)
		}
	}
	bad := as("admin", "a", "produce", "--via", "kafka", "--file", "-", "-q")
	bad.Stdin = strings.NewReader(`{"order_id":"A-1","user_id":"","status":"CREATED","currency":"EUR","items":[{"product_id":"P","quantity":1,"unit_price":1}],"total_amount":1,"timestamp":1750000000000}` + "\n")
	if raw, err := bad.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, raw)
	}
	if raw, err := as("admin", "a", "consume", "--until-empty").CombinedOutput(); err == nil {
		t.Fatalf("no letter\n%s", raw)
	}
	ends := func() (n int) {
		return len(b.Records(t, "orders.orders-worker.replay")) + len(b.Records(t, "orders.orders-worker.dlq.audit"))
	}
	before := ends()
	if raw, err := as("reader", "r", "dlq", "list", "-o", "csv", "--no-header").Output(); err != nil || strings.Count(string(raw), "\n") != 1 {
		t.Errorf("who may read may look: %v\n%s", err, raw)
	}
	for _, args := range [][]string{
		{"dlq", "replay", "--all", "--set", `/user_id="u"`, "--yes"},
		{"dlq", "discard", "--all", "--reason", "why", "--yes"},
	} {
		cmd := as("reader", "r", args...)
		raw, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != 4 || !strings.Contains(string(raw), "authorization failed") {
			t.Errorf("%v: exit %d\n%s", args, code, raw)
		}
		if n := ends(); n != before {
			t.Errorf("%v wrote %d records", args, n-before)
		}
		cmd = as("clerk", "c", args...)
		raw, _ = cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != 4 || !strings.Contains(string(raw), "authorization failed") || strings.Contains(string(raw), "1 replayed") {
			t.Errorf("%v with the ledger alone: exit %d\n%s", args, code, raw)
		}
		if n := len(b.Records(t, "orders.orders-worker.replay")); n != 0 {
			t.Errorf("%v sent %d records", args, n)
		}
		before = ends()
	}
	if raw, err := as("admin", "a", "dlq", "list", "--state", "undecided", "-o", "csv", "--no-header").Output(); err != nil || strings.Count(string(raw), "\n") != 1 {
		t.Errorf("the letter is undecided still: %v\n%s", err, raw)
	}
	if raw, err := as("admin", "a", "dlq", "replay", "--all", "--set", `/user_id="u"`, "--yes").CombinedOutput(); err != nil || !strings.Contains(string(raw), "1 replayed") {
		t.Errorf("who may do everything: %v\n%s", err, raw)
	}
}
