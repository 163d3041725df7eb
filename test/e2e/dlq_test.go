//go:build e2e

package e2e

import (
	"database/sql"
	bin "encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"commerce.internal/orderctl/internal/store/dbtest"
)

// sickSink makes the effect of some orders fail: those of a class in table sick, by the letter that their ids begin with.
// E fails as a server does that has a bad day (XX000, may succeed later), F as one that refuses the order (23514).
const sickSink = `
CREATE TABLE sick (class CHAR(1) PRIMARY KEY);
INSERT INTO sick VALUES ('E'), ('F');
CREATE TABLE journal (n BIGSERIAL PRIMARY KEY, order_id TEXT, message_id TEXT, status TEXT);
CREATE FUNCTION sicken() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM sick WHERE class = left(NEW.order_id, 1)) THEN
    RAISE EXCEPTION 'the sink is not well' USING ERRCODE = CASE left(NEW.order_id, 1) WHEN 'E' THEN 'XX000' ELSE '23514' END;
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER sicken BEFORE INSERT ON journal FOR EACH ROW EXECUTE FUNCTION sicken();
`

const sickEffect = `INSERT INTO journal (order_id, message_id, status) VALUES (:order_id, :message_id, :status);` + "\n"

// clinic is a queue on real Kafka and PostgreSQL whose sink can be sick.
type clinic struct {
	*box
	db     *sql.DB
	kafka  string
	admin  string
	worker *process
}

func newClinic(t *testing.T, env ...string) *clinic {
	t.Helper()
	k := startKafka(t, 1)
	b := newBox(t, "ORDERCTL_KAFKA_BROKERS="+k.Addrs(), "ORDERCTL_TOPICS_PARTITIONS=6", "ORDERCTL_CONSUME_RETRY=200ms", "ORDERCTL_CONSUME_LOCAL_BASE=1ms",
		"ORDERCTL_CONSUME_FLOOD_IN_ROW=0", "ORDERCTL_CONSUME_FLOOD_RATIO=0")
	b.env = append(b.env, env...)
	server := dbtest.StartPostgres(t)
	t.Cleanup(server.Close)
	server.Exec(t, server.Home(), "CREATE DATABASE shop")
	c := &clinic{box: b, db: dbtest.Open(t, "postgres", server.DSN("shop")), kafka: k.Addrs(), admin: port(t)}
	t.Cleanup(func() { _ = c.db.Close() })
	c.exec(sickSink)
	effect := filepath.Join(t.TempDir(), "effect.sql")
	if err := os.WriteFile(effect, []byte(sickEffect), 0o600); err != nil {
		t.Fatal(err)
	}
	b.env = append(b.env, "ORDERCTL_STORE_DRIVER=postgres", "ORDERCTL_STORE_DSN="+server.DSN("shop"), "ORDERCTL_CONSUME_EFFECT_FILE="+effect)
	b.must(0, time.Minute, "topics", "apply", "--yes")
	b.must(0, time.Minute, "db", "migrate")
	c.work()
	return c
}

func (c *clinic) work() { c.worker = c.start("consume", "--admin-addr", c.admin) }

func (c *clinic) exec(q string) {
	c.t.Helper()
	if _, err := c.db.ExecContext(c.t.Context(), q); err != nil {
		c.t.Fatalf("%.60s: %v", q, err)
	}
}

// orders sends orders from..to of a class, of two messages each.
func (c *clinic) orders(class string, from, to int) {
	c.t.Helper()
	var b strings.Builder
	for n := from; n < to; n++ {
		for _, status := range []string{"CREATED", "PAID"} {
			user := "u-1"
			if class == "I" {
				user = ""
			}
			fmt.Fprintf(&b, `{"order_id":"%s-%d","user_id":"%s","status":"%s","currency":"EUR","items":[{"product_id":"P1","quantity":1,"unit_price":100}],`+
				`"total_amount":100,"timestamp":1750000000000}`+"\n", class, n, user, status)
		}
	}
	file := filepath.Join(c.home, fmt.Sprintf("%s-%d.ndjson", class, from))
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		c.t.Fatal(err)
	}
	c.must(0, time.Minute, "produce", "--via", "kafka", "--file", file)
}

