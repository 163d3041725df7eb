package store_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/store"
	"commerce.internal/orderctl/internal/store/dbtest"
	"commerce.internal/orderctl/internal/store/storetest"
)

// provocation is a statement of the operator's that the shop's table refuses.
type provocation struct {
	name   string
	tables string
	effect string
	class  queue.Class
	code   string
}

func provocations(driver string) []provocation {
	fatal := queue.ClassFatal
	if driver == "mysql" {
		return []provocation{
			{"a rule of the table", "CREATE TABLE t (x VARCHAR(64) CHECK (x <> 'bad'))", "INSERT INTO t VALUES (:order_id)", fatal, "4025"},
			{"a second one of its kind", "CREATE TABLE t (x VARCHAR(64) PRIMARY KEY); INSERT INTO t VALUES ('bad')", "INSERT INTO t VALUES (:order_id)", fatal, "1062"},
			{"nothing where something must be", "CREATE TABLE t (x VARCHAR(64) NOT NULL)", "INSERT INTO t VALUES (NULLIF(:order_id, 'bad'))", fatal, "1048"},
			{"a stranger", "CREATE TABLE p (x VARCHAR(64) PRIMARY KEY); INSERT INTO p VALUES ('ok-0'), ('ok-1'); CREATE TABLE t (x VARCHAR(64), FOREIGN KEY (x) REFERENCES p (x))", "INSERT INTO t VALUES (:order_id)", fatal, "1452"},
			{"a text that is too long", "CREATE TABLE t (x VARCHAR(10))", "INSERT INTO t VALUES (CONCAT(:order_id, IF(:order_id = 'bad', '----------', '')))", fatal, "1406"},
			{"a number that is too large", "CREATE TABLE t (x SMALLINT)", "INSERT INTO t VALUES (IF(:order_id = 'bad', 100000, 1))", fatal, "1264"},
			{"no number", "CREATE TABLE t (x INT)", "INSERT INTO t VALUES (IF(:order_id = 'bad', 'many', '1'))", fatal, "1366"},
			{"what a trigger refuses", "CREATE TABLE t (x VARCHAR(64)); CREATE TRIGGER no BEFORE INSERT ON t FOR EACH ROW IF NEW.x = 'bad' THEN SIGNAL SQLSTATE '45000'; END IF", "INSERT INTO t VALUES (:order_id)", queue.ClassRetryable, "1644"},
		}
	}
	return []provocation{
		{"a rule of the table", "CREATE TABLE t (x VARCHAR(64) CHECK (x <> 'bad'))", "INSERT INTO t VALUES (:order_id)", fatal, "23514"},
		{"a second one of its kind", "CREATE TABLE t (x VARCHAR(64) PRIMARY KEY); INSERT INTO t VALUES ('bad')", "INSERT INTO t VALUES (:order_id)", fatal, "23505"},
		{"nothing where something must be", "CREATE TABLE t (x VARCHAR(64) NOT NULL)", "INSERT INTO t VALUES (NULLIF(:order_id, 'bad'))", fatal, "23502"},
		{"a stranger", "CREATE TABLE p (x VARCHAR(64) PRIMARY KEY); INSERT INTO p VALUES ('ok-0'), ('ok-1'); CREATE TABLE t (x VARCHAR(64) REFERENCES p)", "INSERT INTO t VALUES (:order_id)", fatal, "23503"},
		{"a stranger, seen at the commit", "CREATE TABLE p (x VARCHAR(64) PRIMARY KEY); INSERT INTO p VALUES ('ok-0'), ('ok-1'); CREATE TABLE t (x VARCHAR(64) REFERENCES p DEFERRABLE INITIALLY DEFERRED)", "INSERT INTO t VALUES (:order_id)", fatal, "23503"},
		{"a text that is too long", "CREATE TABLE t (x VARCHAR(10))", "INSERT INTO t VALUES (:order_id || CASE WHEN :order_id = 'bad' THEN '----------' ELSE '' END)", fatal, "22001"},
		{"a number that is too large", "CREATE TABLE t (x SMALLINT)", "INSERT INTO t VALUES (CASE WHEN :order_id = 'bad' THEN 100000 ELSE 1 END)", fatal, "22003"},
		{"no number", "CREATE TABLE t (x INT)", "INSERT INTO t VALUES (CAST(CASE WHEN :order_id = 'bad' THEN 'many' ELSE '1' END AS INT))", fatal, "22P02"},
		{"no JSON", "CREATE TABLE t (x JSONB)", "INSERT INTO t VALUES ((CASE WHEN :order_id = 'bad' THEN '{' ELSE :items END)::jsonb)", fatal, "22P02"},
		{"a division by zero", "CREATE TABLE t (x INT)", "INSERT INTO t VALUES (1 / CASE WHEN :order_id = 'bad' THEN 0 ELSE 1 END)", fatal, "22012"},
		{"what a trigger refuses", "CREATE TABLE t (x VARCHAR(64)); CREATE FUNCTION no() RETURNS trigger AS $$ BEGIN IF NEW.x = 'bad' THEN RAISE EXCEPTION 'no'; END IF; RETURN NEW; END $$ LANGUAGE plpgsql; CREATE TRIGGER no BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION no()", "INSERT INTO t VALUES (:order_id)", queue.ClassRetryable, "P0001"},
	}
}

