//go:build e2e

package e2e

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"commerce.internal/orderctl/internal/store/dbtest"
)

// postgresEffect is effect in the words of PostgreSQL.
const postgresEffect = `
INSERT INTO journal (message_id, status) VALUES (:message_id, :status);
UPDATE stock SET quantity = stock.quantity - sold.quantity
FROM (SELECT i->>'product_id' AS product_id, sum((i->>'quantity')::bigint) AS quantity
  FROM jsonb_array_elements(:items::jsonb) AS i GROUP BY 1 ORDER BY 1) AS sold
WHERE stock.product_id = sold.product_id AND :status = 'CREATED';
`

// postgresShop is a shop on a PostgreSQL server of its own, and the box that is told of it.
func postgresShop(t *testing.T, b *box) (*shop, *dbtest.Server) {
	t.Helper()
	server := dbtest.StartPostgres(t)
	return serverShop(t, b, server, "postgres", postgresEffect), server
}

// serverShop furnishes a shop on a database server, which ends with the test, and tells the box of it.
func serverShop(t *testing.T, b *box, server *dbtest.Server, driver, effect string) *shop {
	t.Helper()
	t.Cleanup(server.Close)
	server.Exec(t, server.Home(), "CREATE DATABASE shop")
	s := &shop{t: t, driver: driver, db: server.DSN("shop"), effect: filepath.Join(t.TempDir(), "effect.sql"), acked: filepath.Join(t.TempDir(), "acked")}
	db := dbtest.Open(t, driver, s.db)
	defer db.Close()
	s.furnish(db, effect)
	b.env = append(b.env, "ORDERCTL_STORE_DRIVER="+driver, "ORDERCTL_STORE_DSN="+s.db, "ORDERCTL_CONSUME_EFFECT_FILE="+s.effect)
	return s
}

func TestRealOrdersEndInPostgres(t *testing.T) {
	k := startKafka(t, 1)
	b := newBox(t, "ORDERCTL_KAFKA_BROKERS="+k.Addrs())
	s, _ := postgresShop(t, b)
	realOrdersEndOnServer(t, b, s, k.Addrs())
}

// realOrdersEndOnServer: the database is migrated first, and the books balance in the end.
func realOrdersEndOnServer(t *testing.T, b *box, s *shop, brokers string) {
	t.Helper()
	b.env = append(b.env, "ORDERCTL_CONSUME_EFFECT_FILE=") // the real orders name goods that the shop has not
	if r := b.must(2, time.Minute, "db", "status"); !strings.Contains(r.stderr, "run: orderctl db migrate") {
		t.Errorf("db status of an empty database says %q", r.stderr)
	}
	b.must(0, time.Minute, "db", "migrate")
	b.must(0, time.Minute, "db", "status")
	realOrdersEnd(t, b, brokers, func() *sql.DB { return s.open() })
	if sum := audited(t, b, 0); sum.Verdict != "BALANCED" || sum.Accepted != allOrders || sum.Applied != validOrders || sum.Dead != dirtyOrders {
		t.Errorf("audit: %+v", sum)
	}
}

// serve and consume on real Kafka and PostgreSQL are killed in turn, ten times each.
func TestKilledTenTimesWithPostgres(t *testing.T) {
	t.Parallel()
	k := startKafka(t, 1)
	b := newBox(t, "ORDERCTL_KAFKA_BROKERS="+k.Addrs())
	s, _ := postgresShop(t, b)
	killedTenTimes(t, b, s)
}

// killedTenTimes kills serve and consume under load, and checks that every order that was accepted took effect once.
func killedTenTimes(t *testing.T, b *box, s *shop) {
	t.Helper()
	b.must(0, time.Minute, "topics", "apply", "--yes")
	b.must(0, time.Minute, "db", "migrate")
	api, admin, workerAdmin := port(t), port(t), port(t)
	serve := func() *process {
		p := b.start("serve", "--addr", api, "--admin-addr", admin)
		serving(t, api)
		return p
	}
	consume := func() *process { return b.start("consume", "--admin-addr", workerAdmin) }
	front, worker := serve(), consume()
	underLoad(t, b, s, api, func(int) {
		front.kill()
		worker.kill()
		worker = consume()
		front = serve()
	})
	s.settled(3 * time.Minute)
	s.exact()
	eventually(t, time.Minute, "nothing is in work", func() error {
		if sum := audited(t, b, 0, "--ids", s.acked); sum.Verdict != "BALANCED" || sum.InWork > 0 {
			return fmt.Errorf("audit: %+v", sum)
		}
		return nil
	})
	stopped(t, front, worker)
}

// stopped ends processes as an operator does.
func stopped(t *testing.T, processes ...*process) {
	t.Helper()
	for _, p := range processes {
		p.signal(syscall.SIGTERM)
		if code := p.wait(time.Minute); code != 0 {
			t.Errorf("orderctl %s ends with %d after SIGTERM", p.name, code)
		}
	}
}

