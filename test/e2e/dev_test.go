//go:build e2e

package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Point 1: from an empty home the queue is up within 3 s, what it prints works as printed, Ctrl-C ends it with 0, and the data
// is there at the next start.
func TestDevWorksAsItPrints(t *testing.T) {
	b := newBox(t)
	kafka, api, admin := port(t), port(t), port(t)
	run := func() *process {
		t.Helper()
		p := b.start("dev", "--kafka-addr", kafka, "--addr", api, "--admin-addr", admin)
		eventually(t, 3*time.Second, "the block of dev", func() error {
			if !strings.Contains(p.out.String(), "Ctrl-C stops it") {
				return errNotYet
			}
			return nil
		})
		return p
	}
	p := run()
	printed := p.out.String()
	export := regexp.MustCompile(`export ORDERCTL_CONFIG=.*`).FindString(printed)
	curl := regexp.MustCompile(`curl -i [^\n]*\\\n[^\n]*`).FindString(printed)
	if export == "" || curl == "" {
		t.Fatalf("no next steps in:\n%s", printed)
	}
	answer := b.shell(t, curl)
	if !strings.HasPrefix(answer, "HTTP/1.1 202 Accepted") {
		t.Fatalf("the printed curl answers %s", answer)
	}
	var accepted struct {
		OrderID string `json:"order_id"`
	}
	decode(t, answer[strings.LastIndex(answer, "\n{"):], &accepted)
	applied := func() error {
		code, body, err := call("GET", "http://"+api+"/orders/"+accepted.OrderID, "", "")
		if err != nil || code != 200 || !strings.Contains(body, `"state":"applied"`) {
			return fmt.Errorf("%d %s %w", code, body, err)
		}
		return nil
	}
	eventually(t, 10*time.Second, "the order is applied", applied)
	cli := export + "; PATH=" + filepath.Dir(b.bin) + ":$PATH; "
	if out := b.shell(t, cli+"orderctl trace "+accepted.OrderID); !strings.Contains(out, accepted.OrderID+"  APPLIED  CREATED 39.98 CNY") || !strings.Contains(printed, "orderctl trace ORDER_ID;") {
		t.Errorf("trace: %s", out)
	}
	for _, next := range []string{"orderctl produce --rate 200 --duration 1s", "orderctl lag", "orderctl dlq list"} {
		if out := b.shell(t, cli+next); strings.Contains(next, "lag") && !strings.Contains(out, "orders-worker  OK") {
			t.Errorf("%s: %s", next, out)
		}
	}
	second := b.run(10*time.Second, "dev", "--kafka-addr", "127.0.0.1:0", "--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0")
	if second.code != 1 || !strings.Contains(second.stderr, "by process "+strconv.Itoa(p.cmd.Process.Pid)) {
		t.Errorf("a second dev on the folder: exit %d, %s", second.code, second.stderr)
	}
	p.signal(syscall.SIGINT)
	if code := p.wait(30 * time.Second); code != 0 {
		t.Errorf("Ctrl-C ends dev with %d", code)
	}
	p = run()
	eventually(t, 10*time.Second, "the order is there after a restart", applied)
	if n, complete := unread(t, b.with("ORDERCTL_CONFIG="+filepath.Join(b.home, ".local/share/orderctl/dev/orderctl.yaml"))); n != 0 || !complete {
		t.Errorf("after a restart: unread %d, complete %v", n, complete)
	}
	p.signal(syscall.SIGTERM)
	if code := p.wait(30 * time.Second); code != 0 {
		t.Errorf("SIGTERM ends dev with %d", code)
	}
}

// with is the same machine with one more variable.
func (b *box) with(env ...string) *box {
	more := *b
	more.env = append(append([]string{}, b.env...), env...)
	return &more
}

func (b *box) shell(t *testing.T, line string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-c", line)
	cmd.Env, cmd.Dir = b.env, b.home
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return string(out)
}

// Point 2 over HTTP: the API refuses what is no order and says where.
func TestRealOrdersOverHTTP(t *testing.T) {
	l := newLaptop(t)
	file, err := filepath.Abs(realOrders)
	if err != nil {
		t.Fatal(err)
	}
	var sum produced
	decode(t, l.must(0, 2*time.Minute, "produce", "--file", file, "--via", "http", "--url", "http://"+l.api, "-o", "json").stdout, &sum)
	if sum.Sent != allOrders || sum.Acknowledged != validOrders || sum.Expected != dirtyOrders || sum.Rejected != dirtyOrders {
		t.Errorf("produce: %+v, want %d acknowledged and %d refused as expected", sum, validOrders, dirtyOrders)
	}
	for line := range fileLines(t, file) {
		if !strings.Contains(line, `"user_id":""`) {
			continue
		}
		code, body, err := call("POST", "http://"+l.api+"/orders", "application/json", line)
		if err != nil || code != 422 || !strings.Contains(body, `"pointer":"#/user_id"`) {
			t.Errorf("a dirty order: %d %s %v", code, body, err)
		}
		break
	}
}

// Point 6: 20,000 a second to the laptop, within 1 %, counts exact.
func TestProduceKeepsItsRate(t *testing.T) {
	b := newBox(t)
	kafka := port(t)
	p := b.start("dev", "--ephemeral", "--broker-only", "--kafka-addr", kafka)
	eventually(t, 30*time.Second, "the broker is up", func() error {
		if !strings.Contains(p.out.String(), kafka) {
			return errNotYet
		}
		return nil
	})
	b.env = append(b.env, "ORDERCTL_KAFKA_BROKERS="+kafka)
	b.must(0, time.Minute, "topics", "apply", "--yes")
	r := b.run(time.Minute, "produce", "--rate", "20k", "--duration", "10s", "--via", "kafka", "-o", "json")
	var sum struct {
		produced
		Ratio float64 `json:"achieved_ratio"`
	}
	decode(t, r.stdout, &sum)
	if sum.Sent != 200_000 || sum.Acknowledged != 200_000 || sum.Ratio < 0.99 || sum.Ratio > 1.01 || r.code != 0 {
		t.Errorf("exit %d: %+v\n%s", r.code, sum, clip(r.stderr))
	}
	if ends := logEnd(t, kafka, "orders"); ends != 200_000 {
		t.Errorf("%d records in the topic, want 200,000", ends)
	}
}