// What the shop's own tables refuse is the record's own failure, with the database's code; the others are committed.
func TestWhatTheShopsTablesRefuse(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, e engine) {
		for _, c := range provocations(e.driver) {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				d := e.database(t)
				d.Options.DSN += map[string]string{"mysql": "?multiStatements=true"}[e.driver]
				batch(t, e, d, c.tables)
				d.Options.EffectFile = effectFile(t, c.effect)
				s := open(t, d.Options)
				errs, err := applyOrders(t, s, sample("ok-0"), sample("bad"), sample("ok-1"))
				if err != nil || errs[0] != nil || errs[2] != nil {
					t.Fatalf("%v, %v", errs, err)
				}
				refused(t, errs[1], c.class, c.code)
				if n := d.Int(t, `SELECT count(*) FROM orders`) + d.Int(t, `SELECT count(*) FROM orderctl_messages`); n != 4 {
					t.Errorf("%d rows, want those of two orders", n)
				}
			})
		}
	})
}

// batch runs several statements at once.
func batch(t *testing.T, e engine, d storetest.Database, text string) {
	t.Helper()
	db := dbtest.Open(t, e.driver, d.Options.DSN)
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), text); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// A statement that the database itself stops is the record's own timeout.
func TestAStatementThatTakesTooLong(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, e engine) {
		d := e.database(t)
		slow, code := "SELECT CASE WHEN :order_id = 'bad' THEN pg_sleep(20) END", "57014"
		d.Options.DSN += "&statement_timeout=1000"
		if e.driver == "mysql" {
			slow, code = "SELECT IF(:order_id = 'bad', SLEEP(20), 0)", "1969"
			d.Options.DSN = strings.ReplaceAll(d.Options.DSN, "&statement_timeout=1000", "?max_statement_time=1")
		}
		d.Options.EffectFile = effectFile(t, slow)
		s := open(t, d.Options)
		errs, err := applyOrders(t, s, sample("ok-0"), sample("bad"), sample("ok-1"))
		if err != nil || errs[0] != nil || errs[2] != nil {
			t.Fatalf("%v, %v", errs, err)
		}
		refused(t, errs[1], queue.ClassTimeout, code)
	})
}

// A lock that somebody holds is asked for again at once, for a while; then it is an outage, and nothing is counted.
func TestALockThatIsNotGivenBack(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, e engine) {
		d := e.database(t)
		s := open(t, d.Options)
		applied(t, s, sample("A"), sample("B"))
		db := dbtest.Open(t, e.driver, d.Options.DSN)
		defer db.Close()
		tx, err := db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.ExecContext(t.Context(), "SELECT order_id FROM orders WHERE order_id = 'A' FOR UPDATE"); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		_, err = applyOrders(t, s, paid("A"), paid("B"))
		refused(t, err, queue.ClassOutage, map[string]string{"postgres": "55P03", "mysql": "1205"}[e.driver])
		if took := time.Since(began); took < 5*time.Second || took > 20*time.Second {
			t.Errorf("it waited %v", took)
		}
		var wg sync.WaitGroup
		wg.Go(func() { after(t, 500*time.Millisecond); _ = tx.Rollback() })
		applied(t, s, paid("A"), paid("B"))
		wg.Wait()
	})
}

// A wrong schema, a missing right, a database that cannot be written to: our mistake, never the order's.
func TestWhatIsNobodysOrder(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, e engine) {
		codes := map[string][2]string{"postgres": {"42P01", "42703"}, "mysql": {"1146", "1054"}}[e.driver]
		for i, c := range [][2]string{
			{"ALTER TABLE orders RENAME TO lost", "ALTER TABLE lost RENAME TO orders"},
			{"ALTER TABLE orders RENAME COLUMN currency TO coin", "ALTER TABLE orders RENAME COLUMN coin TO currency"},
		} {
			d := e.database(t)
			s := open(t, d.Options)
			applied(t, s, sample("before"))
			d.Exec(t, c[0])
			_, err := applyOrders(t, s, sample("A"), sample("B"))
			refused(t, err, queue.ClassOutage, codes[i])
			d.Exec(t, c[1])
			waitFor(t, func() bool { _, err := applyOrders(t, s, sample("A"), sample("B")); return err == nil })
			mustFind(t, s, true, "A", "B")
		}
	})
}

