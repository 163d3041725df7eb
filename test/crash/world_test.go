//go:build crash

package crash

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/test/kraft"
)

// place is what a world stands on.
type place struct {
	name     string
	real     bool // real Kafka, not the broker of dev
	postgres bool
	webhook  bool // orders go to a service
	hold     bool // what follows a dead order follows it
	bin      func() (string, error)
}

// world is one queue under load: what is sent to it, and the process that is killed.
type world struct {
	t     *testing.T
	at    place
	names queue.Names
	kafka kafka
	bin   string
	env   []string
	args  []string
	api   string
	db    *sql.DB
	hook  *service

	mu      sync.Mutex
	acked   map[string]bool // message ids that were answered with 202
	stops   []func()
	replays int
	samples int // looks at the commits between two lives
	broken  []string
}

const effect = `
INSERT INTO trap (x) SELECT NULL FROM poison WHERE message_id = :message_id;
INSERT INTO journal (message_id, order_id) VALUES (:message_id, :order_id);
`

func newWorld(t *testing.T, at place) *world {
	t.Helper()
	if at.bin == nil {
		at.bin = armed
	}
	bin, err := at.bin()
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("c%d", rand.Uint32())
	home := t.TempDir()
	w := &world{
		t: t, at: at, bin: bin, acked: map[string]bool{}, api: freePort(t),
		names: queue.Names{Source: "orders-" + name, Group: name, Tiers: []time.Duration{300 * time.Millisecond, 700 * time.Millisecond}},
	}
	w.env = []string{
		"HOME=" + home, "PATH=" + os.Getenv("PATH"), "ORDERCTL_CONSUME_TOPIC=" + w.names.Source, "ORDERCTL_CONSUME_GROUP=" + name,
		"ORDERCTL_CONSUME_RETRY=300ms,700ms", "ORDERCTL_CONSUME_LOCAL_BASE=10ms", "ORDERCTL_CONSUME_LOCAL_CAP=50ms",
		"ORDERCTL_CONSUME_BREAKER_PROBE_MIN=100ms", "ORDERCTL_CONSUME_BREAKER_PROBE_MAX=500ms",
		"ORDERCTL_CONSUME_INSTANCE_ID=w1", "ORDERCTL_TOPICS_PARTITIONS=4", "ORDERCTL_SERVE_DRAIN_DELAY=10ms",
	}
	if at.hold {
		w.env = append(w.env, "ORDERCTL_CONSUME_ON_DEAD=hold")
	}
	w.openDB(home)
	if at.webhook {
		w.openHook(home)
	}
	admin := freePort(t)
	if at.real {
		w.kafka.addr = realKafka(t)
		w.env = append(w.env, "ORDERCTL_KAFKA_BROKERS="+w.kafka.addr)
		w.args = []string{"serve", "--with-consumer", "--addr", w.api, "--admin-addr", admin}
		w.must("topics", "apply", "--yes")
	} else {
		w.kafka.addr = freePort(t)
		w.args = []string{"dev", "--data-dir", filepath.Join(home, "data"), "--kafka-addr", w.kafka.addr, "--addr", w.api, "--admin-addr", admin}
	}
	return w
}

// must runs a command to its end.
func (w *world) must(args ...string) {
	w.t.Helper()
	p := start(w.t, w.bin, w.env, args...)
	timer := time.NewTimer(time.Minute)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		w.t.Fatalf("orderctl %v: exit %d\n%s", args, code, p.said())
	}
}

// openDB makes the shop's own tables. The journal has no unique key, so a second effect would stand there.
func (w *world) openDB(home string) {
	driver, dsn, serial := "sqlite", filepath.Join(home, "data", "orders.db"), "INTEGER PRIMARY KEY AUTOINCREMENT"
	if w.at.postgres {
		driver, dsn, serial = "pgx", servers.Postgres(w.t), "BIGSERIAL PRIMARY KEY"
		w.env = append(w.env, "ORDERCTL_STORE_DRIVER=postgres")
	}
	w.env = append(w.env, "ORDERCTL_STORE_DSN="+dsn, "ORDERCTL_STORE_MIGRATE=true")
	if !w.at.postgres {
		if err := os.MkdirAll(filepath.Dir(dsn), 0o700); err != nil {
			w.t.Fatal(err)
		}
		dsn = "file:" + dsn + "?_pragma=journal_mode(WAL)&_pragma=busy_timeout(10000)"
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = db.Close() })
	w.db = db
	for _, q := range []string{
		"CREATE TABLE journal (n " + serial + ", message_id TEXT NOT NULL, order_id TEXT NOT NULL)",
		"CREATE TABLE poison (message_id TEXT PRIMARY KEY)", "CREATE TABLE trap (x INTEGER NOT NULL)",
	} {
		w.exec(q)
	}
	if w.at.webhook {
		return
	}
	var ids []string
	for n := 0; n < 20_000; n += poisoned {
		ids = append(ids, fmt.Sprintf("('%s:CREATED')", orderID(n)))
	}
	w.exec("INSERT INTO poison VALUES " + strings.Join(ids, ","))
	file := filepath.Join(home, "effect.sql")
	if err := os.WriteFile(file, []byte(effect), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.env = append(w.env, "ORDERCTL_CONSUME_EFFECT_FILE="+file)
}