// dead waits until so many letters are undecided and nothing is unread.
func (c *clinic) dead(want int) {
	c.t.Helper()
	eventually(c.t, 90*time.Second, fmt.Sprintf("%d letters", want), func() error {
		if all := letters(c.t, c.box); len(all) != want {
			return fmt.Errorf("%d letters", len(all))
		}
		if n, complete := unread(c.t, c.box); n != 0 || !complete {
			return fmt.Errorf("unread %d, complete %v", n, complete)
		}
		return nil
	})
}

// effects checks that every message of a class took effect once and those of an order in order.
func (c *clinic) effects(class string, want int) {
	c.t.Helper()
	all := count(c.t, c.db, "SELECT count(*) FROM journal WHERE left(order_id, 1) = $1", class)
	distinct := count(c.t, c.db, "SELECT count(DISTINCT message_id) FROM journal WHERE left(order_id, 1) = $1", class)
	wrong := count(c.t, c.db, `SELECT count(*) FROM journal a JOIN journal b ON a.order_id = b.order_id
		WHERE left(a.order_id, 1) = $1 AND a.status = 'PAID' AND b.status = 'CREATED' AND a.n < b.n`, class)
	if all != want || distinct != want || wrong != 0 {
		c.t.Errorf("class %s: %d effects of %d messages, want %d; %d orders out of order", class, all, distinct, want, wrong)
	}
}

// 300 letters of three classes, made by the real worker, come to their end: planned, replayed, repaired, taken over, and beside
// kill -9 of replays and workers. Each takes effect once and in order, and the balance is whole.
func TestDeadLettersComeToTheirEnd(t *testing.T) {
	t.Parallel()
	c := newClinic(t)
	for _, class := range []string{"I", "E", "F", "G"} {
		c.orders(class, 0, 50)
	}
	c.dead(300)
	c.effects("G", 100)
	lettersAgree(t, c)
	planned(t, c)
	killedReplays(t, c)
	takenOver(t, c)
	refusals(t, c)
	if sum := audited(t, c.box, 0); sum.Dead != 0 || sum.Applied != 410 || sum.Missing != 0 {
		t.Errorf("audit: %+v", sum)
	}
	withoutLedger(t, c)
}

// lettersAgree: list, stats, export and show tell the same.
func lettersAgree(t *testing.T, c *clinic) {
	t.Helper()
	var listed struct {
		Letters []struct{ ID, Class string } `json:"letters"`
	}
	decode(t, c.must(0, time.Minute, "dlq", "list", "--all", "-o", "json", "-q").stdout, &listed)
	byClass := map[string]int{}
	for _, l := range listed.Letters {
		byClass[l.Class]++
	}
	if len(listed.Letters) != 300 || byClass["invalid"] != 100 || byClass["exhausted"] != 100 || byClass["fatal"] != 100 {
		t.Errorf("list: %v", byClass)
	}
	exported, one := map[string]int{}, map[string]string{}
	for _, l := range letters(t, c.box) {
		exported[l.Class]++
		one[l.Class] = l.ID
	}
	if !maps.Equal(exported, byClass) {
		t.Errorf("export: %v, list: %v", exported, byClass)
	}
	stats := c.must(0, time.Minute, "dlq", "stats", "-o", "csv", "--no-header", "-q").stdout
	for class, n := range byClass {
		if !strings.Contains(stats, fmt.Sprintf("%s,%d,%d,", class, n, n)) {
			t.Errorf("stats of %s: %s", class, stats)
		}
	}
	for class, id := range one {
		if r := c.must(0, time.Minute, "dlq", "show", id); !strings.HasPrefix(r.stdout, id+"  UNDECIDED") || !strings.Contains(r.stdout, class) || strings.Contains(r.stdout, "…") {
			t.Errorf("show %s of class %s: %s", id, class, r.stdout)
		}
	}
}

