//go:build e2e

package e2e

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/store/dbtest"
)

// mariaEffect is effect in the words of MariaDB.
const mariaEffect = `
INSERT INTO journal (message_id, status) VALUES (:message_id, :status);
UPDATE stock JOIN (SELECT i.product_id, sum(i.quantity) AS quantity
  FROM JSON_TABLE(:items, '$[*]' COLUMNS (product_id VARCHAR(64) PATH '$.product_id', quantity BIGINT PATH '$.quantity')) AS i
  GROUP BY i.product_id ORDER BY i.product_id) AS sold ON stock.product_id = sold.product_id
SET stock.quantity = stock.quantity - sold.quantity
WHERE :status = 'CREATED';
`

// mariaShop is a shop on a MariaDB server of its own, and the box that is told of it.
func mariaShop(t *testing.T, b *box) (*shop, *dbtest.Server) {
	t.Helper()
	server := dbtest.StartMySQL(t)
	return serverShop(t, b, server, "mysql", mariaEffect), server
}

func TestRealOrdersEndInMariaDB(t *testing.T) {
	k := startKafka(t, 1)
	b := newBox(t, "ORDERCTL_KAFKA_BROKERS="+k.Addrs())
	s, _ := mariaShop(t, b)
	realOrdersEndOnServer(t, b, s, k.Addrs())
}

// The real orders come in over HTTP and, those that serve refuses too, from Kafka itself; meanwhile the intake, the worker
// and the database are killed. Each order ends once, and the books balance.
func TestRealOrdersWithMariaDBAndKills(t *testing.T) {
	t.Parallel()
	k := startKafka(t, 1)
	b := newBox(t, "ORDERCTL_KAFKA_BROKERS="+k.Addrs())
	s, server := mariaShop(t, b)
	b.env = append(b.env, "ORDERCTL_CONSUME_EFFECT_FILE=")
	b.must(0, time.Minute, "topics", "apply", "--yes")
	b.must(0, time.Minute, "db", "migrate")
	file, err := filepath.Abs(realOrders)
	if err != nil {
		t.Fatal(err)
	}
	api, admin, workerAdmin := port(t), port(t), port(t)
	serve := func() *process {
		p := b.start("serve", "--addr", api, "--admin-addr", admin)
		serving(t, api)
		return p
	}
	consume := func() *process { // and wait until it is up: a start without its database ends with 3
		p := b.start("consume", "--admin-addr", workerAdmin)
		serving(t, workerAdmin)
		return p
	}
	front, worker := serve(), consume()
	// A worker that is killed is missed after 10 s, three times: the load must last longer than all of this.
	load := b.start("produce", "--file", file, "--via", "http", "--url", "http://"+api, "--rate", "20", "--acked", s.acked, "--min-rate", "0%")
	db := s.open()
	moreApplied := func() { // so that what comes next meets a worker at work
		t.Helper()
		want := count(t, db, "SELECT count(*) FROM orders") + 60
		eventually(t, 2*time.Minute, "more orders are applied", func() error {
			if got := count(t, db, "SELECT count(*) FROM orders"); got < want {
				return fmt.Errorf("%d orders of %d", got, want)
			}
			return nil
		})
	}
	moreApplied()
	worker.kill()
	worker = consume()
	moreApplied()
	front.kill()
	worker.kill()
	front, worker = serve(), consume()
	moreApplied()
	server.Stop()
	server.Start(t)
	moreApplied()
	load.wait(3 * time.Minute) // what was refused while the intake was away is told by its code: here the ids count
	s.settled(3 * time.Minute)
	if len(s.ackedIDs()) < 700 {
		t.Errorf("only %d orders were accepted", len(s.ackedIDs()))
	}

	b.must(0, 2*time.Minute, "produce", "--file", file, "--via", "kafka", "-q")
	worker.kill()
	worker = consume()
	eventually(t, 3*time.Minute, "all that was sent has ended", func() error {
		if sum := audited(t, b, 0); sum.Verdict != "BALANCED" || sum.Accepted != allOrders || sum.Applied != validOrders || sum.Dead != dirtyOrders {
			return fmt.Errorf("audit: %+v", sum)
		}
		return nil
	})
	if n := count(t, db, "SELECT count(*) FROM orders"); n != validOrders {
		t.Errorf("%d rows in orders, want %d", n, validOrders)
	}
	if n := len(letters(t, b)); n != dirtyOrders {
		t.Errorf("%d letters, want %d", n, dirtyOrders)
	}
	if n := count(t, db, "SELECT count(*) FROM orderctl_messages WHERE attempts > 0"); n != 0 {
		t.Errorf("%d messages counted an attempt: kills and outages are nobody's attempt", n)
	}
	audited(t, b, 0, "--ids", s.acked)
	stopped(t, front, worker)
}

// serve and consume on real Kafka and MariaDB are killed in turn, ten times each, with the shop's own SQL.
func TestKilledTenTimesWithMariaDB(t *testing.T) {
	t.Parallel()
	k := startKafka(t, 1)
	b := newBox(t, "ORDERCTL_KAFKA_BROKERS="+k.Addrs())
	s, _ := mariaShop(t, b)
	killedTenTimes(t, b, s)
}
