package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// soaking is how long the soak lasts, and how many orders wait when it begins: SOAK, else a few seconds beside the other
// tests, which show that nothing is left at the end. make soak takes a minute, before a release it takes hours.
func soaking(t *testing.T) (lasts time.Duration, backlog int) {
	t.Helper()
	text := os.Getenv("SOAK")
	if text == "" {
		return 5 * time.Second, 1_500
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("SOAK: %v", err)
	}
	return d, 30_000
}

// Each hundredth order or so is refused by the shop's own SQL, for good.
const soakEffect = `
INSERT INTO journal (message_id) VALUES (:message_id);
INSERT INTO trap (x) SELECT NULL WHERE :order_id LIKE '%77';
`

// Fault 23: a worker runs in this process, with load, letters, a member that comes and goes, and a database that is locked
// from time to time. I8: what it holds stays within its bounds, memory, goroutines and files do not grow, and nothing of it
// is left when it has ended. I1 and I2 hold at the end.
func TestSoak(t *testing.T) { // not parallel: the goroutines of other tests would be counted
	lasts, backlog := soaking(t)
	s := newSoak(t)
	s.must("produce", "--count", strconv.Itoa(backlog), "--rate", "max", "--keys", "0", "--run-id", "before", "--via", "kafka", "-q", "--acked", s.acked+".1", "--min-rate", "0%")
	before := goleak.IgnoreCurrent() // the broker's process is waited for
	stay := s.worker()
	ctx, end := context.WithTimeout(t.Context(), lasts)
	defer end()
	var beside sync.WaitGroup
	beside.Go(func() { s.comeAndGo(ctx) })
	beside.Go(func() { s.lockDatabase(ctx) })
	beside.Go(func() {
		s.must("produce", "--rate", "200", "--duration", lasts.String(), "--keys", "0", "--run-id", "beside", "--via", "kafka", "-q", "--acked", s.acked+".2", "--min-rate", "0%")
	})
	looks := s.watch(ctx, stay)
	beside.Wait()
	s.must("lag", "--wait", "--timeout", "2m")
	stay.end()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	if err := goleak.Find(before, goleak.IgnoreAnyFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick")); err != nil {
		t.Errorf("I8: %v", err)
	}
	bounded(t, looks, backlog)
	s.holds()
}

// soak is a queue around the worker: the broker is a process of its own, so that its log is not in our memory.
type soak struct {
	t       *testing.T
	environ []string
	db      *sql.DB
	acked   string // of the ids that were accepted
}