// planned: exactly the planned letters are replayed, and once.
func planned(t *testing.T, c *clinic) {
	t.Helper()
	plan := filepath.Join(c.home, "p.json")
	c.must(0, time.Minute, "dlq", "plan", "--jq", `.class=="exhausted"`, "--file", plan, "--reason", "the sink was sick")
	c.orders("E", 50, 55)
	c.dead(310)
	c.exec("DELETE FROM sick WHERE class = 'E'")
	if r := c.must(0, 2*time.Minute, "dlq", "replay", "--plan", plan, "--wait", "--rate", "max"); !strings.HasPrefix(r.stdout, "100 replayed: 100 resolved; job r-") {
		t.Errorf("replay of the plan: %s", r.stdout)
	}
	c.effects("E", 100)
	if r := c.must(0, time.Minute, "dlq", "replay", "--plan", plan); !strings.HasPrefix(r.stdout, "nothing to do") {
		t.Errorf("the plan again: %s", r.stdout)
	}
	c.dead(210)
}

// killedReplays: replay and worker are killed until the replay comes to its end.
func killedReplays(t *testing.T, c *clinic) {
	t.Helper()
	plan := filepath.Join(c.home, "k.json")
	c.exec("DELETE FROM sick")
	c.must(0, time.Minute, "dlq", "plan", "--class", "exhausted", "--class", "fatal", "--file", plan)
	const deaths = 12
	kills := 0
	for range deaths {
		p := c.start("dlq", "replay", "--plan", plan, "--takeover", "--rate", "60/s", "--batch", "7", "--wait=60s")
		killed := time.AfterFunc(time.Duration(300+rand.N(500))*time.Millisecond, func() { _ = p.cmd.Process.Kill() })
		p.wait(2 * time.Minute)
		if killed.Stop() {
			break
		}
		kills++
		c.worker.kill()
		c.work()
	}
	if r := c.must(0, 2*time.Minute, "dlq", "replay", "--plan", plan, "--takeover", "--wait=90s"); !strings.Contains(r.stdout, "110 resolved") {
		t.Errorf("the last replay: %s", r.stdout)
	}
	if kills < 3 {
		t.Errorf("only %d kills: this shows nothing", kills)
	}
	eventually(t, time.Minute, "all is applied", func() error {
		if n := count(t, c.db, "SELECT count(*) FROM journal WHERE left(order_id, 1) IN ('E', 'F')"); n < 210 {
			return fmt.Errorf("%d of 210", n)
		}
		return nil
	})
	c.effects("E", 110)
	c.effects("F", 100)
	if sum := audited(t, c.box, 0); sum.Dead != 100 || sum.Missing != 0 {
		t.Errorf("audit after %d kills: %+v", kills, sum)
	}
}

// takenOver: invalid letters are repaired; a second replay is refused, and takes over where it is told to.
func takenOver(t *testing.T, c *clinic) {
	t.Helper()
	plan := filepath.Join(c.home, "i.json")
	c.must(0, time.Minute, "dlq", "plan", "--class", "invalid", "--set", `/user_id="u-9"`, "--file", plan)
	first := c.start("dlq", "replay", "--plan", plan, "--rate", "5/s", "--batch", "1", "--operator", "oncall")
	eventually(t, 30*time.Second, "the first has begun", func() error {
		if n := count(t, c.db, "SELECT count(*) FROM journal WHERE left(order_id, 1) = 'I'"); n < 3 {
			return fmt.Errorf("%d effects", n)
		}
		return nil
	})
	if r := c.must(1, time.Minute, "dlq", "replay", "--class", "invalid", "--include", "still-invalid", "--yes"); !strings.Contains(r.stderr, "by oncall is running") ||
		!strings.Contains(r.stderr, "--takeover") {
		t.Errorf("beside a running one: %s", r.stderr)
	}
	first.signal(syscall.SIGSTOP)
	c.must(0, time.Minute, "dlq", "replay", "--plan", plan, "--takeover", "--rate", "max", "--wait", "--operator", "second")
	first.signal(syscall.SIGCONT)
	if code := first.wait(time.Minute); code != 1 || !strings.Contains(first.err.String(), "was taken over by second") {
		t.Errorf("the first ends with %d: %s", code, first.err.String())
	}
	c.effects("I", 100)
	lives := c.must(0, time.Minute, "trace", "I-7").stdout
	for _, part := range []string{"dead CREATED, invalid", "replay PAID, job r-", "applied CREATED", "applied PAID"} {
		if !strings.Contains(lives, part) {
			t.Errorf("trace lacks %q:\n%s", part, lives)
		}
	}
}