// PostgreSQL is stopped for a minute under load. No order is refused, none is dead-lettered, no attempt is counted, the
// commits stand; it is back in use within five seconds. An intake that starts meanwhile takes orders.
func TestPostgresStoppedForAMinute(t *testing.T) {
	t.Parallel()
	const away = time.Minute
	k := startKafka(t, 1)
	b := newBox(t, "ORDERCTL_KAFKA_BROKERS="+k.Addrs())
	s, server := postgresShop(t, b)
	b.must(0, time.Minute, "topics", "apply", "--yes")
	b.must(0, time.Minute, "db", "migrate")
	api, worker := port(t), port(t)
	front := b.start("serve", "--addr", api, "--admin-addr", port(t))
	serving(t, api)
	b.start("consume", "--admin-addr", worker)
	b.must(0, time.Minute, "produce", "--rate", "100", "--count", "300", "--via", "http", "--url", "http://"+api, "--acked", s.acked)
	s.settled(time.Minute)
	id, _, _ := strings.Cut(s.ackedIDs()[0], ":")
	eventually(t, 30*time.Second, "the group has committed all", func() error {
		if n, complete := unread(t, b); n != 0 || !complete {
			return fmt.Errorf("unread %d, complete %v", n, complete)
		}
		return nil
	})

	server.Stop()
	end := time.Now().Add(away)
	front.signal(syscall.SIGTERM)
	front.wait(time.Minute)
	b.start("serve", "--addr", api, "--admin-addr", port(t))
	serving(t, api)
	load := b.start("produce", "--rate", "20", "--duration", strconv.Itoa(int(away.Seconds())-15)+"s", "--via", "http", "--url", "http://"+api,
		"--acked", s.acked+".2", "--run-id", "during", "--min-rate", "0%")
	eventually(t, 30*time.Second, "the breaker is open", func() error { return breakerIs(worker, 2) })
	if code, body, err := call("GET", "http://"+api+"/orders/"+id, "", ""); err != nil || code != 503 || !strings.Contains(body, "store-unavailable") {
		t.Errorf("GET of an order: %d %s %v, want 503 store-unavailable", code, body, err)
	}
	stood := committed(t, k.Addrs())
	eventually(t, 2*away, "a minute is over", func() error {
		if time.Now().Before(end) {
			return errNotYet
		}
		return nil
	})
	if now := committed(t, k.Addrs()); now != stood {
		t.Errorf("commits went from %d to %d while nothing could be finished", stood, now)
	}
	if code := load.wait(time.Minute); code != 0 {
		t.Errorf("produce: exit %d: orders must be taken while the database is away", code)
	}
	server.Start(t)
	began := time.Now()
	db := s.open()
	before := count(t, db, "SELECT count(*) FROM orderctl_messages")
	eventually(t, time.Minute, "the worker goes on", func() error {
		if count(t, db, "SELECT count(*) FROM orderctl_messages") == before {
			return errNotYet
		}
		return nil
	})
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v to go on, want less than 5 s", took)
	}
	s.acked += ".2"
	s.settled(time.Minute)
	s.exact()
	if n := count(t, db, "SELECT count(*) FROM orderctl_messages WHERE attempts > 0 OR state <> 'done'"); n != 0 {
		t.Errorf("%d messages counted an attempt or are not done: an outage is not a poison message", n)
	}
	if all := letters(t, b); len(all) != 0 {
		t.Errorf("%d dead letters after an outage", len(all))
	}
	eventually(t, 10*time.Second, "the breaker is closed", func() error { return breakerIs(worker, 0) })
	if code, body, err := call("GET", "http://"+api+"/orders/"+id, "", ""); err != nil || code != 200 {
		t.Errorf("GET of an order: %d %s %v, want 200", code, body, err)
	}
}

func breakerIs(admin string, state int) error {
	_, body, err := call("GET", "http://"+admin+"/metrics", "", "")
	if want := fmt.Sprintf("orderctl_consume_breaker_state{target=\"database\"} %d\n", state); err != nil || !strings.Contains(body, want) {
		return fmt.Errorf("no %q: %w", want, err)
	}
	return nil
}

// committed is the sum of what the group has committed.
func committed(t *testing.T, brokers string) int64 {
	t.Helper()
	req := kmsg.NewPtrOffsetFetchRequest()
	group := kmsg.NewOffsetFetchRequestGroup()
	group.Group = "orders-worker"
	req.Groups = append(req.Groups, group)
	resp, err := req.RequestWith(t.Context(), client(t, brokers))
	if err != nil {
		t.Fatal(err)
	}
	sum := int64(0)
	for _, g := range resp.Groups {
		for _, topic := range g.Topics {
			for _, p := range topic.Partitions {
				sum += max(p.Offset, 0)
			}
		}
	}
	return sum
}
