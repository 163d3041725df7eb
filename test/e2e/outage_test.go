//go:build e2e

package e2e

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const away = 20 * time.Second

// laptop is `orderctl dev` with a shop, on ports of its own.
type laptop struct {
	*box
	shop             *shop
	data, kafka, api string
	admin            string
	dev              *process
}

func newLaptop(t *testing.T, env ...string) *laptop {
	t.Helper()
	b := newBox(t, env...)
	data := filepath.Join(b.home, "data")
	l := &laptop{box: b, shop: newShop(t, data), data: data, kafka: port(t), api: port(t), admin: port(t)}
	b.env = append(b.env, "ORDERCTL_CONSUME_EFFECT_FILE="+l.shop.effect)
	l.boot()
	return l
}

func (l *laptop) boot() {
	l.t.Helper()
	l.dev = l.start("dev", "--data-dir", l.data, "--kafka-addr", l.kafka, "--addr", l.api, "--admin-addr", l.admin)
	serving(l.t, l.api)
	l.env = append(l.env, "ORDERCTL_CONFIG="+filepath.Join(l.data, "orderctl.yaml"))
}

// Point 4: the database file is locked for 20 s under load. Nothing is dead-lettered, no attempt is counted, and when it is
// free again everything is applied.
func TestDatabaseLocked(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	outage(t, l, func() (restore func()) {
		db, err := sql.Open("sqlite", "file:"+l.shop.db+"?_pragma=busy_timeout(10000)&_txlock=exclusive")
		if err != nil {
			t.Fatal(err)
		}
		db.SetMaxOpenConns(1)
		tx, err := db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return func() {
			_ = tx.Rollback()
			_ = db.Close()
		}
	})
}

// The same with the file moved away.
func TestDatabaseFileGone(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	outage(t, l, func() (restore func()) {
		move := func(from, to string) {
			for _, suffix := range []string{"", "-wal", "-shm"} {
				if err := os.Rename(from+suffix, to+suffix); err != nil && !os.IsNotExist(err) {
					t.Fatal(err)
				}
			}
		}
		move(l.shop.db, l.shop.db+".away")
		return func() { move(l.shop.db+".away", l.shop.db) }
	})
}

func outage(t *testing.T, l *laptop, begin func() (restore func())) {
	t.Helper()
	first := l.must(0, time.Minute, "produce", "--rate", "200", "--count", "400", "--via", "http", "--url", "http://"+l.api, "--acked", l.shop.acked, "-o", "json")
	var sum produced
	decode(t, first.stdout, &sum)
	l.shop.settled(time.Minute)
	restore := begin()
	end := time.Now().Add(away)
	load := l.start("produce", "--rate", "50", "--duration", strconv.Itoa(int(away.Seconds()))+"s", "--via", "http", "--url", "http://"+l.api,
		"--acked", l.shop.acked+".2", "--run-id", "during", "-o", "json")
	eventually(t, away+time.Minute, "the outage is over", func() error {
		if time.Now().Before(end) {
			return errNotYet
		}
		return nil
	})
	restore()
	if code := load.wait(time.Minute); code != 0 {
		t.Errorf("produce: exit %d: orders must be taken while the database is away", code)
	}
	l.shop.acked += ".2"
	l.shop.settled(time.Minute)
	l.shop.exact()
	db := openDB(t, l.shop.db)
	if n := count(t, db, "SELECT count(*) FROM orderctl_messages WHERE attempts > 0 OR state <> 'done'"); n != 0 {
		t.Errorf("%d messages counted an attempt or are not done: an outage is not a poison message", n)
	}
	if r := l.must(0, time.Minute, "dlq", "list", "--all", "-o", "json"); !strings.Contains(r.stdout, `"letters": []`) && !strings.Contains(r.stdout, `"letters":[]`) {
		t.Errorf("dead letters after an outage: %s", clip(r.stdout))
	}
	eventually(t, 30*time.Second, "the group has committed all", func() error {
		if n, complete := unread(t, l.box); n != 0 || !complete {
			return fmt.Errorf("unread %d, complete %v", n, complete)
		}
		return nil
	})
}

// Point 4: the broker is silent, then gone, then back. Never a wrong 202, and every command ends in time.
func TestBrokerGone(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	data, kafka, api := filepath.Join(b.home, "data"), port(t), port(t)
	broker := func() *process {
		p := b.start("dev", "--broker-only", "--data-dir", data, "--kafka-addr", kafka)
		eventually(t, time.Minute, "the broker is up", func() error {
			if !strings.Contains(p.out.String(), kafka) {
				return errNotYet
			}
			return nil
		})
		return p
	}
	k := broker()
	b.env = append(b.env, "ORDERCTL_KAFKA_BROKERS="+kafka)
	b.must(0, time.Minute, "topics", "apply", "--yes")
	b.start("serve", "--addr", api, "--admin-addr", port(t))
	serving(t, api)
	post := func(id string) (int, string) {
		code, body, err := call("POST", "http://"+api+"/orders", "application/json",
			`{"order_id":"`+id+`","user_id":"u1","items":[{"product_id":"p1","quantity":1,"unit_price":1}]}`)
		if err != nil {
			t.Fatalf("POST %s: %v", id, err)
		}
		return code, body
	}
	if code, body := post("before"); code != 202 {
		t.Fatalf("before: %d %s", code, body)
	}

	k.signal(syscall.SIGSTOP)
	if code, body := post("silent"); code != 504 || !strings.Contains(body, "outcome-unknown") {
		t.Errorf("broker silent: %d %s, want 504 outcome-unknown", code, body)
	}
	inTime(t, b, "silent")
	k.signal(syscall.SIGCONT)
	k.kill()
	for n := range 3 {
		if code, body := post("gone-" + strconv.Itoa(n)); code != 503 && code != 504 {
			t.Errorf("broker gone: %d %s, want 503 or 504", code, body)
		}
	}
	inTime(t, b, "gone")
	broker()
	eventually(t, 30*time.Second, "orders are accepted again", func() error {
		if code, body := post("after"); code != 202 {
			return fmt.Errorf("%d %s", code, body)
		}
		return nil
	})
}

// inTime: what asks Kafka ends with 3 within its --timeout and a second.
func inTime(t *testing.T, b *box, how string) {
	t.Helper()
	for _, args := range [][]string{{"lag"}, {"dlq", "list"}, {"topics", "plan"}} {
		r := b.run(10*time.Second, append(args, "--timeout", "2s")...)
		if r.code != 3 || r.took > 3*time.Second {
			t.Errorf("broker %s: %v: exit %d after %v, want 3 within 3s\n%s", how, args, r.code, r.took, r.stderr)
		}
		if !strings.Contains(r.stderr, "brokers came from: env ORDERCTL_KAFKA_BROKERS") && !strings.Contains(r.stderr, "did not answer") {
			t.Errorf("broker %s: %v says %q", how, args, r.stderr)
		}
	}
}