// refusals: what does not exist, what nobody agreed to, what could not be written down.
func refusals(t *testing.T, c *clinic) {
	t.Helper()
	c.must(7, time.Minute, "dlq", "replay", "5/99999", "--yes")
	c.must(2, time.Minute, "dlq", "list", "--jq", ".clas==1")
	before := [2]int64{logEnd(t, c.kafka, ledger), logEnd(t, c.kafka, "orders.orders-worker.replay")}
	id := strings.Split(c.must(0, time.Minute, "dlq", "list", "--state", "any", "--limit", "1", "-o", "csv", "--no-header", "-q").stdout, ",")[0]
	if r := c.must(8, time.Minute, "dlq", "replay", id, "--again"); r.stdout != "" || !strings.Contains(r.stderr, "--yes") {
		t.Errorf("without --yes: %q, %s", r.stdout, r.stderr)
	}
	if after := [2]int64{logEnd(t, c.kafka, ledger), logEnd(t, c.kafka, "orders.orders-worker.replay")}; after != before {
		t.Errorf("refused replays wrote: ledger and replay topic end at %v, before at %v", after, before)
	}
}

const ledger = "orders.orders-worker.dlq.audit"

// withoutLedger: letters can be seen, and nothing is decided that could not be written down. With the ledger made anew it can.
func withoutLedger(t *testing.T, c *clinic) {
	t.Helper()
	c.orders("I", 90, 91)
	c.dead(2)
	deleteTopic(t, client(t, c.kafka), ledger)
	replays := logEnd(t, c.kafka, "orders.orders-worker.replay")
	replay := []string{"dlq", "replay", "--class", "invalid", "--set", `/user_id="u-9"`, "--yes", "--wait"}
	eventually(t, 30*time.Second, "the ledger is gone", func() error {
		r := c.run(time.Minute, "dlq", "list")
		if !strings.Contains(r.stderr, "there is no ledger "+ledger) {
			return fmt.Errorf("list ends with %d: %s", r.code, r.stderr)
		}
		return nil
	})
	for _, args := range [][]string{replay, {"dlq", "discard", "--class", "invalid", "--reason", "tests", "--yes"}} {
		if r := c.must(7, time.Minute, args...); !strings.Contains(r.stderr, "there is no ledger "+ledger) || !strings.Contains(r.stderr, "orderctl topics apply") {
			t.Errorf("%v: %s", args, r.stderr)
		}
	}
	if n := logEnd(t, c.kafka, "orders.orders-worker.replay"); n != replays {
		t.Errorf("%d records were sent without a ledger", n-replays)
	}
	c.must(0, time.Minute, "topics", "apply", "--yes")
	eventually(t, 30*time.Second, "the new ledger has its leaders", func() error {
		if r := c.run(time.Minute, "dlq", "list"); r.code != 0 || strings.Contains(r.stderr, "there is no ledger") {
			return fmt.Errorf("list ends with %d: %s", r.code, r.stderr)
		}
		return nil
	})
	if r := c.must(0, time.Minute, replay...); !strings.HasPrefix(r.stdout, "2 replayed: 2 resolved") {
		t.Errorf("with a new ledger: %s", r.stdout)
	}
	c.effects("I", 102)
}

