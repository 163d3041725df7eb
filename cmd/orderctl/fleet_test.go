package main

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"commerce.internal/orderctl/internal/broker/brokertest"
	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/store/dbtest"
)

// fleet is a queue whose workers are processes, on a broker that the test reaches into and a database with a journal. The
// journal has no unique key, so a second effect would stand there.
type fleet struct {
	t       *testing.T
	b       *brokertest.Broker
	environ []string
	names   queue.Names
	db      *sql.DB
	sent    []string // message ids
}

const fleetPartitions = 2

// A poisoned message is refused by the sink for as long as it is poisoned: for good by SQLite, to be retried by PostgreSQL.
const fleetEffect = `
INSERT INTO journal (message_id) VALUES (:message_id);
INSERT INTO trap (x) SELECT refused(message_id) FROM poison WHERE message_id = :message_id;
`

// newFleet makes topics, tables and the settings of the workers; environ changes them.
func newFleet(t *testing.T, driver string, environ ...string) *fleet {
	t.Helper()
	f := &fleet{t: t, b: brokertest.Start(t), names: queue.Names{
		Source: "orders", Group: "orders-worker", Tiers: []time.Duration{300 * time.Millisecond, 600 * time.Millisecond},
	}}
	effect := filepath.Join(t.TempDir(), "effect.sql")
	f.environ = append(serveEnv(t, f.b, "ORDERCTL_CONSUME_EFFECT_FILE="+effect, "ORDERCTL_CONSUME_RETRY=300ms,600ms", "ORDERCTL_STORE_MIGRATE=true",
		"ORDERCTL_STORE_DRIVER="+driver), environ...)
	text, serial, dsn := fleetEffect, "INTEGER PRIMARY KEY AUTOINCREMENT", filepath.Join(t.TempDir(), "orders.db")
	if driver == "postgres" {
		server := dbtest.StartPostgres(t)
		t.Cleanup(server.Close)
		server.Exec(t, server.Home(), "CREATE DATABASE shop")
		dsn, serial = server.DSN("shop"), "BIGSERIAL PRIMARY KEY"
		f.db = dbtest.Open(t, driver, dsn)
	} else {
		text = strings.Replace(text, "refused(message_id)", "NULL", 1)
		db, err := sql.Open(driver, "file:"+dsn+"?_pragma=journal_mode(WAL)&_pragma=busy_timeout(10000)")
		if err != nil {
			t.Fatal(err)
		}
		f.db = db
	}
	t.Cleanup(func() { _ = f.db.Close() })
	f.environ = append(f.environ, "ORDERCTL_STORE_DSN="+dsn)
	f.exec("CREATE TABLE journal (n " + serial + ", message_id VARCHAR(300) NOT NULL)")
	f.exec("CREATE TABLE poison (message_id VARCHAR(300) PRIMARY KEY)")
	f.exec("CREATE TABLE trap (x INTEGER NOT NULL)")
	if driver == "postgres" {
		f.exec(`CREATE FUNCTION refused(id text) RETURNS integer LANGUAGE plpgsql AS
			$$ BEGIN RAISE EXCEPTION 'no %', id USING ERRCODE = 'XX000'; END $$`)
	}
	if err := os.WriteFile(effect, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f.run("db", "migrate")
	f.run("topics", "apply", "--yes")
	return f
}

// run runs a command to its end.
func (f *fleet) run(args ...string) string {
	f.t.Helper()
	raw, err := orderctl(f.t, f.environ, args...).Output()
	if err != nil {
		f.t.Fatalf("orderctl %s: %v\n%s", strings.Join(args, " "), err, raw)
	}
	return string(raw)
}

func (f *fleet) exec(q string, args ...any) {
	f.t.Helper()
	if _, err := f.db.ExecContext(f.t.Context(), q, args...); err != nil {
		f.t.Fatalf("%.60s: %v", q, err)
	}
}

// count is the single number that a query answers.
func (f *fleet) count(q string, args ...any) (n int) {
	f.t.Helper()
	if err := f.db.QueryRowContext(f.t.Context(), q, args...).Scan(&n); err != nil {
		f.t.Fatalf("%.60s: %v", q, err)
	}
	return n
}

// send writes new orders, one of them after the other to each partition, and returns their message ids.
func (f *fleet) send(ids ...string) []string {
	f.t.Helper()
	var all []queue.Message
	var sent []string
	for i, id := range ids {
		o := order.Order{
			OrderID: id, UserID: "u-1", Status: order.Created, Currency: "EUR", Timestamp: time.Now().UnixMilli(), HasTotal: true, TotalAmount: 500,
			Items: []order.Item{{ProductID: "P", Quantity: 2, UnitPrice: 250}},
		}
		all = append(all, queue.Message{
			Topic: f.names.Source, Partition: int32(i % fleetPartitions), Key: []byte(id), Value: o.AppendJSON(nil),
			Headers: []queue.Header{{Name: queue.HeaderID, Value: []byte(o.MessageID())}},
		})
		sent = append(sent, o.MessageID())
	}
	brokertest.Produce(f.t, f.b, all...)
	f.sent = append(f.sent, sent...)
	return sent
}

// sendMany writes n new orders.
func (f *fleet) sendMany(n int) {
	f.t.Helper()
	var ids []string
	for range n {
		ids = append(ids, "A-"+strconv.Itoa(len(f.sent)+len(ids)))
	}
	f.send(ids...)
}

// poison makes the sink refuse a message.
func (f *fleet) poison(id string) { f.exec("INSERT INTO poison VALUES ('" + id + "')") }

// until waits for a condition; a takeover on a busy machine takes its time.
func (f *fleet) until(what string, ok func() error) {
	f.t.Helper()
	eventually(f.t, 2*time.Minute, what, ok)
}

// equal is a condition on a number.
func equal(got, want int) error {
	if got != want {
		return fmt.Errorf("%d, want %d", got, want)
	}
	return nil
}

// members waits until the group is stable with n members that own everything.
func (f *fleet) members(n int) {
	f.t.Helper()
	f.until(fmt.Sprintf("%d members own all", n), func() error {
		g := f.b.GroupInfo(f.names.Group)
		if g == nil || g.State != "Stable" || len(g.Members) != n || g.NumAssigned() != fleetPartitions*len(f.names.Consumed()) ||
			slices.ContainsFunc(g.Members, func(m kfake.GroupMember) bool { return m.NumAssigned() == 0 }) {
			return fmt.Errorf("%+v", g)
		}
		return nil
	})
}

// drained waits until all that lies in the topics of the group is committed: nothing of it is unfinished then (I6).
func (f *fleet) drained() {
	f.t.Helper()
	f.until("all is consumed", func() error {
		commits := f.b.Committed(f.t, f.names.Group)
		for _, topic := range f.names.Consumed() {
			for p := range int32(fleetPartitions) {
				if end, at := f.b.PartitionInfo(topic, p).HighWatermark, commits[brokertest.TP{Topic: topic, Partition: p}]; at < end {
					return fmt.Errorf("%s/%d is at %d of %d", topic, p, at, end)
				}
			}
		}
		return nil
	})
}

// holdWrites leaves every write to a topic without an answer, until the function that it returns is called.
func (f *fleet) holdWrites(topic string) (held chan struct{}, release func()) {
	held = make(chan struct{})
	var over, once sync.Once
	free := make(chan struct{})
	f.b.ControlKey(kmsg.Produce, func(req kmsg.Request) (kmsg.Response, error, bool) {
		select {
		case <-free:
			return nil, nil, false
		default:
		}
		f.b.KeepControl()
		r, ok := req.(*kmsg.ProduceRequest)
		if !ok || !slices.ContainsFunc(r.Topics, func(t kmsg.ProduceRequestTopic) bool { return t.Topic == topic }) {
			return nil, nil, false
		}
		once.Do(func() { close(held) })
		return nil, nil, true
	})
	return held, func() { over.Do(func() { close(free) }) }
}

// summed is the sum of a counter of a worker, over all series whose labels hold the text.
func summed(r *running, metric, labels string) (sum float64) {
	r.t.Helper()
	_, body := r.ask("GET", r.admin+"/metrics", "")
	for line := range strings.Lines(body) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if family, set, _ := strings.Cut(name, "{"); family == metric && strings.Contains(set, labels) {
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				r.t.Fatalf("%s: %v", line, err)
			}
			sum += v
		}
	}
	return sum
}