// What cannot be opened ends the command with 3, or 2 where the options are to blame, and says where, never a secret.
func TestSecretsStayOut(t *testing.T) {
	t.Parallel()
	const canary = "canary-7f3a"
	onServers(t, func(t *testing.T, e engine) {
		d := e.database(t)
		server := d.Options.DSN[strings.Index(d.Options.DSN, "127.0.0.1:"):]
		server = server[:strings.IndexAny(server, ")/")]
		list := []string{
			"postgres://u:" + canary + "@127.0.0.1:1/x", "postgres://u:" + canary + "@" + server + "/nowhere", "postgres://nobody:" + canary + "@" + server + "/postgres",
			"postgres://u:" + canary + "@:bad:port/x", "postgres://u:" + canary + "/x@host:y", "host=127.0.0.1 password=" + canary + " sslmode=strange",
			"postgres://u:" + canary + "@h/x?sslrootcert=/nowhere/ca.pem&sslmode=verify-full", "postgres://u:" + canary + "@" + server + "/postgres?default_query_exec_mode=exec",
			"password='" + canary,
		}
		if e.driver == "mysql" {
			list = []string{
				"u:" + canary + "@tcp(127.0.0.1:1)/x", "root:" + canary + "@tcp(" + server + ")/mysql", "root@tcp(" + server + ")/nowhere",
				"u:" + canary + "@tcp(127.0.0.1", "u:" + canary + "@strange(127.0.0.1)/x", "mysql://u:" + canary + "@[::1/x", "mysql://u:" + canary + "@127.0.0.1:1/x",
				"u:" + canary + "@tcp(127.0.0.1:1)/", "u:" + canary + "@tcp(127.0.0.1:1)/x?timeout=" + canary, "mysql://u:" + canary + "@h/x?tls=" + canary, "",
			}
		}
		for _, dsn := range list {
			for _, password := range []string{"", canary} {
				if e.driver == "mysql" && password != "" && strings.HasPrefix(dsn, "root@") {
					continue
				}
				o := store.Options{Driver: e.driver, DSN: dsn, Password: password, Migrate: true, Log: slog.New(slog.DiscardHandler)}
				_, opened := store.Open(t.Context(), o)
				_, looked := store.Status(t.Context(), o)
				_, migrated := store.Migrate(t.Context(), o)
				for _, err := range []error{opened, looked, migrated} {
					var c coded
					if !errors.As(err, &c) || c.ExitCode() != 2 && c.ExitCode() != 3 {
						t.Errorf("%s: %v has no exit code", dsn, err)
					} else if strings.Contains(fmt.Sprintf("%v %+v %s", err, err, c.Hint()), canary) {
						t.Errorf("%s: %v %s shows the password", dsn, err, c.Hint())
					}
				}
			}
		}
	})
}

// A store keeps within its connections however many ask.
func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, e engine) {
		d := e.database(t)
		d.Options.MaxOpen, d.Options.MaxIdle = 6, 6
		s := open(t, d.Options)
		most := int64(0)
		var wg sync.WaitGroup
		for i := range 12 {
			wg.Go(func() {
				for n := range 5 {
					applied(t, s, sample(fmt.Sprintf("A-%d-%d", i, n)))
					mustFind(t, s, true, fmt.Sprintf("A-%d-%d", i, n))
				}
			})
		}
		for range 10 {
			most = max(most, d.Int(t, e.conns))
		}
		wg.Wait()
		if most > 7 || most < 2 { // with the one that looked before
			t.Errorf("%d connections at once, want 2 to 6", most)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		d.Options.MaxIdle = 1
		few := open(t, d.Options)
		for range 3 {
			wg.Go(func() { applied(t, few, sample("C")) })
		}
		wg.Wait()
		mustFind(t, few, true, "C")
		waitFor(t, func() bool { return d.Int(t, e.conns) <= 2 }) // one that writes and one that reads
		d.Options.MaxLife = time.Nanosecond
		short := open(t, d.Options)
		applied(t, short, sample("B"))
		mustFind(t, short, true, "B")
	})
}