// Under hold what comes behind a dead order dies blocked. A replay of the head takes its followers along, also those that come
// while it runs, and all take effect in order, even where the head died again and lies behind its followers. A letter that is
// replayed in vain three times is not replayed a fourth time.
func TestFollowersOfADeadOrderAreReplayedInOrder(t *testing.T) {
	t.Parallel()
	c := newClinic(t, "ORDERCTL_CONSUME_ON_DEAD=hold")
	c.orders("E", 0, 20)
	c.dead(40)
	replay := func(code int, args ...string) string {
		return c.must(code, 2*time.Minute, append([]string{"dlq", "replay", "--yes", "--rate", "max", "--wait=60s"}, args...)...).stdout
	}
	// The heads alone, and still sick: they die again.
	if said := replay(6, "--class", "exhausted", "--no-followers"); !strings.HasPrefix(said, "20 replayed: 0 resolved, 20 dead again") {
		t.Errorf("heads alone: %s", said)
	}
	if said := replay(6, "--class", "blocked"); !strings.HasPrefix(said, "0 replayed; 20 skipped (20 head-missing)") {
		t.Errorf("followers alone: %s", said)
	}
	for n := range 2 {
		if said := replay(6, "--order-id", "E-0", "--no-followers", "--class", "exhausted"); !strings.Contains(said, "1 dead again") {
			t.Errorf("replay %d in vain: %s", n+2, said)
		}
	}
	if said := replay(6, "--order-id", "E-0", "--no-followers", "--class", "exhausted"); !strings.HasPrefix(said, "0 replayed; 1 skipped (1 loop)") {
		t.Errorf("replay 4: %s", said)
	}
	c.exec("DELETE FROM sick")
	more := c.start("produce", "--via", "kafka", "--file", c.shipped(0, 20))
	said := replay(0, "--class", "exhausted", "--include", "loop")
	if code := more.wait(time.Minute); code != 0 || !strings.Contains(said, " resolved") || strings.Contains(said, "dead again") {
		t.Errorf("all of them: exit of produce %d, %s", code, said)
	}
	eventually(t, time.Minute, "what came last is applied, or replayed", func() error {
		if n, _ := unread(t, c.box); n > 0 {
			return fmt.Errorf("%d unread", n)
		}
		if len(letters(t, c.box)) > 0 {
			c.run(time.Minute, "dlq", "replay", "--all", "--yes", "--rate", "max", "--wait=30s")
		}
		if n := count(t, c.db, "SELECT count(*) FROM journal"); n < 60 {
			return fmt.Errorf("%d of 60 effects", n)
		}
		return nil
	})
	c.effects("E", 60)
	if n := count(t, c.db, "SELECT count(*) FROM journal a JOIN journal b ON a.order_id = b.order_id WHERE a.status = 'SHIPPED' AND b.status = 'PAID' AND a.n < b.n"); n != 0 {
		t.Errorf("%d orders were shipped before they were paid", n)
	}
	if sum := audited(t, c.box, 0); sum.Dead != 0 || sum.Applied != 60 {
		t.Errorf("audit: %+v", sum)
	}
}

// shipped writes a file with the third message of orders of class E.
func (c *clinic) shipped(from, to int) string {
	c.t.Helper()
	var b strings.Builder
	for n := from; n < to; n++ {
		fmt.Fprintf(&b, `{"order_id":"E-%d","user_id":"u-1","status":"SHIPPED","currency":"EUR","items":[{"product_id":"P1","quantity":1,"unit_price":100}],`+
			`"total_amount":100,"timestamp":1750000000000}`+"\n", n)
	}
	file := filepath.Join(c.home, "shipped.ndjson")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		c.t.Fatal(err)
	}
	return file
}

