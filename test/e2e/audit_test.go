//go:build e2e

package e2e

import (
	"database/sql"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// balance is as much of the JSON of `audit` as is looked at here.
type balance struct {
	Verdict    string `json:"verdict"`
	Complete   bool   `json:"complete"`
	Records    int    `json:"records"`
	Accepted   int    `json:"accepted"`
	Applied    int    `json:"applied"`
	Dead       int    `json:"dead"`
	InWork     int    `json:"in_work"`
	Missing    int    `json:"missing"`
	Exceptions []struct {
		Kind    string `json:"kind"`
		OrderID string `json:"order_id"`
		MsgID   string `json:"msg_id"`
	} `json:"exceptions"`
}

func audited(t *testing.T, b *box, code int, args ...string) balance {
	t.Helper()
	var sum balance
	decode(t, b.must(code, 2*time.Minute, append([]string{"audit", "-q", "-o", "json"}, args...)...).stdout, &sum)
	if sum.Accepted != sum.Applied+sum.Dead+sum.InWork+sum.Missing || !sum.Complete {
		t.Errorf("audit does not add up: %+v", sum)
	}
	return sum
}

// `audit` looks at a queue that takes 500 orders a second, dead-letters the dirty ones of a file, and is killed ten times: it
// is balanced before and after each kill. One row that is taken away is named.
func TestAuditBesideLoadAndKills(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	data := filepath.Join(b.home, "data")
	s := newShop(t, data)
	b.env = append(b.env, "ORDERCTL_CONSUME_EFFECT_FILE="+s.effect)
	kafka, api, admin := port(t), port(t), port(t)
	run := func() *process {
		p := b.start("dev", "--data-dir", data, "--kafka-addr", kafka, "--addr", api, "--admin-addr", admin)
		serving(t, api)
		return p
	}
	p := run()
	looker := b.with("ORDERCTL_CONFIG=" + filepath.Join(data, "orderctl.yaml"))
	file, err := filepath.Abs(realOrders)
	if err != nil {
		t.Fatal(err)
	}
	moving := 0 // audits that met orders at work
	balanced := func(when string, n int) {
		sum := audited(t, looker, 0)
		if sum.Verdict != "BALANCED" {
			t.Errorf("%s kill %d: %+v", when, n, sum)
		}
		if sum.InWork > 0 {
			moving++
		}
	}
	looker.must(0, time.Minute, "produce", "--file", file, "--via", "kafka", "-q")
	underLoad(t, b, s, api, func(n int) {
		balanced("before", n)
		p.kill()
		p = run()
		balanced("after", n)
	})
	if moving == 0 {
		t.Error("no audit met an order at work: the test shows nothing")
	}
	s.settled(2 * time.Minute)
	eventually(t, time.Minute, "nothing is in work", func() error {
		if sum := audited(t, looker, 0); sum.InWork > 0 || sum.Dead < dirtyOrders {
			return errNotYet
		}
		return nil
	})
	audited(t, looker, 0, "--ids", s.acked)

	ids := s.ackedIDs()
	lost := ids[len(ids)/2]
	db, err := sql.Open("sqlite", "file:"+s.db+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "DELETE FROM orderctl_messages WHERE msg_id = ?", lost); err != nil {
		t.Fatal(err)
	}
	sum := audited(t, looker, 5, "--settle", "1s")
	order, _, _ := strings.Cut(lost, ":")
	if sum.Verdict != "NOT BALANCED" || sum.Missing != 1 || len(sum.Exceptions) != 1 || sum.Exceptions[0].MsgID != lost || sum.Exceptions[0].OrderID != order {
		t.Errorf("the row of %s is gone: %+v", lost, sum)
	}
	r := looker.must(0, time.Minute, "trace", order)
	if !strings.Contains(r.stdout, "order "+order+"  MISSING") {
		t.Errorf("trace: %s", r.stdout)
	}
	p.signal(syscall.SIGINT)
	if code := p.wait(time.Minute); code != 0 {
		t.Errorf("dev ends with %d after Ctrl-C", code)
	}
}

// The same figures on real Kafka: the orders of the file are applied or dead, a second sending of it is duplicates alone, a
// group that is set back to the start is balanced still, and a dead order is found with every step.
func TestAuditAndTraceOnRealKafka(t *testing.T) {
	t.Parallel()
	k := startKafka(t, 1)
	b := newBox(t, "ORDERCTL_KAFKA_BROKERS="+k.Addrs())
	b.env = append(b.env, "ORDERCTL_STORE_DSN="+filepath.Join(b.home, "orders.db"))
	file, err := filepath.Abs(realOrders)
	if err != nil {
		t.Fatal(err)
	}
	b.must(0, time.Minute, "topics", "apply", "--yes")
	b.must(0, time.Minute, "db", "migrate")
	send := func() { b.must(0, 2*time.Minute, "produce", "--file", file, "--via", "kafka", "-q") }
	send()
	b.must(6, 3*time.Minute, "consume", "--until-empty")
	if sum := audited(t, b, 0); sum.Verdict != "BALANCED" || sum.Accepted != allOrders || sum.Applied != validOrders || sum.Dead != dirtyOrders {
		t.Errorf("after one reading: %+v", sum)
	}
	send()
	if sum := audited(t, b, 0); sum.Verdict != "BALANCED" || sum.InWork != allOrders || sum.Records != 2*allOrders {
		t.Errorf("with as many waiting: %+v", sum)
	}
	b.must(0, 3*time.Minute, "consume", "--until-empty")
	if sum := audited(t, b, 0); sum.Verdict != "BALANCED" || sum.Accepted != allOrders || sum.Records != 2*allOrders {
		t.Errorf("after a second sending: %+v", sum)
	}
	rewind(t, k.Addrs(), "orders-worker", "orders", 12)
	if sum := audited(t, b, 0); sum.Verdict != "BALANCED" {
		t.Errorf("after the group was set back: %+v", sum)
	}
	r := b.must(0, time.Minute, "trace", "539337")
	for _, want := range []string{"order 539337  DEAD  CREATED 670.38 GBP; searched partition ", ", database\n", "  accepted CREATED, request ", "  dead, invalid/#/user_id, attempts 0\n"} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("trace lacks %q:\n%s", want, r.stdout)
		}
	}
	b.must(7, time.Minute, "trace", "nobody")
}