// listed is what `dlq list` shows of the group: message ids.
func (f *fleet) listed() (ids []string) {
	f.t.Helper()
	var list struct {
		Letters []struct {
			ID string `json:"msg_id"`
		}
	}
	raw := f.run("dlq", "list", "--all", "-o", "json")
	if err := json.Unmarshal([]byte(raw), &list); err != nil {
		f.t.Fatalf("%v\n%s", err, raw)
	}
	for _, l := range list.Letters {
		ids = append(ids, l.ID)
	}
	return ids
}

// holds checks what must be true of a drained group of which these messages, and no others, are dead: I1 to I4.
func (f *fleet) holds(dead ...string) {
	f.t.Helper()
	for _, id := range f.sent {
		want, effects := "done", 1
		if slices.Contains(dead, id) {
			want, effects = "dead", 0
		}
		if n := f.count("SELECT count(*) FROM orderctl_messages WHERE msg_id = $1", id); n != 1 {
			f.t.Errorf("I1: %s has %d rows", id, n)
		}
		if n := f.count("SELECT count(*) FROM orderctl_messages WHERE msg_id = $1 AND state = $2", id, want); n != 1 {
			f.t.Errorf("I1: %s is not %s", id, want)
		}
		if n := f.count("SELECT count(*) FROM journal WHERE message_id = $1", id); n != effects {
			f.t.Errorf("I2: %s took effect %d times, want %d", id, n, effects)
		}
	}
	if got := f.listed(); !slices.Equal(got, dead) {
		f.t.Errorf("I3: letters of %q are listed, want %q", got, dead)
	}
}