// Letters of Spring Kafka, with its binary headers, are listed, filtered and replayed into the queue, each once.
func TestLettersOfSpringAreReplayed(t *testing.T) {
	t.Parallel()
	k := startKafka(t, 1)
	b := newBox(t, "ORDERCTL_KAFKA_BROKERS="+k.Addrs(), "ORDERCTL_TOPICS_PARTITIONS=3")
	b.must(0, time.Minute, "topics", "apply", "--yes")
	b.must(0, time.Minute, "db", "migrate")
	cl := client(t, k.Addrs())
	createTopic(t, cl, "payments.DLT", assigned(2, 1))
	for n := range 20 {
		exception := "com.shop.payments.GatewayTimeout"
		if n%2 == 1 {
			exception = "com.shop.payments.CardRefused"
		}
		id := fmt.Sprintf("S-%d", n)
		record := &kgo.Record{
			Topic: "payments.DLT", Partition: int32(n % 2), Key: []byte(id),
			Value: []byte(`{"order_id":"` + id + `","user_id":"u-1","status":"CREATED","currency":"EUR","items":[{"product_id":"P1","quantity":1,"unit_price":100}],"total_amount":100,"timestamp":1750000000000}`),
			Headers: []kgo.RecordHeader{
				{Key: "kafka_dlt-original-topic", Value: []byte("payments")},
				{Key: "kafka_dlt-original-partition", Value: bin.BigEndian.AppendUint32(nil, uint32(n%2))},
				{Key: "kafka_dlt-original-offset", Value: bin.BigEndian.AppendUint64(nil, uint64(40+n))},
				{Key: "kafka_dlt-original-timestamp", Value: bin.BigEndian.AppendUint64(nil, 1_750_000_000_000)},
				{Key: "kafka_dlt-original-consumer-group", Value: []byte("payments-worker")},
				{Key: "kafka_dlt-exception-fqcn", Value: []byte(exception)},
				{Key: "kafka_dlt-exception-message", Value: []byte("no answer \x1b[31m in 3 s")},
				{Key: "retry_topic-attempts", Value: bin.BigEndian.AppendUint32(nil, 4)},
			},
		}
		if err := manual(t, k.Addrs()).ProduceSync(t.Context(), record).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	r := b.must(0, time.Minute, "dlq", "list", "--dlq", "payments.DLT", "--jq", `.class == "GatewayTimeout" and .attempts == 4 and .topic == "payments"`, "-o", "csv", "--no-header", "-q")
	if n := strings.Count(r.stdout, "GatewayTimeout"); n != 10 || strings.Contains(r.stdout, "\x1b") {
		t.Errorf("%d letters chosen:\n%s", n, r.stdout)
	}
	replay := []string{"dlq", "replay", "--dlq", "payments.DLT", "--class", "GatewayTimeout", "--to", "topic=orders", "--yes"}
	if r := b.must(7, time.Minute, replay...); !strings.Contains(r.stderr, "there is no ledger payments.DLT.audit") {
		t.Errorf("without a ledger: %s", r.stderr)
	}
	createTopic(t, cl, "payments.DLT.audit", assigned(2, 1))
	if r := b.must(0, time.Minute, replay...); !strings.HasPrefix(r.stdout, "10 replayed; job r-") {
		t.Errorf("replay: %s", r.stdout)
	}
	if r := b.must(0, time.Minute, replay...); !strings.HasPrefix(r.stdout, "nothing to do") {
		t.Errorf("replay again: %s", r.stdout)
	}
	if n := logEnd(t, k.Addrs(), "orders"); n != 10 {
		t.Errorf("orders holds %d records, want 10", n)
	}
	b.must(0, time.Minute, "consume", "--until-empty", "--admin-addr", port(t))
	if sum := audited(t, b, 0); sum.Applied != 10 || sum.Accepted != 10 {
		t.Errorf("audit: %+v", sum)
	}
	if r := b.must(0, time.Minute, "dlq", "stats", "--dlq", "payments.DLT", "-o", "csv", "--no-header", "-q"); !strings.Contains(r.stdout, "CardRefused,10,") {
		t.Errorf("stats: %s", r.stdout)
	}
}