func (w *world) exec(q string) {
	w.t.Helper()
	if _, err := w.db.ExecContext(w.t.Context(), q); err != nil {
		w.t.Fatalf("%.60s: %v", q, err)
	}
}

const poisoned = 15 // each 15th order is refused by the sink for as long as it is poisoned

func orderID(n int) string { return fmt.Sprintf("A-%d", n) }

// begin lets load and replays run beside all that follows.
func (w *world) begin() {
	var numbers sync.Mutex
	next := 0
	number := func() int {
		numbers.Lock()
		defer numbers.Unlock()
		next++
		return next - 1
	}
	for range 2 {
		w.beside(func(ctx context.Context) { w.load(ctx, number) })
	}
	w.beside(w.spoil)
	w.beside(w.replay)
}

// beside runs f until the load ends.
func (w *world) beside(f func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(ctx)
	}()
	stop := sync.OnceFunc(func() {
		cancel()
		<-done
	})
	w.stops = append(w.stops, stop)
	w.t.Cleanup(stop)
}

func (w *world) end() {
	for _, stop := range w.stops {
		stop()
	}
}

// pause waits between two rounds; false: it is over.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// load walks orders through their statuses: the next message of an order when the one before was accepted. What is not
// known to be accepted is sent again.
func (w *world) load(ctx context.Context, number func() int) {
	client := &http.Client{Timeout: 8 * time.Second}
	for {
		n := number()
		statuses := []order.Status{order.Created, order.Paid, order.Shipped}
		if n%poisoned == 0 && !w.at.hold {
			statuses = statuses[:1] // what comes behind a dead one would be illegal
		}
		for _, s := range statuses {
			o := order.Order{
				OrderID: orderID(n), UserID: "u-1", Status: s, Currency: "EUR", Timestamp: 1_750_000_000_000,
				Items: []order.Item{{ProductID: "P", Quantity: 1, UnitPrice: int64(n)}},
			}
			for !w.post(ctx, client, o) {
				if !pause(ctx, 40*time.Millisecond) {
					return
				}
			}
			w.mu.Lock()
			w.acked[o.MessageID()] = true
			w.mu.Unlock()
			if !pause(ctx, 40*time.Millisecond) {
				return
			}
		}
	}
}

func (w *world) post(ctx context.Context, client *http.Client, o order.Order) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+w.api+"/orders", strings.NewReader(string(o.AppendJSON(nil))))
	if err != nil {
		return false
	}
	req.Header.Set("Content-Type", queue.ContentJSON)
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusAccepted
}

// accepted is how many messages were answered with 202.
func (w *world) accepted() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.acked)
}

// spoil writes what is no order straight into the topic.
func (w *world) spoil(ctx context.Context) {
	for i := 0; pause(ctx, time.Second); i++ {
		m := queue.Message{
			Topic: w.names.Source, Partition: int32(i % 4), Key: []byte("spoiled"), Value: fmt.Appendf(nil, `{"order_id":"%d`, i),
			Headers: []queue.Header{{Name: "shop", Value: []byte("x\x00y")}, {Name: "shop", Value: []byte("again")}},
		}
		_ = w.kafka.write(ctx, m) // Kafka may be away; what is in the topic counts
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// realKafka starts the cluster of this run once.
func realKafka(t *testing.T) string {
	t.Helper()
	cluster.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
		defer cancel()
		if cluster.dir, cluster.err = os.MkdirTemp("", "orderctl-kafka"); cluster.err == nil {
			cluster.Cluster, cluster.err = kraft.Start(ctx, cluster.dir, 1)
		}
	})
	if cluster.err != nil {
		t.Fatalf("start Kafka: %v", cluster.err)
	}
	return cluster.Addrs()
}