func newSoak(t *testing.T) *soak {
	t.Helper()
	_, block := started(t, nil, "--broker-only", "--data-dir", t.TempDir())
	home := t.TempDir()
	s := &soak{t: t, acked: filepath.Join(home, "acked")}
	dsn, effect := filepath.Join(home, "orders.db"), filepath.Join(home, "effect.sql")
	if err := os.WriteFile(effect, []byte(soakEffect), 0o600); err != nil {
		t.Fatal(err)
	}
	s.environ = []string{
		"HOME=" + home, "ORDERCTL_KAFKA_BROKERS=" + block.Kafka, "ORDERCTL_STORE_DSN=" + dsn, "ORDERCTL_CONSUME_EFFECT_FILE=" + effect,
		"ORDERCTL_PRODUCER_COMPRESSION=none", "ORDERCTL_TOPICS_PARTITIONS=3", "ORDERCTL_TOPICS_REPLICATION_FACTOR=1", "ORDERCTL_TOPICS_MIN_INSYNC_REPLICAS=1",
	}
	db, err := sql.Open("sqlite", "file:"+dsn+"?_pragma=journal_mode(WAL)&_pragma=busy_timeout(10000)&_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	s.db = db
	for _, q := range []string{"CREATE TABLE journal (message_id TEXT NOT NULL)", "CREATE TABLE trap (x INTEGER NOT NULL)"} {
		if _, err := db.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	s.must("db", "migrate")
	s.must("topics", "apply", "--yes")
	return s
}

// must runs a command as a process of its own. It may be called beside the test.
func (s *soak) must(args ...string) {
	if raw, err := s.command(args...).CombinedOutput(); err != nil {
		s.t.Errorf("orderctl %s: %v\n%s", strings.Join(args, " "), err, raw)
	}
}

func (s *soak) command(args ...string) *exec.Cmd { return orderctl(s.t, s.environ, args...) }

// resident is a worker in this process, wired as the command is.
type resident struct {
	*running
	p     *testProcess
	ended chan int
}

func (s *soak) worker() *resident {
	p := newTestProcess(s.t, "consume", "--admin-addr", "127.0.0.1:0", "--log-format", "json")
	p.environ = s.environ
	r := &resident{running: &running{t: s.t, stderr: p.err}, p: p, ended: make(chan int, 1)}
	go func() { r.ended <- run(p.env) }()
	r.until("it has started", func() (bool, string) {
		for line := range strings.Lines(p.err.String()) {
			var told struct{ Admin string }
			if json.Unmarshal([]byte(line), &told) == nil && told.Admin != "" {
				r.admin = "http://" + told.Admin
				return true, ""
			}
		}
		return false, p.err.String()
	})
	return r
}

// end is SIGTERM.
func (r *resident) end() {
	r.p.interrupts <- syscall.SIGTERM
	if code := <-r.ended; code != 0 {
		r.t.Errorf("the worker ended with %d\n%s", code, r.p.err)
	}
}

// comeAndGo lets a second member join and leave.
func (s *soak) comeAndGo(ctx context.Context) {
	for ctx.Err() == nil {
		guest := s.worker()
		passes(ctx, 2*time.Second)
		guest.end()
		passes(ctx, time.Second)
	}
}

// lockDatabase takes the database away for a while: an outage, in which what was received piles up.
func (s *soak) lockDatabase(ctx context.Context) {
	for passes(ctx, 4*time.Second) {
		tx, err := s.db.BeginTx(context.WithoutCancel(ctx), nil)
		if err != nil {
			s.t.Errorf("lock the database: %v", err)
			return
		}
		passes(ctx, time.Second)
		if err := tx.Rollback(); err != nil {
			s.t.Errorf("give the database back: %v", err)
		}
	}
}

// passes waits; false: it is over.
func passes(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// sight is what the worker and this process hold at one moment.
type sight struct {
	queued, inFlight        float64 // in one partition; in transactions
	heap, goroutines, files int
}

// watch looks until ctx ends.
func (s *soak) watch(ctx context.Context, w *resident) (looks []sight) {
	for passes(ctx, 200*time.Millisecond) {
		var l sight
		_, body := w.ask(http.MethodGet, w.admin+"/metrics", "")
		for line := range strings.Lines(body) {
			name, text, _ := strings.Cut(strings.TrimSpace(line), " ")
			value, err := strconv.ParseFloat(text, 64)
			switch {
			case err != nil:
			case strings.HasPrefix(name, "orderctl_consume_queued{"):
				l.queued = max(l.queued, value)
			case name == "orderctl_consume_in_flight":
				l.inFlight = value
			}
		}
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		open, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			open = nil // not on this system
		}
		l.heap, l.goroutines, l.files = int(m.HeapAlloc), runtime.NumGoroutine(), len(open)
		looks = append(looks, l)
	}
	return looks
}

// bounded is I8. What a worker holds in an outage is more than in calm, so maxima are compared.
func bounded(t *testing.T, looks []sight, backlog int) {
	t.Helper()
	most := func(part []sight, of func(sight) int) int {
		return of(slices.MaxFunc(part, func(a, b sight) int { return of(a) - of(b) }))
	}
	if len(looks) < 9 {
		t.Fatalf("%d looks show nothing", len(looks))
	}
	third := len(looks) / 3
	first, last := looks[:third], looks[len(looks)-third:]
	queued := func(l sight) int { return int(l.queued) }
	// A partition pauses at 1,000. What its last fetch brought comes all the same: 1 MiB of orders of 400 bytes and more.
	if n, limit := most(looks, queued), 1_000+(1<<20)/400; n > limit {
		t.Errorf("I8: %d records of one partition are held, at most %d", n, limit)
	} else if backlog > 3*limit && n < 1_000 {
		t.Errorf("at most %d records were held: the bounds were not under test", n)
	}
	if n := most(looks, func(l sight) int { return int(l.inFlight) }); n > 256 {
		t.Errorf("I8: %d records in one transaction of SQLite, at most 256", n)
	}
	if n := most(looks, func(l sight) int { return l.heap >> 20 }); n > 128 {
		t.Errorf("I8: %d MiB of heap", n)
	}
	for what, of := range map[string]func(sight) int{
		"KiB of heap": func(l sight) int { return l.heap >> 10 }, "goroutines": func(l sight) int { return l.goroutines }, "open files": func(l sight) int { return l.files },
	} {
		a, b := most(first, of), most(last, of)
		t.Logf("%s: at most %d in the first third, %d in the last", what, a, b)
		if slack := map[string]int{"KiB of heap": 4 << 10, "goroutines": 20, "open files": 20}[what]; b > a*12/10+slack && backlog > 10_000 { // a few seconds show no slope
			t.Errorf("I8: %s grew from %d to %d", what, a, b)
		}
	}
	t.Logf("%d looks, at most %d records held of one partition", len(looks), most(looks, queued))
}

// holds is I1 and I2 of all that was accepted.
func (s *soak) holds() {
	s.t.Helper()
	count := func(q string) (n int) {
		if err := s.db.QueryRowContext(s.t.Context(), q).Scan(&n); err != nil {
			s.t.Fatalf("%.60s: %v", q, err)
		}
		return n
	}
	accepted := 0
	for _, part := range []string{".1", ".2"} {
		raw, err := os.ReadFile(s.acked + part)
		if err != nil {
			s.t.Fatal(err)
		}
		accepted += strings.Count(string(raw), "\n")
	}
	rows, done := count("SELECT count(*) FROM orderctl_messages"), count("SELECT count(*) FROM orderctl_messages WHERE state = 'done' AND outcome = 'applied'")
	dead := count("SELECT count(*) FROM orderctl_messages WHERE state = 'dead'")
	effects, distinct := count("SELECT count(*) FROM journal"), count("SELECT count(DISTINCT message_id) FROM journal")
	said := fmt.Sprintf("%d accepted, %d rows, %d applied, %d dead, %d effects of %d messages", accepted, rows, done, dead, effects, distinct)
	s.t.Log(said)
	if rows != accepted || done+dead != rows {
		s.t.Errorf("I1: %s", said)
	}
	if effects != done || distinct != done {
		s.t.Errorf("I2: %s", said)
	}
	if dead == 0 {
		s.t.Error("nothing became a letter: the hops were not under test")
	}
}
